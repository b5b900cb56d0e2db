/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names inside the zip: their safe form, and how they are kept apart. */
#include "dst.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define S10 "aaaaaaaaaa"
#define S50 S10 S10 S10 S10 S10
#define S250 S50 S50 S50 S50 S50
#define MANY 100000

static void
test_clean(void **state)
{
	static const struct {
		const char *name, *safe;
	} cases[] = {
		{ "a.txt", "a.txt" },
		{ "a/b/c.txt", "a/b/c.txt" },
		{ "a\\b\\c", "a/b/c" },
		{ "/a", "a" },
		{ "///a//b", "a/b" },
		{ "\\\\server\\share\\x", "server/share/x" },
		{ "C:/a", "a" },
		{ "c:\\a\\b", "a/b" },
		{ "/C:/a", "a" },
		{ "C:/D:/a", "D_/a" },
		{ "C:a", "C_a" },
		{ "./a/./b", "a/b" },
		{ "a/.", "a/" },
		{ "a/", "a/" },
		{ "a//", "a/" },
		{ ".hidden", ".hidden" },
		{ "a..b", "a..b" },
		{ "...", "___" },
		{ ".. /a", "___/a" },
		{ "a. /b.", "a__/b_" },
		{ "a<b>c:d\"e|f?g*h", "a_b_c_d_e_f_g_h" },
		{ "CON", "CON_" },
		{ "con.txt", "con_.txt" },
		{ "a/nul/b", "a/nul_/b" },
		{ "COM1.tar.gz", "COM1_.tar.gz" },
		{ "com\xc2\xb9.txt", "com\xc2\xb9_.txt" },
		{ "LPT\xc2\xb3", "LPT\xc2\xb3_" },
		{ "COM\xc2\xb4", "COM\xc2\xb4" },
		{ "com", "com" },
		{ "console", "console" },
		{ "LPT9", "LPT9_" },
		{ "conin$", "conin$_" },
		{ "aux ", "aux__" },
		{ "a b", "a b" },
		{ "\xc3\xa4", "\xc3\xa4" },
		{ "a\xcc\x88", "\xc3\xa4" }, /* a + diaeresis composes */
		{ "\xe2\x84\xaa", "K" },     /* the Kelvin sign */
		{ "\xf0\x9f\x98\x80.png", "\xf0\x9f\x98\x80.png" },
		{ S250 "aaaaa", S250 "aaaaa" },
	};
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(dst_clean(*state, cases[i].name,
					      strlen(cases[i].name), &e),
				    cases[i].safe);
}

/* A name that nothing ends but its length: the sanitizer watches. */
static void
test_its_bytes_alone_are_read(void **state)
{
	static const char device[] = "COM1";

	for (size_t n = 1; n < sizeof(device); n++) {
		char *name = malloc(n);
		struct error e;

		assert_non_null(name);
		memcpy(name, device, n);
		assert_non_null(dst_clean(*state, name, n, &e));
		free(name);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		const char *text;
	} cases[] = {
		{ "..", 2, "must not contain '..'" },
		{ "a/../b", 6, "must not contain '..'" },
		{ "a\\..\\b", 6, "must not contain '..'" },
		{ "C:/../a", 7, "must not contain '..'" },
		{ "", 0, "must name a file" },
		{ "/", 1, "must name a file" },
		{ "./.", 3, "must name a file" },
		{ "C:/", 3, "must name a file" },
		{ "a\0b", 3, "must not contain control characters" },
		{ "a\nb", 3, "must not contain control characters" },
		{ "a\x7f", 2, "must not contain control characters" },
		{ "a\xc2\x85", 3, "must not contain control characters" },
		{ "\xff", 1, "must be UTF-8" },
		{ "\xc0\xaf", 2, "must be UTF-8" },
		{ "\xed\xa0\x80", 3, "must be UTF-8" },
		{ "\xe2\x82", 2, "must be UTF-8" },
		{ S250 "aaaaaa", 256,
		  "must not have a part of more than 255 bytes" },
	};
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_null(dst_clean(*state, cases[i].name, cases[i].len, &e));
		assert_int_equal(e.code, ERROR_INPUT);
		assert_string_equal(e.text, cases[i].text);
	}
}

static void
test_length(void **state)
{
	static char name[4 * 65536];
	struct error e;

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 100 == 99 ? '/' : 'a';
	assert_non_null(dst_clean(*state, name, 65535, &e));
	assert_null(dst_clean(*state, name, 65536, &e));
	assert_string_equal(e.text, "must not be longer than 65535 bytes");
	assert_null(dst_clean(*state, name, sizeof(name), &e));
	assert_string_equal(e.text, "must not be longer than 65535 bytes");
}

static void
test_utf8(void **state)
{
	(void)state;
	assert_true(dst_is_utf8("", 0));
	assert_true(dst_is_utf8("a\0b", 3));
	assert_true(dst_is_utf8("\xf4\x8f\xbf\xbf", 4));
	assert_false(dst_is_utf8("\xf4\x90\x80\x80", 4));
	assert_false(dst_is_utf8("\x80", 1));
	assert_int_equal(dst_utf8_span("0123456789\xc3\xa4\xc3", 13), 12);
	assert_true(dst_is_nfkc("plain", 5));
	assert_true(dst_is_nfkc("\xc3\xa4", 2));
	assert_false(dst_is_nfkc("a\xcc\x88", 3));
	assert_false(dst_is_nfkc("\xef\xbc\x91", 3));
	assert_false(dst_is_nfkc("\xff", 1));
}

/* Names in the order in which they are taken; "" stands for "dropped". */
static void
test_set(void **state)
{
	static const struct {
		const char *name, *owner, *expected;
	} cases[] = {
		{ "a.txt", "1", "a.txt" },
		{ "a.txt", "1", "" },
		{ "a.txt", "2", "a (2).txt" },
		{ "a.txt", "2", "" },
		{ "A.TXT", "3", "A (3).TXT" },
		{ "a (2).txt", "2", "" },
		{ "a (2).txt", "4", "a (2) (2).txt" },
		{ "\xc3\x84", "1", "\xc3\x84" },
		{ "\xc3\xa4", "2", "\xc3\xa4 (2)" },
		{ "\xc3\xa4", "2", "" },
		{ "x/y/z", "1", "x/y/z" },
		{ "X/Y/z", "2", "X/Y/z (2)" },
		{ "x/y", "1", "x/y (2)" }, /* is a folder already */
		{ "x/y/w", "1", "x/y/w" },
		{ "f", "1", "f" },
		{ "f/g", "1", "f (2)/g" }, /* is a file already */
		{ "f/h", "1", "f (2)/h" },
		{ "f/g", "2", "f (2)/g (2)" },
		{ "f", "2", "f (3)" },
		{ "f/g", "1", "" },
		{ "f/d/", NULL, "f (2)/d/" },
		{ "f/", NULL, "f (2)/" },
		{ "f/", NULL, "" },
		{ "e/", NULL, "e/" },
		{ "E/", NULL, "" },
		{ "e/a", "1", "e/a" },
		{ "e", "1", "e (2)" },
		{ ".rc", "1", ".rc" },
		{ ".rc", "2", ".rc (2)" },
		{ "v.1/.x.y", "1", "v.1/.x.y" },
		{ "v.1/.x.y", "2", "v.1/.x (2).y" },
		{ "v.2", "1", "v.2" },
		{ "v.2/a", "1", "v.2 (2)/a" },
		{ S250 "a.txt", "1", S250 "a.txt" },
		{ S250 "a.txt", "2",
		  S50 S50 S50 S50 S10 S10 S10 S10 "aaaaaaa"
						  " (2).txt" },
	};
	struct dst_set *set = dst_set_new(*state, 0);
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *got =
			dst_set_take(set, cases[i].name, cases[i].owner, &e);

		assert_int_equal(e.code, ERROR_NONE);
		assert_string_equal(got != NULL ? got : "", cases[i].expected);
	}
}

/* The same name from ever other sources, and twice from each. */
static void
test_many(void **state)
{
	struct dst_set *set = dst_set_new(*state, MANY);
	struct error e;

	for (int i = 1; i <= MANY; i++) {
		const char *owner = arena_printf(*state, "http://h/%d", i);
		char expected[32];

		snprintf(expected, sizeof(expected),
			 i == 1 ? "x/a.txt" : "x/a (%d).txt", i);
		assert_string_equal(dst_set_take(set, "x/a.txt", owner, &e),
				    expected);
		assert_null(dst_set_take(set, "x/a.txt", owner, &e));
		assert_int_equal(e.code, ERROR_NONE);
	}
	/* Below a file with that many namesakes: all in one folder. */
	for (int i = 0; i < MANY; i++) {
		const char *name = arena_printf(*state, "x/a.txt/%d", i);

		assert_memory_equal(dst_set_take(set, name, "s", &e),
				    "x/a.txt (2)/", 12);
	}
}

static void
test_too_many_folders(void **state)
{
	struct dst_set *set = dst_set_new(*state, 0);
	struct error e = { 0 };
	char name[64];
	int i;

	for (i = 0; i < 600000 && e.code == ERROR_NONE; i++) {
		snprintf(name, sizeof(name), "%d/x/a", i);
		dst_set_take(set, name, "s", &e);
	}
	assert_int_equal(i, 500001);
	assert_int_equal(e.code, ERROR_TOO_LARGE);
}

static void
test_no_memory(void **state)
{
	struct arena *small = arena_new(8192);
	struct dst_set *set = dst_set_new(small, 0);
	struct error e = { 0 };
	char name[16];

	(void)state;
	assert_non_null(set);
	for (int i = 0; i < 1000 && e.code == ERROR_NONE; i++) {
		snprintf(name, sizeof(name), "%d", i);
		dst_set_take(set, name, "s", &e);
	}
	assert_int_equal(e.code, ERROR_INTERNAL);
	assert_null(dst_set_new(small, 100000));
	while (arena_alloc(small, 64) != NULL)
		continue;
	assert_null(dst_clean(small, S250, 250, &e));
	assert_int_equal(e.code, ERROR_INTERNAL);
	arena_free(small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_its_bytes_alone_are_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_many_folders),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("dst", tests, with_arena,
					   without_arena);
}
