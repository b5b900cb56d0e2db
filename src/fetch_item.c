/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One source: asked, read, asked again where it broke. */
#include "fetch_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto.h"

#define LOG_MODULE "fetch"
#include "log.h"

#define BACKOFF_FIRST 250 /* ms, doubled each time, and as much jitter */
#define BACKOFF_MAX 8000
/* A resumption that brought so much starts the count anew. */
#define PROGRESS 65536
#define BULK (INT64_C(64) << 20) /* bytes that make a long stream */
/* libcurl hands out at most 16 KiB at a time; a buffer may overshoot by it. */
#define BUFFER_SLACK 65536

struct item *
item_new(struct fetch *f, size_t index)
{
	struct item *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return NULL;
	i->fetch = f;
	i->index = index;
	i->fd = -1;
	i->end = i->size = -1;
	/* A held transfer has as much again in libcurl's own buffers. */
	i->cap = f->share / 2;
	i->at = f->queue[index].want.first;
	i->resumed_at = i->at;
	buf_init(&i->buf, FETCH_GATHER_MAX + f->share + BUFFER_SLACK);
	return i;
}

static void
drop_transfer(struct item *i)
{
	if (i->transfer != NULL)
		transfer_cancel(i->transfer);
	i->transfer = NULL;
	i->head = NULL;
	i->held = false;
}

/* The facts' strings are const for their readers, yet ours. */
static void
free_text(const char *text)
{
	union {
		const char *text;
		char *ours;
	} u = { text };

	free(u.ours);
}

void
item_free(struct item *i)
{
	drop_transfer(i);
	if (i->fd >= 0)
		close(i->fd);
	if (i->known) {
		free_text(i->facts.validator);
		free_text(i->facts.content_type);
	}
	free(i->url);
	free(i->location);
	buf_free(&i->buf);
	free(i);
}

void
item_fail(struct item *i, enum stats_counter counter, enum error_code code,
	  int http_status, const char *fmt, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_set(&i->error, code, "%s", text);
	i->error.http_status = http_status;
	i->state = ITEM_FAILED;
	i->fetch->stirred = true;
	if (counter < STAT_COUNTER_COUNT)
		stats_add(counter, 1);
}

void
item_changed(struct item *i)
{
	item_fail(i, STAT_SOURCE_ERROR_CHANGED, ERROR_CHANGED, 0,
		  i->known ? "changed while it was read"
			   : "changed since it was last read");
}

static int64_t
backoff_ms(int64_t tries)
{
	int64_t ms = BACKOFF_MAX;
	unsigned short dice = 0;

	if (tries < 5)
		ms = BACKOFF_FIRST << tries;
	/* Workers whose origin restarts must not come back in step. */
	crypto_random(&dice, sizeof(dice));
	return ms / 2 + ms * dice / (2 * 65536);
}

/* Before its first byte: from the start, at most SOURCE_RETRIES times. */
static bool
may_retry(struct item *i, int64_t *delay_ms)
{
	if (i->tries >= i->fetch->config->source_retries)
		return false;
	if (*delay_ms == 0)
		*delay_ms = backoff_ms(i->tries);
	i->tries++;
	stats_add(STAT_SOURCE_RETRIES, 1);
	return true;
}

/* After it: where it broke, at most SOURCE_RESUMES times without progress. */
static bool
may_resume(struct item *i, int64_t *delay_ms)
{
	bool goes_on = i->facts.validator[0] != '\0';

	/* What a fresh start throws away is no progress. */
	if (goes_on && i->at - i->resumed_at >= PROGRESS)
		i->resumes = 0;
	if (i->resumes >= i->fetch->config->source_resumes)
		return false;
	if (*delay_ms == 0 && i->resumes > 0)
		*delay_ms = backoff_ms(i->resumes - 1);
	i->resumes++;
	i->resumed_at = i->at;
	stats_add(STAT_SOURCE_RESUMES, 1);
	if (goes_on)
		return true;
	/* Nothing tells one version from another: only a fresh start is
	 * sure, and only while nobody has seen a byte. */
	if (i->handed_out)
		return false;
	i->at = i->resumed_at = item_wanted(i)->want.first;
	buf_reset(&i->buf);
	return true;
}

void
item_again(struct item *i, enum stats_counter counter, int http_status,
	   int64_t delay_ms, const char *reason)
{
	int64_t first = item_wanted(i)->want.first, broke = i->at;
	bool begun = i->at > first;

	if (begun ? may_resume(i, &delay_ms) : may_retry(i, &delay_ms)) {
		log_debug("again in %lld ms at byte %lld: %s",
			  (long long)delay_ms, (long long)i->at, reason);
		/* A redirect may have been to a link that has expired. */
		free(i->url);
		i->url = NULL;
		i->redirects = 0;
		i->not_before = stats_now_ms() + delay_ms;
		i->state = ITEM_WAITING;
		return;
	}
	if (begun && http_status == 0)
		item_fail(i, counter, ERROR_SOURCE, 0, "%s at byte %lld",
			  reason, (long long)broke);
	else
		item_fail(i, counter, ERROR_SOURCE, http_status, "%s", reason);
}

/* Events of the engine */

static int
on_head(void *ctx, const struct transfer_head *h)
{
	struct item *i = ctx;

	fetch_clock_run(i->fetch);
	i->heard = i->fetch->clock;
	i->fetch->fed |= i == i->fetch->awaited;
	return answer_head(i, h);
}

static size_t
take_excuse(struct item *i, const char *p, size_t n)
{
	size_t room = sizeof(i->excuse) - i->excuse_len;

	memcpy(i->excuse + i->excuse_len, p, n < room ? n : room);
	i->excuse_len += n < room ? n : room;
	i->excuse_seen += n;
	return i->excuse_seen > FETCH_EXCUSE_MAX ? TRANSFER_STOP : n;
}

/* To whom it may concern: the sink, or the buffer. */
static int
hand_on(struct item *i, const char *p, size_t n)
{
	if (n == 0)
		return 0;
	if (i->sink != NULL)
		return fetch_feed(i, p, n);
	buf_put(&i->buf, p, n);
	if (!buf_failed(&i->buf))
		return 0;
	item_fail(i, STAT_COUNTER_COUNT, ERROR_INTERNAL, 0, "Out of memory");
	return -1;
}

static size_t
take_body(struct item *i, const char *p, size_t n)
{
	size_t all = n;
	bool over;

	if (i->skip >= (int64_t)n) {
		i->skip -= (int64_t)n;
		return all;
	}
	if (i->sink == NULL && i->buf.len >= i->cap) {
		i->held = true;
		return TRANSFER_PAUSE;
	}
	p += i->skip;
	n -= (size_t)i->skip;
	i->skip = 0;
	over = i->end >= 0 && (int64_t)n > i->end - i->at;
	if (over)
		n = (size_t)(i->end - i->at);
	i->at += (int64_t)n;
	if (hand_on(i, p, n) != 0)
		return TRANSFER_STOP;
	if (i->cut && i->at == i->end) {
		i->state = ITEM_WHOLE;
		return TRANSFER_STOP;
	}
	if (!over)
		return all;
	item_fail(i, STAT_SOURCE_ERROR_CHANGED, item_misfit(i), 0,
		  "is longer than %lld bytes as declared", (long long)i->end);
	return TRANSFER_STOP;
}

static size_t
on_data(void *ctx, const void *p, size_t n)
{
	struct item *i = ctx;
	size_t taken;

	fetch_clock_run(i->fetch);
	i->heard = i->fetch->clock;
	i->fetch->fed |= i == i->fetch->awaited;
	taken = i->state == ITEM_EXCUSED ? take_excuse(i, p, n)
					 : take_body(i, p, n);
	if (taken == n)
		stats_add(STAT_BYTES_IN, (int64_t)n);
	return taken;
}

/* Did the time-out run while the client was being written to, when nobody
 * looked at the connection? */
static bool
was_unwatched(const struct item *i)
{
	int64_t real = stats_now_ms() - i->asked_real;
	int64_t counted = i->fetch->clock - i->asked_clock;

	return real - counted > i->fetch->config->connect_timeout_ms / 2;
}

static void
broke(struct item *i, enum transfer_end end, const char *reason)
{
	switch (end) {
	case TRANSFER_REFUSED:
		item_fail(i, STAT_SOURCE_ERROR_REFUSED, ERROR_SOURCE, 0, "%s",
			  reason);
		break;
	case TRANSFER_TIMEOUT:
		if (was_unwatched(i)) {
			i->not_before = 0;
			i->state = ITEM_WAITING;
			break;
		}
		item_again(i, STAT_SOURCE_ERROR_TIMEOUT, 0, 0, reason);
		break;
	case TRANSFER_STOPPED:
		item_fail(i, STAT_COUNTER_COUNT, ERROR_GONE, 0, "client gone");
		break;
	case TRANSFER_FAILED:
		item_fail(i, STAT_SOURCE_ERROR_CONNECT, ERROR_SOURCE, 0, "%s",
			  reason);
		break;
	default:
		item_again(i, STAT_SOURCE_ERROR_CONNECT, 0, 0, reason);
	}
}

static void
on_done(void *ctx, enum transfer_end end, const char *reason)
{
	struct item *i = ctx;

	i->transfer = NULL;
	i->held = false;
	i->fetch->stirred = true;
	if (i->state == ITEM_EXCUSED)
		answer_excused(i);
	else if (i->state == ITEM_READING && end == TRANSFER_OK)
		answer_ended(i);
	else if (i->state == ITEM_READING && i->end >= 0 && i->at == i->end)
		i->state = ITEM_WHOLE;
	else if (i->state == ITEM_READING || i->state == ITEM_ASKED)
		broke(i, end, reason);
	i->head = NULL;
}

/* Asking */

static void
refused_by_us(struct item *i, const struct error *e)
{
	bool ours = e->code == ERROR_INTERNAL || e->code == ERROR_UNAVAILABLE;

	item_fail(i, ours ? STAT_COUNTER_COUNT : STAT_SOURCE_ERROR_REFUSED,
		  e->code == ERROR_INTERNAL ? ERROR_INTERNAL : ERROR_SOURCE, 0,
		  i->redirects > 0 ? "redirects to a place that is refused: %s"
				   : "%s",
		  e->text);
	error_cause(&i->error, "%s", e->cause);
}

/* Follows i->location: the new URL is checked like any source. */
static int
follow(struct item *i, struct error *e)
{
	struct fetch *f = i->fetch;
	const char *from = i->url != NULL ? i->url : item_wanted(i)->src;
	struct url base, to;
	char *text;

	if (url_parse(f->scratch, from, &base, e) != 0 ||
	    url_resolve(f->scratch, &base, i->location, &to, e) != 0)
		return -1;
	text = url_format(f->scratch, &to);
	if (text == NULL)
		return error_memory(e);
	free(i->location);
	i->location = NULL;
	free(i->url);
	i->url = strdup(text);
	return i->url != NULL ? 0 : error_memory(e);
}

/* The kind of source, and whether settings let it be read. */
static int
identify(struct item *i, struct error *e)
{
	struct fetch *f = i->fetch;
	const char *src;

	if (i->location != NULL && follow(i, e) != 0)
		return -1;
	src = i->url != NULL ? i->url : item_wanted(i)->src;
	i->ops = source_find(f->config, src, e);
	if (i->ops == NULL)
		return -1;
	return i->ops->check(f->config, f->scratch, src, e);
}

/* How many bytes are asked for, as far as is known; -1. */
static int64_t
span(const struct item *i, const struct source_want *want)
{
	int64_t end = want->last >= 0 ? want->last + 1 : item_wanted(i)->expect;

	return end >= 0 ? end - want->first : -1;
}

/* Will all that is asked for fit the item's buffer, whoever reads it when? */
static bool
is_brief(const struct item *i, const struct source_want *want)
{
	int64_t n = span(i, want);

	return n >= 0 && n <= (int64_t)i->cap;
}

/* Is it long, or all that is read? */
static bool
is_bulk(const struct item *i, const struct source_want *want)
{
	int64_t n = span(i, want);

	return n >= 0 ? n >= BULK : i->fetch->count == 1;
}

static void
ask(struct item *i, struct error *e)
{
	static const struct transfer_events events = { on_head, on_data,
						       on_done };
	struct fetch *f = i->fetch;
	struct source_want want = item_wanted(i)->want;
	struct transfer_call call = { .header_count = 0 };

	want.first = i->at;
	want.validator = item_validator(i);
	if (i->plain) {
		want.first = 0;
		want.ranged = false;
		want.last = -1;
	}
	want.facts_only &= !i->outspoken;
	if (i->ops->prepare(f->config, f->engine, f->scratch,
			    i->url != NULL ? i->url : item_wanted(i)->src,
			    &want, &call, e) != 0)
		return;
	call.brief = is_brief(i, &want);
	call.bulk = is_bulk(i, &want);
	i->bodiless = strcmp(call.method, "HEAD") == 0;
	i->ranged = !i->bodiless &&
		    (want.ranged || want.first > 0 || want.last >= 0);
	i->transfer = transfer_start(f->engine, &call, &events, i, e);
	if (i->transfer == NULL)
		return;
	i->state = ITEM_ASKED;
	i->asked_real = stats_now_ms();
	fetch_clock_run(f);
	i->asked_clock = i->heard = f->clock;
}

void
item_start(struct item *i)
{
	struct error e = { .code = ERROR_NONE };

	arena_reset(i->fetch->scratch);
	if (identify(i, &e) == 0) {
		if (i->ops->open != NULL)
			local_open(i);
		else
			ask(i, &e);
	}
	if (e.code != ERROR_NONE)
		refused_by_us(i, &e);
}

/* Time */

static int64_t
limit_ms(const struct item *i)
{
	const struct config *c = i->fetch->config;

	return i->state == ITEM_ASKED ? c->first_byte_timeout_ms
				      : c->stall_timeout_ms;
}

int64_t
item_patience(const struct item *i)
{
	if (i->state == ITEM_WAITING)
		return i->not_before - stats_now_ms();
	if (i->transfer == NULL || i->held)
		return INT64_MAX;
	return i->heard + limit_ms(i) - i->fetch->clock;
}

void
item_check_time(struct item *i)
{
	if (i->transfer == NULL || i->held || item_patience(i) > 0)
		return;
	drop_transfer(i);
	item_again(i, STAT_SOURCE_ERROR_TIMEOUT, 0, 0, "timed out");
}
