/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From method and path to a handler: a table, matched top down.
 *
 * Patterns: a literal segment matches itself, ":id" and ":secret" match any
 * one segment that is a UUID, so that a handler never sees another, and sees
 * it in lower case.  needs are met by the router before the handler runs.
 */
#ifndef ZIPSTREAM_ROUTER_H
#define ZIPSTREAM_ROUTER_H

#include <stddef.h>

#include "service.h"

#define ROUTE_NEEDS_KEY 1u  /* API_KEYS, when set */
#define ROUTE_NEEDS_BODY 2u /* JSON or form, read into x->document */

struct route_params {
	const char *id;	    /* "" when the pattern has none */
	const char *secret; /* "" when the pattern has none */
};

typedef int (*handler_fn)(struct exchange *x, const struct route_params *p,
			  struct error *e);

struct route {
	unsigned methods; /* HTTP_* bits; HEAD comes with GET */
	const char *pattern;
	handler_fn handler;
	unsigned needs;
};

/*
 * Finds the route, answers 404, 405 (with Allow), OPTIONS and 401 itself,
 * and calls the handler.  A handler returns 0 when it has answered, or -1
 * with `e`: the router then sends the error, or aborts when the head is out.
 */
void router_dispatch(struct exchange *x);

/* The table, for those who check others against it. */
const struct route *router_table(size_t *count);

#endif
