/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * AWS Signature Version 4, header and presigned form.
 *
 * Pure but for OpenSSL's digests through crypto.h: the time is a parameter.
 * S3 encodes a path once and never normalises it; every other service
 * normalises and encodes it twice (AWS General Reference, "Create a signed
 * AWS API request").  Memory is constant: the canonical request is hashed as
 * it is made.
 */
#ifndef ZIPSTREAM_SIGV4_H
#define ZIPSTREAM_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
#define SIGV4_HEADERS_MAX 24

struct sigv4_pair {
	const char *name;
	const char *value;
};

struct sigv4_request {
	const char *method;
	const char *host; /* with port when it is not the default */
	const char *path; /* decoded, starts with '/'; NUL-terminated */
	const struct sigv4_pair *query; /* decoded */
	size_t query_count;
	const struct sigv4_pair *headers; /* to be signed, host excluded */
	size_t header_count;
	const char *payload_hash; /* hex, or SIGV4_UNSIGNED */
	const char *region;
	const char *service; /* "s3", "dynamodb" */
	const char *access_key;
	const char *secret_key;
	const char *token; /* session token; "" none */
	int64_t now;	   /* unix seconds, corrected for clock skew */
};

/*
 * Header form.  `authorization` gets the value of Authorization, `date` that
 * of X-Amz-Date (17 bytes with NUL).  The signature covers host, x-amz-date,
 * x-amz-content-sha256 (S3 only), x-amz-security-token when there is one,
 * and every header given.  The caller sends exactly these.
 */
int sigv4_sign(const struct sigv4_request *r, struct buf *authorization,
	       char date[17]);

/* Presigned form: `query` gets the whole query string, signature last. */
int sigv4_presign(const struct sigv4_request *r, int64_t expires_s,
		  struct buf *query);

/* The path as it must stand in the URL, encoded once. */
void sigv4_encode_path(struct buf *out, const char *path);
/* name=value&..., sorted and encoded, as it must stand in the URL. */
void sigv4_encode_query(struct buf *out, const struct sigv4_pair *q, size_t n);

#endif
