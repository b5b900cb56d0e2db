/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What codec.c asks of a DEFLATE coder: one table for each library.
 *
 * codec.c cuts the input, so that a coder sees the same blocks (full ones,
 * then a last one that may be short or empty) whatever the cuts were.  A
 * coder writes raw DEFLATE (RFC 1951) and lets nothing but those blocks
 * decide its bytes.  CRC-32 lives here because it comes from the same
 * libraries.
 */
#ifndef ZIPSTREAM_CODER_H
#define ZIPSTREAM_CODER_H

#include "codec.h"

#define CODER_IGZIP_LEVEL_MAX 3

struct coder {
	const char *name; /* with its version */
	bool by_machine;  /* its bytes also depend on the processor */
	/* NULL: no memory. */
	void *(*open)(int level);
	/* Takes all n bytes; -1: the sink stopped. */
	int (*block)(void *state, const void *p, size_t n, bool last,
		     codec_sink_fn sink, void *ctx);
	void (*close)(void *state);
	uint32_t (*crc32)(uint32_t crc, const void *p, size_t n);
};

extern const struct coder coder_zlib;
/* zlib's alone: the CRC-32 of two pieces, the second of n bytes. */
uint32_t coder_crc32_join(uint32_t first, uint32_t second, int64_t n);
#ifdef HAVE_ISAL
extern const struct coder coder_igzip; /* level 1 to CODER_IGZIP_LEVEL_MAX */
#endif

#endif
