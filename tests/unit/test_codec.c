/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * codec: what comes out is judged by zlib's inflate, and must not depend on
 * how the input was cut.
 */
#include "codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <zlib.h>

#define LONGEST 5000000
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct bytes {
	unsigned char *p;
	size_t n, cap;
};

static uint32_t seed = 1;

static uint32_t
draw(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static int
collect(void *ctx, const void *p, size_t n)
{
	struct bytes *b = ctx;

	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->p = realloc(b->p, b->cap);
		assert_non_null(b->p);
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

static int
refuse(void *ctx, const void *p, size_t n)
{
	(void)ctx, (void)p, (void)n;
	return -1;
}

/* Kinds of data. */

static void
fill_text(unsigned char *p, size_t n)
{
	static const char *const words[] = { "GET ",   "200 ", "/index.html ",
					     "error ", "a",    "\n" };

	for (size_t i = 0; i < n;) {
		const char *w = words[draw() % COUNT(words)];

		for (; *w != '\0' && i < n; w++)
			p[i++] = (unsigned char)*w;
		if (i < n)
			p[i++] = (unsigned char)('0' + draw() % 10);
	}
}

static void
fill_random(unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)draw();
}

static void
fill_zeros(unsigned char *p, size_t n)
{
	memset(p, 0, n);
}

/* Changes its nature at odd places, so that coders change block types. */
static void
fill_mixed(unsigned char *p, size_t n)
{
	static void (*const fills[])(unsigned char *, size_t) = { fill_text,
								  fill_random,
								  fill_zeros };

	for (size_t i = 0, take; i < n; i += take) {
		take = 1 + draw() % 150000;
		take = take < n - i ? take : n - i;
		fills[draw() % COUNT(fills)](p + i, take);
	}
}

static void (*const kinds_of_data[])(unsigned char *,
				     size_t) = { fill_text, fill_random,
						 fill_zeros, fill_mixed };

/* Cuts of at most `most` bytes, from a misaligned copy when odd; all at once
 * when 0. */
static struct bytes
pack(enum codec_kind kind, int level, int64_t size, const unsigned char *p,
     size_t n, size_t most)
{
	struct bytes out = { 0 };
	struct codec *k = codec_open(kind, level, size, collect, &out);
	size_t take;

	assert_non_null(k);
	for (size_t i = 0; i < n; i += take) {
		take = most == 0 ? n : 1 + draw() % most;
		take = take < n - i ? take : n - i;
		assert_int_equal(codec_write(k, p + i, take), 0);
	}
	assert_int_equal(codec_end(k), 0);
	codec_close(k);
	return out;
}

static void
assert_same(const struct bytes *a, const struct bytes *b)
{
	assert_int_equal(a->n, b->n);
	if (a->n > 0)
		assert_memory_equal(a->p, b->p, a->n);
}

/* One whole raw DEFLATE stream, nothing after it, that gives p back. */
static void
assert_inflates(const struct bytes *packed, const unsigned char *p, size_t n)
{
	unsigned char *back = malloc(n + 1);
	z_stream z = { .next_in = packed->p,
		       .avail_in = (uInt)packed->n,
		       .next_out = back,
		       .avail_out = (uInt)n + 1 };

	assert_non_null(back);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.total_out, n);
	assert_memory_equal(back, p, n);
	inflateEnd(&z);
	free(back);
}

static void
check_deflate(int level, unsigned char *p, size_t n)
{
	static const size_t cuts[] = { 70000, 4096 };
	struct bytes whole = pack(CODEC_DEFLATE, level, -1, p, n, 0), again;

	assert_inflates(&whole, p, n);
	for (size_t i = 0; i < COUNT(cuts); i++) {
		again = pack(CODEC_DEFLATE, level, i % 2 ? -1 : (int64_t)n, p,
			     n, cuts[i]);
		assert_same(&whole, &again);
		free(again.p);
	}
	/* The same bytes at an odd address. */
	memmove(p + 3, p, n);
	again = pack(CODEC_DEFLATE, level, -1, p + 3, n, 9999);
	memmove(p, p + 3, n);
	assert_same(&whole, &again);
	free(again.p);
	free(whole.p);
}

static void
test_deflate_ignores_cuts(void **state)
{
	static const size_t sizes[] = { 0,     1,     7,      65535,
					65536, 65537, 131072, 300007 };
	unsigned char *p = malloc(LONGEST + 3);

	(void)state;
	assert_non_null(p);
	for (size_t d = 0; d < COUNT(kinds_of_data); d++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			kinds_of_data[d](p, sizes[s]);
			for (int level = 1; level <= 9; level++)
				check_deflate(level, p, sizes[s]);
		}
	}
	free(p);
}

static void
test_deflate_long(void **state)
{
	static const int levels[] = { 1, 2, 3, 6 };
	unsigned char *p = malloc(LONGEST + 3);

	(void)state;
	assert_non_null(p);
	fill_mixed(p, LONGEST);
	for (size_t i = 0; i < COUNT(levels); i++)
		check_deflate(levels[i], p, LONGEST);
	free(p);
}

static void
test_deflate_byte_by_byte(void **state)
{
	unsigned char p[70000];
	struct bytes whole, again;

	(void)state;
	fill_text(p, sizeof(p));
	for (int level = 1; level <= 9; level++) {
		whole = pack(CODEC_DEFLATE, level, -1, p, sizeof(p), 0);
		again = pack(CODEC_DEFLATE, level, -1, p, sizeof(p), 1);
		assert_same(&whole, &again);
		free(whole.p);
		free(again.p);
	}
}

/* Several codecs at once lie at different addresses, which must not show:
 * ISA-L hashes one without the care that coder_igzip.c takes. */
static void
test_deflate_ignores_addresses(void **state)
{
	unsigned char p[120];
	struct codec *k[8];
	struct bytes out[COUNT(k)];

	(void)state;
	for (int round = 0; round < 1000; round++) {
		fill_random(p, 40);
		memcpy(p + 40, p, 40);
		memcpy(p + 80, p + 1, 40);
		memset(out, 0, sizeof(out));
		for (size_t i = 0; i < COUNT(k); i++) {
			k[i] = codec_open(CODEC_DEFLATE, 1 + round % 3, -1,
					  collect, &out[i]);
			assert_non_null(k[i]);
			codec_write(k[i], p, sizeof(p));
			assert_int_equal(codec_end(k[i]), 0);
			assert_same(&out[0], &out[i]);
		}
		for (size_t i = 0; i < COUNT(k); i++) {
			codec_close(k[i]);
			free(out[i].p);
		}
	}
}

static void
test_level0(void **state)
{
	static const struct {
		size_t size, packed;
	} rows[] = {
		{ 0, 5 },	    { 1, 6 },
		{ 65534, 65539 },   { 65535, 65540 },
		{ 65536, 65546 },   { 131070, 131080 },
		{ 131071, 131086 }, { 1000003, 1000083 },
	};
	static const size_t cuts[] = { 0, 1000, 65535, 65536, 200000 };
	unsigned char *p = malloc(LONGEST);
	struct bytes first, again;

	(void)state;
	assert_non_null(p);
	fill_random(p, LONGEST);
	for (size_t i = 0; i < COUNT(rows); i++) {
		first = pack(CODEC_LEVEL0, 0, -1, p, rows[i].size, 0);
		assert_int_equal(first.n, rows[i].packed);
		assert_int_equal(codec_level0_size((int64_t)rows[i].size),
				 rows[i].packed);
		assert_inflates(&first, p, rows[i].size);
		for (size_t c = 0; c < 2 * COUNT(cuts); c++) {
			again = pack(CODEC_LEVEL0, 0,
				     c % 2 ? -1 : (int64_t)rows[i].size, p,
				     rows[i].size, cuts[c / 2]);
			assert_same(&first, &again);
			free(again.p);
		}
		free(first.p);
	}
	free(p);
}

static void
test_level0_does_not_wait(void **state)
{
	struct bytes out = { 0 };
	struct codec *k = codec_open(CODEC_LEVEL0, 0, 100000, collect, &out);

	(void)state;
	assert_int_equal(codec_write(k, "x", 1), 0);
	assert_int_equal(out.n, 6);
	assert_memory_equal(out.p, "\x00\xff\xff\x00\x00x", 6);
	codec_close(k);
	free(out.p);
}

static void
test_level0_size_bounds(void **state)
{
	(void)state;
	assert_int_equal(codec_level0_size(-1), -1);
	assert_int_equal(codec_level0_size(INT64_MAX), -1);
	assert_int_equal(codec_level0_size(INT64_C(0x100000000)),
			 INT64_C(0x100000000) + 5 * 65538);
}

static void
test_store(void **state)
{
	unsigned char p[5000];
	struct bytes out;

	(void)state;
	fill_random(p, sizeof(p));
	out = pack(CODEC_STORE, 0, sizeof(p), p, sizeof(p), 700);
	assert_int_equal(out.n, sizeof(p));
	assert_memory_equal(out.p, p, sizeof(p));
	free(out.p);
	out = pack(CODEC_STORE, 0, -1, p, 0, 0);
	assert_int_equal(out.n, 0);
	free(out.p);
}

static const enum codec_kind kinds[] = { CODEC_STORE, CODEC_LEVEL0,
					 CODEC_DEFLATE };

static void
test_wrong_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct bytes out = { 0 };
		struct codec *k = codec_open(kinds[i], 1, 4, collect, &out);

		assert_int_equal(codec_write(k, "abc", 3), 0);
		assert_int_equal(codec_write(k, "de", 2), -1);
		assert_int_equal(codec_write(k, "d", 1), -1); /* sticky */
		assert_int_equal(codec_end(k), -1);
		codec_close(k);
		k = codec_open(kinds[i], 1, 4, collect, &out);
		assert_int_equal(codec_write(k, "abc", 3), 0);
		assert_int_equal(codec_end(k), -1);
		codec_close(k);
		k = codec_open(kinds[i], 1, 0, collect, &out);
		assert_int_equal(codec_write(k, "a", 1), -1);
		codec_close(k);
		free(out.p);
	}
}

static void
test_sink_stops(void **state)
{
	static const unsigned char p[200000];

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		for (int64_t size = -1; size <= (int64_t)sizeof(p);
		     size += (int64_t)sizeof(p) + 1) {
			struct codec *k =
				codec_open(kinds[i], 1, size, refuse, NULL);
			int rc = codec_write(k, p, sizeof(p));

			assert_true(rc == -1 || kinds[i] == CODEC_DEFLATE);
			assert_int_equal(codec_end(k), -1);
			codec_close(k);
		}
	}
	codec_close(NULL);
}

static void
test_compressible(void **state)
{
	unsigned char *p = malloc(65536);

	(void)state;
	assert_non_null(p);
	fill_text(p, 65536);
	assert_true(codec_compressible(p, 65536));
	fill_zeros(p, 65536);
	assert_true(codec_compressible(p, 4096));
	fill_random(p, 65536);
	assert_false(codec_compressible(p, 65536));
	assert_false(codec_compressible(p, 0));
	assert_false(codec_compressible("x", 1));
	/* Zeros cost next to nothing: a tenth does not do, a fifth does. */
	fill_zeros(p, 6553);
	assert_false(codec_compressible(p, 65536));
	fill_zeros(p, 13107);
	assert_true(codec_compressible(p, 65536));
	free(p);
}

static void
test_names(void **state)
{
	char first[48];

	(void)state;
	for (int level = 1; level <= 9; level++) {
		strncpy(first, codec_name(level), sizeof(first) - 1);
		first[sizeof(first) - 1] = '\0';
		assert_string_equal(first, codec_name(level));
		assert_int_equal(atoi(strrchr(first, ' ')), level);
#ifdef HAVE_ISAL
		assert_int_equal(strncmp(first, "igzip/", 6) == 0, level <= 3);
#else
		assert_int_equal(strncmp(first, "zlib/", 5), 0);
#endif
	}
}

static void
test_crc32(void **state)
{
	unsigned char p[10000];
	uint32_t whole, a;

	(void)state;
	fill_random(p, sizeof(p));
	assert_int_equal(codec_crc32(0, "123456789", 9), 0xCBF43926);
	assert_int_equal(codec_crc32(0, NULL, 0), 0);
	assert_int_equal(codec_crc32(0x1234, NULL, 0), 0x1234);
	whole = codec_crc32(0, p, sizeof(p));
	for (size_t cut = 0; cut <= sizeof(p); cut += 1 + draw() % 97) {
		a = codec_crc32(0, p, cut);
		assert_int_equal(codec_crc32(a, p + cut, sizeof(p) - cut),
				 whole);
		assert_int_equal(a, crc32(0, p, (uInt)cut));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deflate_ignores_cuts),
		cmocka_unit_test(test_deflate_long),
		cmocka_unit_test(test_deflate_byte_by_byte),
		cmocka_unit_test(test_deflate_ignores_addresses),
		cmocka_unit_test(test_level0),
		cmocka_unit_test(test_level0_does_not_wait),
		cmocka_unit_test(test_level0_size_bounds),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_wrong_size),
		cmocka_unit_test(test_sink_stops),
		cmocka_unit_test(test_compressible),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_crc32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
