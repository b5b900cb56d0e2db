/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Taking the holes of glibc's heap, the largest sizes first.
 *
 * Where a block came from is seen by the free memory at the heap's end:
 * mallinfo(3) calls it keepcost.
 */
#include "heap.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#define LARGEST 65536
#define EXACT 1040 /* below, glibc keeps a list for each size */
#define STEP 16	   /* between these sizes */
#define SMALLEST 24

#ifndef INSTRUMENTED
/* Each points to the one before: a leak checker finds them all. */
static void **taken;

/* Takes the holes that hold n bytes, and one piece from the heap's end. */
static void
take_holes(size_t n)
{
	size_t end = mallinfo2().keepcost;
	void **p;

	do {
		p = malloc(n);
		if (p == NULL)
			return;
		*p = taken;
		taken = p;
	} while (mallinfo2().keepcost == end);
}

void
heap_open(void)
{
	void **p;

	while ((p = taken) != NULL) {
		taken = *p;
		free(p);
	}
}

void
heap_seal(void)
{
	/* The end is to be fresh, too. */
	malloc_trim(0);
	for (size_t n = LARGEST; n > EXACT; n /= 2)
		take_holes(n);
	for (size_t n = EXACT; n >= SMALLEST; n -= STEP)
		take_holes(n);
}
#else
void
heap_open(void)
{
}

void
heap_seal(void)
{
}
#endif
