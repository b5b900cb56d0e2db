/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* HTTP's grammar: ranges, dates, validators, header values, escapes. */
#include "http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arena_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RANGES 4 /* most in one request, here */

static void
test_ranges(void **state)
{
	static const struct {
		const char *value;
		int64_t total;
		const char *expected; /* "0": whole, "-1": 416 */
	} cases[] = {
		{ NULL, 100, "0" },
		{ "", 100, "0" },
		{ "bytes=0-9", 100, "0-9" },
		{ "BYTES=0-9", 100, "0-9" },
		{ "bytes=0-0", 100, "0-0" },
		{ "bytes=90-", 100, "90-99" },
		{ "bytes=-10", 100, "90-99" },
		{ "bytes=-1000", 100, "0-99" },
		{ "bytes=95-200", 100, "95-99" },
		{ "bytes=99-99", 100, "99-99" },
		{ "bytes=100-", 100, "-1" },
		{ "bytes=-0", 100, "-1" },
		{ "bytes=0-", 0, "-1" },
		{ "bytes=-5", 0, "-1" },
		{ "bytes=0-9,100-", 100, "0-9" },
		{ "bytes=50-59,0-9", 100, "50-59 0-9" },
		{ "bytes= 0-9 , ,20-29,", 100, "0-9 20-29" },
		{ "bytes=0-9,10-19", 100, "0-19" },
		{ "bytes=0-9,11-19", 100, "0-9 11-19" },
		{ "bytes=0-,0-,0-", 100, "0-99" },
		{ "bytes=0-9,20-29,5-24", 100, "0-29" },
		{ "bytes=20-29,0-9,40-49,10-19", 100, "0-29 40-49" },
		{ "bytes=99999999999999999999-", 100, "-1" },
		{ "bytes=0-99999999999999999999", 100, "0-99" },
		{ "bytes=-99999999999999999999", 100, "0-99" },
		{ "bytes=1-0", 100, "0" },
		{ "bytes=", 100, "0" },
		{ "bytes=,", 100, "0" },
		{ "bytes=-", 100, "0" },
		{ "bytes=a-b", 100, "0" },
		{ "bytes=0-9x", 100, "0" },
		{ "bytes=0 -9", 100, "0" },
		{ "bytes=--5", 100, "0" },
		{ "bytes=+1-5", 100, "0" },
		{ "bytes 0-9", 100, "0" },
		{ "items=0-9", 100, "0" },
		{ "bytes=0-0,2-2,4-4,6-6", 100, "0-0 2-2 4-4 6-6" },
		{ "bytes=0-0,2-2,4-4,6-6,8-8", 100, "0" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_range r[RANGES];
		char text[256] = "";
		int n = http_ranges(cases[i].value, cases[i].total, r, RANGES);

		if (n <= 0)
			snprintf(text, sizeof(text), "%d", n);
		for (int j = 0; j < n; j++)
			snprintf(text + strlen(text),
				 sizeof(text) - strlen(text), "%s%lld-%lld",
				 j > 0 ? " " : "", (long long)r[j].first,
				 (long long)r[j].last);
		assert_string_equal(text, cases[i].expected);
	}
}

static void
test_content_range(void **state)
{
	static const struct {
		const char *value;
		int rc;
		int64_t first, last, total;
	} cases[] = {
		{ "bytes 0-9/100", 0, 0, 9, 100 },
		{ "Bytes  0-9/100 ", 0, 0, 9, 100 },
		{ "bytes 5-5/*", 0, 5, 5, -1 },
		{ "bytes 0-9/9", -1, 0, 0, 0 },
		{ "bytes 9-0/100", -1, 0, 0, 0 },
		{ "bytes */100", -1, 0, 0, 0 },
		{ "bytes 0-9/100x", -1, 0, 0, 0 },
		{ "bytes 0-9", -1, 0, 0, 0 },
		{ "bytes=0-9/100", -1, 0, 0, 0 },
		{ "", -1, 0, 0, 0 },
		{ NULL, -1, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t first, last, total;

		assert_int_equal(http_content_range(cases[i].value, &first,
						    &last, &total),
				 cases[i].rc);
		if (cases[i].rc != 0)
			continue;
		assert_int_equal(first, cases[i].first);
		assert_int_equal(last, cases[i].last);
		assert_int_equal(total, cases[i].total);
	}
	assert_int_equal(http_content_range_total("bytes */100"), 100);
	assert_int_equal(http_content_range_total("bytes */0"), 0);
	assert_int_equal(http_content_range_total("bytes */*"), -1);
	assert_int_equal(http_content_range_total("bytes 0-9/100"), -1);
	assert_int_equal(http_content_range_total(NULL), -1);
}

static void
test_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t expected;
	} cases[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
		{ "Sun Nov  6 08:49:37 1994", 784111777 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799) },
		{ "Friday, 01-Jan-27 00:00:00 GMT", 1798761600 },
		{ "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
		{ "Wed, 29 Feb 2023 12:00:00 GMT", -1 },
		{ "Wed, 31 Dec 1969 23:59:59 GMT", -1 },
		{ "Sun, 06 Nov 1994 24:00:00 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:60:00 GMT", -1 },
		{ "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 UTC", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
		{ "sun, 06 nov 1994 08:49:37 gmt", -1 },
		{ "1994-11-06T08:49:37Z", -1 },
		{ "Sun", -1 },
		{ "", -1 },
		{ NULL, -1 },
	};
	char out[30];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(http_date_parse(cases[i].text),
				 cases[i].expected);
	http_date_format(784111777, out, sizeof(out));
	assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
	http_date_format(INT64_MAX, out, sizeof(out));
	assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 GMT");
	http_date_format(INT64_MIN, out, sizeof(out));
	assert_string_equal(out, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void
test_rfc3339(void **state)
{
	static const struct {
		const char *text;
		int64_t expected;
	} cases[] = {
		{ "1994-11-06T08:49:37Z", 784111777 },
		{ "1994-11-06t08:49:37z", 784111777 },
		{ "1994-11-06 08:49:37.999Z", 784111777 },
		{ "1994-11-06T10:49:37+02:00", 784111777 },
		{ "1994-11-05T23:19:37-09:30", 784111777 },
		{ "1970-01-01T00:30:00+00:30", 0 },
		{ "1970-01-01T00:00:00+00:01", -1 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "1994-11-06T08:49:37", -1 },
		{ "1994-11-06T08:49:37.Z", -1 },
		{ "1994-11-06T08:49:37+2:00", -1 },
		{ "1994-11-06T08:49:37+24:00", -1 },
		{ "1994-13-06T08:49:37Z", -1 },
		{ "1994-02-30T08:49:37Z", -1 },
		{ "1994-11-06", -1 },
		{ "1994-11-06T08:49:37Zx", -1 },
		{ "784111777", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(http_rfc3339_parse(cases[i].text),
				 cases[i].expected);
}

static void
test_etags(void **state)
{
	static const struct {
		const char *list, *etag;
		bool strong, weak;
	} cases[] = {
		{ "\"a\"", "\"a\"", true, true },
		{ "\"a\"", "\"b\"", false, false },
		{ "*", "\"a\"", true, true },
		{ " * ", "\"a\"", true, true },
		{ "\"x\", \"a\"", "\"a\"", true, true },
		{ "\"x\",,\"a\"", "\"a\"", true, true },
		{ "W/\"a\"", "\"a\"", false, true },
		{ "W/\"a\"", "W/\"a\"", false, true },
		{ "\"a\"", "W/\"a\"", false, true },
		{ "\"a,b\", \"c\"", "\"c\"", true, true },
		{ "\"a,b\"", "\"b\"", false, false },
		{ "a", "\"a\"", false, false },
		{ "\"a", "\"a\"", false, false },
		{ "\"x\" \"a\"", "\"a\"", false, false },
		{ "\"ab\"", "\"a\"", false, false },
		{ "", "\"a\"", false, false },
		{ NULL, "\"a\"", false, false },
		{ "*", NULL, false, false },
		{ "*", "", true, true },
		{ "\"a\"", "", false, false },
		{ "\"\"", "\"\"", true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
			http_etag_match(cases[i].list, cases[i].etag, true),
			cases[i].strong);
		assert_int_equal(
			http_etag_match(cases[i].list, cases[i].etag, false),
			cases[i].weak);
	}
}

static void
test_disposition(void **state)
{
	static const struct {
		const char *name, *expected;
	} cases[] = {
		{ "a.zip", "filename=\"a.zip\"; filename*=UTF-8''a.zip" },
		{ "a b.zip",
		  "filename=\"a b.zip\"; filename*=UTF-8''a%20b.zip" },
		{ "\xc3\xa4\xe2\x82\xac.zip",
		  "filename=\"__.zip\"; "
		  "filename*=UTF-8''%C3%A4%E2%82%AC.zip" },
		{ "a\"\\\r\nb.zip", "filename=\"a____b.zip\"; "
				    "filename*=UTF-8''a%22%5C%0D%0Ab.zip" },
		{ "5%20.zip",
		  "filename=\"5_20.zip\"; filename*=UTF-8''5%2520.zip" },
		{ "a;b'c*.zip", "filename=\"a;b'c*.zip\"; "
				"filename*=UTF-8''a%3Bb%27c%2A.zip" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out;

		buf_init(&out, 4096);
		http_disposition(&out, cases[i].name);
		assert_memory_equal(buf_str(&out), "attachment; ", 12);
		assert_string_equal(buf_str(&out) + 12, cases[i].expected);
		buf_free(&out);
	}
}

static void
test_escapes(void **state)
{
	static const struct {
		const char *text;
		bool form;
		const char *expected;
		size_t len;
	} cases[] = {
		{ "a%20b", false, "a b", 3 },
		{ "a+b", false, "a+b", 3 },
		{ "a+b", true, "a b", 3 },
		{ "%2", false, "%2", 2 },
		{ "%", false, "%", 1 },
		{ "%zz", false, "%zz", 3 },
		{ "%00x", false, "\0x", 2 },
		{ "%C3%a4", false, "\xc3\xa4", 2 },
		{ "%%41", false, "%A", 2 },
		{ "", false, "", 0 },
	};
	struct buf out;
	size_t len;
	char *s;

	for (size_t i = 0; i < COUNT(cases); i++) {
		s = http_decode(*state, cases[i].text, strlen(cases[i].text),
				cases[i].form, &len);
		assert_int_equal(len, cases[i].len);
		assert_memory_equal(s, cases[i].expected, len + 1);
	}
	buf_init(&out, 100);
	http_encode(&out, "a/b c\xff%~\0", 9, "/");
	assert_string_equal(buf_str(&out), "a/b%20c%FF%25~%00");
	buf_free(&out);
}

static void
test_parameters(void **state)
{
	static const struct {
		const char *value, *name, *expected;
	} cases[] = {
		{ "multipart/form-data; boundary=abc", "boundary", "abc" },
		{ "x;a=1;BOUNDARY=\"a b\";c=2", "boundary", "a b" },
		{ "x; boundary=\"a\\\"b\"", "boundary", "a\"b" },
		{ "x; a=\"; boundary=no\"; boundary=yes", "boundary", "yes" },
		{ "x; a=\"\\\"; boundary=no\"; boundary=yes", "boundary",
		  "yes" },
		{ "x; boundary=\"open", "boundary", "open" },
		{ "x; boundary=", "boundary", "" },
		{ "x; xboundary=a", "boundary", NULL },
		{ "x; boundary", "boundary", NULL },
		{ "boundary=abc", "boundary", NULL },
		{ NULL, "boundary", NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *got =
			http_parameter(*state, cases[i].value, cases[i].name);

		if (cases[i].expected == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].expected);
	}
	assert_true(http_media_is("Text/HTML; charset=x", "text/html"));
	assert_true(http_media_is("text/html", "text/html"));
	assert_false(http_media_is("text/htmlx", "text/html"));
	assert_false(http_media_is("text", "text/html"));
	assert_false(http_media_is(NULL, "text/html"));
}

static void
test_accept(void **state)
{
	static const struct {
		const char *accept;
		bool html;
	} cases[] = {
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,"
		  "image/avif,image/webp,*/*;q=0.8",
		  true },
		{ "text/html", true },
		{ "TEXT/HTML;q=0.5, */*", true },
		{ "application/json, text/plain, */*", false },
		{ "application/json, text/html", false },
		{ "application/json;q=0.9, text/html", true },
		{ "text/html;level=1;q=0.4, application/json;q=0.5", false },
		{ "text/html;q=0", false },
		{ "*/*", false },
		{ "text/*", false },
		{ "", false },
		{ NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(http_accepts_html(cases[i].accept),
				 cases[i].html);
}

static void
test_words(void **state)
{
	(void)state;
	assert_int_equal(http_method_from("GET"), HTTP_GET);
	assert_int_equal(http_method_from("OPTIONS"), HTTP_OPTIONS);
	assert_int_equal(http_method_from("get"), HTTP_OTHER);
	assert_int_equal(http_method_from("GETS"), HTTP_OTHER);
	assert_string_equal(http_reason(206), "Partial Content");
	assert_string_equal(http_reason(299), "Unknown");
	assert_true(http_equal_secret("", ""));
	assert_true(http_equal_secret("abc", "abc"));
	assert_false(http_equal_secret("abc", "abd"));
	assert_false(http_equal_secret("abc", "ab"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_content_range),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_etags),
		cmocka_unit_test(test_disposition),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("http", tests, with_arena,
					   without_arena);
}
