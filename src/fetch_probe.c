/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Facts and leading bytes of many sources: a fetch with a wide window. */
#include "fetch.h"

#include <string.h>

#include "fetch_internal.h"
#include "stats.h"

/* So many rounds may be taken before more are asked at a time than the window
 * has room for: each is a connection that stays open. */
#define ROUNDS 16
#define PROBES_AT_ONCE 64 /* at most */
/* Of a glance: who has answered makes room for others now and then. */
#define GLANCE_MS 50

static int
copy_facts(struct arena *a, struct source_facts *facts, struct error *e)
{
	facts->validator = arena_strdup(a, facts->validator);
	facts->content_type = arena_strdup(a, facts->content_type);
	return facts->validator != NULL && facts->content_type != NULL
		       ? 0
		       : error_memory(e);
}

static int
read_prefix(struct fetch *f, long item, struct arena *a, struct fetch_probe *p,
	    bool *whole, struct error *e)
{
	const void *head;
	void *copy;

	if (fetch_gather(f, item, p->prefix, &head, &p->n, whole, e) != 0)
		return -1;
	*whole = *whole && p->n > 0 && (int64_t)p->n == p->facts.size;
	copy = arena_alloc(a, p->n + 1);
	if (copy == NULL)
		return error_memory(e);
	memcpy(copy, head, p->n);
	p->head = copy;
	return 0;
}

static int
note_failure(struct arena *a, struct fetch_probe *p, struct error *e)
{
	struct error *copy = arena_alloc(a, sizeof(*copy));

	if (copy == NULL)
		return error_memory(e);
	*copy = *e;
	p->failed = true;
	p->error = copy;
	return 0;
}

/* Ends the item; one that was read whole, and for which there is memory, is
 * kept. */
static void
keep_or_skip(struct fetch *f, long item, struct fetch_probe *p, bool whole,
	     int64_t *keep)
{
	int64_t cost = (int64_t)(sizeof(struct item) + p->n);

	if (!whole || keep == NULL || cost > *keep) {
		fetch_skip(f, item);
		return;
	}
	p->kept = fetch_detach(f, item);
	*keep -= cost;
}

/* -1: the whole round is over; a source that fails is noted instead. */
static int
take_result(struct fetch *f, long item, struct arena *a, struct fetch_probe *p,
	    int64_t *keep, struct error *e)
{
	int rc = fetch_answer(f, item, &p->facts, e);
	bool whole = false;

	if (rc == 0)
		rc = copy_facts(a, &p->facts, e);
	if (rc == 0 && p->prefix > 0)
		rc = read_prefix(f, item, a, p, &whole, e);
	keep_or_skip(f, item, p, rc == 0 && whole, keep);
	stats_add(STAT_PROBES, 1);
	if (rc == 0)
		return 0;
	if (!error_of_source(e))
		return -1;
	return note_failure(a, p, e);
}

/* RFC 9110, section 15.5.17: a 416 tells that there is nothing, but not when
 * it came to be so nor under which tag: only a plain answer does. */
static bool
is_nameless(const struct fetch_probe *p)
{
	return !p->failed && p->facts.size == 0 &&
	       p->facts.validator[0] == '\0';
}

static int
add_probe(struct fetch *f, struct fetch_probe *p, bool plain, struct error *e)
{
	struct source_want want = { .ranged = !plain,
				    .validator = "",
				    .last = -1 };

	if (p->prefix > FETCH_PREFIX_MAX)
		p->prefix = FETCH_PREFIX_MAX;
	if (!plain) {
		want.last = p->prefix > 0 ? (int64_t)p->prefix - 1 : 0;
		want.facts_only = p->prefix == 0;
	}
	p->failed = false;
	p->n = 0;
	p->kept = NULL;
	return fetch_add(f, p->src, &want, -1, e) < 0 ? -1 : 0;
}

/* Asks all, or (plain) the nameless ones once more. */
static int
probe_round(struct fetch *f, struct arena *a, struct fetch_probe *probes,
	    size_t count, bool plain, int64_t *keep, struct error *e)
{
	long item = 0;

	fetch_widen(f);
	for (size_t i = 0; i < count; i++) {
		probes[i].asked = !plain || is_nameless(&probes[i]);
		if (probes[i].asked && add_probe(f, &probes[i], plain, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++) {
		bool ranges = plain && probes[i].facts.ranges;

		if (probes[i].asked &&
		    take_result(f, item++, a, &probes[i], keep, e) != 0)
			return -1;
		probes[i].facts.ranges |= ranges;
	}
	return 0;
}

static int64_t
probes_at_once(const struct config *c, size_t count)
{
	size_t n = count / ROUNDS;

	if (n > PROBES_AT_ONCE)
		n = PROBES_AT_ONCE;
	return (int64_t)n > c->read_ahead_files ? (int64_t)n
						: c->read_ahead_files;
}

/* Room for every prefix: half of an item's share is its buffer. */
static struct config
widened(const struct config *c, size_t count)
{
	struct config wide = *c;

	wide.read_ahead_files = probes_at_once(c, count);
	wide.read_ahead_bytes =
		wide.read_ahead_files * 2 * (FETCH_PREFIX_MAX + 1);
	return wide;
}

int
fetch_probe(const struct config *c, struct transfer_engine *t,
	    const struct fetch_client *client, struct arena *a,
	    struct fetch_probe *probes, size_t count, int64_t *keep,
	    struct error *e)
{
	const struct config wide = widened(c, count);
	int rc = 0;

	for (int plain = 0; plain <= 1 && rc == 0; plain++) {
		struct fetch *f = fetch_new(&wide, t, client, e);

		rc = f != NULL
			     ? probe_round(f, a, probes, count, plain, keep, e)
			     : -1;
		fetch_free(f);
	}
	for (size_t i = 0; rc != 0 && i < count; i++)
		fetch_discard(probes[i].kept);
	return rc;
}

struct config
fetch_brisk(const struct config *c, int64_t first_byte_ms)
{
	struct config own = *c;

	own.source_retries = 0;
	if (own.first_byte_timeout_ms > first_byte_ms)
		own.first_byte_timeout_ms = first_byte_ms;
	return own;
}

/* Takes the results that are there; *open counts those that are not. */
static int
take_answered(struct fetch *f, struct arena *a, struct fetch_probe *probes,
	      size_t count, size_t *open, struct error *e)
{
	*open = 0;
	for (size_t i = 0; i < count; i++) {
		if (!probes[i].asked)
			continue;
		if (fetch_peek(f, (long)i, e) == 0) {
			++*open;
			continue;
		}
		probes[i].asked = false;
		if (take_result(f, (long)i, a, &probes[i], NULL, e) != 0)
			return -1;
	}
	return 0;
}

static int
glance(struct fetch *f, struct arena *a, struct fetch_probe *probes,
       size_t count, int64_t ms, struct error *e)
{
	int64_t until = stats_now_ms() + ms, left = ms;
	struct error late;
	size_t open = count;

	fetch_widen(f);
	for (size_t i = 0; i < count; i++) {
		probes[i].asked = true;
		probes[i].prefix = 0;
		if (add_probe(f, &probes[i], false, e) != 0)
			return -1;
	}
	for (; open > 0 && left > 0; left = until - stats_now_ms()) {
		if (fetch_settle(f, left < GLANCE_MS ? left : GLANCE_MS, e) !=
			    0 ||
		    take_answered(f, a, probes, count, &open, e) != 0)
			return -1;
	}
	error_set(&late, ERROR_SOURCE, "timed out");
	for (size_t i = 0; i < count; i++) {
		if (probes[i].asked && note_failure(a, &probes[i], &late) != 0)
			return error_memory(e);
	}
	return 0;
}

int
fetch_glance(const struct config *c, struct transfer_engine *t,
	     const struct fetch_client *client, struct arena *a,
	     struct fetch_probe *probes, size_t count, int64_t ms,
	     struct error *e)
{
	const struct config wide = widened(c, count);
	struct fetch *f = fetch_new(&wide, t, client, e);
	int rc = f != NULL ? glance(f, a, probes, count, ms, e) : -1;

	fetch_free(f);
	return rc;
}
