/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A growing byte buffer with a ceiling and a sticky error. */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 256 /* first allocation; it doubles from there */

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

/* Room for n more bytes and the NUL, or the sticky error. */
static bool
reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap != 0 ? b->cap : BUF_FIRST;
	char *grown;

	if (b->failed || n > b->max - b->len) {
		b->failed = true;
		return false;
	}
	while (cap < b->len + n + 1)
		cap *= 2;
	if (cap == b->cap)
		return true;
	grown = realloc(b->data, cap);
	if (grown == NULL) {
		b->failed = true;
		return false;
	}
	b->data = grown;
	b->cap = cap;
	return true;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	if (n < 0 || !reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_put_le(struct buf *b, uint64_t value, unsigned bytes)
{
	unsigned char le[8];

	for (unsigned i = 0; i < bytes && i < sizeof(le); i++)
		le[i] = (unsigned char)(value >> (8 * i));
	buf_put(b, le, bytes);
}

const char *
buf_str(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}

bool
buf_failed(const struct buf *b)
{
	return b->failed;
}
