/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Filling pages: what comes from outside never becomes markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "page.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
texts_are_escaped(void **state)
{
	static const struct {
		const char *text, *html;
	} cases[] = {
		{ "", "" },
		{ "plain \xc3\xbc.txt", "plain \xc3\xbc.txt" },
		{ "<script>", "&lt;script&gt;" },
		{ "\"'", "&quot;&#39;" },
		{ "a&b&amp;", "a&amp;b&amp;amp;" },
		{ "\x01\n\x7f", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&out);
		page_put_text(&out, cases[i].text, strlen(cases[i].text));
		assert_string_equal(buf_str(&out), cases[i].html);
	}
	buf_free(&out);
}

static void
templates_are_filled(void **state)
{
	static const struct page_value values[] = {
		{ "name", "<b>" },
		{ "names", "{{name}}" },
		{ "empty", "" },
	};
	static const struct {
		const char *template, *html;
	} cases[] = {
		{ "", "" },
		{ "no marks { } {x}", "no marks { } {x}" },
		{ "{{name}}", "&lt;b&gt;" },
		{ "a{{name}}b{{empty}}c", "a&lt;b&gt;bc" },
		{ "{{names}}", "{{name}}" }, /* filled once, not again */
		{ "{{unknown}}.{{nam}}.{{}}", ".." },
		{ "an open {{name", "an open {{name" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&out);
		page_fill(&out, cases[i].template, strlen(cases[i].template),
			  values, COUNT(values));
		assert_string_equal(buf_str(&out), cases[i].html);
	}
	buf_free(&out);
}

static void
sizes_are_readable(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} cases[] = {
		{ -1, "" },
		{ 0, "0 bytes" },
		{ 1, "1 byte" },
		{ 999, "999 bytes" },
		{ 1000, "1.0 kB" },
		{ 99949, "99.9 kB" },
		{ 99950, "100 kB" },
		{ 999499, "999 kB" },
		{ 999500, "1.0 MB" },
		{ 2097152, "2.1 MB" },
		{ INT64_C(5) << 40, "5.5 TB" },
		{ INT64_MAX, "9.2 EB" },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		page_size(cases[i].bytes, text);
		assert_string_equal(text, cases[i].text);
	}
}

/* The hash of "x" is that of `printf x | openssl sha256 -binary | base64`. */
static void
policies_name_what_is_inline(void **state)
{
	static const struct {
		const char *html, *policy;
	} cases[] = {
		{ "<p>", "default-src 'none'; img-src data:; base-uri 'none'; "
			 "frame-ancestors 'none'; more" },
		{ "<style>x</style>",
		  "default-src 'none'; style-src 'sha256-"
		  "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE='; "
		  "img-src data:; base-uri 'none'; frame-ancestors 'none'; "
		  "more" },
		{ "<script>x</script><style>x",
		  "default-src 'none'; script-src 'sha256-"
		  "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE='; "
		  "img-src data:; base-uri 'none'; frame-ancestors 'none'; "
		  "more" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&out);
		page_policy(&out, cases[i].html, "; more");
		assert_string_equal(buf_str(&out), cases[i].policy);
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_escaped),
		cmocka_unit_test(templates_are_filled),
		cmocka_unit_test(sizes_are_readable),
		cmocka_unit_test(policies_name_what_is_inline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
