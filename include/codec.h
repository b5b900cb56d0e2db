/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Packing bytes and CRC-32; the only user of zlib and ISA-L.
 *
 * A codec's output depends on its input, name and level alone, never on how
 * the input was cut: coders are fed whole blocks of CODEC_BLOCK bytes.
 * Sequence: codec_open, codec_write ..., codec_end, codec_close (or reopen).
 */
#ifndef ZIPSTREAM_CODEC_H
#define ZIPSTREAM_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODEC_BLOCK 65536
#define CODEC_LEVEL0_BLOCK 65535 /* RFC 1951, 3.2.4: the largest stored one */

/* Packed bytes in order; -1 stops. */
typedef int (*codec_sink_fn)(void *ctx, const void *p, size_t n);

enum codec_kind {
	CODEC_STORE,  /* bytes as they are; zip method 0 */
	CODEC_LEVEL0, /* DEFLATE of stored blocks; zip method 8 */
	CODEC_DEFLATE /* DEFLATE by igzip (levels 1-3) or zlib; method 8 */
};

struct codec;

/* NULL: no memory.  `size` is the input's size when known, else -1 (level-0
 * blocks can then go out without waiting for the end). */
struct codec *codec_open(enum codec_kind kind, int level, int64_t size,
			 codec_sink_fn sink, void *ctx);
/* -1: the sink stopped, or more came than `size`. */
int codec_write(struct codec *k, const void *p, size_t n);
int codec_end(struct codec *k);
void codec_close(struct codec *k);

/* Bytes that `size` bytes become under level 0; -1: negative or too large. */
int64_t codec_level0_size(int64_t size);

/* Names the coder that makes the bytes: the same name promises the same bytes.
 * igzip's depend on the processor too, so its name holds a fingerprint:
 * "igzip/2.30.0-1f2e3d4c 1", "zlib/1.2.13 6".  Lives as long as the program. */
const char *codec_name(int level);

/* Does deflating the sample at level 1 save at least an eighth? */
bool codec_compressible(const void *p, size_t n);

/* zip's CRC-32 (IEEE 802.3, reflected); start with crc = 0. */
uint32_t codec_crc32(uint32_t crc, const void *p, size_t n);
/* That of two pieces one after the other, of which the second has n bytes. */
uint32_t codec_crc32_join(uint32_t first, uint32_t second, int64_t n);

#endif
