/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whole folders as sources. */
#include "expand.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery.h"
#include "dst.h"
#include "source.h"
#include "stats.h"

#define ROOM_FIRST 1024

/* The list that grows while folders are read. */
struct expansion {
	const struct config *config;
	struct transfer_engine *engine;
	struct arena *arena;
	struct file *files; /* malloc'ed */
	size_t count, room;
	const struct file *folder; /* that is being read */
	bool report;		   /* failed folders are left out */
	size_t sources, failures;
	struct delivery_failure *failed, **failed_end;
};

bool
expand_needed(const struct bundle *b)
{
	for (size_t i = 0; i < b->count; i++) {
		if (bundle_is_folder(&b->files[i]))
			return true;
	}
	return false;
}

static struct file *
add_file(struct expansion *x, struct error *e)
{
	size_t room = x->room > 0 ? 2 * x->room : ROOM_FIRST;
	struct file *grown;

	if ((int64_t)x->count >= x->config->max_files) {
		error_set(e, ERROR_TOO_LARGE,
			  "More than %lld files, those of folders included",
			  (long long)x->config->max_files);
		return NULL;
	}
	if (x->count == x->room) {
		grown = reallocarray(x->files, room, sizeof(*grown));
		if (grown == NULL) {
			error_memory(e);
			return NULL;
		}
		x->files = grown;
		x->room = room;
	}
	return &x->files[x->count++];
}

/* The folder's dst and the name in it. */
static const char *
name_in(struct expansion *x, const char *name, struct error *e)
{
	const char *folder = x->folder->dst;
	const char *whole, *clean;
	struct error why = { .code = ERROR_NONE };

	if (strcmp(folder, "/") == 0)
		folder = "";
	whole = arena_printf(x->arena, "%s%s", folder, name);
	if (whole == NULL) {
		error_memory(e);
		return NULL;
	}
	clean = dst_clean(x->arena, whole, strlen(whole), &why);
	if (clean == NULL)
		error_set(e, ERROR_SOURCE, "has a name that %.200s: '%.200s'",
			  why.text, name);
	return clean;
}

static int
take_child(void *ctx, const struct source_child *child, struct error *e)
{
	struct expansion *x = ctx;
	const char *dst;
	struct file *f;

	/* An empty folder's own entry, where that is the zip's top. */
	if (child->name[0] == '\0' && strcmp(x->folder->dst, "/") == 0)
		return 0;
	dst = name_in(x, child->name, e);
	f = dst != NULL ? add_file(x, e) : NULL;
	if (f == NULL)
		return -1;
	*f = (struct file){ .src = child->src,
			    .dst = dst,
			    .size = child->size,
			    .mtime = child->mtime,
			    .compression = x->folder->compression };
	facts_clear(&f->facts);
	/* A file named "a\" is no folder of the zip. */
	if (bundle_is_folder(f))
		return error_set(e, ERROR_SOURCE,
				 "has a name that must not end in '\\': "
				 "'%.200s'",
				 child->name);
	return 0;
}

/* `what` is filled but for src and deep. */
static int
read_folder(struct source_folder *what, const char *src, struct error *e)
{
	size_t n = strlen(src);
	const struct source_ops *ops = source_find(what->config, src, e);

	what->deep = src[n - 1] != '*';
	what->src = arena_strndup(what->arena, src, n - !what->deep);
	if (what->src == NULL)
		return error_memory(e);
	if (ops == NULL ||
	    ops->check(what->config, what->arena, what->src, e) != 0)
		return -1;
	if (ops->expand == NULL)
		return error_set(e, ERROR_SOURCE, "is no folder");
	return ops->expand(what, e);
}

static int
add_folder(struct expansion *x, const struct file *folder, struct error *e)
{
	struct source_folder what = { .config = x->config,
				      .engine = x->engine,
				      .arena = x->arena,
				      .found = take_child,
				      .ctx = x };

	x->folder = folder;
	return read_folder(&what, folder->src, e);
}

/* The folder could not be listed, or holds what no zip can hold. */
static int
note_failure(struct expansion *x, const struct file *folder, struct error *e)
{
	struct delivery_failure *f = arena_alloc(x->arena, sizeof(*f));

	if (f == NULL)
		return error_memory(e);
	f->file = folder;
	f->name = folder->dst;
	f->status = e->http_status;
	f->reason = arena_strdup(x->arena, e->text);
	if (f->reason == NULL)
		return error_memory(e);
	*x->failed_end = f;
	x->failed_end = &f->next;
	x->failures++;
	return x->report ? 0 : -1;
}

static int
expand_folder(struct expansion *x, const struct file *folder, struct error *e)
{
	size_t before = x->count;

	if (add_folder(x, folder, e) == 0)
		return 0;
	/* Settings that forbid it now are the source's failure, too. */
	if (e->code == ERROR_INPUT)
		e->code = ERROR_SOURCE;
	if (e->code != ERROR_SOURCE)
		return -1;
	x->count = before;
	return note_failure(x, folder, e);
}

static int
expand_file(struct expansion *x, const struct file *file, struct error *e)
{
	struct file *f;

	x->sources += file->src != NULL;
	if (bundle_is_folder(file))
		return expand_folder(x, file, e);
	f = add_file(x, e);
	if (f == NULL)
		return -1;
	*f = *file;
	return 0;
}

static int
keep_files(const struct expansion *x, struct bundle *b, struct error *e)
{
	struct file *files =
		arena_array(x->arena, x->count + 1, sizeof(*files));

	if (files == NULL)
		return error_memory(e);
	if (x->count > 0)
		memcpy(files, x->files, x->count * sizeof(*files));
	b->files = files;
	b->count = x->count;
	return 0;
}

int
expand_bundle(const struct config *c, struct transfer_engine *t,
	      struct arena *a, struct bundle *b,
	      struct delivery_failure **failed, struct error *e)
{
	struct expansion x = { .config = c,
			       .engine = t,
			       .arena = a,
			       .report = bundle_reports(c, b) };
	int rc = 0;

	x.failed_end = &x.failed;
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = expand_file(&x, &b->files[i], e);
	if (rc == 0 && x.failures > 0 && x.failures == x.sources)
		rc = -1;
	if (rc == 0)
		rc = keep_files(&x, b, e);
	*failed = x.failed;
	free(x.files);
	return rc;
}

/* Counting alone */

struct count {
	const struct source_folder *folder;
	const struct source_ops *ops;
	const struct expand_limits *limits;
	struct expand_sum *sum;
};

/* A listing need not tell how large a local file is. */
static int64_t
size_of(const struct count *c, const struct source_child *child)
{
	struct source_facts facts = { .size = -1 };
	int fd;

	if (child->size >= 0 || c->ops->open == NULL)
		return child->size;
	fd = c->ops->open(c->folder->config, c->folder->arena, child->src,
			  &facts, NULL);
	if (fd >= 0)
		close(fd);
	return facts.size;
}

static int
count_child(void *ctx, const struct source_child *child, struct error *e)
{
	struct count *c = ctx;
	int64_t size;

	if ((child->src != NULL && c->sum->files >= c->limits->files) ||
	    stats_now_ms() >= c->limits->until_ms) {
		c->sum->more = true;
		return error_set(e, ERROR_TOO_LARGE, "has more in it");
	}
	if (child->src == NULL)
		return 0;
	size = size_of(c, child);
	c->sum->files++;
	if (size > 0 &&
	    __builtin_add_overflow(c->sum->bytes, size, &c->sum->bytes))
		c->sum->bytes = INT64_MAX;
	return 0;
}

int
expand_count(const struct config *c, struct transfer_engine *t, struct arena *a,
	     const char *src, const struct expand_limits *limits,
	     struct expand_sum *sum, struct error *e)
{
	struct count count = { .limits = limits, .sum = sum };
	struct source_folder what = { .config = c,
				      .engine = t,
				      .arena = a,
				      .until_ms = limits->until_ms,
				      .found = count_child,
				      .ctx = &count };
	int rc;

	*sum = (struct expand_sum){ .more = false };
	if (limits->files <= 0 || stats_now_ms() >= limits->until_ms) {
		sum->more = true;
		return 0;
	}
	count.folder = &what;
	count.ops = source_find(c, src, e);
	rc = count.ops != NULL ? read_folder(&what, src, e) : -1;
	/* A page of the listing has not come in time. */
	if (rc == -1 && sum->files > 0 && stats_now_ms() >= limits->until_ms)
		sum->more = true;
	return sum->more ? 0 : rc;
}
