/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A strict reader of JSON's grammar (RFC 8259) that builds nothing.
 *
 * It says where a text is wrong, how much a tree of it would weigh, and where
 * the array lies that json_parse_cut leaves out.  json-c alone would take
 * {'a':1}, NaN, "1." and raw control characters, and 16 MiB of "{},{},..."
 * would become 4 GiB.
 */
#ifndef ZIPSTREAM_JSON_SCAN_H
#define ZIPSTREAM_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct json_span {
	const char *start; /* its '['; NULL: there is no such array */
	const char *end;   /* behind its ']' */
	size_t count;	   /* of its elements */
};

/* Checks all n bytes, with `lax` for all but halves of surrogate pairs; with
 * `key`, finds the root's member of that name, of which there may be one, when
 * it is an array.  -1 with ERROR_INPUT or ERROR_TOO_LARGE. */
int json_scan(const char *text, size_t n, bool lax, const char *key,
	      struct json_span *span, struct error *e);

/* The end of the value at the start of a text that json_scan has passed. */
const char *json_scan_value(const char *text, size_t n);

#endif
