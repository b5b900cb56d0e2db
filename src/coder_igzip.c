/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * DEFLATE and CRC-32 by Intel's ISA-L (igzip); its only user.
 *
 * ISA-L picks its loops by the processor, and they do not choose the same
 * matches: level 3 gives other bytes with AVX-512 than with AVX2.
 *
 * A stream costs 82 KiB of state, a level buffer and OUT_SIZE.
 */
#include "coder.h"

#ifdef HAVE_ISAL
#include <stdlib.h>

#include <isa-l.h>

#define OUT_SIZE 32768
#define QUOTE(x) #x
#define VERSION(a, b, c) QUOTE(a) "." QUOTE(b) "." QUOTE(c)

struct igzip {
	struct isal_zstream z;
	bool begun;
	unsigned char out[OUT_SIZE];
	unsigned char level_buf[]; /* tokens of one DEFLATE block, hashes */
};

/* SMALL holds 16 Ki tokens: MIN costs 2 per cent of size and a quarter of
 * the speed, what is larger gains a tenth of a per cent. */
static size_t
level_buf_size(int level)
{
	static const size_t sizes[CODER_IGZIP_LEVEL_MAX] = {
		ISAL_DEF_LVL1_SMALL,
		ISAL_DEF_LVL2_SMALL,
		ISAL_DEF_LVL3_SMALL,
	};

	return sizes[level - 1];
}

static void *
igzip_open(int level)
{
	size_t size = level_buf_size(level);
	struct igzip *s = calloc(1, sizeof(*s) + size);

	if (s == NULL)
		return NULL;
	isal_deflate_init(&s->z);
	s->z.level = (uint32_t)level;
	s->z.level_buf = s->level_buf;
	s->z.level_buf_size = (uint32_t)size;
	return s;
}

/*
 * The first byte goes out as a stored block of its own and into ISA-L as a
 * dictionary.  Without history, 2.30's loops for levels 1 and 2 hash the
 * stream's address in place of the third byte (they start from a register
 * that was never loaded), so that the matches found, and with them the bytes,
 * would change from run to run.
 */
static int
begin(struct igzip *s, const unsigned char *p, codec_sink_fn sink, void *ctx)
{
	unsigned char first[] = { 0, 1, 0, 0xFE, 0xFF, p[0] };

	s->begun = true;
	if (isal_deflate_set_dict(&s->z, &first[5], 1) != COMP_OK)
		return -1;
	return sink(ctx, first, sizeof(first));
}

static int
igzip_block(void *state, const void *p, size_t n, bool last, codec_sink_fn sink,
	    void *ctx)
{
	struct igzip *s = state;
	size_t skip = !s->begun && n > 0 ? 1 : 0;
	size_t made;

	if (skip > 0 && begin(s, p, sink, ctx) != 0)
		return -1;
	/* ISA-L only reads it, but its type does not say so. */
	s->z.next_in = (uint8_t *)(uintptr_t)p + skip;
	s->z.avail_in = (uint32_t)(n - skip);
	s->z.end_of_stream = last;
	do {
		s->z.next_out = s->out;
		s->z.avail_out = OUT_SIZE;
		if (isal_deflate(&s->z) != COMP_OK)
			return -1;
		made = OUT_SIZE - s->z.avail_out;
		if (made > 0 && sink(ctx, s->out, made) != 0)
			return -1;
	} while (s->z.avail_out == 0 || s->z.avail_in > 0);
	return 0;
}

static uint32_t
igzip_crc32(uint32_t crc, const void *p, size_t n)
{
	return crc32_gzip_refl(crc, p, n);
}

const struct coder coder_igzip = {
	.name = "igzip/" VERSION(ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION,
				 ISAL_PATCH_VERSION),
	.by_machine = true,
	.open = igzip_open,
	.block = igzip_block,
	.close = free,
	.crc32 = igzip_crc32,
};
#endif
