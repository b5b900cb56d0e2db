/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is known of a source's CRC-32: the sums of spans of it.
 *
 * Ranges of a zip may come in any order and at the same time; each sums up
 * what it reads, and spans that touch become one (crc32_combine), until there
 * is one of the whole.  Of two that overlap the longer one is kept.
 *
 * As text, in which the store keeps them, each is ",FROM-END:CRC" in hex.
 * Texts can be strung together, and what is no span in them says nothing.
 */
#ifndef ZIPSTREAM_SPANS_H
#define ZIPSTREAM_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* More of them: the shortest are forgotten. */
#define SPANS_MAX 32

struct span {
	int64_t from; /* its first byte */
	int64_t end;  /* behind its last one */
	uint32_t crc;
};

/* In order, without any that touch. */
struct spans {
	size_t count;
	struct span list[SPANS_MAX + 1]; /* one of room for the next */
};

/* Of a source of so many bytes; a span that passes its end is none. */
void spans_read(struct spans *s, const char *text, int64_t size);
void spans_write(const struct spans *s, struct buf *out);
void spans_add(struct spans *s, int64_t from, int64_t end, uint32_t crc);

/* The end of the span that holds `at` or ends there; -1: there is none. */
int64_t spans_reach(const struct spans *s, int64_t at);
/* Where the first span behind `at` begins; INT64_MAX: there is none. */
int64_t spans_next(const struct spans *s, int64_t at);
/* Where the span begins that ends with the source; `size`: there is none. */
int64_t spans_tail(const struct spans *s, int64_t size);
/* Is the CRC-32 of all known? */
bool spans_whole(const struct spans *s, int64_t size, uint32_t *crc);

#endif
