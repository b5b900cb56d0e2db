/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What becomes of a bundle's downloads: now, from the scoreboard of this
 * machine; afterwards, from the records that the store keeps.
 */
#ifndef ZIPSTREAM_STATUS_H
#define ZIPSTREAM_STATUS_H

#include "deliver.h"
#include "router.h"

/* How a delivery went, for those who hold the secret. */
struct status_record {
	int64_t started; /* unix seconds */
	const char *outcome;
	bool part;
	int64_t bytes;
	int64_t total; /* -1 unknown */
	int64_t files_done;
	size_t files_total;
	const struct delivery_failure *failures;
	const char *to;	    /* an export's; NULL: a download */
	const char *reason; /* why it failed, when no source is to blame */
};
/* Has the store keep it. */
void
status_keep(struct store *s, const char *id, const struct status_record *r);

int handle_status(struct exchange *x, const struct route_params *p,
		  struct error *e); /* GET /:id/:secret/status */

#endif
