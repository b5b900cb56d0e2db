/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The supervisor: keeps workers on the listening sockets.
 *
 *	SIGTERM, SIGINT	  stop listening, let running answers finish, leave;
 *			  a second one: now; a third one: SIGKILL
 *	SIGQUIT		  now: running answers are broken off, visibly, for
 *			  which clients that are slow have a minute
 *	SIGHUP		  read the settings again; new workers take over, the
 *			  old ones finish what they stream
 *
 * The parent serves nothing and opens no database, so that nothing that a
 * request brings can end it.
 */
#ifndef ZIPSTREAM_POOL_H
#define ZIPSTREAM_POOL_H

#include "config.h"
#include "listener.h"
#include "worker.h"

struct pool_options {
	struct config *config;	 /* the pool's from now on */
	const char *config_file; /* for SIGHUP; NULL: the default one */
	struct listeners *listeners;
	enum inbound_path path;
	int workers;	      /* so many, always; 0: as the load is */
	const char *pid_file; /* NULL: none */
};

/* Returns the exit code, once every worker has gone. */
int pool_run(const struct pool_options *o);

#endif
