/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* JSON: the strict grammar, positions of errors, bounds, reading, writing. */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define HUGE (16u << 20)

static void
test_accepted(void **state)
{
	static const char *const cases[] = {
		"null",
		"true",
		" false ",
		"0",
		"-0",
		"-1.5e+10",
		"1E5",
		"\"\"",
		"[]",
		"{}",
		"[[],{},\"\",1,null]",
		"\t\r\n{ \"a\" : [ 1 , 2 ] }\n",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\uDE00\"",
		"\"\\udbff\\udfff\\uD800\\uDC00\\ud7ff\\ue000\"",
		"\"\xf0\x9f\x98\x80\x7f\"",
		"{\"a\":1,\"a\":2}",
		"1e400",
		"99999999999999999999999999",
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json *v = json_parse(cases[i], strlen(cases[i]), &e);

		assert_non_null(v);
		json_free(v);
	}
}

static const struct {
	const char *text;
	size_t len; /* 0: up to the NUL */
	const char *what;
} refused_cases[] = {
	{ "", 0, "unexpected end at line 1, column 1" },
	{ " \n ", 0, "unexpected end at line 2, column 2" },
	{ "{\"a\":}", 0, "unexpected character at line 1, column 6" },
	{ "{\"a\":1,}", 0, "unexpected character at line 1, column 8" },
	{ "[1,]", 0, "unexpected character at line 1, column 4" },
	{ "[,1]", 0, "unexpected character at line 1, column 2" },
	{ "[1 2]", 0, "unexpected character at line 1, column 4" },
	{ "[1", 0, "unexpected end at line 1, column 3" },
	{ "[1}", 0, "unexpected character at line 1, column 3" },
	{ "{a:1}", 0, "unexpected character at line 1, column 2" },
	{ "{'a':1}", 0, "unexpected character at line 1, column 2" },
	{ "{\"a\" 1}", 0, "unexpected character at line 1, column 6" },
	{ "{} {}", 0, "unexpected character at line 1, column 4" },
	{ "1 x", 0, "unexpected character at line 1, column 3" },
	{ "\n\n  x", 0, "unexpected character at line 3, column 3" },
	{ "[\"\xc3\xa4\", x]", 0, "unexpected character at line 1, column 7" },
	{ "NaN", 0, "unexpected character at line 1, column 1" },
	{ "Infinity", 0, "unexpected character at line 1, column 1" },
	{ "-Infinity", 0, "unexpected character at line 1, column 2" },
	{ "nul", 0, "unexpected end at line 1, column 4" },
	{ "True", 0, "unexpected character at line 1, column 1" },
	{ "01", 0, "unexpected character at line 1, column 2" },
	{ "1.", 0, "unexpected end at line 1, column 3" },
	{ ".5", 0, "unexpected character at line 1, column 1" },
	{ "+1", 0, "unexpected character at line 1, column 1" },
	{ "1e", 0, "unexpected end at line 1, column 3" },
	{ "-", 0, "unexpected end at line 1, column 2" },
	{ "0x10", 0, "unexpected character at line 1, column 2" },
	{ "\"a", 0, "unexpected end at line 1, column 3" },
	{ "\"a\nb\"", 0, "control character in a string at line 1, column 3" },
	{ "\"\\x\"", 0, "unknown escape at line 1, column 3" },
	{ "\"\\u12g4\"", 0, "unexpected character at line 1, column 6" },
	{ "\"\\", 0, "unexpected end at line 1, column 3" },
	{ "\"a\\ud800b\"", 0, "half of a surrogate pair at line 1, column 4" },
	{ "\"\\uDBFF\"", 0, "half of a surrogate pair at line 1, column 3" },
	{ "\"\\udc00\"", 0, "half of a surrogate pair at line 1, column 3" },
	{ "\"\\uDFFF\\uD800\"", 0,
	  "half of a surrogate pair at line 1, column 3" },
	{ "\"\\ud800\\ud800\\udc00\"", 0,
	  "half of a surrogate pair at line 1, column 3" },
	{ "\"\\ud800\\u00e4\"", 0,
	  "half of a surrogate pair at line 1, column 3" },
	{ "\"\\ud800\\n\"", 0, "half of a surrogate pair at line 1, column 3" },
	{ "{\"\\udfff\":1}", 0,
	  "half of a surrogate pair at line 1, column 4" },
	{ "\"\\ud800\\u12g4\"", 0,
	  "unexpected character at line 1, column 12" },
	{ "\"\\ud800\\u12", 0, "unexpected end at line 1, column 12" },
	{ "// c\n1", 0, "unexpected character at line 1, column 1" },
	{ "/**/1", 0, "unexpected character at line 1, column 1" },
	{ "[1\0]", 4, "unexpected character at line 1, column 3" },
	{ "\"a\0\"", 4, "control character in a string at line 1, column 3" },
	{ "1\0", 2, "unexpected character at line 1, column 2" },
	{ "{\"files\\u0000\":1}", 0, "NUL in a name at line 1, column 15" },
	{ "[\"\xff\"]", 0, "invalid UTF-8 at line 1, column 3" },
	{ "\"\xc0\xaf\"", 0, "invalid UTF-8 at line 1, column 2" },
	{ "\"\xed\xa0\x80\"", 0, "invalid UTF-8 at line 1, column 2" },
	{ "\xef\xbb\xbf{}", 0, "unexpected character at line 1, column 1" },
};

static void
test_refused(void **state)
{
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(refused_cases); i++) {
		size_t n = refused_cases[i].len != 0
				   ? refused_cases[i].len
				   : strlen(refused_cases[i].text);

		e.code = ERROR_NONE;
		assert_null(json_parse(refused_cases[i].text, n, &e));
		assert_int_equal(e.code, ERROR_INPUT);
		assert_memory_equal(e.text, "Invalid JSON: ", 14);
		assert_string_equal(e.text + 14, refused_cases[i].what);
	}
}

static void
test_halves_of_pairs_that_are_kept(void **state)
{
	static const char text[] = "[\"a\\ud800b\",\"\\udfff\",\"\\ud83d"
				   "\\ude00\",\"\\ud800\\u00e4\"]";
	static const char *const wanted[] = { "a\xef\xbf\xbd"
					      "b",
					      "\xef\xbf\xbd",
					      "\xf0\x9f\x98\x80",
					      "\xef\xbf\xbd\xc3\xa4" };
	struct error e;
	struct json *v = json_parse_lax(text, strlen(text), &e);

	(void)state;
	assert_int_equal(json_length(v), COUNT(wanted));
	for (size_t i = 0; i < COUNT(wanted); i++)
		assert_string_equal(json_string(json_at(v, i), NULL),
				    wanted[i]);
	json_free(v);
	assert_null(json_parse_lax("[1,]", 4, &e));
}

static void
test_depth(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	struct error e;
	struct json *v;

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	v = json_parse(text, 2 * JSON_DEPTH_MAX, &e);
	assert_non_null(v);
	json_free(v);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_null(json_parse(text, 2 * JSON_DEPTH_MAX + 2, &e));
	assert_string_equal(e.text, "Invalid JSON: nesting too deep "
				    "at line 1, column 33");
}

/* 16 MiB of one thing: refused, or within bounds. */
static void
test_huge(void **state)
{
	static const struct {
		const char *unit;
		enum error_code code;
	} cases[] = {
		{ "[", ERROR_INPUT },
		{ "{\"a\":", ERROR_INPUT },
		{ "{},", ERROR_TOO_LARGE },
		/* Few enough but for the weight of objects. */
		{ "{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},",
		  ERROR_TOO_LARGE },
		{ "1,", ERROR_TOO_LARGE },
	};
	char *text = malloc(HUGE);
	struct error e;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t len = strlen(cases[i].unit), n = 1;

		for (text[0] = '['; n + len <= HUGE; n += len)
			memcpy(text + n, cases[i].unit, len);
		assert_null(json_parse(text, n, &e));
		assert_int_equal(e.code, cases[i].code);
	}
	free(text);
}

static int
count_member(void *ctx, const char *key, const struct json *v)
{
	int *seen = ctx;

	assert_true(strlen(key) > 0);
	++*seen;
	return json_type(v) == JSON_NULL ? 7 : 0;
}

static void
test_reading(void **state)
{
	static const char text[] =
		"{\"s\":\"a\\u0000b\",\"i\":-5,\"r\":1.5,\"w\":1e3,"
		"\"t\":true,\"a\":[1,\"x\"],\"n\":null,\"o\":{}}";
	struct error e;
	struct json *v = json_parse(text, sizeof(text) - 1, &e);
	const struct json *a = json_get(v, "a");
	int64_t i;
	size_t n;
	int seen = 0;

	(void)state;
	assert_non_null(v);
	assert_int_equal(json_type(v), JSON_OBJECT);
	assert_memory_equal(json_string(json_get(v, "s"), &n), "a\0b", 4);
	assert_int_equal(n, 3);
	assert_true(json_integer(json_get(v, "i"), &i));
	assert_int_equal(i, -5);
	assert_false(json_integer(json_get(v, "r"), &i));
	assert_true(json_integer(json_get(v, "w"), &i));
	assert_int_equal(i, 1000);
	assert_false(json_integer(json_get(v, "s"), &i));
	assert_int_equal(json_type(json_get(v, "t")), JSON_BOOL);
	assert_int_equal(json_length(a), 2);
	assert_string_equal(json_string(json_at(a, 1), NULL), "x");
	assert_null(json_at(a, 2));
	assert_int_equal(json_length(v), 0);
	assert_int_equal(json_type(json_get(v, "n")), JSON_NULL);
	assert_null(json_get(v, "absent"));
	assert_null(json_get(a, "s"));
	assert_string_equal(json_string(NULL, &n), "");
	assert_int_equal(n, 0);
	assert_int_equal(json_each(v, count_member, &seen), 7);
	assert_int_equal(seen, 7);
	json_free(v);
}

static void
test_integers(void **state)
{
	static const struct {
		const char *text;
		bool whole;
		int64_t value;
	} cases[] = {
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "-9223372036854775807", true, -INT64_MAX },
		{ "-9223372036854775809", false, 0 },
		{ "-0", true, 0 },
		{ "1e15", true, INT64_C(1000000000000000) },
		{ "1e300", false, 0 },
		{ "1e400", false, 0 },
		{ "0.5", false, 0 },
	};
	struct error e;
	int64_t value;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json *v =
			json_parse(cases[i].text, strlen(cases[i].text), &e);

		assert_int_equal(json_integer(v, &value), cases[i].whole);
		if (cases[i].whole)
			assert_int_equal(value, cases[i].value);
		json_free(v);
	}
}

static void
test_cut(void **state)
{
	static const struct {
		const char *text;
		size_t count;
		const char *joined; /* the elements' "s" strings */
	} cases[] = {
		{ "{\"k\":[]}", 0, "" },
		{ "{\"k\":[ ]}", 0, "" },
		{ "{\"k\":[{\"s\":\"a\"},{\"s\":\"b\"}]}", 2, "ab" },
		{ "{ \"x\":{\"k\":[1]}, \"k\" : [ {\"s\":\"a\"} , 1,null ] , "
		  "\"y\":2 }",
		  3, "a" },
		{ "{\"\\u006b\":[{\"s\":\"]\"}]}", 1, "]" },
		{ "{\"k\":1}", 0, "" },
		{ "{\"kk\":[1]}", 0, "" },
		{ "{}", 0, "" },
		{ "[1,2]", 0, "" },
		{ "null", 0, "" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct json_cut cut;
		struct json *root, *v;
		char joined[16] = "";
		size_t n = 0;

		root = json_parse_cut(cases[i].text, strlen(cases[i].text), "k",
				      &cut, &e);
		assert_non_null(root);
		assert_int_equal(cut.count, cases[i].count);
		assert_int_equal(json_length(json_get(root, "k")), 0);
		for (; (v = json_next(&cut, &e)) != NULL; n++) {
			strcat(joined, json_string(json_get(v, "s"), NULL));
			json_free(v);
		}
		assert_int_equal(e.code, ERROR_NONE);
		assert_int_equal(n, cases[i].count);
		assert_string_equal(joined, cases[i].joined);
		json_free(root);
	}
}

static void
test_cut_refused(void **state)
{
	static const char *const cases[] = {
		"{\"k\":[1],\"k\":[2]}",
		"{\"k\":[1],\"\\u006B\":2}",
		"{\"k\":[1,]}",
		"{\"k\":[1}",
		"{\"k\":[1]",
		"{\"k\":[1] 2}",
	};
	struct json_cut cut;
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_null(json_parse_cut(cases[i], strlen(cases[i]), "k",
					   &cut, &e));
		assert_int_equal(e.code, ERROR_INPUT);
	}
}

static void
test_writing(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *expected;
	} cases[] = {
		{ "", 0, "\"\"" },
		{ "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
		{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
		{ "a\0\x1f\x7f", 4, "\"a\\u0000\\u001f\\u007f\"" },
		{ "\xc3\xa4\xf0\x9f\x98\x80", 6,
		  "\"\xc3\xa4\xf0\x9f\x98\x80\"" },
		{ "a\xff"
		  "b\xc3",
		  4,
		  "\"a\xef\xbf\xbd"
		  "b\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3,
		  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_reset(&out);
		json_put_string(&out, cases[i].text, cases[i].len);
		assert_string_equal(buf_str(&out), cases[i].expected);
	}
	buf_reset(&out);
	json_put_pair(&out, "k\"", "v\n");
	assert_string_equal(buf_str(&out), "\"k\\\"\":\"v\\n\"");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_halves_of_pairs_that_are_kept),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_refused),
		cmocka_unit_test(test_writing),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
