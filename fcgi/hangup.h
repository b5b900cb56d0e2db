/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A descriptor that hangs up when a signal comes: what polls sockets anyway
 * learns of the signal without being interrupted. */
#ifndef ZIPSTREAM_HANGUP_H
#define ZIPSTREAM_HANGUP_H

#include <stddef.h>

#include "error.h"

/*
 * From now on each of these signals hangs up the descriptor that is returned,
 * the read end of a pipe; once in a process.  `flags` are sigaction's:
 * SA_RESETHAND lets a second signal kill.  -1: no pipe.
 */
int hangup_on(const int *signals, size_t n, int flags, struct error *e);

#endif
