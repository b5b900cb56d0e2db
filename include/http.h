/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The grammar of HTTP as pure functions: dates, ranges, validators, header
 * values, percent-coding.  RFC 9110 unless another is named.
 */
#ifndef ZIPSTREAM_HTTP_H
#define ZIPSTREAM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"

#define HTTP_RANGES_MAX 64 /* more in one request: the whole is sent */

enum http_method {
	HTTP_GET = 1,
	HTTP_HEAD = 2,
	HTTP_POST = 4,
	HTTP_PUT = 8,
	HTTP_DELETE = 16,
	HTTP_OPTIONS = 32,
	HTTP_OTHER = 64
};

/* Bytes first..last, both inclusive, as on the wire. */
struct http_range {
	int64_t first;
	int64_t last;
};

enum http_method http_method_from(const char *name);
const char *http_reason(int status);

/*
 * Section 14.1.2.  Resolves `value` ("bytes=0-9,-5") against `total`, in
 * request order, overlapping ones merged only when they touch.  Returns the
 * number of ranges; 0: no range (absent, other unit, bad grammar, too many):
 * send the whole; -1: not satisfiable: 416.
 */
int
http_ranges(const char *value, int64_t total, struct http_range *out, int max);

/* "bytes 0-9/100" of a source's 206; total is -1 for "*".  0 or -1. */
int http_content_range(const char *value, int64_t *first, int64_t *last,
		       int64_t *total);
/* "bytes * /100" of a 416: the total, or -1. */
int64_t http_content_range_total(const char *value);

/* IMF-fixdate and the two old forms, section 5.6.7; -1 when it is none. */
int64_t http_date_parse(const char *text);
/* `out` holds at least 30 bytes. */
void http_date_format(int64_t unix_seconds, char *out, size_t size);
/* RFC 3339, with offset or Z; -1 when it is none. */
int64_t http_rfc3339_parse(const char *text);

/* RFC 9110, section 8.8.1: it may stay while bytes change. */
bool http_etag_weak(const char *etag);

/* Does a header list of tags ("*", "\"a\", W/\"b\"") name `etag`?  "*" names
 * whatever there is, also what has no tag ("").  strong: section 13.1.1's
 * comparison; else the weak one of 13.1.2. */
bool http_etag_match(const char *list, const char *etag, bool strong);

/* RFC 6266: attachment; filename="ascii"; filename*=UTF-8''pct */
void http_disposition(struct buf *out, const char *filename);

/* Percent-decodes n bytes into arena memory; '+' is a space when `form`.
 * Sets *len (may hold NULs).  NULL: no memory.  Bad escapes stay as is. */
char *
http_decode(struct arena *a, const char *s, size_t n, bool form, size_t *len);
/* Appends s with all but unreserved bytes and those in `keep` encoded. */
void http_encode(struct buf *out, const char *s, size_t n, const char *keep);

/* "text/html; charset=x" is media type `type`?  Case-insensitive. */
bool http_media_is(const char *value, const char *type);
/* A parameter of a header value ("boundary"), unquoted; NULL: absent. */
char *http_parameter(struct arena *a, const char *value, const char *name);
/* Does Accept prefer text/html over application/json and anything else
 * by naming it?  For browsers. */
bool http_accepts_html(const char *accept);

/* Constant-time comparison of two strings (lengths may leak). */
bool http_equal_secret(const char *a, const char *b);

#endif
