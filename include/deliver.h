/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From a plan to the bytes of its zip: the one place where sources, codec,
 * records and the answer meet.
 *
 *	delivery_init
 *	survey_run              facts that must be known before the head
 *	deliver_learn           optional: read what is unmeasured, send nothing
 *	deliver_whole           all of the zip, or
 *	deliver_range ...       parts of it (plan->total must be known)
 *	delivery_fini
 *
 * Bytes go to a sink in order.  What a source turned out to be is written
 * into the plan's entries (dirty ones are worth remembering), also when the
 * delivery fails half-way.  Errors: ERROR_GONE, ERROR_SOURCE and
 * ERROR_CHANGED with the list in `failures`, ERROR_TOO_LARGE.
 */
#ifndef ZIPSTREAM_DELIVER_H
#define ZIPSTREAM_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery.h"
#include "error.h"

/* Reads whatever keeps the total from being known. */
int deliver_learn(struct delivery *d, struct error *e);

int deliver_whole(struct delivery *d, struct error *e);
int
deliver_range(struct delivery *d, int64_t first, int64_t last, struct error *e);

/*
 * Goes on where an earlier delivery of the same plan broke off, also when the
 * total is unknown.  deliver_kept, after a survey without data: how many of
 * the first `have` bytes can stay.  What they were made of must have been
 * pinned in the bundle's facts.  ERROR_CHANGED: begin anew.
 */
int64_t deliver_kept(const struct delivery *d, int64_t have);
int deliver_rest(struct delivery *d, int64_t from, struct error *e);

#endif
