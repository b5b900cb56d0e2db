/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The commands that look after the store: each returns an exit code. */
#ifndef ZIPSTREAM_ADMIN_H
#define ZIPSTREAM_ADMIN_H

#include "config.h"

/* Creates or upgrades the tables. */
int admin_init(const struct config *c);
/* Deletes what has expired; says how many bundles in the log. */
int admin_purge(const struct config *c);
/* Copies the Node service's table, by name ("" = TABLE_NAME's own). */
int admin_import(const struct config *c, const char *table);

#endif
