/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A process that answers one request at a time.
 *
 * Signals, all of them held back while a request is served but SIGQUIT:
 *
 *	SIGTERM, SIGINT	  finish, then leave; what waits on sockets of our own
 *			  is answered first
 *	SIGUSR1, SIGHUP	  finish, then leave: others take over the sockets
 *	SIGQUIT		  break the running answer off, visibly, and exit
 */
#ifndef ZIPSTREAM_WORKER_H
#define ZIPSTREAM_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "inbound.h"
#include "listener.h"

/* Shared memory between a pool's parent and its workers. */
struct worker_board {
	_Atomic int64_t ready;	  /* workers that have ever become idle */
	_Atomic int64_t accepted; /* connections that workers have taken */
	/* Does the parent want to hear when few workers are idle? */
	_Atomic bool hungry;
};

struct worker_setup {
	const struct config *config;
	const struct listeners *listeners;
	enum inbound_path path;
	/* In a pool; without one: NULL, -1, -1, 0, 0 */
	struct worker_board *board;
	int wake_fd;   /* one byte wakes the parent */
	int keeper_fd; /* keeper.h: what is said to it */
	int slot;      /* in the scoreboard */
	int generation;
	pid_t parent;
};

/* Serves until told to leave; returns the process's exit code. */
int worker_run(const struct worker_setup *setup);

/*
 * Stands in while every worker is busy: accepts and answers 503, until
 * workers are idle again or nobody has come for a while.
 */
int worker_refuse(const struct worker_setup *setup);

#endif
