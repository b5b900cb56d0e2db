/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * DEFLATE and CRC-32 by zlib; its only user.
 *
 * A stream costs zlib's 262 KiB and OUT_SIZE.
 */
#include "coder.h"

#include <stdlib.h>

#define ZLIB_CONST /* next_in points to const bytes */
#include <zlib.h>

#define WINDOW_RAW (-15) /* 32 KiB, and no wrapper around the data */
#define MEMORY_LEVEL 8	 /* zlib's own default */
#define OUT_SIZE 32768

struct zlib {
	z_stream z;
	unsigned char out[OUT_SIZE];
};

static void *
zlib_open(int level)
{
	struct zlib *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (deflateInit2(&s->z, level, Z_DEFLATED, WINDOW_RAW, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(s);
		return NULL;
	}
	return s;
}

static int
zlib_block(void *state, const void *p, size_t n, bool last, codec_sink_fn sink,
	   void *ctx)
{
	struct zlib *s = state;
	size_t made;

	s->z.next_in = p;
	s->z.avail_in = (uInt)n;
	do {
		s->z.next_out = s->out;
		s->z.avail_out = OUT_SIZE;
		if (deflate(&s->z, last ? Z_FINISH : Z_NO_FLUSH) ==
		    Z_STREAM_ERROR)
			return -1;
		made = OUT_SIZE - s->z.avail_out;
		if (made > 0 && sink(ctx, s->out, made) != 0)
			return -1;
	} while (s->z.avail_out == 0);
	return 0;
}

static void
zlib_close(void *state)
{
	struct zlib *s = state;

	deflateEnd(&s->z);
	free(s);
}

static uint32_t
zlib_crc32(uint32_t crc, const void *p, size_t n)
{
	/* A null pointer would ask zlib for the first value instead. */
	return n == 0 ? crc : (uint32_t)crc32_z(crc, p, n);
}

uint32_t
coder_crc32_join(uint32_t first, uint32_t second, int64_t n)
{
	return (uint32_t)crc32_combine(first, second, (z_off_t)n);
}

const struct coder coder_zlib = {
	.name = "zlib/" ZLIB_VERSION,
	.open = zlib_open,
	.block = zlib_block,
	.close = zlib_close,
	.crc32 = zlib_crc32,
};
