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

#endif
