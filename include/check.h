/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Looks at sources before anybody zips them: size, type, reachable or not.
 *
 * The rules are those of a download (kinds, addresses, redirects), the
 * patience is less: one attempt, a few seconds.
 */
#ifndef ZIPSTREAM_CHECK_H
#define ZIPSTREAM_CHECK_H

#include "router.h"

#define CHECK_MAX 100 /* sources in one call */

int handle_check(struct exchange *x, const struct route_params *p,
		 struct error *e); /* POST /check */

#endif
