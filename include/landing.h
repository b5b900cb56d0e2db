/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The landing page of a bundle: what is in it, before it is downloaded.
 *
 * Sizes that nobody has declared or learned are asked for at the sources, as
 * POST /check does, with far less patience: somebody waits for the page.
 */
#ifndef ZIPSTREAM_LANDING_H
#define ZIPSTREAM_LANDING_H

#include <stdbool.h>

#include "bundle.h"
#include "router.h"

/* Has the bundle's link been opened by a browser that shall see what is in
 * it before it loads? */
bool landing_wanted(const struct exchange *x);
int landing_show(struct exchange *x, const struct bundle *b, struct error *e);

#endif
