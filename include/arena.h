/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Memory that lives as long as one request and is thrown away whole.
 *
 * An arena may have a parent-independent ceiling: over it, allocation fails
 * like malloc does.  Pointers die at arena_reset or arena_free.  All
 * functions that allocate return NULL when there is no memory.
 */
#ifndef ZIPSTREAM_ARENA_H
#define ZIPSTREAM_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* `max` is the ceiling in bytes; 0: none. */
struct arena *arena_new(size_t max);
/* Keeps one small block, so that an idle worker stays lean. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* Zeroed and aligned for any type. */
void *arena_alloc(struct arena *a, size_t n);
/* Zeroed array; fails on overflow of the product. */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Has an allocation failed since the last reset?  For those who call what
 * returns NULL for more than one reason. */
bool arena_failed(const struct arena *a);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *a);

#endif
