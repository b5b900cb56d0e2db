/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* arena: alignment, zeroes, the ceiling, reuse after a reset. */
#include "arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
gives_aligned_zeroes(void **state)
{
	struct arena *a = arena_new(0);

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		char *p = arena_alloc(a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	arena_free(a);
}

static void
zeroes_what_a_reset_gave_back(void **state)
{
	struct arena *a = arena_new(0);
	char *first = arena_alloc(a, 64), *again;

	(void)state;
	memset(first, 0xff, 64);
	arena_alloc(a, 1000000);
	assert_true(arena_used(a) >= 1000064);
	arena_reset(a);
	assert_int_equal(arena_used(a), 0);
	again = arena_alloc(a, 64);
	assert_ptr_equal(first, again);
	assert_int_equal(again[63], 0);
	arena_free(a);
}

static void
keeps_to_its_ceiling(void **state)
{
	struct arena *a = arena_new(4096);

	(void)state;
	assert_non_null(arena_alloc(a, 4000));
	assert_null(arena_alloc(a, 4000));
	assert_non_null(arena_alloc(a, 16));
	arena_reset(a);
	assert_non_null(arena_alloc(a, 4096));
	assert_null(arena_alloc(a, 1));
	arena_free(a);
}

static void
refuses_products_that_overflow(void **state)
{
	struct arena *a = arena_new(0);

	(void)state;
	assert_null(arena_array(a, SIZE_MAX / 2, 3));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_non_null(arena_array(a, 1000, sizeof(int)));
	arena_free(a);
}

static void
copies_strings(void **state)
{
	struct arena *a = arena_new(0);

	(void)state;
	assert_string_equal(arena_strdup(a, ""), "");
	assert_string_equal(arena_strndup(a, "bundle.zip", 6), "bundle");
	assert_string_equal(arena_printf(a, "%s (%d)%s", "a", 2, ".txt"),
			    "a (2).txt");
	arena_free(a);
}

static void
frees_nothing(void **state)
{
	(void)state;
	arena_free(NULL);
	arena_free(arena_new(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_aligned_zeroes),
		cmocka_unit_test(zeroes_what_a_reset_gave_back),
		cmocka_unit_test(keeps_to_its_ceiling),
		cmocka_unit_test(refuses_products_that_overflow),
		cmocka_unit_test(copies_strings),
		cmocka_unit_test(frees_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
