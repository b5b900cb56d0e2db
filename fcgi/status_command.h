/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `zipstream status`: the table of each running pool's workers. */
#ifndef ZIPSTREAM_STATUS_COMMAND_H
#define ZIPSTREAM_STATUS_COMMAND_H

#include "config.h"

/* Once, or on a terminal every second until Ctrl-C; returns the exit code:
 * 1 when no pool is running. */
int status_command(const struct config *c);

#endif
