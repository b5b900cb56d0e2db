/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Packing bytes and CRC-32: cuts the input, counts it, makes stored blocks.
 *
 * DEFLATE itself is done by the coders of coder.h.  This file makes sure
 * that they, and level 0, never see how the caller cut the input.
 */
#include "codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coder.h"

#define LEVEL_MAX 9
#define STORED_HEADER 5			 /* type, LEN, NLEN: RFC 1951, 3.2.4 */
#define LEVEL0_INPUT_MAX (INT64_MAX / 2) /* its packed size is a number yet */
#define SAMPLE_PIECES 16384		 /* 128 KiB of them */

struct codec {
	enum codec_kind kind;
	codec_sink_fn sink;
	void *ctx;
	const struct coder *coder; /* of CODEC_DEFLATE */
	void *state;
	int64_t size;	   /* -1: unknown */
	int64_t taken;	   /* bytes of input so far */
	size_t block_left; /* level 0: bytes its open block still wants */
	bool failed;	   /* sticky */
	size_t held;
	unsigned char block[]; /* input held back, where the kind needs it */
};

static const struct coder *
coder_of_level(int level)
{
#ifdef HAVE_ISAL
	if (level >= 1 && level <= CODER_IGZIP_LEVEL_MAX)
		return &coder_igzip;
#endif
	(void)level;
	return &coder_zlib;
}

/* Stored bytes, and level-0 blocks of a known size, pass straight through. */
static bool
holds_input(enum codec_kind kind, int64_t size)
{
	return kind == CODEC_DEFLATE || (kind == CODEC_LEVEL0 && size < 0);
}

struct codec *
codec_open(enum codec_kind kind, int level, int64_t size, codec_sink_fn sink,
	   void *ctx)
{
	size_t room = holds_input(kind, size) ? CODEC_BLOCK : 0;
	struct codec *k = calloc(1, sizeof(*k) + room);

	if (k == NULL)
		return NULL;
	k->kind = kind;
	k->sink = sink;
	k->ctx = ctx;
	k->size = size;
	if (kind != CODEC_DEFLATE)
		return k;
	k->coder = coder_of_level(level);
	k->state = k->coder->open(level);
	if (k->state == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void
codec_close(struct codec *k)
{
	if (k == NULL)
		return;
	if (k->state != NULL)
		k->coder->close(k->state);
	free(k);
}

/* BTYPE 00 and the block's length; the header ends on a byte because every
 * block before it did. */
static int
put_stored_header(struct codec *k, size_t n, bool final)
{
	unsigned char h[STORED_HEADER] = {
		final ? 1 : 0,
		(unsigned char)n,
		(unsigned char)(n >> 8),
		(unsigned char)~n,
		(unsigned char)(~n >> 8),
	};

	return k->sink(k->ctx, h, sizeof(h));
}

/* Every block's length is known before its first byte comes. */
static int
write_level0(struct codec *k, const unsigned char *p, size_t n)
{
	int64_t at = k->taken, left;
	size_t take;

	for (; n > 0; p += take, n -= take, at += (int64_t)take) {
		left = k->size - at;
		if (k->block_left == 0) {
			k->block_left = left < CODEC_LEVEL0_BLOCK
						? (size_t)left
						: CODEC_LEVEL0_BLOCK;
			if (put_stored_header(k, k->block_left,
					      left <= CODEC_LEVEL0_BLOCK) != 0)
				return -1;
		}
		take = n < k->block_left ? n : k->block_left;
		if (k->sink(k->ctx, p, take) != 0)
			return -1;
		k->block_left -= take;
	}
	return 0;
}

static int
put_block(struct codec *k, const void *p, size_t n, bool last)
{
	if (k->kind == CODEC_DEFLATE)
		return k->coder->block(k->state, p, n, last, k->sink, k->ctx);
	if (put_stored_header(k, n, last) != 0)
		return -1;
	return n > 0 ? k->sink(k->ctx, p, n) : 0;
}

/*
 * A block goes out when a byte after it shows that it is not the last.  Where
 * nothing is held, whole blocks are taken from the caller's memory as they
 * lie.
 */
static int
write_blocks(struct codec *k, const unsigned char *p, size_t n)
{
	size_t full =
		k->kind == CODEC_DEFLATE ? CODEC_BLOCK : CODEC_LEVEL0_BLOCK;
	size_t take;

	for (; n > 0; p += take, n -= take) {
		take = 0;
		if (k->held == full) {
			if (put_block(k, k->block, full, false) != 0)
				return -1;
			k->held = 0;
		} else if (k->held == 0 && n > full) {
			if (put_block(k, p, full, false) != 0)
				return -1;
			take = full;
		} else {
			take = n < full - k->held ? n : full - k->held;
			memcpy(k->block + k->held, p, take);
			k->held += take;
		}
	}
	return 0;
}

static int
write_kind(struct codec *k, const void *p, size_t n)
{
	if (k->size >= 0 && (uint64_t)n > (uint64_t)(k->size - k->taken))
		return -1;
	if (n == 0)
		return 0;
	if (holds_input(k->kind, k->size))
		return write_blocks(k, p, n);
	if (k->kind == CODEC_LEVEL0)
		return write_level0(k, p, n);
	return k->sink(k->ctx, p, n);
}

int
codec_write(struct codec *k, const void *p, size_t n)
{
	if (k->failed || write_kind(k, p, n) != 0) {
		k->failed = true;
		return -1;
	}
	k->taken += (int64_t)n;
	return 0;
}

int
codec_end(struct codec *k)
{
	if (k->failed || (k->size >= 0 && k->taken != k->size))
		return -1;
	if (holds_input(k->kind, k->size))
		return put_block(k, k->block, k->held, true);
	if (k->kind == CODEC_LEVEL0 && k->size == 0)
		return put_stored_header(k, 0, true);
	return 0;
}

int64_t
codec_level0_size(int64_t size)
{
	int64_t blocks = size / CODEC_LEVEL0_BLOCK +
			 (size % CODEC_LEVEL0_BLOCK != 0 ? 1 : 0);

	if (size < 0 || size > LEVEL0_INPUT_MAX)
		return -1;
	/* DEFLATE has no way to say nothing: one empty block. */
	return size + STORED_HEADER * (blocks > 0 ? blocks : 1);
}

static int
add_to_crc(void *ctx, const void *p, size_t n)
{
	uint32_t *crc = ctx;

	*crc = codec_crc32(*crc, p, n);
	return 0;
}

/*
 * What this machine's coder makes of a sample that reads like text: pieces of
 * one line, picked by a linear congruence.  Two machines that agree on it
 * take the same loops.
 */
static uint32_t
fingerprint(int level)
{
	static const char line[] = "2026-11-23 19:02:47 GET /files/report-18."
				   "txt 200 bytes=70316 agent=Mozilla/5.0 ";
	_Static_assert(sizeof(line) > 63 + 15, "pieces lie in it");
	uint32_t crc = 0, x = 1;
	struct codec *k =
		codec_open(CODEC_DEFLATE, level, -1, add_to_crc, &crc);

	if (k == NULL)
		return 0;
	for (int i = 0; i < SAMPLE_PIECES; i++) {
		x = x * 1664525 + 1013904223;
		codec_write(k, line + (x >> 26), 1 + (x >> 8) % 15);
	}
	codec_end(k);
	codec_close(k);
	return crc;
}

const char *
codec_name(int level)
{
	static char names[LEVEL_MAX + 1][48];
	int i = level < 0 ? 0 : level > LEVEL_MAX ? LEVEL_MAX : level;
	const struct coder *coder = coder_of_level(i);

	if (names[i][0] != '\0')
		return names[i];
	if (coder->by_machine)
		snprintf(names[i], sizeof(names[i]), "%s-%08x %d", coder->name,
			 fingerprint(i), i);
	else
		snprintf(names[i], sizeof(names[i]), "%s %d", coder->name, i);
	return names[i];
}

/* Counts down what the trial may still write; stops when it is used up. */
static int
spend(void *ctx, const void *p, size_t n)
{
	size_t *left = ctx;

	(void)p;
	if (n > *left)
		return -1;
	*left -= n;
	return 0;
}

bool
codec_compressible(const void *p, size_t n)
{
	size_t left = n - (n + 7) / 8;
	struct codec *k = codec_open(CODEC_DEFLATE, 1, -1, spend, &left);
	bool shrinks;

	if (k == NULL)
		return false;
	shrinks = codec_write(k, p, n) == 0 && codec_end(k) == 0;
	codec_close(k);
	return shrinks;
}

uint32_t
codec_crc32(uint32_t crc, const void *p, size_t n)
{
	return coder_of_level(1)->crc32(crc, p, n);
}

uint32_t
codec_crc32_join(uint32_t first, uint32_t second, int64_t n)
{
	return coder_crc32_join(first, second, n);
}
