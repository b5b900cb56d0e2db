/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What all passes of a delivery share: its bytes' way out, its failures. */
#include "delivery.h"

/* Room for a piece of the central directory and its longest records. */
#define RECORD_MAX (32768 + 4 * (ZIP_NAME_MAX + 256))

void
delivery_init(struct delivery *d, struct arena *a, const struct config *c,
	      struct transfer_engine *t, struct plan *plan,
	      const struct fetch_client *client, delivery_sink_fn sink,
	      void *sink_ctx)
{
	*d = (struct delivery){ .arena = a,
				.config = c,
				.engine = t,
				.plan = plan,
				.client = *client,
				.sink = sink,
				.sink_ctx = sink_ctx,
				/* The window has the other half. */
				.keep = c->read_ahead_bytes / 2,
				.last = INT64_MAX };
	d->report = bundle_reports(c, plan->bundle);
	d->failures_end = &d->failures;
	buf_init(&d->record, RECORD_MAX);
}

void
delivery_fini(struct delivery *d)
{
	for (size_t i = 0; d->kept != NULL && i < d->plan->count; i++)
		fetch_discard(d->kept[i]);
	d->kept = NULL;
	fetch_free(d->fetch);
	d->fetch = NULL;
	buf_free(&d->record);
}

int
delivery_pass(struct delivery *d, struct error *e)
{
	fetch_free(d->fetch);
	d->fetch = fetch_new(d->config, d->engine, &d->client, e);
	return d->fetch != NULL ? 0 : -1;
}

long
delivery_add(struct delivery *d, const struct plan_entry *p, int64_t first,
	     int64_t last, struct error *e)
{
	struct source_want want = {
		.first = first,
		.last = last,
		.ranged = first > 0 || last >= 0,
		.validator = p->validator,
		.recalled = p->file->size < 0,
	};

	return fetch_add(d->fetch, p->file->src, &want, p->size, e);
}

/* All of a source, from what a probe kept where it did. */
static int
add_whole(struct delivery *d, size_t entry, struct error *e)
{
	long item = delivery_add(d, &d->plan->entries[entry], 0, -1, e);

	if (item < 0)
		return -1;
	if (d->kept != NULL && d->kept[entry] != NULL)
		fetch_adopt(d->fetch, item, d->kept[entry]);
	if (d->kept != NULL)
		d->kept[entry] = NULL;
	return 0;
}

bool
delivery_reads(const struct delivery *d, const struct plan_entry *p)
{
	return p->file->src != NULL &&
	       (d->joins == NULL || !d->joins(d->sink_ctx, p));
}

int
delivery_pass_all(struct delivery *d, struct error *e)
{
	if (delivery_pass(d, e) != 0)
		return -1;
	for (size_t i = 0; i < d->plan->count; i++) {
		if (delivery_reads(d, &d->plan->entries[i]) &&
		    add_whole(d, i, e) != 0)
			return -1;
	}
	return 0;
}

int
delivery_emit(struct delivery *d, const void *p, size_t n)
{
	int64_t from = d->at, to = d->at + (int64_t)n;
	const char *bytes = p;

	d->at = to;
	if (d->config->max_bundle_bytes > 0 &&
	    to > d->config->max_bundle_bytes) {
		d->over = true;
		return -1;
	}
	if (d->mute)
		return 0;
	if (from > d->last) {
		d->past = true;
		return -1;
	}
	if (to > d->last)
		n -= (size_t)(to - 1 - d->last);
	if (to <= d->first)
		return 0;
	if (from < d->first) {
		bytes += d->first - from;
		n -= (size_t)(d->first - from);
	}
	return d->sink(d->sink_ctx, bytes, n);
}

int
delivery_emit_record(struct delivery *d, struct error *e)
{
	int rc;

	if (buf_failed(&d->record))
		return error_memory(e);
	rc = delivery_emit(d, d->record.data, d->record.len);
	buf_reset(&d->record);
	return rc == 0 ? 0 : error_set(e, ERROR_GONE, "client gone");
}

int
delivery_emit_local(struct delivery *d, const struct plan_entry *p,
		    struct error *e)
{
	struct zip_entry z;

	plan_zip_entry(p, &z);
	zip_put_local(&d->record, &z);
	return delivery_emit_record(d, e);
}

size_t
delivery_files(const struct delivery *d)
{
	size_t n = d->plan->count;

	for (struct delivery_failure *f = d->missing; f != NULL; f = f->next)
		n++;
	return n;
}

static int
note_failure(struct delivery *d, const struct delivery_failure *what)
{
	struct delivery_failure *f = arena_alloc(d->arena, sizeof(*f));

	if (f == NULL)
		return -1;
	*f = *what;
	f->next = NULL;
	*d->failures_end = f;
	d->failures_end = &f->next;
	return 0;
}

int
delivery_fail_missing(struct delivery *d, struct error *e)
{
	for (struct delivery_failure *f = d->missing; f != NULL; f = f->next) {
		if (note_failure(d, f) != 0)
			return error_memory(e);
	}
	return 0;
}

int
delivery_fail(struct delivery *d, struct plan_entry *p, const struct error *e)
{
	if (e->code == ERROR_CHANGED)
		plan_forget(p);
	if (!error_of_source(e))
		return -1;
	note_failure(d, &(struct delivery_failure){
				.file = p->file,
				.name = p->name,
				.status = e->http_status,
				.reason = arena_strdup(d->arena, e->text) });
	return -1;
}
