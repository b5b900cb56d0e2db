/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A page of ListObjectsV2, read strictly enough and without a tree. */
#ifndef ZIPSTREAM_S3_LIST_H
#define ZIPSTREAM_S3_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"

struct s3_listed {
	const char *key; /* decoded; NUL does not occur */
	int64_t size;
	int64_t mtime; /* unix seconds; BUNDLE_NO_TIME */
};

typedef int (*s3_listed_fn)(void *ctx, const struct s3_listed *o,
			    struct error *e);

/*
 * Calls fn for each object of the page, in order, until it returns -1.  Keys
 * must have been asked for with encoding-type=url.  *token is what the next
 * page is asked with, NULL when there is none.  ERROR_SOURCE when the text is
 * no such page.
 */
int s3_list_read(struct arena *a, const char *text, size_t n, s3_listed_fn fn,
		 void *ctx, const char **token, struct error *e);

#endif
