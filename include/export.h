/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A zip that goes to S3 instead of the client.
 *
 * The client is answered (202, with the link of the status) as soon as the
 * upload has begun; the worker then goes on alone.  Members that lie on S3
 * already, stored, with size and CRC-32 known, are joined by S3 itself.
 */
#ifndef ZIPSTREAM_EXPORT_H
#define ZIPSTREAM_EXPORT_H

#include "bundle.h"
#include "router.h"

/* Stores `b`, so that its status has a place, and exports it.  What is refused
 * (-1: nothing was answered yet) leaves nothing in the store. */
int export_new(struct exchange *x, struct bundle *b, const char *to,
	       struct error *e);

int handle_export(struct exchange *x, const struct route_params *p,
		  struct error *e); /* POST /:id/:secret/export */

#endif
