/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* buf: ceilings, the sticky error, little-endian numbers. */
#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
appends_and_terminates(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_string_equal(buf_str(&b), "");
	buf_puts(&b, "one ");
	buf_putc(&b, 't');
	buf_put(&b, "wo\0!", 2);
	buf_printf(&b, " %d", 3);
	assert_false(buf_failed(&b));
	assert_string_equal(buf_str(&b), "one two 3");
	assert_int_equal(b.len, 9);
	buf_free(&b);
}

static void
fills_to_the_ceiling_and_no_further(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_puts(&b, "12345");
	assert_false(buf_failed(&b));
	buf_putc(&b, '6');
	assert_true(buf_failed(&b));
	assert_string_equal(buf_str(&b), "12345");
	buf_free(&b);
}

static void
remembers_the_first_failure(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_puts(&b, "12345");
	buf_puts(&b, "1");
	buf_printf(&b, "%d", 2);
	assert_true(buf_failed(&b));
	assert_int_equal(b.len, 0);
	buf_reset(&b);
	buf_puts(&b, "1234");
	assert_false(buf_failed(&b));
	assert_string_equal(buf_str(&b), "1234");
	buf_free(&b);
}

static void
refuses_sizes_that_would_overflow(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX / 2);
	buf_puts(&b, "x");
	buf_put(&b, "y", SIZE_MAX);
	assert_true(buf_failed(&b));
	buf_free(&b);
}

static void
grows_over_many_appends(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "%05d", i);
	assert_false(buf_failed(&b));
	assert_int_equal(b.len, 100000);
	assert_memory_equal(b.data + 5 * 19999, "19999", 6);
	buf_free(&b);
}

static void
writes_little_endian(void **state)
{
	static const struct {
		uint64_t value;
		unsigned bytes;
		const char *expected;
	} cases[] = {
		{ 0x04034b50, 4, "PK\3\4" },
		{ 0x1234, 2, "\x34\x12" },
		{ 0x123456, 1, "\x56" },
		{ UINT64_C(0x0102030405060708), 8, "\x8\x7\x6\x5\x4\x3\x2\x1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b;

		buf_init(&b, 8);
		buf_put_le(&b, cases[i].value, cases[i].bytes);
		assert_int_equal(b.len, cases[i].bytes);
		assert_memory_equal(b.data, cases[i].expected, b.len);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_terminates),
		cmocka_unit_test(fills_to_the_ceiling_and_no_further),
		cmocka_unit_test(remembers_the_first_failure),
		cmocka_unit_test(refuses_sizes_that_would_overflow),
		cmocka_unit_test(grows_over_many_appends),
		cmocka_unit_test(writes_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
