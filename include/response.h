/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is answered: headers once, then the body, then one of two verbs.
 *
 *	response_status, response_header ...      any number, before the head
 *	response_write ... response_flush ...     the first sends the head
 *	response_finish  or  response_abort       exactly one ends it
 *
 * finish says the answer is whole; abort makes the client see that it is
 * not, by the method that the process edge knows for its web server.  After
 * a failed write (the client has gone) everything is a no-op that fails.
 *
 * Writes are gathered into pieces of 64 KiB; response_flush sends what there
 * is, and is called whenever a source pauses.  A body that has been gathered
 * whole when it is finished gets its Content-Length by itself.  The body of a
 * HEAD, 204 or 304 is counted and dropped.
 */
#ifndef ZIPSTREAM_RESPONSE_H
#define ZIPSTREAM_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "buf.h"
#include "error.h"

#define RESPONSE_GATHER 65528 /* bytes: one FastCGI record, 8-aligned */

/* The process edge.  All calls may block; -1 means that the client left or
 * stalled longer than CLIENT_TIMEOUT. */
struct transport {
	void *ctx;
	/* Sends all bytes of the gathered pieces. */
	int (*write)(void *ctx, const struct iovec *iov, int n);
	/* The answer is whole. */
	int (*finish)(void *ctx);
	/* Make the cut visible.  `head_sent`: some of the answer went out */
	void (*abort)(void *ctx, bool head_sent);
	/* Work is to go on after the answer, and the web server would take this
	 * process for idle: 0 in the one that does it all, 1 in the one that
	 * goes on serving.  NULL: there is no need. */
	int (*detach)(void *ctx);
	/* Descriptor whose hang-up means that the client left; -1: none. */
	int watch_fd;
	/* Frame bodies of unknown length in our own HTTP chunks? */
	bool chunks;
	/* Set with the head: the client was told a length. */
	bool sized;
};

struct response {
	struct transport *transport;
	int status;
	struct buf head; /* header lines, CRLF ended */
	size_t kept;	 /* of head: what response_restart leaves */
	bool head_only;	 /* HEAD: no body goes out */
	bool head_sent;
	bool ended;
	bool aborted; /* ended, and not whole */
	bool gone;    /* a write failed */
	bool details; /* the cause of a 5xx is for the client, too */
	bool chunked;
	int64_t length;	       /* declared; -1 unknown */
	int64_t sent;	       /* body bytes given to the transport */
	int64_t first_byte_ms; /* monotonic; 0: none yet */
	char *gather;
	size_t gathered; /* body bytes that wait */
};

/* `t` must outlive the response.  -1: no memory. */
int response_init(struct response *r, struct transport *t, bool head_only);
void response_fini(struct response *r);

/* Before the head.  Values are checked: CR, LF and NUL never pass. */
void response_status(struct response *r, int status);
void response_header(struct response *r, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Declares Content-Length. */
void response_length(struct response *r, int64_t length);
/* The headers so far belong to every answer: restart leaves them. */
void response_keep(struct response *r);
/* Forgets the other headers, status, length and unsent body: another answer
 * is to be given.  Only while head_sent is false. */
void response_restart(struct response *r);

/* 0, or -1 when the client is gone. */
int response_write(struct response *r, const void *p, size_t n);
int response_flush(struct response *r);
/* Fewer body bytes than declared, or the client gone: it aborts instead. */
int response_finish(struct response *r);
void response_abort(struct response *r);

/* Whole small answers: status, type, length, body, finish. */
int response_text(struct response *r, int status, const char *type,
		  const char *body, size_t n);
/* The same with what has come together, not to be kept by caches; frees it.
 * -1 with `e` when it has not: no memory, or over its ceiling. */
int response_body(struct response *r, int status, const char *type,
		  struct buf *body, struct error *e);
/* {"message": text} with the status of the error's code; an abort when the
 * code is ERROR_GONE. */
int response_error(struct response *r, const struct error *e);

#endif
