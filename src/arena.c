/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Per-request memory: a chain of blocks, thrown away whole. */
#include "arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK 16384 /* the block kept over a reset, header included */
#define ARENA_GROW 262144 /* ordinary blocks after the first */

struct block {
	struct block *next;
	size_t cap;
	size_t used;
	alignas(max_align_t) char data[];
};

struct arena {
	struct block *head;
	size_t max;
	size_t used;
	bool failed;
};

struct arena *
arena_new(size_t max)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->max = max;
	return a;
}

void
arena_reset(struct arena *a)
{
	struct block *b = a->head, *next;

	for (; b != NULL && (b->next != NULL || b->cap > ARENA_BLOCK);
	     b = next) {
		next = b->next;
		free(b);
	}
	if (b != NULL)
		b->used = 0;
	a->head = b;
	a->used = 0;
	a->failed = false;
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	free(a->head);
	free(a);
}

static struct block *
grow(struct arena *a, size_t n)
{
	size_t cap = (a->head == NULL ? ARENA_BLOCK : ARENA_GROW) -
		     sizeof(struct block);
	struct block *b;

	if (cap < n)
		cap = n;
	b = malloc(sizeof(*b) + cap);
	if (b == NULL)
		return NULL;
	b->next = a->head;
	b->cap = cap;
	b->used = 0;
	a->head = b;
	return b;
}

static void *
take(struct arena *a, size_t n)
{
	struct block *b = a->head;
	char *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (a->max != 0 && n > a->max - a->used)
		return NULL;
	if (b == NULL || b->cap - b->used < n)
		b = grow(a, n);
	if (b == NULL)
		return NULL;
	p = b->data + b->used;
	b->used += n;
	a->used += n;
	return memset(p, 0, n);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n);

	a->failed |= p == NULL;
	return p;
}

bool
arena_failed(const struct arena *a)
{
	return a->failed;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, bytes);
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p != NULL)
		memcpy(p, s, n);
	return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = arena_alloc(a, (size_t)n + 1);
	if (p == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}
