/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is known of a source's CRC-32: the sums of spans of it. */
#include "spans.h"

#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "codec.h"

static int64_t
length(const struct span *x)
{
	return x->end - x->from;
}

static void
drop(struct spans *s, size_t i)
{
	s->count--;
	memmove(&s->list[i], &s->list[i + 1],
		(s->count - i) * sizeof(s->list[0]));
}

/* Makes room for x; false: what it overlaps says more. */
static bool
clear_way(struct spans *s, const struct span *x)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct span *y = &s->list[i];

		if (y->from < x->end && x->from < y->end &&
		    length(y) >= length(x))
			return false;
	}
	for (size_t i = s->count; i-- > 0;) {
		if (s->list[i].from < x->end && x->from < s->list[i].end)
			drop(s, i);
	}
	return true;
}

/* Joins number i to the one before it, if they touch. */
static void
join(struct spans *s, size_t i)
{
	struct span *a, *b;

	if (i == 0 || i >= s->count)
		return;
	a = &s->list[i - 1];
	b = &s->list[i];
	if (a->end != b->from)
		return;
	a->crc = codec_crc32_join(a->crc, b->crc, length(b));
	a->end = b->end;
	drop(s, i);
}

static void
drop_shortest(struct spans *s)
{
	size_t least = 0;

	for (size_t i = 1; i < s->count; i++) {
		if (length(&s->list[i]) < length(&s->list[least]))
			least = i;
	}
	drop(s, least);
}

void
spans_add(struct spans *s, int64_t from, int64_t end, uint32_t crc)
{
	struct span x = { from, end, crc };
	size_t i = 0;

	if (from < 0 || from >= end || end > BUNDLE_SIZE_MAX ||
	    !clear_way(s, &x))
		return;
	while (i < s->count && s->list[i].from < from)
		i++;
	memmove(&s->list[i + 1], &s->list[i],
		(s->count - i) * sizeof(s->list[0]));
	s->list[i] = x;
	s->count++;
	join(s, i + 1);
	join(s, i);
	if (s->count > SPANS_MAX)
		drop_shortest(s);
}

void
spans_read(struct spans *s, const char *text, int64_t size)
{
	const char *p = text;
	int64_t from, end;
	char *rest;

	s->count = 0;
	while ((p = strchr(p, ',')) != NULL) {
		from = strtoll(++p, &rest, 16);
		if (*rest != '-')
			continue;
		end = strtoll(rest + 1, &rest, 16);
		if (*rest == ':' && end <= size)
			spans_add(s, from, end,
				  (uint32_t)strtoul(rest + 1, NULL, 16));
	}
}

void
spans_write(const struct spans *s, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct span *x = &s->list[i];

		buf_printf(out, ",%llx-%llx:%08x", (long long)x->from,
			   (long long)x->end, x->crc);
	}
}

int64_t
spans_reach(const struct spans *s, int64_t at)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].from <= at && at <= s->list[i].end)
			return s->list[i].end;
	}
	return -1;
}

int64_t
spans_next(const struct spans *s, int64_t at)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].from > at)
			return s->list[i].from;
	}
	return INT64_MAX;
}

int64_t
spans_tail(const struct spans *s, int64_t size)
{
	if (s->count == 0 || s->list[s->count - 1].end != size)
		return size;
	return s->list[s->count - 1].from;
}

bool
spans_whole(const struct spans *s, int64_t size, uint32_t *crc)
{
	*crc = 0;
	if (size == 0) /* no span is as short */
		return true;
	if (s->count != 1 || s->list[0].from != 0 || s->list[0].end != size)
		return false;
	*crc = s->list[0].crc;
	return true;
}
