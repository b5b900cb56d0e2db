/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The plan of a zip: entries, layouts, offsets and the name of it all. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "crypto.h"
#include "dst.h"
#include "http.h"
#include "media.h"
#include "spans.h"

/* 1980-01-01, the zip format's first day: the time of what has none. */
#define PLAN_EPOCH INT64_C(315532800)
/* Any BUNDLE_SIZE_MAX can be added to it, and the directory of all files. */
#define TOTAL_MAX (INT64_C(1) << 62)
/* The emitter's own version: a change of its bytes is another ETag. */
#define PLAN_VERSION "zipstream-layout-2"

static const struct {
	enum plan_layout layout;
	const char *name;
} layout_names[] = {
	{ PLAN_DIRECTORY, "directory" }, { PLAN_STORED, "stored" },
	{ PLAN_LEVEL0, "level0" },	 { PLAN_PACKED, "packed" },
	{ PLAN_DEFLATED, "deflated" },
};

/* "deflated igzip/2.30.0 1": the coder's name promises the same bytes. */
static const char *
layout_name(struct arena *a, const struct plan_entry *p)
{
	const char *name = "";

	for (size_t i = 0; i < sizeof(layout_names) / sizeof(*layout_names);
	     i++) {
		if (layout_names[i].layout == p->layout)
			name = layout_names[i].name;
	}
	if (p->layout != PLAN_PACKED && p->layout != PLAN_DEFLATED)
		return name;
	return arena_printf(a, "%s %s", name, codec_name(p->level));
}

/* The pinned layout, when this program can still make the same bytes. */
static bool
layout_parse(struct plan_entry *p, const char *text)
{
	size_t n = strcspn(text, " ");
	const char *level = strrchr(text, ' ');
	enum plan_layout layout = PLAN_OPEN;
	long l = level != NULL ? strtol(level, NULL, 10) : 0;

	for (size_t i = 0; i < sizeof(layout_names) / sizeof(*layout_names);
	     i++) {
		if (strlen(layout_names[i].name) == n &&
		    memcmp(layout_names[i].name, text, n) == 0)
			layout = layout_names[i].layout;
	}
	if (layout == PLAN_PACKED || layout == PLAN_DEFLATED) {
		if (l < 1 || l > 9 || strcmp(text + n + 1, codec_name((int)l)))
			return false;
		p->level = (uint8_t)l;
	}
	/* What has a source is no directory. */
	if (layout == PLAN_OPEN || layout == PLAN_DIRECTORY)
		return false;
	p->layout = layout;
	return true;
}

/* Lengths that no zip has are not added up: the store may hold anything. */
static bool
facts_fit(const struct facts *f)
{
	return f->size <= BUNDLE_SIZE_MAX && f->packed <= 2 * BUNDLE_SIZE_MAX;
}

static uint8_t
resolve_compression(const struct config *c, const struct bundle *b,
		    const struct file *f)
{
	if (f->compression != COMPRESSION_DEFAULT)
		return f->compression;
	if (b->compression != COMPRESSION_DEFAULT)
		return b->compression;
	return (uint8_t)c->compression;
}

/* The parts that were summed up, each in its time, may be all of it. */
static void
recall_sums(struct plan_entry *p)
{
	struct spans known;
	uint32_t crc;

	if (p->crc_proved)
		return;
	spans_read(&known, p->checkpoints, p->size);
	if (!spans_whole(&known, p->size, &crc))
		return;
	if (!p->has_crc)
		p->crc = crc;
	p->has_crc = true;
	p->crc_proved = p->crc == crc;
	/* Who reads all of it anew will see which of them is wrong. */
	if (!p->crc_proved)
		p->checkpoints = "";
}

/* Takes over what an earlier download learned, if it still binds us. */
static void
recall(struct plan_entry *p)
{
	const struct facts *f = &p->file->facts;

	if (f->layout == NULL || f->layout[0] == '\0' || !facts_fit(f) ||
	    !layout_parse(p, f->layout))
		return;
	if ((p->file->size >= 0 && p->file->size != f->size) ||
	    (p->layout == PLAN_STORED && f->packed != f->size)) {
		p->layout = PLAN_OPEN;
		return;
	}
	p->size = f->size;
	p->packed = f->packed;
	p->validator = f->validator != NULL ? f->validator : "";
	if (p->mtime == BUNDLE_NO_TIME)
		p->mtime = f->mtime;
	if (!p->has_crc && f->has_crc) {
		p->crc = f->crc;
		p->has_crc = true;
	}
	p->crc_proved = f->has_crc && f->crc == p->crc;
	/* Without a validator, or under a weak tag, bytes may have changed:
	 * sums of another day are no proof for those of today. */
	if (f->checkpoints != NULL && p->validator[0] != '\0' &&
	    !http_etag_weak(p->validator))
		p->checkpoints = f->checkpoints;
	recall_sums(p);
}

/* A source without a time has the bundle's.  The format's UT field holds 32
 * bits, and its length must not depend on what a source says. */
static int64_t
fit_time(const struct plan *plan, int64_t mtime)
{
	if (mtime == BUNDLE_NO_TIME || mtime < 0 || mtime > INT32_MAX)
		mtime = plan->bundle->created;
	return mtime > 0 ? mtime : PLAN_EPOCH;
}

static void
entry_init(struct plan *plan, struct plan_entry *p, const struct file *f)
{
	*p = (struct plan_entry){
		.file = f,
		.name = f->dst,
		.level = (uint8_t)plan->config->compression_level,
		.compression =
			resolve_compression(plan->config, plan->bundle, f),
		.has_crc = f->has_crc,
		.declared_crc = f->has_crc,
		.crc = f->crc,
		.size = f->size,
		.packed = -1,
		.mtime = f->mtime,
		.offset = -1,
		.validator = "",
		.content_type = "",
		.checkpoints = "",
	};
	if (f->src == NULL) {
		p->layout = PLAN_DIRECTORY;
		p->size = p->packed = 0;
		p->has_crc = true;
		if (p->mtime == BUNDLE_NO_TIME)
			p->mtime = plan->bundle->created > 0
					   ? plan->bundle->created
					   : PLAN_EPOCH;
		return;
	}
	recall(p);
}

struct plan *
plan_new(struct arena *a, const struct config *c, const struct bundle *b,
	 struct error *e)
{
	struct plan *plan = arena_alloc(a, sizeof(*plan));
	struct dst_set *names = dst_set_new(a, b->count);
	struct plan_entry *p;

	if (plan == NULL || names == NULL)
		goto memory;
	*plan = (struct plan){ .arena = a,
			       .config = c,
			       .bundle = b,
			       .central_offset = -1,
			       .central_size = -1,
			       .total = -1 };
	plan->entries = arena_array(a, b->count + 1, sizeof(*plan->entries));
	if (plan->entries == NULL)
		goto memory;
	for (size_t i = 0; i < b->count; i++) {
		const struct file *f = &b->files[i];
		const char *owner = f->src != NULL ? f->src : "";

		p = &plan->entries[plan->count];
		entry_init(plan, p, f);
		p->position = i;
		e->code = ERROR_NONE;
		p->name = dst_set_take(names, f->dst, owner, e);
		if (p->name == NULL && e->code != ERROR_NONE)
			return NULL;
		if (p->name != NULL)
			plan->count++;
	}
	return plan;
memory:
	error_memory(e);
	return NULL;
}

/* What is known without a look at the content. */
static enum media_class
classify(const struct plan_entry *p)
{
	enum media_class m;

	if (p->compression == COMPRESSION_STORE)
		return MEDIA_PACKED;
	if (p->compression == COMPRESSION_DEFLATE)
		return MEDIA_TEXTUAL;
	m = media_by_name(p->name);
	if (m == MEDIA_UNKNOWN)
		m = media_by_type(p->content_type);
	return m;
}

bool
plan_lacks(const struct plan_entry *p, bool want_validator)
{
	if (p->layout == PLAN_DIRECTORY || p->answered)
		return false;
	if (p->size < 0)
		return true;
	if (p->layout == PLAN_OPEN && classify(p) == MEDIA_UNKNOWN)
		return true;
	return want_validator &&
	       (p->mtime == BUNDLE_NO_TIME ||
		(!p->declared_crc && p->validator[0] == '\0'));
}

bool
plan_predictable(const struct plan_entry *p)
{
	if (p->layout == PLAN_OPEN)
		return classify(p) != MEDIA_TEXTUAL;
	if (p->layout == PLAN_PACKED || p->layout == PLAN_DEFLATED)
		return p->packed >= 0;
	return true;
}

bool
plan_wants_trial(const struct plan_entry *p)
{
	return p->layout == PLAN_OPEN && classify(p) == MEDIA_UNKNOWN;
}

static void
choose_stored(struct plan_entry *p)
{
	/* A CRC that only the source's head gave counts like a declared one:
	 * it is the same at every download of the same object. */
	if (p->size >= 0 && (p->size <= PLAN_SMALL || p->has_crc)) {
		p->layout = PLAN_STORED;
		p->packed = p->size;
		return;
	}
	p->layout = PLAN_LEVEL0;
	p->packed = p->size >= 0 ? codec_level0_size(p->size) : -1;
}

/* Just below 4 GiB deflating may pass it or not: the header would have to be
 * ZIP64, and readers of a stream go by what it came to. */
static bool
is_edgy(const struct plan_entry *p)
{
	return p->size > PLAN_NARROW && p->size < INT64_C(0xFFFFFFFF);
}

int
plan_learn(struct plan *plan, struct plan_entry *p,
	   const struct source_facts *facts, struct error *e)
{
	p->answered = true;
	if (facts->size > BUNDLE_SIZE_MAX)
		return error_set(e, ERROR_SOURCE, "is too large");
	if (facts->size >= 0 && p->size >= 0 && facts->size != p->size)
		return error_set(
			e, p->file->size < 0 ? ERROR_CHANGED : ERROR_SOURCE,
			"has %lld bytes, not %lld as expected",
			(long long)facts->size, (long long)p->size);
	if (facts->has_crc && p->has_crc && facts->crc != p->crc)
		return error_set(e,
				 p->declared_crc ? ERROR_SOURCE : ERROR_CHANGED,
				 "has another CRC-32 than expected");
	if (facts->has_crc) {
		p->crc = facts->crc;
		p->has_crc = p->crc_proved = true;
	}
	if (p->size < 0 && facts->size >= 0) {
		p->size = facts->size;
		if (p->layout == PLAN_DEFLATED && is_edgy(p))
			choose_stored(p);
		else if (p->layout == PLAN_LEVEL0)
			p->packed = codec_level0_size(p->size);
	}
	if (p->validator[0] == '\0' && facts->validator != NULL)
		p->validator = arena_strdup(plan->arena, facts->validator);
	if (facts->content_type != NULL)
		p->content_type =
			arena_strdup(plan->arena, facts->content_type);
	if (p->validator == NULL || p->content_type == NULL)
		return error_memory(e);
	if (p->mtime == BUNDLE_NO_TIME)
		p->mtime = fit_time(plan, facts->mtime);
	return 0;
}

bool
plan_choose(struct plan_entry *p, const void *head, size_t n, bool whole)
{
	enum media_class m = classify(p);

	if (p->layout != PLAN_OPEN)
		return true;
	if (whole)
		p->size = (int64_t)n;
	if (m == MEDIA_UNKNOWN && head == NULL && p->size != 0)
		return false;
	if (m == MEDIA_UNKNOWN) {
		if (n > PLAN_TRIAL)
			n = PLAN_TRIAL;
		m = n > 0 && codec_compressible(head, n) ? MEDIA_TEXTUAL
							 : MEDIA_PACKED;
	}
	if (m == MEDIA_PACKED || p->size == 0 || is_edgy(p))
		choose_stored(p);
	else
		p->layout = p->size >= 0 && p->size <= PLAN_SMALL
				    ? PLAN_PACKED
				    : PLAN_DEFLATED;
	return true;
}

bool
plan_needs_whole(const struct plan_entry *p)
{
	if (p->layout == PLAN_STORED)
		return !p->has_crc;
	if (p->layout == PLAN_PACKED)
		return !p->has_crc || p->packed < 0;
	return p->layout == PLAN_OPEN && p->size >= 0 && p->size <= PLAN_SMALL;
}

void
plan_zip_entry(const struct plan_entry *p, struct zip_entry *z)
{
	*z = (struct zip_entry){
		.name = p->name,
		.name_len = strlen(p->name),
		.method =
			p->layout == PLAN_STORED || p->layout == PLAN_DIRECTORY
				? ZIP_METHOD_STORE
				: ZIP_METHOD_DEFLATE,
		.descriptor =
			p->layout == PLAN_LEVEL0 || p->layout == PLAN_DEFLATED,
		.crc = p->crc,
		.size = p->size,
		.packed = p->packed,
		.mtime = p->mtime != BUNDLE_NO_TIME ? p->mtime : PLAN_EPOCH,
		.offset = p->offset,
	};
	/* The length of level 0 is known; what deflating comes to is not. */
	z->large = p->layout == PLAN_DEFLATED && p->size > PLAN_NARROW;
}

int64_t
plan_span(const struct plan_entry *p)
{
	struct zip_entry z;

	plan_zip_entry(p, &z);
	return (int64_t)zip_local_size(&z) + p->packed +
	       (int64_t)zip_descriptor_size(&z);
}

static void
digest_text(struct crypto_sha256 *d, const char *s)
{
	crypto_sha256_add(d, s, strlen(s) + 1);
}

/*
 * The ETag names everything that decides a byte and is known before the
 * first one: not the learned CRCs, or the first download could not bear the
 * name that its resumption will ask for.
 */
static int
name_layout(struct plan *plan, struct error *e)
{
	struct crypto_sha256 *d = crypto_sha256_new();
	unsigned char sum[SHA256_BYTES];
	char line[160];

	if (d == NULL)
		return error_memory(e);
	digest_text(d, PLAN_VERSION);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_entry *p = &plan->entries[i];
		const char *name = layout_name(plan->arena, p);

		snprintf(line, sizeof(line), "%s %lld %lld %lld %08x",
			 name != NULL ? name : "", (long long)p->size,
			 (long long)p->packed, (long long)p->mtime,
			 p->declared_crc ? p->crc : 0);
		digest_text(d, p->name);
		digest_text(d, line);
		/* A declared CRC says more than any validator. */
		digest_text(d, p->declared_crc ? "" : p->validator);
	}
	crypto_sha256_end(d, sum);
	plan->etag[0] = '"';
	crypto_hex(sum, sizeof(sum), plan->etag + 1);
	plan->etag[PLAN_ETAG - 3] = '"';
	plan->etag[PLAN_ETAG - 2] = '\0';
	return 0;
}

static bool
entry_measured(const struct plan_entry *p)
{
	return p->layout != PLAN_OPEN && p->packed >= 0;
}

/* Can a later download prove that it would write the same bytes? */
static bool
entry_provable(const struct plan_entry *p)
{
	return p->layout == PLAN_DIRECTORY ||
	       (p->mtime != BUNDLE_NO_TIME &&
		(p->declared_crc || p->validator[0] != '\0'));
}

int
plan_measure(struct plan *plan, struct error *e)
{
	struct zip_entry z;
	int64_t at = 0, central = 0;

	/* An earlier measure may have been of sources that have changed. */
	plan->central_offset = plan->central_size = plan->total = -1;
	plan->resumable = true;
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_entry *p = &plan->entries[i];

		if (!entry_measured(p)) {
			plan->resumable = false;
			return 0;
		}
		if (at > TOTAL_MAX)
			return error_set(e, ERROR_TOO_LARGE,
					 "The zip would be too large");
		p->offset = at;
		at += plan_span(p);
		plan_zip_entry(p, &z);
		central += (int64_t)zip_central_size(&z);
		plan->resumable &= entry_provable(p);
	}
	plan->central_offset = at;
	plan->central_size = central;
	plan->total =
		at + central + (int64_t)zip_end_size(plan->count, at, central);
	return name_layout(plan, e);
}

void
plan_forget(struct plan_entry *p)
{
	p->layout = PLAN_OPEN;
	p->size = p->file->size;
	p->mtime = p->file->mtime;
	p->has_crc = p->file->has_crc;
	p->crc = p->file->crc;
	p->packed = -1;
	p->validator = "";
	p->checkpoints = "";
	p->crc_proved = false;
	p->answered = false;
	p->dirty = true;
}

void
plan_facts(struct plan *plan, const struct plan_entry *p, struct facts *out)
{
	facts_clear(out);
	if (p->layout == PLAN_OPEN)
		return;
	out->size = p->size;
	out->packed = p->packed;
	out->mtime = p->mtime;
	out->crc = p->crc;
	/* A declared CRC is no fact before a reading has proved it. */
	out->has_crc = p->has_crc && (p->crc_proved || !p->declared_crc);
	out->validator = p->validator;
	out->layout = layout_name(plan->arena, p);
	out->checkpoints = p->crc_proved ? "" : p->checkpoints;
}
