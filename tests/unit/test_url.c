/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* URLs of sources: what is taken, in which form, and what is refused. */
#include "url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arena_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void
test_parse(void **state)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{ "http://example.com", "http://example.com/" },
		{ "HTTP://EXAMPLE.com/A", "http://example.com/A" },
		{ "https://h:443/a", "https://h/a" },
		{ "http://h:80/a", "http://h/a" },
		{ "http://h:443/a", "http://h:443/a" },
		{ "http://h:/a", "http://h/a" },
		{ "http://h:65535/", "http://h:65535/" },
		{ "http://h?q=1", "http://h/?q=1" },
		{ "http://h/a?b?c/d#frag", "http://h/a?b?c/d" },
		{ "http://h/a?", "http://h/a?" },
		{ "http://h#frag", "http://h/" },
		{ "http://h/a b/\xc3\xa4", "http://h/a%20b/%C3%A4" },
		{ "http://h/a%20b", "http://h/a%20b" },
		{ "http://h/100%", "http://h/100%25" },
		{ "http://h/%zz", "http://h/%25zz" },
		{ "http://h/a\\b", "http://h/a%5Cb" },
		{ "http://h/a/../b/./c", "http://h/b/c" },
		{ "http://h/a/%2e%2E/b", "http://h/b" },
		{ "http://h/../../a", "http://h/a" },
		{ "http://h/a/..", "http://h/" },
		{ "http://h/a/b/.", "http://h/a/b/" },
		{ "http://h/a//b", "http://h/a//b" },
		{ "http://h/.../a", "http://h/.../a" },
		{ "http://h/a?x=../..", "http://h/a?x=../.." },
		{ "http://h/a?x=\"<y>", "http://h/a?x=%22%3Cy%3E" },
		{ "http://h./a", "http://h./a" },
		{ "http://under_score.example/",
		  "http://under_score.example/" },
		{ "http://m\xc3\xbcnchen.de/", "http://m\xc3\xbcnchen.de/" },
		{ "http://[::1]:8080/a", "http://[::1]:8080/a" },
		{ "http://[2001:DB8::1]/", "http://[2001:db8::1]/" },
		{ "http://127.0.0.1/", "http://127.0.0.1/" },
		{ "http://h/a@b:c", "http://h/a@b:c" },
	};
	struct error e = { 0 };
	struct url u;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(url_parse(*state, cases[i].text, &u, &e), 0);
		assert_string_equal(url_format(*state, &u), cases[i].canonical);
		/* The canonical form is its own. */
		assert_int_equal(url_parse(*state, cases[i].canonical, &u, &e),
				 0);
		assert_string_equal(url_format(*state, &u), cases[i].canonical);
	}
}

static void
test_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"example.com",
		"//example.com/",
		"http:example.com",
		"http:/example.com",
		" http://h/",
		"http://",
		"http:///a",
		"http://:80/",
		"http://user@h/",
		"http://user:pw@h/",
		"http://good.com\\@evil.com/",
		"http://h@",
		"http://h/a\nb",
		"http://h/a\x7f",
		"http://h\t/",
		"http://h:0/",
		"http://h:65536/",
		"http://h:99999999999/",
		"http://h:8a/",
		"http://h:-1/",
		"http://a b/",
		"http://a..b/",
		"http://.a/",
		"http://./",
		"http://a%2eb/",
		"http://a!b/",
		"http://[::1/",
		"http://[::1]x/",
		"http://[fe80::1%25eth0]/",
		"http://[]/",
		"http://\xff/",
		"http://\xef\xbc\x91.2.3.4/", /* fullwidth 1 */
		"http://1\xe3\x80\x82"
		"2.3.4/", /* ideographic full stop */
		"http://a\xef\xbc\x8f"
		"b/",				/* fullwidth solidus */
		"http://\xe2\x91\xa0.example/", /* circled 1 */
		"http://\xe2\x84\x80.example/", /* "a/c" to NFKC */
		"http://a\xc2\xad"
		"b.example/", /* soft hyphen */
		"http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaa/",
	};
	struct error e;
	struct url u;

	for (size_t i = 0; i < COUNT(cases); i++) {
		e.code = ERROR_NONE;
		assert_int_equal(url_parse(*state, cases[i], &u, &e), -1);
		assert_int_equal(e.code, ERROR_INPUT);
	}
	assert_int_equal(url_parse(*state, "FTP://h/", &u, &e), -1);
	assert_string_equal(e.text, "Protocol 'ftp' not supported.");
}

static void
test_too_long(void **state)
{
	static char text[URL_MAX + 2] = "http://h/";
	struct error e;
	struct url u;

	memset(text + 9, 'a', URL_MAX - 9);
	assert_int_equal(url_parse(*state, text, &u, &e), 0);
	text[URL_MAX] = 'a';
	assert_int_equal(url_parse(*state, text, &u, &e), -1);
}

static void
test_scheme(void **state)
{
	assert_string_equal(url_scheme(*state, "S3://b/k"), "s3");
	assert_string_equal(url_scheme(*state, "a+b-c.1://"), "a+b-c.1");
	assert_null(url_scheme(*state, "1a://"));
	assert_null(url_scheme(*state, "data:text/plain,x"));
	assert_null(url_scheme(*state, "://"));
	assert_null(url_scheme(*state, ""));
}

/* RFC 3986, section 5.4, and what real servers send. */
static void
test_resolve(void **state)
{
	static const struct {
		const char *location, *expected;
	} cases[] = {
		{ "g", "http://a:81/b/c/g" },
		{ "./g", "http://a:81/b/c/g" },
		{ "g/", "http://a:81/b/c/g/" },
		{ "/g", "http://a:81/g" },
		{ "//g", "http://g/" },
		{ "?y", "http://a:81/b/c/d;p?y" },
		{ "g?y", "http://a:81/b/c/g?y" },
		{ "#s", "http://a:81/b/c/d;p?q" },
		{ "", "http://a:81/b/c/d;p?q" },
		{ ".", "http://a:81/b/c/" },
		{ "..", "http://a:81/b/" },
		{ "../../../g", "http://a:81/g" },
		{ "g;x=1/../y", "http://a:81/b/c/y" },
		{ "https://x/y z", "https://x/y%20z" },
		{ "/g:h", "http://a:81/g:h" },
		{ "g/h:i", "http://a:81/b/c/g/h:i" },
		{ "g:h", NULL },
		{ "http:g", NULL },
		{ "file:///etc/passwd", NULL },
		{ "//user@h/", NULL },
		{ "///g", NULL },
		{ "/a\r\nX: y", NULL },
	};
	struct url base, u;
	struct error e;

	assert_int_equal(url_parse(*state, "http://a:81/b/c/d;p?q", &base, &e),
			 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		int rc = url_resolve(*state, &base, cases[i].location, &u, &e);

		assert_int_equal(rc, cases[i].expected != NULL ? 0 : -1);
		if (rc == 0)
			assert_string_equal(url_format(*state, &u),
					    cases[i].expected);
	}
}

static void
test_addresses(void **state)
{
	static const char *const addresses[] = {
		"127.0.0.1",
		"127.1",
		"2130706433",
		"0x7f000001",
		"0x7f.1",
		"0177.0.0.1",
		"[::1]",
		"1.2.3.4.",
		"1.2.3",
		"0",
		"0x",
		"0X7F.0.0.1",
		"256.1.1.1",
		"a.1",
		"a.0xff",
		"::1",
		"[::ffff:1.2.3.4]",
		"169.254.169.254",
		"00000000177.1",
		"\xef\xbc\x91.2.3.4",
		"1\xe3\x80\x82"
		"1",
	};
	static const char *const names[] = {
		"example.com",
		"1.example.com",
		"0x7f.example",
		"a1",
		"1a",
		"0xg",
		"1.com.",
		"localhost",
		"",
		"m\xc3\xbcnchen.de",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++)
		assert_true(url_host_is_address(addresses[i]));
	for (size_t i = 0; i < COUNT(names); i++)
		assert_false(url_host_is_address(names[i]));
}

static void
test_allowed(void **state)
{
	static const struct {
		const char *list, *url;
		bool allowed;
	} cases[] = {
		{ "", "http://any/", true },
		{ "https://cdn.example", "https://cdn.example/x", true },
		{ "https://cdn.example", "https://cdn.example.evil/x", false },
		{ "https://cdn.example", "http://cdn.example/x", false },
		{ "https://cdn.example", "https://cdn.example:8443/", false },
		{ "https://h:443/", "https://h/", true },
		{ "https://H/", "https://h/", true },
		{ "http://h:8080/", "http://h:8080/a", true },
		{ "https://h/pub", "https://h/pub", true },
		{ "https://h/pub", "https://h/pub/a", true },
		{ "https://h/pub", "https://h/public", false },
		{ "https://h/pub/", "https://h/pub", false },
		{ "https://h/pub/", "https://h/pub/a", true },
		{ "https://h/pub/", "https://h/pub/../priv", false },
		{ "https://h/pub/", "https://h/pub/%2e%2e/priv", false },
		{ "https://h/pub/", "https://h/pub/..%2fpriv", false },
		{ "https://h/pub/", "https://h/pub/a%5C..%5C..", false },
		{ "https://h/pub/", "https://h/pub/a..b%2fc", true },
		{ "https://h/", "https://h/pub/..%2fpriv", true },
		{ "http://a \t https://h/", "https://h/x", true },
		{ "s3://h https:// junk", "https://h/x", false },
		{ " ", "https://h/x", false },
	};
	struct error e;
	struct url u;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(url_parse(*state, cases[i].url, &u, &e), 0);
		assert_int_equal(url_allowed(cases[i].list, &u),
				 cases[i].allowed);
	}
}

static void
test_allowed_s3(void **state)
{
	static const struct {
		const char *list, *bucket, *key;
		bool allowed;
	} cases[] = {
		{ "", "b", "k", true },
		{ "s3://b", "b", "k", true },
		{ "s3://b/", "b", "k", true },
		{ "s3://b", "bb", "k", false },
		{ "s3://bb", "b", "k", false },
		{ "s3://b/pub", "b", "pub", true },
		{ "s3://b/pub", "b", "pub/x", true },
		{ "s3://b/pub", "b", "public", false },
		{ "s3://b/pub/", "b", "pub/x", true },
		{ "s3://b/pub/", "b", "pub", false },
		{ "https://b/ s3://c/ S3://b/", "b", "k", true },
		{ "https://b/", "b", "k", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(url_allowed_s3(cases[i].list, cases[i].bucket,
						cases[i].key),
				 cases[i].allowed);
}

static void
test_allowed_file(void **state)
{
	static const struct {
		const char *list, *path;
		bool allowed;
	} cases[] = {
		{ "", "a", true },
		{ "https://h/", "a", false },
		{ "s3://b file:///", "a/../b", true },
		{ "file:///pub", "pub", true },
		{ "file:///pub", "public", false },
		{ "FILE:///pub/", "pub/a", true },
		{ "file:///pub/", "a/pub/", false },
		{ "file:///pub/", "pub/../a", false },
		{ "file:///a%20b/", "a b/c", true },
		{ "file://", "a", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(url_allowed_file(cases[i].list, cases[i].path),
				 cases[i].allowed);
}

static void
test_patterns(void **state)
{
	static const char *const good[] = {
		"", "https://h", "HTTP://h:8080/a/ s3://b file:///a%20b/"
	};
	static const char *const bad[] = { "h",
					   "https://",
					   "https://h:99999/",
					   "https://h,b",
					   "s3://",
					   "s3:///key",
					   "file://a",
					   "https://h/?a",
					   "ftp://h/a",
					   "https://1.2.3/",
					   "https://u:p@h/",
					   "s3://b x" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(url_patterns_valid(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(url_patterns_valid(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_scheme),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_allowed_s3),
		cmocka_unit_test(test_allowed_file),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests_name("url", tests, with_arena,
					   without_arena);
}
