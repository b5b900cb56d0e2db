/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The answer that is a zip: head, conditions, ranges, failures, memory.
 *
 * download_run surveys the plan, answers what can be answered without bytes
 * (304, 412, 416, 502), streams the zip or a part of it, ends the response,
 * and then, for a stored bundle, has the store remember what was learned.
 */
#ifndef ZIPSTREAM_DOWNLOAD_H
#define ZIPSTREAM_DOWNLOAD_H

#include "bundle.h"
#include "deliver.h"
#include "service.h"

/* A zip is what it is: nothing on the way may compress it. */
#define DOWNLOAD_CACHE_CONTROL "no-transform"

struct download {
	struct exchange *x;
	const struct bundle *bundle;
	bool stored;   /* it has a link: validators, ranges and memory apply */
	bool expanded; /* folders: nothing is remembered by position */
	int64_t started; /* unix seconds */
	size_t files;	 /* that it shall have */
	struct plan *plan;
	struct delivery delivery;
};

/* 0 when the response has been ended; -1 with `e` when the router shall
 * answer (or abort, when the head is out). */
int download_run(struct exchange *x, const struct bundle *b, bool stored,
		 struct error *e);

/* download_range.c: serves `count` ranges as a 206. */
struct http_range;
int download_ranges(struct download *dl, const struct http_range *ranges,
		    int count, struct error *e);
/* download_head.c: is it known to the byte, so that an ETag names it? */
bool download_nameable(const struct download *dl);
/* The headers that every zip answer bears. */
void download_head(struct download *dl, int status, const char *type);

#endif
