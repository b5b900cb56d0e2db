/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * FastCGI on one accepted connection; the only user of libfcgi.
 *
 * gateway_prepare once in the parent; then in a worker, for each connection:
 * gateway_open, inbound_answer, gateway_close.
 *
 * libfcgi reads the request.  The answer's records are written here, straight
 * to the descriptor, because libfcgi knows no way to break an answer off: it
 * always ends it with END_REQUEST, after which every web server takes what
 * came for whole.  A connection serves one request: kept connections would
 * pin workers.
 */
#ifndef ZIPSTREAM_GATEWAY_H
#define ZIPSTREAM_GATEWAY_H

#include "arena.h"
#include "config.h"
#include "error.h"
#include "inbound.h"

struct gateway;

int gateway_prepare(struct error *e);

struct gateway *gateway_new(const struct config *c, enum inbound_path path);
void gateway_free(struct gateway *g);
/* In a pool: the process keeper.h speaks of, and our slot there. */
void gateway_keep(struct gateway *g, int keeper_fd, int slot);

/*
 * Reads a request's variables into arena memory.  NULL when the peer sent
 * none (it left, was silent, or speaks something else); `fd` belongs to the
 * gateway either way.  The result lives until gateway_close.
 */
struct inbound *gateway_open(struct gateway *g, int fd, struct arena *a);
void gateway_close(struct gateway *g);

/*
 * Breaks the running answer off, visibly, and ends the process.  May be
 * called from a signal handler.
 */
void gateway_cut_and_exit(void);

#endif
