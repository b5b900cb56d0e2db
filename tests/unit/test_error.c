/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* error: every code has its status, texts are cut, NULL is allowed. */
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
maps_codes_to_statuses(void **state)
{
	static const int expected[ERROR_CODE_COUNT] = {
		[ERROR_NONE] = 200,	    [ERROR_INPUT] = 400,
		[ERROR_AUTH] = 401,	    [ERROR_FORBIDDEN] = 403,
		[ERROR_NOT_FOUND] = 404,    [ERROR_METHOD] = 405,
		[ERROR_PRECONDITION] = 412, [ERROR_TOO_LARGE] = 413,
		[ERROR_MEDIA_TYPE] = 415,   [ERROR_RANGE] = 416,
		[ERROR_INTERNAL] = 500,	    [ERROR_SOURCE] = 502,
		[ERROR_CHANGED] = 502,	    [ERROR_UNAVAILABLE] = 503,
		[ERROR_GONE] = 499,
	};

	(void)state;
	for (int i = 0; i < ERROR_CODE_COUNT; i++)
		assert_int_equal(error_status((enum error_code)i), expected[i]);
	assert_int_equal(error_status(ERROR_CODE_COUNT), 500);
}

static void
fills_text_and_cause(void **state)
{
	struct error e;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	assert_int_equal(error_set(&e, ERROR_INPUT, "\"%s\" is required", "x"),
			 -1);
	assert_int_equal(e.code, ERROR_INPUT);
	assert_int_equal(e.http_status, 0);
	assert_string_equal(e.text, "\"x\" is required");
	assert_string_equal(e.cause, "");
	assert_int_equal(error_cause(&e, "errno %d", 5), -1);
	assert_string_equal(e.cause, "errno 5");
	assert_string_equal(e.text, "\"x\" is required");
	assert_int_equal(error_memory(&e), -1);
	assert_int_equal(e.code, ERROR_INTERNAL);
	assert_string_equal(e.cause, "");
}

static void
cuts_long_texts(void **state)
{
	char text[2 * ERROR_TEXT_MAX];
	struct error e;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&e, ERROR_SOURCE, "%s", text);
	error_cause(&e, "%s", text);
	assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
	assert_int_equal(strlen(e.cause), ERROR_TEXT_MAX - 1);
}

static void
takes_no_error_at_all(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, ERROR_INPUT, "x"), -1);
	assert_int_equal(error_cause(NULL, "x"), -1);
	assert_int_equal(error_memory(NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_codes_to_statuses),
		cmocka_unit_test(fills_text_and_cause),
		cmocka_unit_test(cuts_long_texts),
		cmocka_unit_test(takes_no_error_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
