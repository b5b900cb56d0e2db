/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The answer that is a zip: conditions, failures, memory. */
#include "download.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "expand.h"
#include "http.h"
#include "json.h"
#include "stats.h"
#include "status.h"
#include "store.h"
#include "survey.h"

#define LOG_MODULE "download"

/* A source that changed since it was remembered starts a new layout; after
 * so many fresh starts in one request it counts as failed. */
#define FRESH_STARTS 2
/* Facts are remembered in statements of so many. */
#define REMEMBER_BATCH 500
/* A failure as JSON: a URL of 16 KiB and a reason, each byte escaped. */
#define FAILURE_MAX (8 * URL_MAX)

static int
write_sink(void *ctx, const void *p, size_t n)
{
	struct download *dl = ctx;

	return response_write(dl->x->response, p, n);
}

static int
flush_idle(void *ctx)
{
	struct download *dl = ctx;

	/* Before the first byte nothing is flushed: it may yet be a 502. */
	if (dl->x->response->first_byte_ms == 0 &&
	    dl->x->response->gathered == 0)
		return 0;
	return response_flush(dl->x->response);
}

static void
note_progress(void *ctx, const struct plan_entry *p)
{
	struct download *dl = ctx;
	struct stats_slot *slot = stats_mine();

	(void)p;
	stats_add(STAT_FILES, 1);
	if (slot != NULL)
		slot->files_done = dl->delivery.files_done;
}

static void
put_failure(struct download *dl, const struct delivery_failure *f,
	    const struct error *e, struct buf *json)
{
	const char *src = f->file->src;

	/* Who only holds the link shall not read a signed query. */
	if (dl->stored)
		src = source_label(dl->x->arena, src);
	buf_putc(json, '{');
	json_put_pair(json, "src", src != NULL ? src : "");
	buf_printf(json, ",\"status\":%d,", f->status);
	json_put_pair(json, "reason", f->reason != NULL ? f->reason : e->text);
	buf_puts(json, f->next != NULL ? "}," : "}]}");
}

/* {"message": ..., "files": [{"src", "status", "reason"}]}: a hundred
 * thousand files may have failed, so it is written one by one. */
static int
answer_failures(struct download *dl, struct error *e)
{
	struct response *r = dl->x->response;
	struct delivery_failure *f = dl->delivery.failures;
	struct buf json;
	int rc = 0;

	dl->x->access.cause = f->reason;
	response_restart(r);
	response_status(r, 502);
	response_header(r, "Content-Type", "application/json");
	response_header(r, "X-Content-Type-Options", "nosniff");
	buf_init(&json, FAILURE_MAX);
	buf_puts(&json, "{\"message\":\"A source failed\",\"files\":[");
	for (; rc == 0 && f != NULL; f = f->next) {
		put_failure(dl, f, e, &json);
		if (buf_failed(&json))
			rc = error_memory(e);
		else if (response_write(r, json.data, json.len) != 0)
			rc = error_set(e, ERROR_GONE, "client gone");
		buf_reset(&json);
	}
	buf_free(&json);
	return rc == 0 ? response_finish(r) : rc;
}

static void
remember_batch(struct download *dl, struct store_fact *facts, size_t n)
{
	struct error e;

	if (n > 0 && store_remember(dl->x->service->store, dl->bundle->id,
				    facts, n, &e) != 0)
		log_warn("what was learned is not remembered: %s %s", e.text,
			 e.cause);
}

static bool
worth_remembering(const struct plan *plan, const struct plan_entry *p)
{
	const char *known = p->file->facts.layout;

	if (p->file->src == NULL || p->left_out)
		return false;
	return p->dirty || (plan->total >= 0 && p->layout != PLAN_OPEN &&
			    (known == NULL || known[0] == '\0'));
}

/* One source has changed since it was remembered, so others may have: those
 * that have not answered are asked anew by the next download. */
static void
doubt_others(struct download *dl)
{
	for (size_t i = 0; i < dl->plan->count; i++) {
		struct plan_entry *p = &dl->plan->entries[i];
		const char *known = p->file->facts.layout;

		if (p->file->src != NULL && !p->answered && known != NULL &&
		    known[0] != '\0')
			plan_forget(p);
	}
}

/* Pins what was learned, so that later bytes are the same bytes. */
static void
remember(struct download *dl)
{
	struct store_fact *facts;
	size_t n = 0;

	if (!dl->stored || dl->expanded || dl->delivery.report)
		return;
	facts = arena_array(dl->x->arena, REMEMBER_BATCH, sizeof(*facts));
	if (facts == NULL)
		return;
	for (size_t i = 0; i < dl->plan->count; i++) {
		const struct plan_entry *p = &dl->plan->entries[i];

		if (!worth_remembering(dl->plan, p))
			continue;
		facts[n].position = p->position;
		facts[n].src = p->file->src;
		facts[n].known = p->file->facts.checkpoints;
		plan_facts(dl->plan, p, &facts[n].facts);
		if (++n == REMEMBER_BATCH) {
			remember_batch(dl, facts, n);
			n = 0;
		}
	}
	remember_batch(dl, facts, n);
}

/* RFC 9110, section 13.2.2: 1 when a condition has been answered.  A POST
 * selects nothing that a client could have already. */
static int
answer_condition(struct download *dl)
{
	struct request *q = dl->x->request;
	struct response *r = dl->x->response;
	const char *match = request_header(q, "If-Match");
	const char *none = request_header(q, "If-None-Match");
	const char *etag = download_nameable(dl) ? dl->plan->etag : "";
	struct error e;

	if (q->method == HTTP_POST)
		return 0;
	if (match != NULL && !http_etag_match(match, etag, true)) {
		error_set(&e, ERROR_PRECONDITION, "The bundle has changed");
		response_error(r, &e);
		return 1;
	}
	if (!http_etag_match(none, etag, false))
		return 0;
	response_status(r, 304);
	response_header(r, "Cache-Control", DOWNLOAD_CACHE_CONTROL);
	if (etag[0] != '\0')
		response_header(r, "ETag", "%s", etag);
	response_finish(r);
	return 1;
}

/* Surveys until no remembered source turns out to have changed. */
static int
survey(struct download *dl, bool data, struct error *e)
{
	int rc = -1;

	for (int i = 0; i <= FRESH_STARTS; i++) {
		dl->delivery.failures = NULL;
		dl->delivery.failures_end = &dl->delivery.failures;
		rc = survey_run(&dl->delivery, dl->stored, data, e);
		if (rc == 0 || e->code != ERROR_CHANGED)
			break;
	}
	return rc;
}

/* Returns the count of ranges to serve, 0: the whole, -1: 416. */
static int
wanted_ranges(struct download *dl, struct http_range *ranges)
{
	const char *range = request_header(dl->x->request, "Range");
	const char *if_range = request_header(dl->x->request, "If-Range");

	if (range == NULL || !download_nameable(dl))
		return 0;
	/* A date proves too little here: only our own tag does. */
	if (if_range != NULL &&
	    !http_etag_match(if_range, dl->plan->etag, true))
		return 0;
	return http_ranges(range, dl->plan->total, ranges, HTTP_RANGES_MAX);
}

static bool
asks_for_range(struct download *dl)
{
	const char *range = request_header(dl->x->request, "Range");

	return dl->stored && dl->x->request->method == HTTP_GET &&
	       !dl->delivery.report && range != NULL &&
	       strncasecmp(range, "bytes=", 6) == 0;
}

static int
answer_unsatisfiable(struct download *dl)
{
	struct response *r = dl->x->response;
	struct error e;

	response_header(r, "Content-Range", "bytes */%lld",
			(long long)dl->plan->total);
	error_set(&e, ERROR_RANGE, "Range not satisfiable");
	return response_error(r, &e);
}

static int
check_limits(struct download *dl, struct error *e)
{
	int64_t max = dl->x->config->max_bundle_bytes;

	if (max > 0 && dl->plan->total > max)
		return error_set(e, ERROR_TOO_LARGE,
				 "The zip has %lld bytes, more than "
				 "MAX_BUNDLE_BYTES",
				 (long long)dl->plan->total);
	return 0;
}

/* A range needs lengths and facts, not the sources: 1 answered, 0 send the
 * whole after all, -1 failed. */
static int
try_ranges(struct download *dl, struct error *e)
{
	struct http_range ranges[HTTP_RANGES_MAX];
	int n;

	if (survey(dl, false, e) != 0)
		return -1;
	if (dl->plan->total < 0 && deliver_learn(&dl->delivery, e) != 0)
		return -1;
	if (check_limits(dl, e) != 0)
		return -1;
	if (answer_condition(dl))
		return 1;
	n = wanted_ranges(dl, ranges);
	if (n == 0)
		return 0;
	if (n < 0)
		answer_unsatisfiable(dl);
	else if (download_ranges(dl, ranges, n, e) != 0)
		return -1;
	return 1;
}

static int
send_whole(struct download *dl, struct error *e)
{
	struct response *r = dl->x->response;
	struct stats_slot *slot = stats_mine();
	bool head = dl->x->request->method == HTTP_HEAD;

	if (survey(dl, !head, e) != 0 ||
	    (head && survey_unheard(&dl->delivery, e) != 0) ||
	    check_limits(dl, e) != 0)
		return -1;
	if (answer_condition(dl))
		return 0;
	download_head(dl, 200, "application/zip");
	if (dl->plan->total >= 0 && !dl->delivery.report)
		response_length(r, dl->plan->total);
	if (slot != NULL)
		slot->total = dl->plan->total;
	if (head)
		return response_finish(r);
	stats_state(SLOT_SENDING);
	if (deliver_whole(&dl->delivery, e) != 0)
		return -1;
	response_finish(r);
	return 0;
}

/* A failure before the first byte is an answer; after it, a visible cut. */
static int
settle_failure(struct download *dl, struct error *e)
{
	struct response *r = dl->x->response;

	if (r->head_sent || r->gone || r->ended) {
		response_abort(r);
		return -1;
	}
	if (dl->delivery.failures != NULL && error_of_source(e))
		return answer_failures(dl, e);
	return -1;
}

static const char *
outcome(const struct response *r, const struct error *why)
{
	if (r->gone || (why != NULL && why->code == ERROR_GONE))
		return "client gone";
	return why != NULL || r->aborted || r->status >= 400 ? "failed"
							     : "done";
}

/* Only what was meant to be a zip, or a part of one, is a download. */
static bool
is_download(const struct download *dl)
{
	int status = dl->x->response->status;

	return dl->stored && dl->x->request->method == HTTP_GET &&
	       (status == 200 || status == 206 || status == 502);
}

/* How it went; `why` broke it off, NULL when nothing did. */
static void
note_end(const struct download *dl, const struct error *why)
{
	const struct response *r = dl->x->response;
	bool ours = why != NULL && why->code != ERROR_GONE &&
		    !(error_of_source(why) && dl->delivery.failures != NULL);
	const struct status_record record = {
		.started = dl->started,
		.outcome = outcome(r, why),
		.part = r->status == 206,
		.bytes = r->status < 300 ? r->sent : 0,
		.total = dl->plan != NULL ? dl->plan->total : -1,
		.files_done = dl->delivery.files_done,
		.files_total = dl->files,
		.failures = dl->delivery.failures,
		.reason = ours ? why->text : NULL,
	};

	if (is_download(dl))
		status_keep(dl->x->service->store, dl->bundle->id, &record);
}

static void
show_begin(const struct download *dl)
{
	struct stats_slot *slot = stats_mine();

	if (slot == NULL)
		return;
	slot->files_total = (int64_t)dl->files;
	memcpy(slot->bundle_id, dl->bundle->id, sizeof(dl->bundle->id));
}

/* 0 when there is a plan, 1 answered, -1 failed. */
static int
prepare(struct download *dl, struct bundle *whole,
	const struct fetch_client *client, struct error *e)
{
	struct exchange *x = dl->x;
	struct delivery_failure *missing = NULL;

	if (dl->expanded && expand_bundle(x->config, x->service->engine,
					  x->arena, whole, &missing, e) != 0) {
		dl->delivery.failures = missing;
		/* There is no zip yet that could fail. */
		return error_of_source(e) && answer_failures(dl, e) == 0 ? 1
									 : -1;
	}
	dl->plan = plan_new(x->arena, x->config, whole, e);
	if (dl->plan == NULL)
		return -1;
	delivery_init(&dl->delivery, x->arena, x->config, x->service->engine,
		      dl->plan, client, write_sink, dl);
	dl->delivery.progress = note_progress;
	dl->delivery.missing = missing;
	dl->files = delivery_files(&dl->delivery);
	show_begin(dl);
	return 0;
}

static int
deliver(struct download *dl, struct error *e)
{
	int rc = 0;

	if (asks_for_range(dl))
		rc = try_ranges(dl, e);
	if (rc == 0)
		rc = send_whole(dl, e);
	if (rc < 0 && e->code == ERROR_CHANGED)
		doubt_others(dl);
	if (rc < 0)
		rc = settle_failure(dl, e);
	dl->x->access.files = dl->delivery.files_done;
	remember(dl);
	return rc;
}

int
download_run(struct exchange *x, const struct bundle *b, bool stored,
	     struct error *e)
{
	struct bundle whole = *b;
	struct download dl = { .x = x,
			       .bundle = &whole,
			       .stored = stored,
			       .expanded = expand_needed(b),
			       .started = time(NULL),
			       .files = b->count };
	struct fetch_client client = {
		.ctx = &dl,
		.idle = flush_idle,
		.watch_fd = x->response->transport->watch_fd
	};
	int rc = prepare(&dl, &whole, &client, e);

	if (rc == 0)
		rc = deliver(&dl, e);
	note_end(&dl, rc < 0 ? e : NULL);
	store_release(x->service->store);
	delivery_fini(&dl.delivery);
	return rc < 0 ? -1 : 0;
}
