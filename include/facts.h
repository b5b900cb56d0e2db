/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Facts as one line of text, for what keeps them as text: an item of
 * DynamoDB, the notes beside a zip that is not whole yet.
 *
 * Size, packed size, time, CRC, layout, validator, checkpoints and the source
 * they were learned of, between tabs, which occur in none of them.
 */
#ifndef ZIPSTREAM_FACTS_H
#define ZIPSTREAM_FACTS_H

#include "arena.h"
#include "buf.h"
#include "bundle.h"

/* "-" for facts that pin nothing. */
void facts_format(struct buf *out, const struct facts *f, const char *src);
/* Fills f->facts if the text is of f's own source; leaves them else. */
void facts_parse(struct arena *a, const char *text, struct file *f);

/*
 * What is kept when f takes the place of `old`: who has read less of the same
 * version takes nothing away.  `known` (NULL: none) are the checkpoints that
 * were read and are in f's.  The remember.sql of other stores does the same.
 */
void facts_merge(struct arena *a, struct facts *f, const struct facts *old,
		 const char *known);

#endif
