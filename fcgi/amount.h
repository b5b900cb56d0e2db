/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbers as people at a terminal read them. */
#ifndef ZIPSTREAM_AMOUNT_H
#define ZIPSTREAM_AMOUNT_H

#include <stdint.h>

#define AMOUNT_TEXT 24 /* room for any of them */

/* "999 B", "1.5 MiB": at most four digits; returns `out`. */
const char *amount_bytes(char out[AMOUNT_TEXT], int64_t n);
/* "0:07", "59:59", "3h04m", "12d3h"; returns `out`. */
const char *amount_time(char out[AMOUNT_TEXT], int64_t seconds);

#endif
