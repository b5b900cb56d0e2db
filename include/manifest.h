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

/* Does x->document name one?  Its URL, arena memory; NULL: no, or it is no
 * document at all. */
const char *manifest_of(struct exchange *x);

/* Reads it as a bundle; ERROR_FORBIDDEN, ERROR_SOURCE, ERROR_INPUT. */
int manifest_read(struct exchange *x, const char *url, struct bundle *out,
		  struct error *e);

#endif
