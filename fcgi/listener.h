/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Listening sockets: our own, a web server's on descriptor 0, systemd's.
 *
 * The parent opens or adopts them before any fork and alone closes them for
 * good; workers inherit them and accept.  All are non-blocking, because
 * several processes wait for the same connection and one gets it.
 */
#ifndef ZIPSTREAM_LISTENER_H
#define ZIPSTREAM_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "config.h"
#include "error.h"

#define LISTENERS_MAX 16
#define LISTENER_BACKLOG 4096

/* What --listen says: unix:PATH[,mode=0660] or HOST:PORT. */
struct listener_spec {
	bool local; /* a Unix socket */
	char path[108];
	mode_t mode;
	char host[256]; /* "" = every address */
	char port[6];
};

struct listener {
	int fd;
	bool own;	/* made by us: the others' stay when we leave */
	bool local;	/* a Unix socket */
	char path[108]; /* of our own Unix socket; "" = none */
	dev_t dev;	/* the file as it was made: another's is never */
	ino_t ino;	/* unlinked */
};

struct listeners {
	int count;
	struct listener at[LISTENERS_MAX];
};

/* 0; -1 with ERROR_INPUT that says what is expected. */
int listener_parse(const char *text, struct listener_spec *s, struct error *e);

/* A stale socket file is replaced, a living one is an error.  Started by
 * root, the file is given to the user and group of the settings. */
int listeners_open(struct listeners *l, const struct listener_spec *s,
		   const struct config *c, struct error *e);

/* Is `fd` a listening socket? */
bool listener_is(int fd);
/* Takes over an inherited listening socket. */
int listeners_adopt(struct listeners *l, int fd, struct error *e);
/* Takes what systemd passed by LISTEN_FDS, if anything. */
int listeners_adopt_systemd(struct listeners *l, struct error *e);

/* A connection that waits; -1 with EAGAIN when there is none.  `own_only`
 * leaves alone the sockets that outlive us. */
int listeners_accept(const struct listeners *l, bool own_only);

/* Connections that nobody has accepted yet, as the kernel counts them. */
int listeners_waiting(const struct listeners *l, bool own_only);

/* Unlinks our Unix sockets, so that nobody new finds us. */
void listeners_unlink(struct listeners *l);
/* Ends listening on our TCP sockets in every process that holds them. */
void listeners_shut(struct listeners *l);

/*
 * Is `fd` a socket that mod_fcgid made for a process it has started?  It
 * names them PID.NUMBER; nothing else tells it from another FastCGI module
 * of the same Apache that talks to a process on descriptor 0.
 */
bool listener_of_mod_fcgid(int fd);

#endif
