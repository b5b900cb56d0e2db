/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A zip on its way out: what the passes over its sources share.
 *
 * Whatever is made goes through delivery_emit, which counts it, cuts it to
 * the range that is asked for and hands it to the sink.  A source that fails
 * is noted here with its reason.
 */
#ifndef ZIPSTREAM_DELIVERY_H
#define ZIPSTREAM_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "error.h"
#include "fetch.h"
#include "plan.h"

/* A source that failed. */
struct delivery_failure {
	struct delivery_failure *next;
	const struct file *file;
	const char *name; /* in the zip */
	int status;	  /* HTTP, 0: none */
	const char *reason;
};

typedef int (*delivery_sink_fn)(void *ctx, const void *p, size_t n);

struct delivery {
	struct arena *arena;
	const struct config *config;
	struct transfer_engine *engine;
	struct fetch_client client;
	delivery_sink_fn sink;
	void *sink_ctx;
	/* An entry whose bytes can come into the zip without passing through
	 * here, and what brings its data there; may be NULL. */
	bool (*joins)(void *ctx, const struct plan_entry *p);
	int (*join)(void *ctx, const struct plan_entry *p, struct error *e);
	/* Told after each entry that is complete; may be NULL. */
	void (*progress)(void *ctx, const struct plan_entry *p);

	struct plan *plan;
	struct fetch *fetch; /* of the pass in hand */
	/* What probes have read whole, by entry, for the pass to come; NULL:
	 * nothing. */
	struct item **kept;
	int64_t keep;	   /* memory left for more of it */
	struct buf record; /* header records being made */
	int64_t at;	   /* offset in the zip of the next byte made */
	int64_t first;	   /* what of it goes out: first..last */
	int64_t last;
	bool mute;   /* nothing goes out: learning */
	bool report; /* onError: report */
	bool past;   /* made all of the range: reading on is needless */
	bool over;   /* passed MAX_BUNDLE_BYTES */
	int64_t files_done;
	/* Folders that could not be listed: a report goes on without them. */
	struct delivery_failure *missing;
	struct delivery_failure *failures; /* in order */
	struct delivery_failure **failures_end;
};

/* `client` and the sink serve all passes. */
void delivery_init(struct delivery *d, struct arena *a, const struct config *c,
		   struct transfer_engine *t, struct plan *plan,
		   const struct fetch_client *client, delivery_sink_fn sink,
		   void *sink_ctx);
void delivery_fini(struct delivery *d);

/* A new pass over the sources. */
int delivery_pass(struct delivery *d, struct error *e);
/* Queues bytes first..last (-1: all) of the entry's source in the pass; the
 * number of its item, -1 on failure. */
long delivery_add(struct delivery *d, const struct plan_entry *p, int64_t first,
		  int64_t last, struct error *e);
/* A pass over all sources, in the plan's order: items follow the entries. */
int delivery_pass_all(struct delivery *d, struct error *e);
/* Are the entry's bytes read here? */
bool delivery_reads(const struct delivery *d, const struct plan_entry *p);

/* Passes made bytes through the range filter to the sink; -1: gone. */
int delivery_emit(struct delivery *d, const void *p, size_t n);
/* Emits and empties d->record. */
int delivery_emit_record(struct delivery *d, struct error *e);
/* The entry's local file header. */
int delivery_emit_local(struct delivery *d, const struct plan_entry *p,
			struct error *e);

/* How many files the zip shall have, each missing folder counted as one. */
size_t delivery_files(const struct delivery *d);

/* Notes what was missing before there was a plan in d->failures, too. */
int delivery_fail_missing(struct delivery *d, struct error *e);
/* ERROR_SOURCE from a fetch: notes it in d->failures, forgets a source that
 * has changed; returns -1. */
int
delivery_fail(struct delivery *d, struct plan_entry *p, const struct error *e);

#endif
