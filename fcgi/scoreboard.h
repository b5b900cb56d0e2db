/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where a pool's scoreboard lies: STATE_DIR/scoreboard.PID, so that
 * `zipstream status` with the same settings finds it.
 */
#ifndef ZIPSTREAM_SCOREBOARD_H
#define ZIPSTREAM_SCOREBOARD_H

#include <sys/types.h>

#include "config.h"

/* Of this process; in memory alone, which the log says, when STATE_DIR does
 * not take it.  -1: no memory. */
int scoreboard_create(const struct config *c, int slots);
/* Removes the file; by the process that created it. */
void scoreboard_remove(const struct config *c);

/* Looks at the scoreboards of running pools, one after the other: `after` is
 * 0, then what it returned; 0: there is no other. */
pid_t scoreboard_next(const struct config *c, pid_t after);

#endif
