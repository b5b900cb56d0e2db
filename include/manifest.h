/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A list of files that lies elsewhere: {"manifest": "https://..."}.
 *
 * It is read by the rules for sources, from where MANIFEST_ALLOW says, and
 * may be as large as a body (MAX_BODY).
 */
#ifndef ZIPSTREAM_MANIFEST_H
#define ZIPSTREAM_MANIFEST_H

#include "bundle.h"
#include "service.h"

/* Gives `b` the files of the list, and what else it says and `b` does not:
 * filename, compression, onError.  ERROR_FORBIDDEN, ERROR_SOURCE,
 * ERROR_INPUT. */
int manifest_read(struct exchange *x, const char *url, struct bundle *b,
		  struct error *e);

#endif
