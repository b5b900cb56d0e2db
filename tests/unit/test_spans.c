/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* spans: in whatever order parts are summed up, they come to the whole. */
#include "spans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "codec.h"

#define SIZE 1000
#define PIECES 10
#define PIECE (SIZE / PIECES)

static unsigned char source[SIZE];

static void
fill(void)
{
	for (size_t i = 0; i < SIZE; i++)
		source[i] = (unsigned char)(i * i + i / 7);
}

static void
add(struct spans *s, int64_t from, int64_t end)
{
	spans_add(s, from, end,
		  codec_crc32(0, source + from, (size_t)(end - from)));
}

static void
assert_whole(const struct spans *s)
{
	uint32_t crc = 0;

	assert_true(spans_whole(s, SIZE, &crc));
	assert_int_equal(crc, codec_crc32(0, source, SIZE));
}

/* As text and back, which must make no difference. */
static void
write_and_read(struct spans *s)
{
	struct spans copy;
	struct buf text, again;

	buf_init(&text, 4096);
	buf_init(&again, 4096);
	spans_write(s, &text);
	spans_read(&copy, buf_str(&text), SIZE);
	spans_write(&copy, &again);
	assert_false(buf_failed(&text));
	assert_string_equal(buf_str(&again), buf_str(&text));
	*s = copy;
	buf_free(&text);
	buf_free(&again);
}

static void
any_order_comes_to_the_whole(void **state)
{
	/* 3, 7 and 9 have no divisor in common with 10; 1 is in order. */
	static const int steps[] = { 1, 3, 7, 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct spans s = { .count = 0 };
		uint32_t crc;

		for (int j = 0; j < PIECES; j++) {
			int at = j * steps[i] % PIECES * PIECE;

			assert_false(spans_whole(&s, SIZE, &crc));
			add(&s, at, at + PIECE);
			write_and_read(&s);
		}
		assert_whole(&s);
	}
}

static void
tells_what_is_missing(void **state)
{
	struct spans s = { .count = 0 };

	(void)state;
	assert_int_equal(spans_reach(&s, 0), -1);
	assert_int_equal(spans_next(&s, 0), INT64_MAX);
	assert_int_equal(spans_tail(&s, SIZE), SIZE);
	add(&s, 0, 300);
	add(&s, 400, 500);
	add(&s, 900, SIZE);
	assert_int_equal(spans_reach(&s, 0), 300);
	assert_int_equal(spans_reach(&s, 300), 300);
	assert_int_equal(spans_reach(&s, 301), -1);
	assert_int_equal(spans_reach(&s, 450), 500);
	assert_int_equal(spans_next(&s, 0), 400);
	assert_int_equal(spans_next(&s, 400), 900);
	assert_int_equal(spans_tail(&s, SIZE), 900);
	assert_int_equal(spans_tail(&s, SIZE + 1), SIZE + 1);
	/* All that lies between, over what was known of it. */
	add(&s, 300, 900);
	assert_whole(&s);
}

static void
of_two_that_overlap_the_longer_stays(void **state)
{
	struct spans s = { .count = 0 };

	(void)state;
	add(&s, 100, 300);
	add(&s, 0, 150);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.list[0].from, 100);
	add(&s, 250, 500);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.list[0].from, 250);
	/* Longer than the first that it meets, not than the second. */
	add(&s, 600, 610);
	add(&s, 490, 620);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.list[0].end, 500);
	add(&s, 0, 250);
	add(&s, 500, SIZE);
	assert_whole(&s);
}

static void
texts_are_strung_together(void **state)
{
	static const char *const texts[] = {
		/* with itself, in another order, with less of the same */
		",0-1f4:00000001,1f5-3e8:00000002,0-1f4:00000001",
		",1f5-3e8:00000002,0-1f4:00000001",
		",0-10:00000009,0-1f4:00000001,1f5-3e8:00000002",
		/* with what is none, or cannot be */
		"0123456789abcdef,0-1f4:00000001,1f5-3e8:00000002",
		",,x,0-,1f5-3e8,-5-4:1,4-4:1,0-3e9:1"
		",0-ffffffffffffffffff:1"
		",0-1f4:00000001,,1f5-3e8:00000002,9-8:00000001",
	};
	struct spans s;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		spans_read(&s, texts[i], SIZE);
		assert_int_equal(s.count, 2);
		assert_int_equal(s.list[0].end, 500);
		assert_int_equal(s.list[0].crc, 1);
		assert_int_equal(s.list[1].from, 501);
		assert_int_equal(s.list[1].crc, 2);
	}
	spans_read(&s, "", SIZE);
	assert_int_equal(s.count, 0);
	spans_read(&s, ",0-1f4:00000001", -1);
	assert_int_equal(s.count, 0);
}

static void
the_shortest_of_too_many_is_forgotten(void **state)
{
	struct spans s = { .count = 0 };
	int64_t most = 3 * SPANS_MAX;

	(void)state;
	add(&s, 500, 501);
	for (int64_t i = 0; i < most; i += 3)
		add(&s, i, i + 2);
	assert_int_equal(s.count, SPANS_MAX);
	assert_int_equal(spans_next(&s, most), INT64_MAX);
	write_and_read(&s);
	assert_int_equal(s.count, SPANS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_comes_to_the_whole),
		cmocka_unit_test(tells_what_is_missing),
		cmocka_unit_test(of_two_that_overlap_the_longer_stays),
		cmocka_unit_test(texts_are_strung_together),
		cmocka_unit_test(the_shortest_of_too_many_is_forgotten),
	};

	fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
