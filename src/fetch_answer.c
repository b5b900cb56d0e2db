/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What an answer means for its item: does it serve the version, the place
 * and the length that were asked for?
 */
#include "fetch_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bundle.h"
#include "http.h"

#define AGAIN_MAX 4	      /* state that changes this often never settles */
#define RETRY_AFTER_MAX 10000 /* ms; who asks for more is asked sooner */

const char *
item_validator(const struct item *i)
{
	if (i->known)
		return i->facts.validator;
	return item_wanted(i)->want.validator != NULL
		       ? item_wanted(i)->want.validator
		       : "";
}

/* RFC 9110, section 8.8.2.2: within the second that it names, a file may have
 * been written once more. */
static bool
date_proves(const struct transfer_head *h)
{
	const char *now = h->get(h, "Date");

	return now == NULL ||
	       http_date_parse(now) > http_date_parse(h->last_modified);
}

/* The entity tag, be it weak; else the date. */
static const char *
head_validator(const struct transfer_head *h)
{
	if (h->etag[0] != '\0')
		return h->etag;
	return date_proves(h) ? h->last_modified : "";
}

/* RFC 9110, section 8.8.3.2: the weak comparison of a weak tag. */
static bool
same_tag(const char *expected, const char *actual)
{
	if (http_etag_weak(expected)) {
		expected += 2;
		actual += http_etag_weak(actual) ? 2 : 0;
	}
	return strcmp(expected, actual) == 0;
}

/* While it is read: bytes may change under a weak tag, not under a date. */
static bool
same_date(const struct item *i, const struct transfer_head *h)
{
	return !i->known || i->facts.mtime == BUNDLE_NO_TIME ||
	       h->last_modified[0] == '\0' ||
	       http_date_parse(h->last_modified) == i->facts.mtime;
}

static bool
same_version(const struct item *i, const struct transfer_head *h)
{
	const char *expected = item_validator(i);
	bool weak = http_etag_weak(expected);
	bool tag = expected[0] == '"' || weak;
	const char *actual = tag ? h->etag : h->last_modified;

	if (expected[0] == '\0' || same_tag(expected, actual))
		return !weak || same_date(i, h);
	/* RFC 9110, section 15.3.7: a 206 to an If-Range need not repeat the
	 * date, and would be a 200 if it were another. */
	return i->part && !tag && actual[0] == '\0';
}

/* Size of the object as now known; -1 unknown. */
static int64_t
known_size(const struct item *i, int64_t total)
{
	if (total >= 0)
		return total;
	return i->size >= 0 ? i->size : item_wanted(i)->expect;
}

enum error_code
item_misfit(const struct item *i)
{
	return i->size < 0 && item_wanted(i)->want.recalled ? ERROR_CHANGED
							    : ERROR_SOURCE;
}

static int
check_size(struct item *i, int64_t total)
{
	const struct wanted *w = item_wanted(i);
	bool remembered = w->want.recalled || (w->want.validator != NULL &&
					       w->want.validator[0] != '\0');

	if (total < 0)
		return 0;
	if (i->size >= 0 && i->size != total) {
		item_changed(i);
		return -1;
	}
	if (w->expect < 0 || w->expect == total)
		return 0;
	item_fail(i, STAT_SOURCE_ERROR_CHANGED,
		  remembered ? ERROR_CHANGED : ERROR_SOURCE, 0,
		  "its size is %lld, not %lld as %s", (long long)total,
		  (long long)w->expect,
		  w->want.recalled ? "it was" : "declared");
	return -1;
}

static int
learn(struct item *i, const struct transfer_head *h, int64_t total)
{
	struct source_facts *facts = &i->facts;
	char *validator, *type;
	int64_t mtime;

	if (i->size < 0)
		i->size = total;
	/* The first head alone makes the facts: what is told to the consumer
	 * must not depend on how far the reading got ahead. */
	if (i->known)
		return 0;
	validator = strdup(head_validator(h));
	type = strdup(h->content_type);
	if (validator == NULL || type == NULL) {
		free(validator);
		free(type);
		item_fail(i, STAT_COUNTER_COUNT, ERROR_INTERNAL, 0,
			  "Out of memory");
		return -1;
	}
	mtime = http_date_parse(h->last_modified);
	*facts = (struct source_facts){
		.size = total,
		.mtime = mtime >= 0 ? mtime : BUNDLE_NO_TIME,
		.ranges = i->part || (!i->ranged && strcasecmp(h->accept_ranges,
							       "bytes") == 0),
		.validator = validator,
		.content_type = type,
	};
	i->known = true;
	if (i->ops->learn != NULL)
		i->ops->learn(h, facts);
	return 0;
}

/* Where the bytes wanted end, and whether this answer goes on behind. */
static void
set_end(struct item *i, int64_t size, int64_t part_last)
{
	int64_t last = item_wanted(i)->want.last;

	i->end = size;
	if (last >= 0 && (size < 0 || last + 1 < size))
		i->end = last + 1;
	if (i->part && size < 0)
		i->end = part_last + 1;
	i->cut = !i->part && last >= 0 && i->end != size;
}

static int
refuse(struct item *i, const char *what)
{
	item_fail(i, STAT_SOURCE_ERROR_STATUS, ERROR_SOURCE, i->head->status,
		  "%s", what);
	return -1;
}

/* 200 and 206. */
static int
accept_body(struct item *i, const struct transfer_head *h)
{
	int64_t first = 0, last = -1, total = h->content_length;

	i->part = h->status == 206;
	if (h->content_encoding[0] != '\0' &&
	    strcasecmp(h->content_encoding, "identity") != 0)
		return refuse(i, "is sent compressed, though not asked to be");
	if (i->part &&
	    (!i->ranged ||
	     http_content_range(h->content_range, &first, &last, &total) != 0 ||
	     first != i->at))
		return refuse(i, "answers with another part than asked for");
	if (!same_version(i, h)) {
		item_changed(i);
		return -1;
	}
	if (check_size(i, total) != 0)
		return -1;
	if (i->part && item_wanted(i)->want.last < 0 &&
	    known_size(i, total) < 0) {
		/* Does anything follow this part?  The whole tells. */
		i->plain = true;
		i->not_before = 0;
		i->state = ITEM_WAITING;
		return -1;
	}
	if (learn(i, h, total) != 0)
		return -1;
	i->skip = i->at - first;
	set_end(i, known_size(i, total), last);
	i->state = ITEM_READING;
	return 0;
}

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 ||
	       status == 307 || status == 308;
}

/* Is there a place to ask instead? */
static bool
leads_on(const struct item *i)
{
	return is_redirect(i->head->status) && i->ops->follows &&
	       i->head->location[0] != '\0';
}

int
answer_head(struct item *i, const struct transfer_head *h)
{
	i->head = h;
	if (h->status == 200 || h->status == 206)
		return accept_body(i, h);
	if (h->status < 200)
		return refuse(i, "switches protocols, though not asked to");
	i->state = ITEM_EXCUSED;
	i->excuse_len = i->excuse_seen = 0;
	/* A redirect has said all: its body is worth no more than the
	 * connection that can be used again after a short one. */
	return leads_on(i) && (h->content_length < 0 ||
			       h->content_length > FETCH_EXCUSE_KEPT)
		       ? -1
		       : 0;
}

/* 416: an empty object, one that ended just where it broke off, or one that
 * is no longer what it was. */
static void
unsatisfiable(struct item *i)
{
	int64_t total = http_content_range_total(i->head->content_range);

	if (i->at > 0 && total == i->at && i->end < 0 && i->known) {
		i->end = total;
		i->state = ITEM_WHOLE;
	} else if (i->at > 0) {
		item_changed(i);
	} else if (total == 0) {
		i->part = true;
		if (check_size(i, 0) != 0 || learn(i, i->head, 0) != 0)
			return;
		i->end = 0;
		i->state = ITEM_WHOLE;
	} else if (!i->plain) {
		/* It does not say how long it is: the whole tells. */
		i->plain = true;
		i->not_before = 0;
		i->state = ITEM_WAITING;
	} else {
		refuse(i, "416 Range Not Satisfiable");
	}
}

static bool
is_passing(int status)
{
	return status == 408 || status == 425 || status == 429 ||
	       status == 500 || (status >= 502 && status <= 504);
}

static void
redirected(struct item *i)
{
	if (++i->redirects > i->fetch->config->max_redirects) {
		item_fail(i, STAT_SOURCE_ERROR_STATUS, ERROR_SOURCE,
			  i->head->status, "too many redirects");
		return;
	}
	free(i->location);
	i->location = strdup(i->head->location);
	if (i->location == NULL) {
		item_fail(i, STAT_COUNTER_COUNT, ERROR_INTERNAL, 0,
			  "Out of memory");
		return;
	}
	i->not_before = 0;
	i->state = ITEM_WAITING;
}

/* RFC 9110, section 10.2.3: seconds or a date. */
static int64_t
retry_after_ms(const struct transfer_head *h)
{
	const char *value = h->get(h, "Retry-After");
	int64_t seconds;
	char *end;

	if (value == NULL)
		return 0;
	errno = 0;
	seconds = strtoll(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0)
		seconds = http_date_parse(value) - (int64_t)time(NULL);
	if (seconds <= 0)
		return 0;
	return seconds < RETRY_AFTER_MAX / 1000 ? seconds * 1000
						: RETRY_AFTER_MAX;
}

/* What the kind of source thinks of it. */
static void
judge(struct item *i, const char *text)
{
	const struct transfer_head *h = i->head;
	struct error e = { .code = ERROR_NONE };
	enum source_verdict verdict =
		is_passing(h->status) ? SOURCE_RETRY : SOURCE_FAIL;

	if (i->ops->judge != NULL)
		verdict = i->ops->judge(i->fetch->config, item_wanted(i)->src,
					h, i->excuse, i->excuse_len, &e);
	if (e.text[0] != '\0')
		text = e.text;
	if (i->bodiless && verdict != SOURCE_AGAIN) {
		/* The answer to a HEAD has no body that would say why. */
		i->outspoken = true;
		i->not_before = 0;
		i->state = ITEM_WAITING;
		return;
	}
	if (verdict == SOURCE_AGAIN && ++i->agains <= AGAIN_MAX) {
		i->not_before = 0;
		i->state = ITEM_WAITING;
	} else if (verdict == SOURCE_RETRY) {
		item_again(i, STAT_SOURCE_ERROR_STATUS, h->status,
			   retry_after_ms(h), text);
	} else {
		item_fail(i, STAT_SOURCE_ERROR_STATUS, ERROR_SOURCE, h->status,
			  "%s", text);
	}
}

void
answer_excused(struct item *i)
{
	int status = i->head->status;
	const char *reason = http_reason(status);
	char text[64];

	snprintf(text, sizeof(text), "%d %s", status,
		 reason != NULL ? reason : "");
	if (leads_on(i))
		redirected(i);
	else if (status == 416 && i->ranged)
		unsatisfiable(i);
	else if (status == 412)
		item_changed(i);
	else
		judge(i, text);
}

void
answer_ended(struct item *i)
{
	if (i->bodiless || i->at == i->end) {
		i->state = ITEM_WHOLE;
	} else if (i->skip > 0) {
		item_changed(i);
	} else if (i->end < 0 || (i->cut && i->size < 0)) {
		i->end = i->at;
		i->state = ITEM_WHOLE;
	} else if (i->part) {
		/* RFC 9110, section 15.3.7: less than was asked for.  That is
		 * no fault to wait after. */
		item_again(i, STAT_SOURCE_ERROR_CHANGED, 0, 1,
			   "sent less than its length");
	} else {
		item_fail(i, STAT_SOURCE_ERROR_CHANGED, item_misfit(i), 0,
			  "its size is %lld, not %lld as declared",
			  (long long)i->at, (long long)i->end);
	}
}
