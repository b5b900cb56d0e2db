/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* facts: what is written down is what is read again, or nothing is. */
#include "facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct facts sample = {
	.size = 5,
	.packed = 7,
	.mtime = -3,
	.crc = 0xdeadbeef,
	.has_crc = true,
	.validator = "\"tag\"",
	.layout = "deflated igzip/2.30.0 1",
	.checkpoints = "0123456789abcdef",
};

static void
comes_back(void **state)
{
	struct arena *a = arena_new(0);
	struct file f = { .src = "https://x/y" };
	struct buf text;

	(void)state;
	for (int has_crc = 0; has_crc < 2; has_crc++) {
		struct facts in = sample;

		in.has_crc = has_crc;
		buf_init(&text, 4096);
		facts_format(&text, &in, f.src);
		facts_clear(&f.facts);
		facts_parse(a, buf_str(&text), &f);
		buf_free(&text);
		assert_int_equal(f.facts.size, 5);
		assert_int_equal(f.facts.packed, 7);
		assert_int_equal(f.facts.mtime, -3);
		assert_int_equal(f.facts.has_crc, has_crc);
		assert_int_equal(f.facts.crc, 0xdeadbeef);
		assert_string_equal(f.facts.validator, sample.validator);
		assert_string_equal(f.facts.layout, sample.layout);
		assert_string_equal(f.facts.checkpoints, sample.checkpoints);
	}
	arena_free(a);
}

static void
leaves_what_is_not_its_own(void **state)
{
	static const char *const texts[] = {
		"",
		"-",
		"5\t7\t-3\tdeadbeef\tstored\tv\tc",
		"5\t7\t-3\tdeadbeef\tstored\tv\tc\thttps://x/z",
		"5\t7\t-3\tdeadbeef\tstored\tv\tc\thttps://x/y\tmore",
	};
	struct arena *a = arena_new(0);
	struct file f = { .src = "https://x/y" }, folder = { .src = NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		facts_clear(&f.facts);
		facts_parse(a, texts[i], &f);
		facts_parse(a, texts[i], &folder);
		assert_int_equal(f.facts.size, -1);
	}
	arena_free(a);
}

static void
merges_what_is_of_the_same_version(void **state)
{
	static const struct {
		bool has_crc;
		const char *validator, *layout, *known, *checkpoints;
		bool then_crc;
		const char *then;
	} rows[] = {
		/* less is known now */
		{ false, "v", "level0", NULL, "", true, ",0-2:02" },
		/* it grew from what was there, or from what was before it */
		{ false, "v", "level0", ",0-2:02", ",0-4:04", true, ",0-4:04" },
		{ false, "v", "level0", ",0-1:01", ",0-1:01,3-4:03", true,
		  ",0-2:02,0-1:01,3-4:03" },
		{ false, "v", "stored", "", ",0-4:04", false,
		  ",0-4:04,0-2:02" },
		/* another version, or none that has a name */
		{ false, "w", "level0", NULL, "", false, "" },
		{ false, "", "level0", NULL, "", false, "" },
		{ false, NULL, "level0", NULL, ",0-1:01", false, ",0-1:01" },
		/* another CRC is the newer one */
		{ true, "v", "level0", NULL, "", true, ",0-2:02" },
	};
	struct arena *a = arena_new(0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct facts old = { .size = 5,
					   .validator = "v",
					   .layout = "level0",
					   .has_crc = true,
					   .crc = 7,
					   .checkpoints = ",0-2:02" };
		struct facts f = { .size = 5,
				   .validator = rows[i].validator,
				   .layout = rows[i].layout,
				   .has_crc = rows[i].has_crc,
				   .crc = rows[i].has_crc ? 8 : 0,
				   .checkpoints = rows[i].checkpoints };

		facts_merge(a, &f, &old, rows[i].known);
		assert_int_equal(f.has_crc, rows[i].then_crc);
		if (f.has_crc)
			assert_int_equal(f.crc, rows[i].has_crc ? 8 : 7);
		assert_string_equal(f.checkpoints, rows[i].then);
	}
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(leaves_what_is_not_its_own),
		cmocka_unit_test(merges_what_is_of_the_same_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
