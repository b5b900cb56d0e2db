/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parent's heap, made ready to be shared by those it forks. */
#ifndef ZIPSTREAM_HEAP_H
#define ZIPSTREAM_HEAP_H

/*
 * Takes every hole in the heap, until heap_open gives them back.  A child would
 * fill them, each of its first allocations at the price of copying a page that
 * is otherwise shared; after this it allocates from fresh memory, side by side.
 */
void heap_seal(void);
/* Before what is kept is made anew: else each time would need fresh memory. */
void heap_open(void);

#endif
