/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What must be known of the sources before the head of an answer. */
#include "survey.h"

#include <malloc.h>

#include "stats.h"

/* Sources asked for facts in one go; the first PLAN_TRIAL bytes of each may
 * have to be held. */
#define PROBE_BATCH 1024

/* Dozens of transfers at once leave holes that a slow download would keep for
 * hours. */
static void
trim_heap(void)
{
	malloc_trim(0);
}

/* Does it help to ask for facts: can the total come to be known? */
static bool
worth_asking(const struct delivery *d)
{
	if (!d->config->probe || d->report)
		return false;
	for (size_t i = 0; i < d->plan->count; i++) {
		if (!plan_predictable(&d->plan->entries[i]))
			return false;
	}
	return true;
}

static size_t
lacking(const struct delivery *d, bool validators, size_t *last_item)
{
	size_t n = 0, item = 0;

	for (size_t i = 0; i < d->plan->count; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->file->src == NULL)
			continue;
		if (plan_lacks(p, validators)) {
			n++;
			*last_item = item;
		}
		item++;
	}
	return n;
}

static int
learn_probe(struct delivery *d, struct plan_entry *p,
	    const struct fetch_probe *probe, struct error *e)
{
	bool whole = probe->facts.size >= 0 &&
		     (int64_t)probe->n >= probe->facts.size;

	if (probe->failed) {
		*e = *probe->error;
		return delivery_fail(d, p, e);
	}
	if (plan_learn(d->plan, p, &probe->facts, e) != 0)
		return delivery_fail(d, p, e);
	plan_choose(p, probe->n > 0 ? probe->head : NULL, probe->n,
		    whole && probe->n > 0);
	return 0;
}

/* Small requests for the next entries that lack facts, PROBE_BATCH at most;
 * moves *at behind them.  A source that fails is no reason to stop. */
static int
probe_batch(struct delivery *d, struct arena *scratch, size_t *at,
	    bool validators, struct error *e)
{
	struct fetch_probe *probes =
		arena_array(scratch, PROBE_BATCH, sizeof(*probes));
	size_t i = *at, n = 0;
	int rc = 0;

	if (probes == NULL)
		return error_memory(e);
	for (; *at < d->plan->count && n < PROBE_BATCH; (*at)++) {
		const struct plan_entry *p = &d->plan->entries[*at];

		if (!plan_lacks(p, validators))
			continue;
		probes[n].src = p->file->src;
		probes[n++].prefix = plan_wants_trial(p) ? PLAN_TRIAL : 0;
	}
	if (fetch_probe(d->config, d->engine, &d->client, scratch, probes, n,
			&d->keep, e) != 0)
		return -1;
	for (n = 0; i < *at; i++) {
		struct plan_entry *p = &d->plan->entries[i];

		if (!plan_lacks(p, validators))
			continue;
		fetch_discard(d->kept[i]);
		d->kept[i] = probes[n].kept;
		if (rc == 0 && learn_probe(d, p, &probes[n], e) != 0 &&
		    d->failures == NULL)
			rc = -1;
		n++;
	}
	return rc;
}

/* All entries that lack facts, in batches: the bytes that they begin with
 * are many, and looked at once. */
static int
survey_probe(struct delivery *d, bool validators, struct error *e)
{
	struct arena *scratch = arena_new(0);
	size_t at = 0;
	int rc = 0;

	if (d->kept == NULL)
		d->kept = arena_array(d->arena, d->plan->count + 1,
				      sizeof(*d->kept));
	if (scratch == NULL || d->kept == NULL) {
		arena_free(scratch);
		return error_memory(e);
	}
	while (rc == 0 && at < d->plan->count) {
		rc = probe_batch(d, scratch, &at, validators, e);
		arena_reset(scratch);
	}
	arena_free(scratch);
	trim_heap();
	return d->failures != NULL ? -1 : rc;
}

static int
survey_answer(struct delivery *d, struct plan_entry *p, long item,
	      struct error *e)
{
	struct source_facts facts;
	const void *head = NULL;
	bool whole = false;
	size_t n = 0;

	if (fetch_answer(d->fetch, item, &facts, e) != 0 ||
	    plan_learn(d->plan, p, &facts, e) != 0)
		return delivery_fail(d, p, e);
	if (plan_wants_trial(p) &&
	    fetch_gather(d->fetch, item, PLAN_TRIAL, &head, &n, &whole, e) != 0)
		return delivery_fail(d, p, e);
	plan_choose(p, head, n, whole);
	return 0;
}

/* The sources are few: the reads themselves tell what a probe would. */
static int
survey_window(struct delivery *d, bool validators, struct error *e)
{
	struct error first = { 0 };
	long item = 0;

	for (size_t i = 0; i < d->plan->count; i++) {
		struct plan_entry *p = &d->plan->entries[i];

		if (p->file->src == NULL)
			continue;
		if (plan_lacks(p, validators) &&
		    survey_answer(d, p, item, e) != 0) {
			if (d->failures == NULL)
				return -1;
			if (first.code == ERROR_NONE)
				first = *e;
		}
		item++;
	}
	if (d->failures == NULL)
		return 0;
	*e = first;
	return -1;
}

/* Only heads are asked for: of sources that the first window should hold,
 * and for whose bytes it has no room yet, or that are not to be read. */
struct scouts {
	struct fetch *fetch; /* NULL: none is needed */
	long *items;	     /* by the number of the source; -1: none */
	long count;	     /* of sources in the first window */
};

/* Has the source ever answered, to us or to an earlier download? */
static bool
heard_of(const struct plan_entry *p)
{
	const struct facts *f = &p->file->facts;

	return p->answered || f->has_crc ||
	       (f->validator != NULL && f->validator[0] != '\0');
}

static int
scouts_send(struct scouts *s, struct delivery *d, const struct plan_entry *p,
	    struct error *e)
{
	const struct source_want head = { .ranged = true,
					  .facts_only = true,
					  .recalled = p->file->size < 0,
					  .validator = p->validator };
	long n = s->count++;

	s->items[n] = -1;
	if (d->fetch != NULL ? fetch_reached(d->fetch, n) : heard_of(p))
		return 0;
	if (s->fetch == NULL)
		s->fetch = fetch_new(d->config, d->engine, &d->client, e);
	if (s->fetch == NULL)
		return -1;
	s->items[n] = fetch_add(s->fetch, p->file->src, &head, p->size, e);
	return s->items[n] >= 0 ? 0 : -1;
}

/* Starts the window, and the scouts of those who are not in it unless all
 * have just been asked. */
static int
scouts_start(struct scouts *s, struct delivery *d, bool asked, struct error *e)
{
	long most = (long)d->config->read_ahead_files;

	s->items = arena_array(d->arena, (size_t)most, sizeof(*s->items));
	if (s->items == NULL)
		return error_memory(e);
	if (d->fetch != NULL && fetch_settle(d->fetch, 0, e) != 0)
		return -1;
	for (size_t i = 0; i < d->plan->count && s->count < most; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->file->src == NULL)
			continue;
		if (asked)
			s->items[s->count++] = -1;
		else if (scouts_send(s, d, p, e) != 0)
			return -1;
	}
	return s->fetch != NULL ? fetch_settle(s->fetch, 0, e) : 0;
}

/* The first source must answer; the others get SETTLE_TIMEOUT for it. */
static int
scouts_wait(const struct scouts *s, struct delivery *d, struct error *e)
{
	int64_t patience = d->config->settle_timeout_ms, since;
	struct fetch *first = s->items[0] >= 0 ? s->fetch : d->fetch;
	struct source_facts facts;

	if (first != NULL && fetch_answer(first, 0, &facts, e) != 0 &&
	    !error_of_source(e))
		return -1;
	since = stats_now_ms();
	if (d->fetch != NULL && fetch_settle(d->fetch, patience, e) != 0)
		return -1;
	patience -= stats_now_ms() - since;
	return s->fetch != NULL ? fetch_settle(s->fetch, patience, e) : 0;
}

/* Notes who failed; -1 with the first of their reasons. */
static int
scouts_judge(const struct scouts *s, struct delivery *d, struct error *e)
{
	struct error first = { 0 }, other = { 0 };
	long n = 0;

	for (size_t i = 0; n < s->count; i++) {
		struct plan_entry *p = &d->plan->entries[i];
		long scout;
		bool failed;

		if (p->file->src == NULL)
			continue;
		scout = s->items[n];
		failed =
			d->fetch != NULL && fetch_peek(d->fetch, n, &other) < 0;
		failed |= scout >= 0 && fetch_peek(s->fetch, scout, &other) < 0;
		n++;
		if (!failed)
			continue;
		delivery_fail(d, p, &other);
		if (first.code == ERROR_NONE)
			first = other;
	}
	*e = first;
	return first.code == ERROR_NONE ? 0 : -1;
}

/* The sources of the first window get a moment in which to fail, so that a
 * dead link is a 502 and no broken zip. */
static int
survey_first(struct delivery *d, bool asked, struct error *e)
{
	struct scouts s = { .count = 0 };
	int rc = scouts_start(&s, d, asked, e);
	bool sent = s.fetch != NULL;

	if (rc == 0 && s.count > 0)
		rc = scouts_wait(&s, d, e);
	if (rc == 0)
		rc = scouts_judge(&s, d, e);
	fetch_free(s.fetch);
	if (sent)
		trim_heap();
	return rc;
}

static void
choose_all(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		plan_choose(&plan->entries[i], NULL, 0, false);
}

/* In report mode a failed source is no reason to stop, unless all failed. */
static int
forgive(struct delivery *d, struct error *e)
{
	size_t failed = 0, sources = 0;

	if (d->failures == NULL)
		return e->code == ERROR_NONE ? 0 : -1;
	for (size_t i = 0; i < d->plan->count; i++)
		sources += d->plan->entries[i].file->src != NULL;
	for (struct delivery_failure *f = d->failures; f != NULL; f = f->next)
		failed++;
	if (!d->report || failed >= sources)
		return -1;
	/* member_whole will meet them again, in order. */
	d->failures = NULL;
	d->failures_end = &d->failures;
	e->code = ERROR_NONE;
	return 0;
}

static int
survey_plan(struct delivery *d, bool validators, bool data, struct error *e)
{
	size_t last_item = 0;
	bool ask = worth_asking(d);
	size_t lack = ask ? lacking(d, validators, &last_item) : 0;
	bool few = last_item < (size_t)d->config->read_ahead_files;
	bool probe = lack > 0 && !(data && few);

	e->code = ERROR_NONE;
	if (probe && survey_probe(d, validators, e) != 0)
		return -1;
	if (data && delivery_pass_all(d, e) != 0)
		return -1;
	if (data && lack > 0 && few && survey_window(d, validators, e) != 0)
		return -1;
	choose_all(d->plan);
	if (plan_measure(d->plan, e) != 0)
		return -1;
	if (data && survey_first(d, probe, e) != 0)
		return forgive(d, e);
	return 0;
}

/* Where sources are to be named, what was missing before is, too. */
static int
with_missing(struct delivery *d, int rc, struct error *e)
{
	if ((rc == 0 || d->failures != NULL) &&
	    delivery_fail_missing(d, e) != 0)
		return -1;
	return rc;
}

int
survey_run(struct delivery *d, bool validators, bool data, struct error *e)
{
	return with_missing(d, survey_plan(d, validators, data, e), e);
}

int
survey_unheard(struct delivery *d, struct error *e)
{
	int rc;

	/* What is missing is no entry of the plan that could be forgiven. */
	d->failures = NULL;
	d->failures_end = &d->failures;
	rc = survey_first(d, false, e) == 0 ? 0 : forgive(d, e);
	return with_missing(d, rc, e);
}
