/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One HTTP exchange with a remote server; the only user of libcurl.
 *
 * An engine belongs to one worker and keeps connections, names and TLS
 * sessions from one request to the next.  transfer_prepare runs in the
 * parent before the fork (library, CA store); transfer_engine_new after it.
 *
 * transfer_start puts a call in flight; nothing moves until transfer_turn
 * runs the engine, which delivers events.  From `data` a callback may return
 * TRANSFER_PAUSE (the same bytes come again after transfer_unpause) or
 * TRANSFER_STOP (the call ends with TRANSFER_STOPPED).  `done` is the last
 * event of a call; the transfer is freed after it returns.  transfer_cancel
 * ends a call without any further event.
 *
 * This module does not follow redirects, retry or interpret a status: that
 * is policy, and fetch's.  It does enforce: http and https only, the address
 * rules at connect time, the connect time-out, header size.
 */
#ifndef ZIPSTREAM_TRANSFER_H
#define ZIPSTREAM_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "error.h"

#define TRANSFER_PAUSE ((size_t)-1)
#define TRANSFER_STOP ((size_t)-2)
#define TRANSFER_HEADERS 16

enum transfer_end {
	TRANSFER_OK,	  /* the whole answer came, by its own framing */
	TRANSFER_STOPPED, /* a callback asked for it */
	TRANSFER_RESOLVE, /* name not found */
	TRANSFER_CONNECT, /* refused, unreachable, TLS */
	TRANSFER_REFUSED, /* by our address rules */
	TRANSFER_TIMEOUT, /* of connecting */
	TRANSFER_BROKEN,  /* cut, reset, bad framing, too large a head */
	TRANSFER_FAILED	  /* anything else: memory, a bad URL */
};

struct transfer_header {
	const char *name;
	const char *value;
};

/* What to send.  Borrowed until transfer_start returns. */
struct transfer_call {
	const char *method; /* "GET" */
	const char *url;    /* from url_format, or a trusted endpoint */
	struct transfer_header headers[TRANSFER_HEADERS];
	size_t header_count;
	const void *body; /* copied; NULL: none */
	size_t body_len;
	/* An upload read as it goes instead of `body`: bytes, 0 end, or
	 * TRANSFER_PAUSE; upload_len must be known.  NULL: none */
	size_t (*upload)(void *ctx, void *p, size_t n);
	void *upload_ctx; /* NULL: that of the events */
	int64_t upload_len;
	bool trusted; /* an endpoint of the operator's: no address rules */
	bool brief;   /* its answer will never be paused: may share an HTTP/2
		       * connection with others */
	bool bulk;    /* one long stream: worth a large buffer */
	bool once;    /* on a connection of its own: libcurl sends it again
		       * when a kept one turns out to be dead */
	const char *host_header; /* NULL: from the URL */
};

/* The head of the final (not 1xx) answer, valid until `done` returns. */
struct transfer_head {
	int status;
	int64_t content_length;	  /* -1 unknown */
	const char *content_type; /* "" when absent, as the rest */
	const char *etag;
	const char *last_modified;
	const char *content_range;
	const char *accept_ranges;
	const char *content_encoding;
	const char *location;
	/* any other header; NULL when absent */
	const char *(*get)(const struct transfer_head *h, const char *name);
	void *opaque;
};

struct transfer_events {
	int (*head)(void *ctx, const struct transfer_head *h); /* -1 stops */
	size_t (*data)(void *ctx, const void *p, size_t n);    /* n = taken */
	void (*done)(void *ctx, enum transfer_end end, const char *reason);
};

struct transfer_engine;
struct transfer;

int transfer_prepare(const struct config *c, struct error *e);
struct transfer_engine *
transfer_engine_new(const struct config *c, struct error *e);
void transfer_engine_free(struct transfer_engine *t);

/* NULL with `e` when it cannot even start. */
struct transfer *
transfer_start(struct transfer_engine *t, const struct transfer_call *call,
	       const struct transfer_events *ev, void *ctx, struct error *e);
void transfer_unpause(struct transfer *x);
void transfer_cancel(struct transfer *x);

/*
 * Moves whatever can move, then waits at most timeout_ms for more (0: does
 * not wait).  `watch_fd` >= 0 is polled beside the transfers: -1 is returned
 * as soon as it hangs up (end of file, reset).  Else 0.
 */
int transfer_turn(struct transfer_engine *t, int watch_fd, int timeout_ms);

/* What a small exchange brings; the caller's, `body` too. */
struct transfer_answer {
	int status;	  /* of the final head; 0: none came */
	struct buf *body; /* bounded by its ceiling */
	/* Headers that are wanted, and room for their values: arena memory,
	 * NULL when absent. */
	const char *const *want;
	const char **got;
	size_t want_count;
	struct arena *arena; /* not needed where nothing is wanted */
};

/* A whole small exchange, blocking.  -1 with ERROR_UNAVAILABLE when no whole
 * answer came within timeout_ms. */
int transfer_exchange(struct transfer_engine *t,
		      const struct transfer_call *call, int timeout_ms,
		      struct transfer_answer *answer, struct error *e);

#endif
