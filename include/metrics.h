/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The scoreboard in Prometheus's text format, for METRICS_ALLOW alone.
 *
 * Names and labels are a contract: dashboards and alerts are built on them.
 */
#ifndef ZIPSTREAM_METRICS_H
#define ZIPSTREAM_METRICS_H

#include "router.h"

int handle_metrics(struct exchange *x, const struct route_params *p,
		   struct error *e); /* GET /metrics */

#endif
