/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the files of fetch share: the window, and an item in it.
 *
 * fetch.c keeps the window and waits; fetch_item.c asks, retries and resumes;
 * fetch_answer.c judges what a server answers; fetch_local.c reads files.
 *
 * libcurl's callbacks only note what happened; requests are made and
 * cancelled between turns of the engine, by the window.
 */
#ifndef ZIPSTREAM_FETCH_INTERNAL_H
#define ZIPSTREAM_FETCH_INTERNAL_H

#include "buf.h"
#include "fetch.h"
#include "stats.h"

#define FETCH_EXCUSE_KEPT 1024 /* of an error's body, for its judge */
#define FETCH_EXCUSE_MAX 65536 /* more of it is not worth the connection */

enum item_state {
	ITEM_WAITING, /* for its moment to be asked (again) */
	ITEM_ASKED,   /* a request is in flight, no head yet */
	ITEM_READING, /* the head was good: bytes come */
	ITEM_EXCUSED, /* the head was not: its body is read and dropped */
	ITEM_WHOLE,   /* all bytes wanted have come */
	ITEM_FAILED   /* for good */
};

/* What fetch_add was told; the queue may be long, so it is small. */
struct wanted {
	const char *src;
	struct source_want want;
	int64_t expect;
	struct item *item; /* once the window has reached it */
	struct item *kept; /* by a probe, until then; NULL: nothing */
	bool done;	   /* delivered or skipped */
};

/* A source within the window.  Offsets are those of the whole object. */
struct item {
	struct fetch *fetch;
	struct item *next;
	size_t index; /* of its wanted */
	enum item_state state;
	struct error error; /* when failed */
	const struct source_ops *ops;
	char *url;	/* where redirects led; NULL: wanted.src */
	char *location; /* a redirect still to be followed */
	struct transfer *transfer;
	int fd; /* of a local source; -1 */

	/* the object */
	bool known; /* facts hold, strings are ours */
	struct source_facts facts;
	int64_t size; /* of all of it, as any answer said; -1 unknown */
	int64_t at;   /* the next byte to be taken */
	int64_t end;  /* behind the last one wanted; -1 unknown */
	struct buf buf;
	size_t cap;	    /* with so much in `buf` it is held */
	bool handed_out;    /* bytes have left: no starting over */
	fetch_sink_fn sink; /* bytes go straight there; NULL: to `buf` */
	void *sink_ctx;

	/* the answer that is coming in */
	const struct transfer_head *head;
	bool ranged; /* a range was asked for */
	bool bodiless;
	bool part;    /* 206 */
	bool cut;     /* it goes on behind `end`, and that is right */
	bool held;    /* paused: the buffer is full */
	int64_t skip; /* bytes of it in front of `at` */
	char excuse[FETCH_EXCUSE_KEPT];
	size_t excuse_len;  /* kept */
	size_t excuse_seen; /* kept or dropped */

	/* trying again */
	bool plain;	/* do not ask for a range */
	bool outspoken; /* no HEAD: why it fails is wanted */
	int64_t tries, resumes, agains, redirects;
	int64_t resumed_at;  /* offset of the last resumption */
	int64_t not_before;  /* real time, ms */
	int64_t asked_real;  /* when it was asked */
	int64_t asked_clock; /* the same by the fetch's clock */
	int64_t heard;	     /* last sign of life, fetch's clock */
};

struct fetch {
	const struct config *config;
	struct transfer_engine *engine;
	struct fetch_client client;
	struct arena *scratch; /* of the request being made */
	struct wanted *queue;
	size_t count, room;
	size_t next; /* the first that the window has not reached */
	struct item *first, *last;
	size_t active;
	size_t files; /* requests in flight at most */
	size_t bytes; /* buffered at most, for now */
	size_t share; /* of one item, for now */
	size_t kept;  /* bytes that wait, read, for the window to reach them */
	const struct item *awaited;
	bool fed;     /* the awaited item got something */
	bool stirred; /* a request has ended: there may be room */
	bool gone;    /* the sink or idle said so */
	/* Time that sources can be blamed for: it stands still while the
	 * client is written to.  ms */
	int64_t clock;
	int64_t mark; /* real time up to which `clock` has counted */
};

static inline struct wanted *
item_wanted(const struct item *i)
{
	return &i->fetch->queue[i->index];
}

/* fetch.c */
void fetch_clock_run(struct fetch *f);	/* counts up to now */
void fetch_clock_skip(struct fetch *f); /* leaves out what passed */
void fetch_widen(struct fetch *f);	/* the whole window, at once */
/* Takes item i, which is whole, out of the window. */
struct item *fetch_detach(struct fetch *f, long i);
/* Gives n bytes to the item's sink; -1: gone. */
int fetch_feed(struct item *i, const void *p, size_t n);

/* fetch_item.c */
struct item *item_new(struct fetch *f, size_t index);
void item_free(struct item *i);
void item_start(struct item *i);
/* Ends an attempt that took too long. */
void item_check_time(struct item *i);
/* When item_check_time may have something to say, in ms from now. */
int64_t item_patience(const struct item *i);
/* Fails for good; counts it. */
void item_fail(struct item *i, enum stats_counter counter, enum error_code code,
	       int http_status, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Not this time: tries again from the start or resumes, after `delay_ms`
 * at least; fails when that was tried often enough. */
void item_again(struct item *i, enum stats_counter counter, int http_status,
		int64_t delay_ms, const char *reason);
void item_changed(struct item *i);
/* What it is when its length is not the one expected. */
enum error_code item_misfit(const struct item *i);
/* Which version must be read: what was seen, else what is remembered. */
const char *item_validator(const struct item *i);

/* fetch_answer.c */
int answer_head(struct item *i, const struct transfer_head *h);
/* Judges an answer that is neither 200 nor 206, once its body is over. */
void answer_excused(struct item *i);
/* The answer ended as its framing says it should. */
void answer_ended(struct item *i);

/* fetch_local.c */
void local_open(struct item *i);
int local_gather(struct item *i, size_t limit);
int local_stream(struct item *i);

#endif
