/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a process that meets the outside world gives up: root, new
 * privileges, core dumps, memory without bounds. */
#ifndef ZIPSTREAM_CONFINE_H
#define ZIPSTREAM_CONFINE_H

#include <sys/types.h>

#include "config.h"
#include "error.h"

/*
 * RUN_USER and RUN_GROUP as numbers; (uid_t)-1 and (gid_t)-1, which chown
 * takes for "as it is", where they are not set or it is not root who asks.
 * ERROR_INPUT names the setting whose user or group there is not.
 */
int
confine_ids(const struct config *c, uid_t *uid, gid_t *gid, struct error *e);

/*
 * Becomes RUN_USER and RUN_GROUP when root started the program, and proves
 * that there is no way back.  Nothing when it runs as somebody else, or
 * when no user is set.
 */
int confine_user(const struct config *c, struct error *e);

/* No new privileges, no core dumps, at most WORKER_MEMORY. */
int confine_limits(const struct config *c, struct error *e);

/* Both, and the fence (fence.h) around what is left. */
int confine_process(const struct config *c, struct error *e);

#endif
