/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A line on a terminal that tells how far a zip is: bytes, rate, files, time
 * left.  Nothing where standard error is no terminal.
 */
#ifndef ZIPSTREAM_PROGRESS_H
#define ZIPSTREAM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool on;
	const char *name; /* of the zip */
	int64_t kept;	  /* bytes of an earlier run */
	int64_t bytes;	  /* of the zip, so far, with those */
	int64_t total;	  /* -1 unknown */
	int64_t files_done;
	int64_t files_total;
	int64_t begun_ms;
	int64_t drawn_ms; /* 0: there is no line */
};

void progress_begin(struct progress *p, const char *name, bool quiet);
/* As often as anything has happened: draws ten times a second. */
void progress_step(struct progress *p);
/* The last state, and a line of its own for what is printed next. */
void progress_end(struct progress *p);

/* The line as text, at most `width` columns of it; `out` holds 512. */
void
progress_line(const struct progress *p, int64_t now_ms, int width, char *out);

#endif
