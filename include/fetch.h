/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reading sources ahead, in order, within bounds.
 *
 * A fetch belongs to one request.  The consumer adds items in the order in
 * which it will read them and then, for each in turn:
 *
 *	fetch_add ...                    any time, in order of reading
 *	fetch_answer(f, i)               waits for its head: facts or failure
 *	fetch_gather(f, i, limit)        optional: waits for all or `limit`
 *	fetch_stream(f, i, sink, ctx)    delivers the rest, exactly once
 *	fetch_skip(f, i)                 instead of stream: not wanted
 *
 * Items beyond the one being read are in flight already: at most
 * READ_AHEAD_FILES transfers and READ_AHEAD_BYTES of buffers.  The item being
 * streamed goes straight from libcurl's buffer to the sink.
 *
 * Before its first byte a transfer is retried (connect errors, 429, 5xx) with
 * back-off; after it, resumed at the byte where it broke, under If-Range or
 * If-Match.  What is delivered is exactly the bytes wanted or an error: a
 * source that is short, long, or changed is a failed source.
 *
 * While it waits it calls `idle` (flush what is written) and watches the
 * client.  ERROR_GONE: the client left.  ERROR_SOURCE: the source failed;
 * e->text has the reason without the source's name, e->http_status its
 * status.
 */
#ifndef ZIPSTREAM_FETCH_H
#define ZIPSTREAM_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "config.h"
#include "error.h"
#include "source.h"
#include "transfer.h"

struct fetch;
struct item; /* one source and what has been read of it */

/* Bytes in order; -1 stops everything (the client has gone). */
typedef int (*fetch_sink_fn)(void *ctx, const void *p, size_t n);

/* How the fetch meets the client it works for. */
struct fetch_client {
	void *ctx;
	int (*idle)(void *ctx); /* about to wait: flush; -1: gone */
	int watch_fd;		/* its hang-up ends everything; -1 none */
};

struct fetch *fetch_new(const struct config *c, struct transfer_engine *t,
			const struct fetch_client *client, struct error *e);
/* Cancels what is in flight. */
void fetch_free(struct fetch *f);
/* The client has all that it wants, and may leave: reading goes on. */
void fetch_unwatch(struct fetch *f);

/* Returns the item's number (from 0, in order), or -1.  `src` and
 * want->validator must outlive the fetch. `expect` is the whole object's
 * size as declared or remembered, -1 unknown: another size is a failure.
 * Its buffers and its transfer start when the window reaches it. */
long fetch_add(struct fetch *f, const char *src, const struct source_want *want,
	       int64_t expect, struct error *e);

/* Waits for the head of item i; facts are valid until i is done. */
int fetch_answer(struct fetch *f, long i, struct source_facts *facts,
		 struct error *e);
/* Has the window come to item i: is it being read, or was it? */
bool fetch_reached(const struct fetch *f, long i);
/* Has item i answered or failed already?  Does not wait: 1 answered, 0 not
 * yet, -1 failed with `e` filled. */
int fetch_peek(struct fetch *f, long i, struct error *e);
/* Starts what the window has room for, and waits at most ms for all added items
 * that are in flight to answer. */
int fetch_settle(struct fetch *f, int64_t ms, struct error *e);

/*
 * Waits until the whole of item i is buffered (*whole = true) or `limit`
 * bytes are (limit <= FETCH_GATHER_MAX).  *p, *n: what is buffered, valid
 * until the next call.
 */
#define FETCH_GATHER_MAX 262144
int fetch_gather(struct fetch *f, long i, size_t limit, const void **p,
		 size_t *n, bool *whole, struct error *e);

/* Delivers all of item i, buffered bytes first, then as they come. */
int fetch_stream(struct fetch *f, long i, fetch_sink_fn sink, void *ctx,
		 struct error *e);
void fetch_skip(struct fetch *f, long i);

/* Instead of asking: item i of a new fetch is one that a probe has kept.  It
 * belongs to the fetch then.  Until the window reaches it, its bytes are taken
 * from READ_AHEAD_BYTES: half of them must be left. */
void fetch_adopt(struct fetch *f, long i, struct item *kept);
/* For one that nobody adopts; NULL is none. */
void fetch_discard(struct item *kept);

/*
 * Asks many sources for their facts at once: GET with Range bytes=0-N, so
 * that presigned URLs work; `prefix` (may be 0) is how many leading bytes
 * are wanted for each (at most FETCH_PREFIX_MAX).  Results are arena memory.
 * Sources of which these are all bytes are kept for a later fetch in up to
 * *keep bytes of memory, which counts down (NULL: none is kept).
 */
#define FETCH_PREFIX_MAX 16384
struct fetch_probe {
	const char *src;
	size_t prefix;
	/* results */
	struct source_facts facts;
	const void *head; /* the leading bytes, n of them */
	size_t n;
	struct item *kept; /* the caller's; NULL: none */
	bool failed;
	const struct error *error; /* why it failed */
	bool asked;		   /* in the round at hand; fetch_probe's own */
};
int fetch_probe(const struct config *c, struct transfer_engine *t,
		const struct fetch_client *client, struct arena *a,
		struct fetch_probe *probes, size_t count, int64_t *keep,
		struct error *e);

/* The settings of a download for who waits for its facts: one attempt, and so
 * long at the most for the first byte. */
struct config fetch_brisk(const struct config *c, int64_t first_byte_ms);

/* The same for their facts alone, and for `ms` at the most: who has not
 * answered by then counts as failed. */
int fetch_glance(const struct config *c, struct transfer_engine *t,
		 const struct fetch_client *client, struct arena *a,
		 struct fetch_probe *probes, size_t count, int64_t ms,
		 struct error *e);

#endif
