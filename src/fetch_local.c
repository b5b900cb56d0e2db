/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Items that are files of this machine: no request, no waiting. */
#include "fetch_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE 131072

static int
unreadable(struct item *i)
{
	item_fail(i, STAT_SOURCE_ERROR_CHANGED, ERROR_SOURCE, 0,
		  "cannot be read at byte %lld", (long long)i->at);
	return -1;
}

static bool
as_expected(struct item *i, const struct source_facts *facts)
{
	const struct wanted *w = item_wanted(i);
	const char *validator = item_validator(i);

	if (validator[0] != '\0' && strcmp(validator, facts->validator) != 0) {
		item_changed(i);
		return false;
	}
	if (w->expect < 0 || w->expect == facts->size)
		return true;
	item_fail(i, STAT_SOURCE_ERROR_CHANGED, ERROR_SOURCE, 0,
		  "its size is %lld, not %lld as declared",
		  (long long)facts->size, (long long)w->expect);
	return false;
}

void
local_open(struct item *i)
{
	struct fetch *f = i->fetch;
	int64_t last = item_wanted(i)->want.last;
	struct source_facts facts;
	struct error e = { .code = ERROR_NONE };
	char *validator, *type;

	i->fd = i->ops->open(f->config, f->scratch, item_wanted(i)->src, &facts,
			     &e);
	if (i->fd < 0) {
		item_fail(i, STAT_SOURCE_ERROR_STATUS, ERROR_SOURCE,
			  e.http_status, "%s", e.text);
		error_cause(&i->error, "%s", e.cause);
		return;
	}
	if (!as_expected(i, &facts))
		return;
	validator = strdup(facts.validator);
	type = strdup(facts.content_type);
	if (validator == NULL || type == NULL) {
		free(validator);
		free(type);
		item_fail(i, STAT_COUNTER_COUNT, ERROR_INTERNAL, 0,
			  "Out of memory");
		return;
	}
	facts.validator = validator;
	facts.content_type = type;
	i->facts = facts;
	i->known = true;
	i->end = last >= 0 && last + 1 < facts.size ? last + 1 : facts.size;
	i->state = ITEM_READING;
	if (i->at > i->end)
		item_changed(i);
}

/* The file must still be what was opened, and is open no longer: what is kept
 * of thousands is their bytes. */
static int
settle(struct item *i)
{
	struct stat st;

	if (fstat(i->fd, &st) != 0)
		return unreadable(i);
	if (st.st_size != i->facts.size ||
	    st.st_mtim.tv_sec != i->facts.mtime) {
		item_changed(i);
		return -1;
	}
	close(i->fd);
	i->fd = -1;
	i->state = ITEM_WHOLE;
	return 0;
}

/* Reads at most n bytes to p; -1: failed. */
static ssize_t
read_some(struct item *i, void *p, size_t n)
{
	ssize_t got;

	if ((int64_t)n > i->end - i->at)
		n = (size_t)(i->end - i->at);
	do {
		got = pread(i->fd, p, n, i->at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return unreadable(i);
	if (got == 0 && n > 0) {
		item_changed(i);
		return -1;
	}
	i->at += got;
	stats_add(STAT_BYTES_IN, got);
	return got;
}

int
local_gather(struct item *i, size_t limit)
{
	char block[16384];
	ssize_t got;

	while (i->state == ITEM_READING && i->buf.len <= limit) {
		if (i->at == i->end)
			return settle(i);
		got = read_some(i, block, sizeof(block));
		if (got < 0)
			return -1;
		buf_put(&i->buf, block, (size_t)got);
		if (!buf_failed(&i->buf))
			continue;
		item_fail(i, STAT_COUNTER_COUNT, ERROR_INTERNAL, 0,
			  "Out of memory");
		return -1;
	}
	return 0;
}

/* Other sources go on meanwhile, and the client is looked at. */
static int
attend(struct fetch *f)
{
	if (transfer_turn(f->engine, f->client.watch_fd, 0) == 0)
		return 0;
	f->gone = true;
	return -1;
}

int
local_stream(struct item *i)
{
	char *block = malloc(READ_SIZE);
	ssize_t got;
	int rc = -1;

	if (block == NULL) {
		item_fail(i, STAT_COUNTER_COUNT, ERROR_INTERNAL, 0,
			  "Out of memory");
		return -1;
	}
	while (i->at < i->end) {
		got = read_some(i, block, READ_SIZE);
		if (got < 0 || fetch_feed(i, block, (size_t)got) != 0 ||
		    attend(i->fetch) != 0)
			goto out;
	}
	rc = settle(i);
out:
	free(block);
	return rc;
}
