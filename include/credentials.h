/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The AWS credential chain, in the SDKs' order: environment, shared file
 * with profiles, container endpoint, IMDSv2.
 *
 * Found once and cached: credentials_prepare in the parent before the fork
 * warms the cache, so that workers share it; credentials_get refreshes what
 * is about to expire.  Secrets are never logged and live nowhere else.
 */
#ifndef ZIPSTREAM_CREDENTIALS_H
#define ZIPSTREAM_CREDENTIALS_H

#include <stdint.h>

#include "config.h"
#include "error.h"
#include "transfer.h"

struct credentials {
	char access_key[160];
	char secret_key[160];
	char token[4096]; /* "" none */
	int64_t expires;  /* unix seconds; 0: never */
};

/*
 * 1 with `out` filled, 0 when the chain has none (public buckets are then
 * read unsigned), -1 when a source that should have them failed.
 */
int credentials_get(const struct config *c, struct transfer_engine *t,
		    struct credentials *out, struct error *e);

/* In the parent, best effort. */
void credentials_prepare(const struct config *c);

/* The server said they have expired: forget them. */
void credentials_forget(void);

#endif
