/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* s3_upload: parts of a size that S3 takes, and enough of them. */
#include "s3_upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)

static void
known_sizes_fit(void **state)
{
	static const int64_t totals[] = { 0, 1, 80 * MIB, TIB, 5 * TIB };

	(void)state;
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		int64_t size = s3_upload_part_size(1, totals[i]);

		assert_true(size >= S3_PART_MIN && size <= S3_PART_MAX);
		assert_true(size * (S3_PARTS_MAX - 1000) >= totals[i]);
		assert_int_equal(size,
				 s3_upload_part_size(S3_PARTS_MAX, totals[i]));
	}
	assert_int_equal(s3_upload_part_size(1, 80 * MIB), 8 * MIB);
}

static void
unknown_sizes_grow(void **state)
{
	int64_t all = 0, last = 0;

	(void)state;
	for (int i = 1; i <= S3_PARTS_MAX; i++) {
		int64_t size = s3_upload_part_size(i, -1);

		assert_true(size >= last && size >= S3_PART_MIN &&
			    size <= S3_PART_MAX);
		all += size;
		last = size;
	}
	assert_true(all > 2 * TIB);
	assert_int_equal(s3_upload_part_size(1250, -1), 8 * MIB);
	assert_int_equal(s3_upload_part_size(1251, -1), 16 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sizes_fit),
		cmocka_unit_test(unknown_sizes_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
