/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A growing byte buffer with a ceiling and a sticky error.
 *
 * Sequence: buf_init, any number of buf_put*, one look at buf_failed,
 * buf_free.  After a failed append (no memory, or over the ceiling) every
 * later append does nothing, so that one check at the end is enough.
 * Content is always followed by a NUL that `len` does not count.
 */
#ifndef ZIPSTREAM_BUF_H
#define ZIPSTREAM_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t len;
	size_t cap; /* bytes allocated */
	size_t max; /* most bytes of content ever allowed */
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties it and clears the error; keeps the memory. */
void buf_reset(struct buf *b);

void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Little-endian, byte by byte: the zip format's numbers. */
void buf_put_le(struct buf *b, uint64_t value, unsigned bytes);

/* The content as a NUL-terminated string; "" when nothing was put. */
const char *buf_str(const struct buf *b);
bool buf_failed(const struct buf *b);

#endif
