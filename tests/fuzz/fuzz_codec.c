/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any bytes, through every coder, cut in two ways: the packed bytes are the
 * same, level 0's are as many as was said, and zlib's inflate gives the input
 * back; the CRC is zlib's, however it is cut.  The first byte of the input
 * picks the coder, the second the cuts; the rest is repeated until it fills
 * more than one block.
 */
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "buf.h"
#include "codec.h"

#define INPUT_MAX (2 * CODEC_BLOCK + 100)
#define OUTPUT_MAX (2 * INPUT_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int
sink(void *ctx, const void *p, size_t n)
{
	buf_put(ctx, p, n);
	return 0;
}

static void
pack(struct buf *out, int level, int64_t size, const unsigned char *p, size_t n,
     size_t cut)
{
	struct codec *k = codec_open(level > 0 ? CODEC_DEFLATE : CODEC_LEVEL0,
				     level, size, sink, out);
	size_t take;
	int rc = k == NULL ? -1 : 0;

	for (size_t i = 0; rc == 0 && i < n; i += take) {
		take = cut < n - i ? cut : n - i;
		rc = codec_write(k, p + i, take);
	}
	if (rc != 0 || codec_end(k) != 0 || buf_failed(out))
		abort();
	codec_close(k);
}

static void
check_inflates(const struct buf *packed, const unsigned char *p, size_t n)
{
	static unsigned char back[INPUT_MAX + 1];
	z_stream z = { .next_in = (const Bytef *)packed->data,
		       .avail_in = (uInt)packed->len,
		       .next_out = back,
		       .avail_out = sizeof(back) };

	if (inflateInit2(&z, -15) != Z_OK ||
	    inflate(&z, Z_FINISH) != Z_STREAM_END || z.avail_in != 0 ||
	    z.total_out != n || memcmp(back, p, n) != 0)
		abort();
	inflateEnd(&z);
}

static void
check_crc(const unsigned char *p, size_t n, size_t cut)
{
	size_t first = cut < n ? cut : n;
	uint32_t crc =
		codec_crc32(codec_crc32(0, p, first), p + first, n - first);

	if (crc != crc32_z(0, p, n))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static unsigned char input[INPUT_MAX];
	struct buf whole, pieces;
	size_t size = 0, take, cut;
	int level;

	if (n < 3)
		return 0;
	level = data[0] % 10;
	for (size_t times = 1 + data[0] / 10 * (size_t)100; times > 0;
	     times--) {
		take = n - 2 < INPUT_MAX - size ? n - 2 : INPUT_MAX - size;
		memcpy(input + size, data + 2, take);
		size += take;
	}
	buf_init(&whole, OUTPUT_MAX);
	buf_init(&pieces, OUTPUT_MAX);
	pack(&whole, level, -1, input, size, INPUT_MAX);
	cut = 1 + data[1] * (size_t)300;
	pack(&pieces, level, (int64_t)size, input, size, cut);
	if (level == 0 &&
	    (int64_t)whole.len != codec_level0_size((int64_t)size))
		abort();
	check_crc(input, size, cut);
	codec_compressible(input, size);
	if (whole.len != pieces.len ||
	    memcmp(whole.data, pieces.data, whole.len) != 0)
		abort();
	check_inflates(&whole, input, size);
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
