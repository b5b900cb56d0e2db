/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * JSON in and out; the only user of json-c.
 *
 * Reading: json_parse gives a tree that json_free releases; every other
 * pointer borrows from it.  Strings may hold NULs: they come with a length.
 * Writing: json_put_* append to a buf; commas are the caller's.
 */
#ifndef ZIPSTREAM_JSON_H
#define ZIPSTREAM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"

#define JSON_DEPTH_MAX 32
/* Values in one tree, an object counting as 12 (json-c gives each a table);
 * about 80 MB at most.  More is ERROR_TOO_LARGE. */
#define JSON_WEIGHT_MAX 1000000

struct json; /* a value in the tree */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER, /* integer or real */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/* NULL with ERROR_INPUT "Invalid JSON: ... at line L, column C" (strict: no
 * comments, no trailing bytes, UTF-8 only, depth JSON_DEPTH_MAX). */
struct json *json_parse(const char *text, size_t n, struct error *e);
/* For what another program has kept and is there to stay: half of a surrogate
 * pair, which json_parse refuses, becomes U+FFFD. */
struct json *json_parse_lax(const char *text, size_t n, struct error *e);
void json_free(struct json *root);

/*
 * A large array is read one element at a time, so that memory does not grow
 * with it: json_parse_cut checks the whole text, but leaves the elements of
 * the array at the root's member `key` out of the tree (it is empty there);
 * json_next makes them, in order, each to be freed.
 */
struct json_cut {
	const char *text; /* what json_next reads next; borrowed */
	size_t len;
	size_t count; /* elements; 0 when there is no such array */
};
struct json *json_parse_cut(const char *text, size_t n, const char *key,
			    struct json_cut *cut, struct error *e);
/* NULL at the end, with e->code ERROR_NONE, or without memory. */
struct json *json_next(struct json_cut *cut, struct error *e);

enum json_type json_type(const struct json *v); /* NULL pointer: JSON_NULL */
/* NULL when absent. */
const struct json *json_get(const struct json *object, const char *key);
size_t json_length(const struct json *array);
const struct json *json_at(const struct json *array, size_t i);
/* "" when it is no string; *n may be NULL. */
const char *json_string(const struct json *v, size_t *n);
/* True and *out set when it is a whole number above INT64_MIN that fits. */
bool json_integer(const struct json *v, int64_t *out);
/* The same for any number, rounded down. */
bool json_floor(const struct json *v, int64_t *out);
/* Calls fn for each member of an object, in order, until it returns != 0. */
int json_each(const struct json *object,
	      int (*fn)(void *ctx, const char *key, const struct json *v),
	      void *ctx);

/* A quoted, escaped string (bytes that are no UTF-8 become U+FFFD). */
void json_put_string(struct buf *out, const char *s, size_t n);
/* "key":"value" */
void json_put_pair(struct buf *out, const char *key, const char *value);

#endif
