/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What store.c and the back ends share: the rows, and the common answers. */
#ifndef ZIPSTREAM_STORE_BACKEND_H
#define ZIPSTREAM_STORE_BACKEND_H

#include <stddef.h>

#include "store.h"

extern const struct store_ops store_sqlite;
extern const struct store_ops store_postgres;
extern const struct store_ops store_dynamodb;

/* ERROR_NOT_FOUND, the same for every reason there is; returns -1. */
int store_absent(struct error *e);
/* ERROR_UNAVAILABLE; `cause` is for the log.  Returns -1. */
int store_away(struct error *e, const char *cause);

/* May a bundle of `have` files take `more`?  -1 with ERROR_TOO_LARGE. */
int
store_room(const struct config *c, size_t have, size_t more, struct error *e);

/* Does `given` open a bundle whose secret is `secret`?  NULL does not ask. */
int store_unlock(const char *given, const char *secret, struct error *e);

#endif
