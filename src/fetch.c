/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The window over a queue of sources, and the waiting.
 *
 * Every wait is a series of rounds (`round_for`): start what the window has
 * room for, let the engine move what can move, look at the clocks, and only
 * when the awaited item got nothing tell the client's side and sleep.
 */
#include "fetch.h"

#include <stdlib.h>
#include <string.h>

#include "fetch_internal.h"

#define QUEUE_FIRST 64
#define NAP_MAX 1000 /* ms; longer sleeps are taken in pieces */
/* Items that are whole and wait for their turn hold memory, too. */
#define ACTIVE_PER_FILE 4
/* The window begins small, and widens where that makes anything faster. */
#define BYTES_FIRST 131072
#define SHARE_FIRST (BYTES_FIRST / 2)

static size_t
smaller(size_t a, int64_t b)
{
	return (uint64_t)b < a ? (size_t)b : a;
}

static void
open_window(struct fetch *f, size_t bytes, size_t share)
{
	int64_t most = f->config->read_ahead_bytes;

	f->bytes = smaller(bytes, most);
	f->share = smaller(share, most / f->config->read_ahead_files);
}

void
fetch_widen(struct fetch *f)
{
	open_window(f, SIZE_MAX, SIZE_MAX);
}

struct fetch *
fetch_new(const struct config *c, struct transfer_engine *t,
	  const struct fetch_client *client, struct error *e)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f == NULL || (f->scratch = arena_new(0)) == NULL) {
		free(f);
		error_memory(e);
		return NULL;
	}
	f->config = c;
	f->engine = t;
	f->client = *client;
	f->files = (size_t)c->read_ahead_files;
	open_window(f, BYTES_FIRST, SHARE_FIRST);
	f->mark = stats_now_ms();
	return f;
}

/* Takes the item of `w`, which has one, out of the window. */
static struct item *
unlink_item(struct fetch *f, struct wanted *w)
{
	struct item **p = &f->first, *before = NULL, *i = w->item;

	while (*p != i) {
		before = *p;
		p = &(*p)->next;
	}
	*p = i->next;
	if (f->last == i)
		f->last = before;
	f->active--;
	w->item = NULL;
	return i;
}

void
fetch_discard(struct item *kept)
{
	if (kept != NULL)
		item_free(kept);
}

/* What a probe has kept for `w`, NULL: nothing. */
static struct item *
take_kept(struct fetch *f, struct wanted *w)
{
	struct item *i = w->kept;

	if (i != NULL)
		f->kept -= i->buf.len;
	w->kept = NULL;
	return i;
}

/* Ends item i, whose turn is over. */
static void
drop_item(struct fetch *f, struct wanted *w)
{
	w->done = true;
	fetch_discard(take_kept(f, w));
	if (w->item != NULL)
		item_free(unlink_item(f, w));
}

struct item *
fetch_detach(struct fetch *f, long number)
{
	f->queue[number].done = true;
	return unlink_item(f, &f->queue[number]);
}

/* What waits in the window's buffers, for the scoreboard. */
static void
show_buffered(const struct fetch *f)
{
	struct stats_slot *slot = stats_mine();
	int64_t held = 0;

	if (slot == NULL)
		return;
	for (const struct item *i = f->first; i != NULL; i = i->next)
		held += (int64_t)i->buf.len;
	slot->buffered = held;
}

void
fetch_unwatch(struct fetch *f)
{
	f->client.watch_fd = -1;
}

void
fetch_free(struct fetch *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->count; i++)
		drop_item(f, &f->queue[i]);
	show_buffered(f);
	arena_free(f->scratch);
	free(f->queue);
	free(f);
}

long
fetch_add(struct fetch *f, const char *src, const struct source_want *want,
	  int64_t expect, struct error *e)
{
	if (f->count == f->room) {
		size_t room = f->room > 0 ? 2 * f->room : QUEUE_FIRST;
		struct wanted *grown =
			reallocarray(f->queue, room, sizeof(*grown));

		if (grown == NULL)
			return error_memory(e);
		f->queue = grown;
		f->room = room;
	}
	f->queue[f->count] =
		(struct wanted){ .src = src, .want = *want, .expect = expect };
	return (long)f->count++;
}

/* The clock of the sources */

void
fetch_clock_run(struct fetch *f)
{
	int64_t now = stats_now_ms();

	f->clock += now - f->mark;
	f->mark = now;
}

void
fetch_clock_skip(struct fetch *f)
{
	f->mark = stats_now_ms();
}

int
fetch_feed(struct item *i, const void *p, size_t n)
{
	struct fetch *f = i->fetch;
	int rc;

	fetch_clock_run(f);
	rc = i->sink(i->sink_ctx, p, n);
	fetch_clock_skip(f);
	i->handed_out = true;
	f->fed = true;
	if (rc != 0)
		f->gone = true;
	return rc != 0 ? -1 : 0;
}

/* The window */

/* Where the wanted bytes end, as far as is known or was promised; or -1. */
static int64_t
end_of(const struct item *i)
{
	const struct wanted *w = item_wanted(i);

	if (i->end >= 0 || w->want.last >= 0)
		return i->end >= 0 ? i->end : w->want.last + 1;
	return w->expect;
}

/* Bytes that an item may yet come to hold. */
static size_t
reserved(const struct item *i)
{
	size_t most = i->buf.len < i->cap ? i->cap : i->buf.len;
	int64_t end = end_of(i);

	if (i->sink != NULL)
		return 0;
	if (i->state >= ITEM_WHOLE || i->fd >= 0)
		return i->buf.len;
	if (end >= i->at && end - i->at < (int64_t)(most - i->buf.len))
		return i->buf.len + (size_t)(end - i->at);
	return most;
}

/* What the next item will take of the window. */
static size_t
next_share(const struct fetch *f)
{
	int64_t expect = f->queue[f->next].expect;

	return expect >= 0 ? smaller(f->share, expect) : f->share;
}

static bool
window_has_room(const struct fetch *f)
{
	size_t most = (size_t)f->config->read_ahead_bytes - f->kept;
	size_t flying = 0, held = 0;

	if (f->active >= ACTIVE_PER_FILE * f->files)
		return false;
	for (const struct item *i = f->first; i != NULL; i = i->next) {
		flying += i->state < ITEM_WHOLE && i->fd < 0;
		held += reserved(i);
	}
	return flying < f->files &&
	       held + next_share(f) <= (f->bytes < most ? f->bytes : most);
}

static void
link_item(struct fetch *f, struct item *i, size_t index)
{
	f->queue[index].item = i;
	i->fetch = f;
	i->index = index;
	i->next = NULL;
	if (f->last != NULL)
		f->last->next = i;
	else
		f->first = i;
	f->last = i;
	f->active++;
}

/* Puts item `index` into the window; NULL: no memory. */
static struct item *
admit(struct fetch *f, size_t index)
{
	struct item *i = take_kept(f, &f->queue[index]);

	if (i == NULL)
		i = item_new(f, index);
	if (i == NULL)
		return NULL;
	link_item(f, i, index);
	if (i->state == ITEM_WAITING)
		item_start(i);
	return i;
}

void
fetch_adopt(struct fetch *f, long number, struct item *kept)
{
	f->queue[number].kept = kept;
	f->kept += kept->buf.len;
}

static void
advance(struct fetch *f)
{
	struct item *i;

	show_buffered(f);
	for (i = f->first; i != NULL; i = i->next) {
		if (i->state == ITEM_WAITING && item_patience(i) <= 0)
			item_start(i);
	}
	for (; f->next < f->count; f->next++) {
		const struct wanted *w = &f->queue[f->next];

		if (w->done || w->item != NULL)
			continue;
		if (!window_has_room(f) || admit(f, f->next) == NULL)
			break;
	}
}

/* Waiting */

/*
 * More must be read ahead when the client waits for a source that is not the
 * first.  One that is itself slower than its sources never does, and then
 * its window stays as small as it began.
 */
static void
note_hunger(struct fetch *f, const struct item *awaited)
{
	if (awaited != NULL && awaited->index > 0)
		open_window(f, 4 * f->bytes, 2 * f->share);
}

static int
client_gone(struct fetch *f, struct error *e)
{
	f->gone = true;
	return error_set(e, ERROR_GONE, "client gone");
}

/* How long nothing can be due, at most `most` ms. */
static int
nap_ms(const struct fetch *f, int64_t most)
{
	for (const struct item *i = f->first; i != NULL; i = i->next) {
		int64_t patience =
			i->state < ITEM_WHOLE ? item_patience(i) : most;

		if (patience < most)
			most = patience;
	}
	return most > 0 ? (int)most : 0;
}

/* One round of waiting for `awaited` (NULL: any), at most `most` ms long. */
static int
round_for(struct fetch *f, const struct item *awaited, int64_t most,
	  struct error *e)
{
	int nap;

	f->awaited = awaited;
	f->fed = f->stirred = f->gone = false;
	fetch_clock_skip(f);
	advance(f);
	if (transfer_turn(f->engine, f->client.watch_fd, 0) != 0 || f->gone)
		return client_gone(f, e);
	fetch_clock_run(f);
	for (struct item *i = f->first; i != NULL; i = i->next)
		item_check_time(i);
	if (f->fed || f->stirred)
		return 0;
	nap = nap_ms(f, most < NAP_MAX ? most : NAP_MAX);
	if (nap == 0)
		return 0;
	note_hunger(f, awaited);
	if (f->client.idle != NULL && f->client.idle(f->client.ctx) != 0)
		return client_gone(f, e);
	fetch_clock_skip(f);
	if (transfer_turn(f->engine, f->client.watch_fd, nap) != 0)
		return client_gone(f, e);
	fetch_clock_run(f);
	return 0;
}

/* Item `number`, in the window even when that has no room; NULL with `e`. */
static struct item *
reach(struct fetch *f, long number, struct error *e)
{
	struct wanted *w = &f->queue[number];
	struct item *i = w->item;

	if (w->done) {
		error_set(e, ERROR_INTERNAL, "A source was read twice");
		return NULL;
	}
	if (i == NULL)
		i = admit(f, (size_t)number);
	if (i == NULL)
		error_memory(e);
	return i;
}

static int
failed(const struct item *i, struct error *e)
{
	if (e != NULL)
		*e = i->error;
	return -1;
}

static bool
answered(const struct item *i)
{
	return i->known || i->state == ITEM_FAILED;
}

static int
await_head(struct fetch *f, const struct item *i, struct error *e)
{
	while (!answered(i)) {
		if (round_for(f, i, NAP_MAX, e) != 0)
			return -1;
	}
	return i->state == ITEM_FAILED ? failed(i, e) : 0;
}

int
fetch_answer(struct fetch *f, long number, struct source_facts *facts,
	     struct error *e)
{
	const struct item *i = reach(f, number, e);

	if (i == NULL || await_head(f, i, e) != 0)
		return -1;
	*facts = i->facts;
	return 0;
}

int
fetch_peek(struct fetch *f, long number, struct error *e)
{
	const struct item *i = f->queue[number].item;

	if (i == NULL || !answered(i))
		return 0;
	return i->state == ITEM_FAILED ? failed(i, e) : 1;
}

bool
fetch_reached(const struct fetch *f, long number)
{
	const struct wanted *w = &f->queue[number];

	return w->item != NULL || w->kept != NULL || w->done;
}

static bool
all_answered(const struct fetch *f)
{
	for (const struct item *i = f->first; i != NULL; i = i->next) {
		if (!answered(i))
			return false;
	}
	return true;
}

int
fetch_settle(struct fetch *f, int64_t ms, struct error *e)
{
	int64_t deadline = stats_now_ms() + ms, left;

	advance(f);
	while (!all_answered(f) && (left = deadline - stats_now_ms()) > 0) {
		if (round_for(f, NULL, left, e) != 0)
			return -1;
	}
	return 0;
}

/* A held item whose bytes are wanted now. */
static void
release(struct item *i)
{
	if (!i->held)
		return;
	i->held = false;
	fetch_clock_run(i->fetch);
	i->heard = i->fetch->clock;
	transfer_unpause(i->transfer);
}

static int
gather(struct fetch *f, struct item *i, size_t limit, struct error *e)
{
	if (await_head(f, i, e) != 0)
		return -1;
	if (i->fd >= 0)
		return local_gather(i, limit) == 0 ? 0 : failed(i, e);
	/* One byte more tells a longer object from one of just `limit`. */
	if (i->cap <= limit)
		i->cap = limit + 1;
	while (i->state < ITEM_WHOLE && i->buf.len <= limit) {
		release(i);
		if (round_for(f, i, NAP_MAX, e) != 0)
			return -1;
	}
	return i->state == ITEM_FAILED ? failed(i, e) : 0;
}

int
fetch_gather(struct fetch *f, long number, size_t limit, const void **p,
	     size_t *n, bool *whole, struct error *e)
{
	struct item *i = reach(f, number, e);

	if (limit > FETCH_GATHER_MAX)
		limit = FETCH_GATHER_MAX;
	if (i == NULL || gather(f, i, limit, e) != 0)
		return -1;
	/* What is seen must not depend on how far the reading got ahead. */
	*whole = i->state == ITEM_WHOLE && i->buf.len <= limit;
	*n = i->buf.len < limit ? i->buf.len : limit;
	*p = buf_str(&i->buf);
	return 0;
}

/* What was read ahead, then the rest as it comes. */
static int
stream(struct fetch *f, struct item *i, struct error *e)
{
	f->gone = false;
	if (i->buf.len > 0 && fetch_feed(i, i->buf.data, i->buf.len) != 0)
		return client_gone(f, e);
	buf_free(&i->buf);
	if (i->fd >= 0) {
		if (local_stream(i) == 0)
			return 0;
		return f->gone ? client_gone(f, e) : failed(i, e);
	}
	release(i);
	while (i->state < ITEM_WHOLE) {
		if (round_for(f, i, NAP_MAX, e) != 0)
			return -1;
	}
	return i->state == ITEM_FAILED ? failed(i, e) : 0;
}

int
fetch_stream(struct fetch *f, long number, fetch_sink_fn sink, void *ctx,
	     struct error *e)
{
	struct item *i = reach(f, number, e);
	int rc;

	if (i == NULL || await_head(f, i, e) != 0)
		return -1;
	i->sink = sink;
	i->sink_ctx = ctx;
	rc = stream(f, i, e);
	/* A source whose sink wants no more is not asked again. */
	if (rc == 0 || f->gone)
		drop_item(f, &f->queue[number]);
	return rc;
}

void
fetch_skip(struct fetch *f, long number)
{
	drop_item(f, &f->queue[number]);
}
