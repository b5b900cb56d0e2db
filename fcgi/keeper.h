/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a worker that died leaves behind: the connection of its answer.
 *
 * The kernel closes what a dead process had open, and a mere close is what
 * nginx always, and lighttpd at the beginning of an answer, takes for the
 * regular end of one that has no length.  So a process of the pool keeps a
 * copy of the connection while a worker sends such an answer; when the worker
 * dies, it ends the answer so that the client sees it.
 *
 * Order: keeper_open in the parent before any fork; keeper_run in a child of
 * its own; keeper_lend and keeper_return in workers, keeper_bury in the
 * parent.  Because of the copy a worker must shut its connection down before
 * it closes it.  Nothing here blocks but keeper_run, and keeper_bury for a
 * tenth of a second; where the keeper is overrun or gone, a death is seen as
 * far as the web server shows it.
 */
#ifndef ZIPSTREAM_KEEPER_H
#define ZIPSTREAM_KEEPER_H

#include "config.h"

/* The two ends of what is said to the keeper; -1: none. */
struct keeper {
	int told; /* the keeper's */
	int tell; /* everybody else's */
};

/* -1: no sockets. */
int keeper_open(struct keeper *k);
void keeper_close(struct keeper *k);

/* Keeps connections until everybody else's end is closed, and what is left
 * has been ended; returns the process's exit code. */
int keeper_run(struct keeper *k, const struct config *c);

/* An answer without a length begins, or has ended, on `fd`. */
void keeper_lend(int tell, int slot, int fd);
void keeper_return(int tell, int slot);
/* The worker of that slot has died. */
void keeper_bury(int tell, int slot);

#endif
