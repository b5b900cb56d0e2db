/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Layouts, lengths and names of plans: what is chosen from what is known. */
#include "plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec.h"

#define MTIME INT64_C(1700000000)

static struct config config = { .compression = COMPRESSION_AUTO,
				.compression_level = 1 };

static struct file
file_of(const char *dst, int64_t size)
{
	struct file f = {
		.src = "https://h/x", .dst = dst, .size = size, .mtime = MTIME
	};

	facts_clear(&f.facts);
	return f;
}

static struct plan *
plan_of(struct arena *a, struct file *files, size_t n)
{
	struct bundle *b = arena_alloc(a, sizeof(*b));
	struct error e;
	struct plan *plan;

	b->files = files;
	b->count = n;
	plan = plan_new(a, &config, b, &e);
	assert_non_null(plan);
	return plan;
}

static void
test_layouts(void **state)
{
	static char zeros[PLAN_TRIAL];
	char noise[PLAN_TRIAL];
	static const struct {
		const char *dst;
		int64_t size;
		int compression;
		bool crc;
		int head; /* 0 none, 1 zeros, 2 noise */
		enum plan_layout layout;
		int64_t packed;
	} rows[] = {
		/* compressed already: by size and what is known of the CRC */
		{ "a.jpg", 0, 0, false, 0, PLAN_STORED, 0 },
		{ "a.jpg", 1, 0, false, 0, PLAN_STORED, 1 },
		{ "a.jpg", PLAN_SMALL, 0, false, 0, PLAN_STORED, PLAN_SMALL },
		{ "a.jpg", PLAN_SMALL + 1, 0, false, 0, PLAN_LEVEL0,
		  PLAN_SMALL + 1 + 10 },
		{ "a.jpg", 1 << 30, 0, true, 0, PLAN_STORED, 1 << 30 },
		{ "a.jpg", -1, 0, false, 0, PLAN_LEVEL0, -1 },
		/* text */
		{ "a.txt", 10, 0, false, 0, PLAN_PACKED, -1 },
		{ "a.TXT", 1 << 20, 0, false, 0, PLAN_DEFLATED, -1 },
		{ "a.txt", -1, 0, false, 0, PLAN_DEFLATED, -1 },
		{ "a.txt", 1 << 20, COMPRESSION_STORE, false, 0, PLAN_LEVEL0,
		  (1 << 20) + 17 * 5 },
		{ "a.jpg", 1 << 20, COMPRESSION_DEFLATE, false, 0,
		  PLAN_DEFLATED, -1 },
		/* unknown: only its first bytes tell */
		{ "a.bin", 1 << 20, 0, false, 0, PLAN_OPEN, -1 },
		{ "a", 1 << 20, 0, false, 1, PLAN_DEFLATED, -1 },
		{ "a", 1 << 20, 0, false, 2, PLAN_LEVEL0, (1 << 20) + 85 },
		{ "a", 0, 0, false, 0, PLAN_STORED, 0 },
	};
	struct arena *a = arena_new(0);

	(void)state;
	srandom(1);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)random();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct file f = file_of(rows[i].dst, rows[i].size);
		const char *head = rows[i].head == 0   ? NULL
				   : rows[i].head == 1 ? zeros
						       : noise;
		struct plan *plan;

		f.compression = (uint8_t)rows[i].compression;
		f.has_crc = rows[i].crc;
		plan = plan_of(a, &f, 1);
		plan_choose(plan->entries, head, head ? PLAN_TRIAL : 0, false);
		assert_int_equal(plan->entries[0].layout, rows[i].layout);
		assert_int_equal(plan->entries[0].packed, rows[i].packed);
	}
	arena_free(a);
}

static void
test_names_are_told_apart(void **state)
{
	struct arena *a = arena_new(0);
	struct file files[] = { file_of("a.txt", 1), file_of("A.txt", 1),
				file_of("a.txt", 1) };
	struct plan *plan;

	(void)state;
	files[1].src = "https://h/other";
	plan = plan_of(a, files, 3);
	assert_int_equal(plan->count, 2);
	assert_string_equal(plan->entries[0].name, "a.txt");
	assert_string_equal(plan->entries[1].name, "A (2).txt");
	assert_int_equal(plan->entries[1].position, 1);
	arena_free(a);
}

/* Total and ETag of the plan after all layouts are chosen. */
static int64_t
measure(struct plan *plan)
{
	struct error e;

	for (size_t i = 0; i < plan->count; i++)
		plan_choose(&plan->entries[i], NULL, 0, false);
	assert_int_equal(plan_measure(plan, &e), 0);
	return plan->total;
}

static void
test_total_is_the_sum_of_its_records(void **state)
{
	struct arena *a = arena_new(0);
	struct file files[] = { file_of("a.jpg", 100),
				file_of("b.jpg", 200000) };
	struct plan *plan;
	struct zip_entry z;
	int64_t sum = 0;

	(void)state;
	plan = plan_of(a, files, 2);
	assert_true(measure(plan) > 0);
	for (size_t i = 0; i < 2; i++) {
		plan_zip_entry(&plan->entries[i], &z);
		sum += (int64_t)(zip_local_size(&z) + zip_central_size(&z) +
				 zip_descriptor_size(&z)) +
		       plan->entries[i].packed;
	}
	assert_int_equal(plan->total, sum + 22);
	assert_int_equal(plan->entries[1].offset, plan_span(plan->entries));
	/* Nothing proves these sources unchanged later. */
	assert_false(plan->resumable);
	arena_free(a);
}

/* ZIP64 where a value needs it: readers of a stream go by what the lengths
 * came to, not by what they might have been. */
static void
test_zip64_just_below_four_gibibytes(void **state)
{
	static const struct {
		const char *dst;
		int64_t size;
		enum plan_layout layout;
		size_t descriptor;
	} rows[] = {
		{ "a.jpg", PLAN_NARROW + 1, PLAN_LEVEL0, 16 },
		{ "a.jpg", INT64_C(4294600000), PLAN_LEVEL0, 16 },
		{ "a.jpg", INT64_C(4294900000), PLAN_LEVEL0, 24 },
		{ "a.txt", PLAN_NARROW, PLAN_DEFLATED, 16 },
		{ "a.txt", PLAN_NARROW + 1, PLAN_LEVEL0, 16 },
		{ "a.txt", INT64_C(0xFFFFFFFF), PLAN_DEFLATED, 24 },
	};
	struct arena *a = arena_new(0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct file f = file_of(rows[i].dst, rows[i].size);
		struct plan *plan = plan_of(a, &f, 1);
		struct zip_entry z;

		plan_choose(plan->entries, NULL, 0, false);
		assert_int_equal(plan->entries[0].layout, rows[i].layout);
		plan_zip_entry(plan->entries, &z);
		assert_int_equal(zip_descriptor_size(&z), rows[i].descriptor);
	}
	arena_free(a);
}

/* The text's layout was chosen before its source told the size. */
static void
test_size_just_below_four_gibibytes_comes_late(void **state)
{
	struct source_facts facts = { .size = PLAN_NARROW + 1, .mtime = MTIME };
	struct file f = file_of("a.txt", -1);
	struct arena *a = arena_new(0);
	struct plan *plan = plan_of(a, &f, 1);
	struct zip_entry z;
	struct error e;

	(void)state;
	plan_choose(plan->entries, NULL, 0, false);
	assert_int_equal(plan->entries[0].layout, PLAN_DEFLATED);
	assert_int_equal(plan_learn(plan, plan->entries, &facts, &e), 0);
	assert_int_equal(plan->entries[0].layout, PLAN_LEVEL0);
	f.dst = "a.jpg";
	facts.size = INT64_C(4294900000);
	plan = plan_of(a, &f, 1);
	plan_choose(plan->entries, NULL, 0, false);
	assert_int_equal(plan_learn(plan, plan->entries, &facts, &e), 0);
	plan_zip_entry(plan->entries, &z);
	assert_int_equal(zip_descriptor_size(&z), 24);
	arena_free(a);
}

/* A member that began without a size keeps the header it began with. */
static void
test_size_learned_at_the_end_changes_no_width(void **state)
{
	static const char *const names[] = { "a.jpg", "a.txt" };
	struct arena *a = arena_new(0);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct file f = file_of(names[i], -1);
		struct plan *plan = plan_of(a, &f, 1);
		struct plan_entry *p = plan->entries;
		struct zip_entry z;

		plan_choose(p, NULL, 0, false);
		p->size = PLAN_NARROW;
		p->packed = codec_level0_size(p->size);
		plan_zip_entry(p, &z);
		assert_int_equal(zip_descriptor_size(&z), 16);
	}
	arena_free(a);
}

static void
test_unknown_length_has_no_total(void **state)
{
	struct arena *a = arena_new(0);
	struct file files[] = { file_of("a.jpg", 100), file_of("b.jpg", -1) };

	(void)state;
	assert_int_equal(measure(plan_of(a, files, 2)), -1);
	arena_free(a);
}

static void
test_etag_names_what_decides_a_byte(void **state)
{
	struct arena *a = arena_new(0);
	struct file f = file_of("a.jpg", 200000);
	struct source_facts facts = { .size = 200000,
				      .mtime = MTIME,
				      .validator = "\"v1\"" };
	char first[PLAN_ETAG];
	struct plan *plan;
	struct error e;

	(void)state;
	for (int change = 0; change < 5; change++) {
		f = file_of("a.jpg", 200000);
		facts.validator = "\"v1\"";
		if (change == 1)
			f.dst = "b.jpg";
		if (change == 2)
			facts.validator = "\"v2\"";
		if (change == 3)
			f.mtime++;
		plan = plan_of(a, &f, 1);
		assert_int_equal(plan_learn(plan, plan->entries, &facts, &e),
				 0);
		if (change == 4) { /* a CRC learned later changes nothing */
			plan->entries[0].layout = PLAN_LEVEL0;
			plan->entries[0].packed = codec_level0_size(200000);
			plan->entries[0].has_crc = true;
			plan->entries[0].crc = 77;
		}
		assert_true(measure(plan) > 0);
		assert_true(plan->resumable);
		if (change == 0)
			memcpy(first, plan->etag, sizeof(first));
		else if (change == 4)
			assert_string_equal(first, plan->etag);
		else
			assert_string_not_equal(first, plan->etag);
	}
	assert_int_equal(strlen(first), 66);
	assert_int_equal(first[65], '"');
	arena_free(a);
}

static void
test_pins_bind_later_downloads(void **state)
{
	struct arena *a = arena_new(0);
	struct file f = file_of("a.jpg", -1);
	struct facts out;
	struct plan *plan;

	(void)state;
	/* By today's rules a stored file; it was sent as level 0 once. */
	f.facts = (struct facts){ .size = 100,
				  .packed = 105,
				  .mtime = 5,
				  .crc = 7,
				  .has_crc = true,
				  .validator = "\"v\"",
				  .layout = "level0",
				  .checkpoints = "" };
	f.mtime = BUNDLE_NO_TIME;
	plan = plan_of(a, &f, 1);
	assert_int_equal(plan->entries[0].layout, PLAN_LEVEL0);
	assert_true(measure(plan) > 0);
	assert_true(plan->resumable);
	plan_facts(plan, plan->entries, &out);
	assert_string_equal(out.layout, "level0");
	assert_int_equal(out.packed, 105);

	/* Another coder's bytes cannot be made again. */
	f.facts.layout = "deflated othercoder/1.0 1";
	plan = plan_of(a, &f, 1);
	assert_int_equal(plan->entries[0].layout, PLAN_OPEN);
	assert_int_equal(plan->entries[0].size, -1);

	/* A declared size that differs from the remembered one wins. */
	f.facts.layout = "level0";
	f.size = 99;
	plan = plan_of(a, &f, 1);
	assert_int_equal(plan->entries[0].layout, PLAN_OPEN);
	assert_int_equal(plan->entries[0].size, 99);
	arena_free(a);
}

/* Whatever the store holds. */
static void
test_sums_of_all_parts_are_the_crc(void **state)
{
	struct arena *a = arena_new(0);
	struct file f = file_of("a.jpg", -1);
	const struct plan_entry *p;
	struct facts out;

	(void)state;
	f.facts = (struct facts){ .size = 100,
				  .packed = 105,
				  .mtime = 5,
				  .validator = "\"v\"",
				  .layout = "level0",
				  .checkpoints = ",0-63:00000007" };
	p = plan_of(a, &f, 1)->entries;
	assert_false(p->has_crc);
	f.facts.checkpoints = ",0-64:00000007";
	p = plan_of(a, &f, 1)->entries;
	assert_true(p->has_crc && p->crc_proved);
	assert_int_equal(p->crc, 7);

	/* They prove what was declared, or something is wrong with them. */
	f.has_crc = true;
	f.crc = 7;
	assert_true(plan_of(a, &f, 1)->entries->crc_proved);
	f.crc = 8;
	p = plan_of(a, &f, 1)->entries;
	assert_false(p->crc_proved);
	assert_int_equal(p->crc, 8);
	assert_string_equal(p->checkpoints, "");
	plan_facts(plan_of(a, &f, 1), p, &out);
	assert_false(out.has_crc);
	arena_free(a);
}

static void
test_pins_that_cannot_be(void **state)
{
	static const struct facts rows[] = {
		{ .size = INT64_MAX, .packed = 5, .layout = "level0" },
		{ .size = 5, .packed = INT64_MAX, .layout = "level0" },
		{ .size = 0, .packed = 0, .layout = "directory" },
		{ .size = 5, .packed = 7, .layout = "stored" },
		{ .size = 5, .packed = 5, .layout = "stored9" },
	};
	struct arena *a = arena_new(0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct file f = file_of("a.bin", -1);
		struct plan *plan;

		f.facts = rows[i];
		plan = plan_of(a, &f, 1);
		assert_int_equal(plan->entries[0].layout, PLAN_OPEN);
		assert_int_equal(plan->entries[0].size, -1);
	}
	arena_free(a);
}

static void
test_a_measure_forgets_the_one_before(void **state)
{
	struct arena *a = arena_new(0);
	struct file f = file_of("a.txt", -1);
	struct plan *plan;
	struct error e;

	(void)state;
	f.facts = (struct facts){ .size = 1 << 20,
				  .packed = 1000,
				  .mtime = MTIME,
				  .validator = "\"1\"",
				  .layout = arena_printf(a, "deflated %s",
							 codec_name(1)) };
	plan = plan_of(a, &f, 1);
	assert_int_equal(plan_measure(plan, &e), 0);
	assert_true(plan->total > 1000);
	plan_forget(plan->entries);
	plan_choose(plan->entries, NULL, 0, false);
	assert_int_equal(plan_measure(plan, &e), 0);
	assert_int_equal(plan->total, -1);
	assert_int_equal(plan->central_offset, -1);
	arena_free(a);
}

static void
test_sums_have_bounds(void **state)
{
	enum { MANY = 600 };
	struct arena *a = arena_new(0);
	struct source_facts facts = { .size = BUNDLE_SIZE_MAX + 1 };
	struct file *files = arena_array(a, MANY, sizeof(*files));
	struct plan *plan;
	struct error e;

	(void)state;
	for (int i = 0; i < MANY; i++)
		files[i] =
			file_of(arena_printf(a, "%d.jpg", i), BUNDLE_SIZE_MAX);
	plan = plan_of(a, files, MANY);
	for (int i = 0; i < MANY; i++)
		plan_choose(&plan->entries[i], NULL, 0, false);
	assert_int_equal(plan_measure(plan, &e), -1);
	assert_int_equal(e.code, ERROR_TOO_LARGE);
	assert_int_equal(plan->total, -1);
	plan->entries[0].size = -1;
	assert_int_equal(plan_learn(plan, plan->entries, &facts, &e), -1);
	assert_int_equal(e.code, ERROR_SOURCE);
	arena_free(a);
}

static void
test_contradictions_are_failures(void **state)
{
	struct arena *a = arena_new(0);
	struct file f = file_of("a.jpg", 100);
	struct source_facts facts = { .size = 101, .mtime = MTIME };
	struct plan *plan = plan_of(a, &f, 1);
	struct error e;

	(void)state;
	assert_int_equal(plan_learn(plan, plan->entries, &facts, &e), -1);
	assert_int_equal(e.code, ERROR_SOURCE);
	facts.size = 100;
	plan->entries[0].has_crc = true;
	facts.has_crc = true;
	facts.crc = 1;
	assert_int_equal(plan_learn(plan, plan->entries, &facts, &e), -1);
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_names_are_told_apart),
		cmocka_unit_test(test_total_is_the_sum_of_its_records),
		cmocka_unit_test(test_zip64_just_below_four_gibibytes),
		cmocka_unit_test(
			test_size_just_below_four_gibibytes_comes_late),
		cmocka_unit_test(test_size_learned_at_the_end_changes_no_width),
		cmocka_unit_test(test_unknown_length_has_no_total),
		cmocka_unit_test(test_etag_names_what_decides_a_byte),
		cmocka_unit_test(test_pins_bind_later_downloads),
		cmocka_unit_test(test_sums_of_all_parts_are_the_crc),
		cmocka_unit_test(test_pins_that_cannot_be),
		cmocka_unit_test(test_a_measure_forgets_the_one_before),
		cmocka_unit_test(test_sums_have_bounds),
		cmocka_unit_test(test_contradictions_are_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
