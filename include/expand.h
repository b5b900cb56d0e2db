/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whole folders as sources: what is in them when the zip is made.
 *
 * A file of a bundle whose src ends in '/' (all that is below it) or in '/'
 * and a star (what is right in it), whose kind of source has folders, and whose
 * dst ends in '/', stands for the files that are there at the time of the
 * download; they go into dst under their names below the folder.  A dst of
 * "/" is the top of the zip.  With a dst that does not end in '/' such a src
 * is the one object of that very name.
 */
#ifndef ZIPSTREAM_EXPAND_H
#define ZIPSTREAM_EXPAND_H

#include <stdbool.h>

#include "arena.h"
#include "bundle.h"
#include "config.h"
#include "error.h"
#include "transfer.h"

struct delivery_failure;

/* Does the bundle have any? */
bool expand_needed(const struct bundle *b);

/*
 * Replaces b->files; nothing that was learned of earlier downloads holds for
 * positions any more.  At most MAX_FILES in all.  *failed: the folders that
 * could not be listed.  Under onError: report they are left out, with all that
 * was found in them so far.  -1 with *failed (ERROR_SOURCE): the first of them
 * without a report, or nothing else is left for one.
 */
int expand_bundle(const struct config *c, struct transfer_engine *t,
		  struct arena *a, struct bundle *b,
		  struct delivery_failure **failed, struct error *e);

/* How far a folder is counted: files, and the time of stats_now_ms. */
struct expand_limits {
	int64_t files;
	int64_t until_ms;
};

struct expand_sum {
	int64_t files; /* without empty folders */
	int64_t bytes;
	bool more; /* than was counted */
};

/* Counts what is in the folder `src`, by the rules of a download. */
int
expand_count(const struct config *c, struct transfer_engine *t, struct arena *a,
	     const char *src, const struct expand_limits *limits,
	     struct expand_sum *sum, struct error *e);

#endif
