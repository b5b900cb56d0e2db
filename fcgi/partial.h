/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A zip on disk that is not whole yet: FILE.part, and beside it
 * FILE.part.state, which keeps what was learned of the sources.
 *
 *	partial_check	optional: can FILE be that of a zip?
 *	partial_open	takes the file for this run alone
 *	partial_keep	how much of an earlier run's bytes stay
 *	partial_write	...
 *	partial_note	now and then: what a later run must know
 *	partial_commit	whole: it gets its name
 *	partial_close	in any case
 *
 * FILE "-" is standard output, which keeps nothing.
 */
#ifndef ZIPSTREAM_PARTIAL_H
#define ZIPSTREAM_PARTIAL_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "arena.h"
#include "bundle.h"
#include "crypto.h"
#include "error.h"
#include "plan.h"

struct partial {
	const char *path;
	FILE *file;		   /* NULL: closed */
	char manifest[SHA256_HEX]; /* notes are of this very one */
	int64_t have;		   /* bytes that an earlier run has left */
	char part[PATH_MAX];
	char state[PATH_MAX];
};

/* Folders, and names without a file's, would be noticed at the very end;
 * devices and pipes would be replaced by the zip. */
int partial_check(const char *path, struct error *e);
/* The manifest names the run: another one's bytes are thrown away, and so
 * are all without `resume`; with it, the bundle gets the facts that were
 * noted. */
int partial_open(struct partial *p, const char *path, const char *manifest,
		 size_t n, bool resume, struct arena *a, struct bundle *b,
		 struct error *e);
int partial_keep(struct partial *p, int64_t bytes, struct error *e);
/* 0, or -1: the disk is full, standard output is closed. */
int partial_write(struct partial *p, const void *data, size_t n);
void partial_note(struct partial *p, struct plan *plan);
int partial_commit(struct partial *p, struct error *e);
/* What is not whole stays as it is, for a later run. */
void partial_close(struct partial *p);

#endif
