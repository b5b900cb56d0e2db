/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Amazon S3's REST interface: addresses, signed calls, error documents.
 *
 * source_s3 reads objects with it; listings and uploads use the same calls.
 * Without credentials calls go out unsigned, for public buckets.
 */
#ifndef ZIPSTREAM_S3_H
#define ZIPSTREAM_S3_H

#include <stddef.h>

#include "arena.h"
#include "config.h"
#include "error.h"
#include "sigv4.h"
#include "source.h"
#include "transfer.h"

/* Old buckets may be longer than a DNS label. */
#define S3_BUCKET_MAX 255

struct s3_object {
	const char *bucket;
	const char *key; /* literal, "" for the bucket itself */
};

struct s3_call {
	const char *method;
	struct s3_object object;
	const struct sigv4_pair *query; /* decoded */
	size_t query_count;
	const struct sigv4_pair *headers; /* signed and sent */
	size_t header_count;
	const char *payload_hash; /* hex; NULL: of an empty body */
};

/* s3://bucket/key; ERROR_INPUT. */
int s3_parse(struct arena *a, const char *src, struct s3_object *o,
	     struct error *e);

/* Fills method, url and headers, signed for this moment. */
int s3_prepare(const struct config *c, struct transfer_engine *t,
	       struct arena *a, const struct s3_call *what,
	       struct transfer_call *call, struct error *e);

/* One more header for the call, beside the signed ones. */
void s3_add_header(struct transfer_call *call, const char *header,
		   const char *value);

/* Learns region and clock from an error answer, or says what it means. */
enum source_verdict s3_judge(const struct config *c, const char *bucket,
			     const struct transfer_head *head, const char *body,
			     size_t n, struct error *e);

/* A whole small call, and its answer. */
struct s3_answer {
	int timeout_ms;		 /* for each attempt */
	int64_t until_ms;	 /* for all, of stats_now_ms; 0: no end */
	struct buf *body;	 /* bounded by its own ceiling */
	const char *const *want; /* headers whose values are kept */
	const char **got;	 /* NULL when absent */
	size_t want_count;	 /* S3_WANT_MAX at most */
};
#define S3_WANT_MAX 4

/*
 * Sends `payload` (n bytes, hashed here; NULL: none) and waits, blocking.
 * What s3_judge has learned, and what a server may get over, is tried again.
 * -1 with ERROR_SOURCE unless the answer is a 2xx.
 */
int
s3_exchange(const struct config *c, struct transfer_engine *t, struct arena *a,
	    const struct s3_call *what, const void *payload, size_t n,
	    const struct s3_answer *answer, struct error *e);

/* "NoSuchKey" of an error document; "" when it has none. */
void s3_error_code(const char *body, size_t n, char *out, size_t size);

#endif
