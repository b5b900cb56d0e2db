/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The service without its process: what a worker holds between requests,
 * and the one call that answers a request.
 *
 * service_prepare runs once in the parent, before any fork, and makes all
 * that can be shared; service_new runs in each worker after the fork and
 * opens nothing yet.
 */
#ifndef ZIPSTREAM_SERVICE_H
#define ZIPSTREAM_SERVICE_H

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "error.h"
#include "log.h"
#include "request.h"
#include "response.h"

struct store;
struct transfer_engine;

struct service {
	const struct config *config;
	struct store *store;
	struct transfer_engine *engine;
	struct arena *arena; /* of the request in hand */
};

/* One request being answered. */
struct exchange {
	struct service *service;
	const struct config *config;
	struct arena *arena;
	struct request *request;
	struct response *response;
	/* The request's JSON for a route that needs one; whoever reads it
	 * frees it, so that it is not held while a zip streams. */
	struct buf document;
	bool detached;		  /* another process answers */
	int route;		  /* in the router's table; -1: none */
	struct log_access access; /* handlers fill files, end and cause */
};

/* -1 also when a setting will not do that only its user can judge. */
int service_prepare(const struct config *c, struct error *e);
struct service *service_new(const struct config *c, struct error *e);
void service_free(struct service *s);

/*
 * Before work that goes on after the answer, while nothing of it has been
 * sent: 1 when another process does it and the handler is to return 0, 0 when
 * this one does, -1 failed.
 */
int service_detach(struct exchange *x, struct error *e);

/*
 * Answers one request completely: route, needs, handler, access log.
 * The response is ended (finished or aborted) when it returns.  The arena is
 * the caller's to reset before the next request.
 */
void
service_handle(struct service *s, struct request *r, struct response *resp);

/* 503 with Retry-After: every worker is busy. */
void
service_refuse(struct service *s, struct request *r, struct response *resp);

#endif
