/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * URLs of sources, parsed once and strictly, RFC 3986.
 *
 * What a check saw is what is connected to: url_format writes the parts back
 * in canonical form, and only that form is given to libcurl.  Refused:
 * control characters, user:password@, an empty or odd host, ports out of
 * range.  Bytes that must be escaped (spaces, non-ASCII) are escaped.
 */
#ifndef ZIPSTREAM_URL_H
#define ZIPSTREAM_URL_H

#include <stdbool.h>

#include "arena.h"
#include "error.h"

#define URL_MAX 16384 /* bytes; signed URLs of S3 take about 2,000 */

struct url {
	const char *scheme; /* lower case */
	const char *host;   /* lower case; "" for s3-less forms */
	int port;	    /* -1: the scheme's own */
	const char *path;   /* escaped, starts with '/' */
	const char *query;  /* escaped, without '?'; NULL: none */
};

/* The scheme in front of "://", lower case, NULL when there is none. */
const char *url_scheme(struct arena *a, const char *text);

/* http and https only.  -1 with ERROR_INPUT. */
int
url_parse(struct arena *a, const char *text, struct url *u, struct error *e);
/* Resolves a Location against `base` (RFC 3986, section 5) and parses it. */
int url_resolve(struct arena *a, const struct url *base, const char *location,
		struct url *u, struct error *e);
char *url_format(struct arena *a, const struct url *u);
/* "host" or "host:port", as libcurl sends it: the scheme's own port is not
 * named. */
const char *url_authority(struct arena *a, const struct url *u);

/* Is the host an address in any spelling that resolvers take: dotted, one
 * number, octal, hex, bracketed IPv6, with a trailing dot? */
bool url_host_is_address(const char *host);

/* SOURCE_ALLOW: a space-separated list of scheme://host[:port]/path-prefix;
 * scheme, host and port exactly, path by prefix that ends at a segment or
 * at the pattern's own trailing slash.  "" allows all. */
bool url_allowed(const char *list, const struct url *u);
/* The same list for s3://bucket/key. */
bool url_allowed_s3(const char *list, const char *bucket, const char *key);
/* And for file:///path; `path` is decoded, without its leading '/'. */
bool url_allowed_file(const char *list, const char *path);
/* Could each pattern of the list allow something? */
bool url_patterns_valid(const char *list);

#endif
