/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From a plan to the bytes of its zip, whole, in part, or only learned. */
#include "deliver.h"

#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "member.h"

/* The central directory goes out in pieces of about this. */
#define RECORD_PIECE 32768

/* Why the bytes stopped, when it was neither source nor client. */
static int
settle_stop(struct delivery *d, struct error *e)
{
	if (d->over)
		return error_set(e, ERROR_TOO_LARGE,
				 "The bundle passes MAX_BUNDLE_BYTES");
	return -1;
}

int
deliver_learn(struct delivery *d, struct error *e)
{
	bool begun;
	long item = 0;
	int rc = 0;

	if (delivery_pass(d, e) != 0)
		return -1;
	for (size_t i = 0; i < d->plan->count; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->packed < 0 && delivery_add(d, p, 0, -1, e) < 0)
			return -1;
	}
	d->mute = true;
	for (size_t i = 0; i < d->plan->count && rc == 0; i++) {
		struct plan_entry *p = &d->plan->entries[i];

		if (p->packed >= 0)
			continue;
		d->at = 0;
		rc = member_whole(d, p, item++, &begun, e);
		if (rc != 0)
			delivery_fail(d, p, e);
	}
	d->mute = false;
	return rc == 0 ? plan_measure(d->plan, e) : settle_stop(d, e);
}

/* Central directory and end records, at the offsets that came to be. */
static int
emit_central(struct delivery *d, struct error *e)
{
	int64_t start = d->at;
	uint64_t count = 0;
	struct zip_entry z;

	for (size_t i = 0; i < d->plan->count; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->left_out)
			continue;
		plan_zip_entry(p, &z);
		zip_put_central(&d->record, &z);
		count++;
		if (d->record.len >= RECORD_PIECE &&
		    delivery_emit_record(d, e) != 0)
			return -1;
	}
	zip_put_end(&d->record, count, start,
		    d->at + (int64_t)d->record.len - start);
	return delivery_emit_record(d, e);
}

/* By a file, or by a folder that a name leads through. */
static bool
name_taken(const struct plan *plan, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < plan->count; i++) {
		const char *other = plan->entries[i].name;

		if (strncasecmp(other, name, n) == 0 &&
		    (other[n] == '\0' || other[n] == '/'))
			return true;
	}
	return false;
}

/* onError: report: a last entry says what is missing and why. */
static int
emit_errors(struct delivery *d, struct error *e)
{
	struct plan_entry *p = &d->plan->entries[d->plan->count];
	struct file *file = arena_alloc(d->arena, sizeof(*file));
	const char *name = "_errors.txt";
	struct buf text;
	int rc = -1;

	buf_init(&text, 64 << 20);
	for (int i = 2; name != NULL && name_taken(d->plan, name); i++)
		name = arena_printf(d->arena, "_errors (%d).txt", i);
	for (struct delivery_failure *f = d->failures; f != NULL; f = f->next)
		buf_printf(&text, "%s: %s %s\r\n", f->name,
			   source_label(d->arena, f->file->src), f->reason);
	if (name == NULL || file == NULL || buf_failed(&text)) {
		error_memory(e);
		goto out;
	}
	*p = (struct plan_entry){
		.file = file,
		.name = name,
		.layout = PLAN_STORED,
		.has_crc = true,
		.crc = codec_crc32(0, text.data, text.len),
		.size = (int64_t)text.len,
		.packed = (int64_t)text.len,
		.mtime = d->plan->bundle->created,
		.offset = d->at,
		.validator = "",
	};
	d->plan->count++;
	rc = delivery_emit_local(d, p, e);
	if (rc == 0 && delivery_emit(d, text.data, text.len) != 0)
		rc = error_set(e, ERROR_GONE, "client gone");
out:
	buf_free(&text);
	return rc;
}

static void
count_entry(struct delivery *d, const struct plan_entry *p)
{
	d->files_done++;
	if (d->progress != NULL)
		d->progress(d->sink_ctx, p);
}

static int
join_entry(struct delivery *d, struct plan_entry *p, struct error *e)
{
	if (delivery_emit_local(d, p, e) != 0 ||
	    d->join(d->sink_ctx, p, e) != 0)
		return delivery_fail(d, p, e);
	d->at += p->packed;
	count_entry(d, p);
	return 0;
}

static int
whole_entry(struct delivery *d, struct plan_entry *p, long *item,
	    struct error *e)
{
	bool begun = false;

	p->offset = d->at;
	if (p->file->src == NULL)
		return delivery_emit_local(d, p, e);
	if (!delivery_reads(d, p))
		return join_entry(d, p, e);
	if (member_whole(d, p, (*item)++, &begun, e) == 0) {
		count_entry(d, p);
		return 0;
	}
	delivery_fail(d, p, e);
	if (d->report && !begun && error_of_source(e)) {
		p->left_out = true;
		fetch_skip(d->fetch, *item - 1);
		return 0;
	}
	return -1;
}

int
deliver_whole(struct delivery *d, struct error *e)
{
	long item = 0;

	if (d->fetch == NULL && delivery_pass_all(d, e) != 0)
		return -1;
	d->at = 0;
	d->first = 0;
	d->last = INT64_MAX;
	for (size_t i = 0; i < d->plan->count; i++) {
		if (whole_entry(d, &d->plan->entries[i], &item, e) != 0)
			return settle_stop(d, e);
	}
	if (d->failures != NULL && emit_errors(d, e) != 0)
		return settle_stop(d, e);
	return emit_central(d, e) == 0 ? 0 : settle_stop(d, e);
}

static bool
entry_in_range(const struct delivery *d, const struct plan_entry *p)
{
	return p->offset <= d->last && p->offset + plan_span(p) > d->first;
}

/* The readings a range needs: its members first, then the CRCs that only
 * the central directory asks for. */
static struct member_part *
range_parts(struct delivery *d, size_t *count, struct error *e)
{
	struct plan *plan = d->plan;
	bool central = d->last >= plan->central_offset;
	struct member_part *parts;
	size_t n = 1;

	/* One request may have many ranges, and a plan many entries. */
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_entry *p = &plan->entries[i];

		n += entry_in_range(d, p);
		n += central && !p->has_crc;
	}
	parts = arena_array(d->arena, n, sizeof(*parts));
	n = 0;
	if (parts == NULL) {
		error_memory(e);
		return NULL;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_entry *p = &plan->entries[i];

		p->crc_planned = p->has_crc;
		if (!entry_in_range(d, p))
			continue;
		member_plan_part(d, p, &parts[n]);
		p->crc_planned |= parts[n].whole || parts[n].settles;
		n++;
	}
	for (size_t i = 0; central && i < plan->count; i++) {
		if (!plan->entries[i].crc_planned)
			member_plan_crc(&plan->entries[i], &parts[n++]);
	}
	*count = n;
	return parts;
}

/* A reading that makes no bytes: only the CRC is wanted. */
static bool
part_is_crc(const struct delivery *d, const struct member_part *part)
{
	return part->settles && part->codec_from < 0 &&
	       !entry_in_range(d, part->entry);
}

static int
run_part(struct delivery *d, const struct member_part *part, struct error *e)
{
	int rc;

	d->mute = part_is_crc(d, part);
	rc = member_part(d, part, e);
	d->mute = false;
	if (rc == 0 || d->past)
		return 0;
	return delivery_fail(d, part->entry, e);
}

static int
add_part(struct delivery *d, struct member_part *part, struct error *e)
{
	if (part->reads)
		part->item = delivery_add(d, part->entry, part->read_from,
					  part->read_last, e);
	if (part->has_gap && part->item >= 0)
		part->gap_item = delivery_add(d, part->entry, part->gap_from,
					      part->gap_end - 1, e);
	return part->item < 0 || part->gap_item < 0 ? -1 : 0;
}

int
deliver_range(struct delivery *d, int64_t first, int64_t last, struct error *e)
{
	struct member_part *parts;
	size_t n;

	d->first = first;
	d->last = last;
	d->past = false;
	parts = range_parts(d, &n, e);
	if (parts == NULL || delivery_pass(d, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (add_part(d, &parts[i], e) != 0)
			return -1;
	}
	for (size_t i = 0; i < n && !d->past; i++) {
		if (run_part(d, &parts[i], e) != 0)
			return settle_stop(d, e);
	}
	if (d->past || last < d->plan->central_offset)
		return 0;
	d->at = d->plan->central_offset;
	if (emit_central(d, e) != 0 && !d->past)
		return settle_stop(d, e);
	return 0;
}

/* Would its bytes prove to be the same ones again? */
static bool
entry_proven(const struct plan_entry *p)
{
	return p->layout == PLAN_DIRECTORY || p->declared_crc ||
	       p->validator[0] != '\0';
}

int64_t
deliver_kept(const struct delivery *d, int64_t have)
{
	int64_t at = 0, end;

	for (size_t i = 0; i < d->plan->count; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->offset < 0)
			return at < have ? at : have;
		end = p->offset + plan_span(p);
		/* The central directory will want the CRC. */
		if (end <= have && !p->has_crc)
			return p->offset;
		if (end > have)
			return entry_proven(p) ? have : p->offset;
		at = end;
	}
	return at;
}

/* Passes over the entries that stand before d->first; returns the next. */
static size_t
skip_kept(struct delivery *d)
{
	size_t i;

	d->at = 0;
	for (i = 0; i < d->plan->count; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->offset < 0 || p->offset + plan_span(p) > d->first)
			break;
		d->at = p->offset + plan_span(p);
		d->files_done += p->file->src != NULL;
	}
	return i;
}

/* The entry in which d->first lies, and the sources of all behind it. */
static int
add_rest(struct delivery *d, struct member_part *part, size_t next,
	 struct error *e)
{
	if (add_part(d, part, e) != 0)
		return -1;
	for (size_t i = next; i < d->plan->count; i++) {
		const struct plan_entry *p = &d->plan->entries[i];

		if (p->file->src != NULL && delivery_add(d, p, 0, -1, e) < 0)
			return -1;
	}
	return 0;
}

int
deliver_rest(struct delivery *d, int64_t from, struct error *e)
{
	struct member_part part = { .entry = NULL };
	struct plan *plan = d->plan;
	size_t next;
	long item;

	d->first = from;
	d->last = INT64_MAX;
	next = skip_kept(d);
	if (next < plan->count && plan->entries[next].offset >= 0 &&
	    plan->entries[next].offset < from)
		member_plan_part(d, &plan->entries[next++], &part);
	if (delivery_pass(d, e) != 0 || add_rest(d, &part, next, e) != 0)
		return -1;
	if (part.entry != NULL) {
		if (run_part(d, &part, e) != 0)
			return settle_stop(d, e);
		d->files_done++;
	}
	item = (part.reads ? 1 : 0) + (part.has_gap ? 1 : 0);
	for (; next < plan->count; next++) {
		if (whole_entry(d, &plan->entries[next], &item, e) != 0)
			return settle_stop(d, e);
	}
	return emit_central(d, e) == 0 ? 0 : settle_stop(d, e);
}
