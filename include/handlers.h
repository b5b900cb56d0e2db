/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One short function for each endpoint; see router.c for the table. */
#ifndef ZIPSTREAM_HANDLERS_H
#define ZIPSTREAM_HANDLERS_H

#include "router.h"

int handle_health(struct exchange *x, const struct route_params *p,
		  struct error *e);
int handle_stream(struct exchange *x, const struct route_params *p,
		  struct error *e); /* POST /bundle */
int handle_manifest(struct exchange *x, const struct route_params *p,
		    struct error *e); /* GET /bundle?manifest=... */
int handle_create(struct exchange *x, const struct route_params *p,
		  struct error *e); /* POST / */
int handle_download(struct exchange *x, const struct route_params *p,
		    struct error *e); /* GET /:id */
int handle_show(struct exchange *x, const struct route_params *p,
		struct error *e); /* GET /:id/:secret */
int handle_append(struct exchange *x, const struct route_params *p,
		  struct error *e); /* PUT /:id/:secret */
int handle_remove(struct exchange *x, const struct route_params *p,
		  struct error *e); /* DELETE /:id/:secret */

#endif
