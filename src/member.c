/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One member's bytes on their way: source to CRC to codec to zip. */
#include "member.h"

#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "spans.h"

/* Without a length up front a member is written as one of under 4 GiB, packed
 * as well. */
#define MEMBER_UNSIZED_MAX PLAN_NARROW
#define CHECKPOINTS_MAX 4096 /* as text, of one member */
/* One stored block of level 0 in the zip: its header and its bytes. */
#define LEVEL0_SPAN (CODEC_LEVEL0_BLOCK + 5)

/* A member while its bytes flow. */
struct member {
	struct delivery *d;
	struct plan_entry *p;
	struct codec *codec;
	int64_t at;	    /* source offset of the next byte */
	int64_t codec_from; /* bytes before it are read, not packed; -1 all */
	int64_t crc_from;   /* what is summed up, as in struct member_part */
	int64_t crc_end;
	uint32_t crc;
	int64_t packed;
	struct spans sums; /* known of it, this one at last among them */
	bool settles;	   /* they will be of all of it then */
	bool learned;	   /* they are more than they were */
};

static int
packed_sink(void *ctx, const void *p, size_t n)
{
	struct member *m = ctx;

	m->packed += (int64_t)n;
	return delivery_emit(m->d, p, n);
}

/* The client has all of its range.  The block in which that ends is summed up
 * to its end all the same, or the next range would leave a gap. */
static int
member_pack(struct member *m, const unsigned char *p, size_t n)
{
	if (codec_write(m->codec, p, n) == 0)
		return 0;
	if (!m->d->past || m->settles || m->at >= m->crc_end)
		return -1;
	codec_close(m->codec);
	m->codec = NULL;
	fetch_unwatch(m->d->fetch);
	return 0;
}

static int
member_take(struct member *m, const unsigned char *p, size_t n)
{
	size_t skip = 0;

	if (m->at >= m->crc_from && m->at < m->crc_end)
		m->crc = codec_crc32(m->crc, p, n);
	if (m->codec != NULL && m->at < m->codec_from)
		skip = (size_t)(m->codec_from - m->at) < n
			       ? (size_t)(m->codec_from - m->at)
			       : n;
	m->at += (int64_t)n;
	if (m->p->size < 0 && m->at > MEMBER_UNSIZED_MAX)
		return -1;
	if (m->codec == NULL || skip == n)
		return 0;
	return member_pack(m, p + skip, n - skip);
}

/* Cuts what comes where the CRC begins and ends. */
static int
member_sink(void *ctx, const void *p, size_t n)
{
	struct member *m = ctx;
	const unsigned char *bytes = p;

	while (n > 0) {
		int64_t stop = m->at < m->crc_from ? m->crc_from : m->crc_end;
		size_t take = n;

		if (stop > m->at && (int64_t)take > stop - m->at)
			take = (size_t)(stop - m->at);
		if (member_take(m, bytes, take) != 0)
			return -1;
		bytes += take;
		n -= take;
	}
	return 0;
}

static void
member_init(struct member *m, struct delivery *d,
	    const struct member_part *part)
{
	*m = (struct member){ .d = d,
			      .p = part->entry,
			      .at = part->read_from,
			      .codec_from = part->codec_from,
			      .crc_from = part->crc_from,
			      .crc_end = part->crc_end,
			      .settles = part->settles && !part->has_gap };
	spans_read(&m->sums, m->p->checkpoints, m->p->size);
}

/* Adds what has been summed up to what is known: of a source that can be read
 * in parts, and whose CRC nobody has proved yet. */
static void
member_sum_up(struct member *m)
{
	const struct plan_entry *p = m->p;
	int64_t end = m->at < m->crc_end ? m->at : m->crc_end;

	if (p->crc_proved || p->size < 0 || end <= m->crc_from ||
	    (p->layout != PLAN_STORED && p->layout != PLAN_LEVEL0))
		return;
	spans_add(&m->sums, m->crc_from, end, m->crc);
	m->crc_from = m->crc_end = -1;
	m->learned = true;
}

/* Also of a member that broke off. */
static void
member_fini(struct member *m)
{
	struct buf text;
	char *copy = NULL;

	member_sum_up(m);
	if (m->learned && !m->p->crc_proved) {
		buf_init(&text, CHECKPOINTS_MAX);
		spans_write(&m->sums, &text);
		if (!buf_failed(&text))
			copy = arena_strdup(m->d->arena, buf_str(&text));
		buf_free(&text);
	}
	if (copy != NULL && strcmp(copy, m->p->checkpoints) != 0) {
		m->p->checkpoints = copy;
		m->p->dirty = true;
	}
	codec_close(m->codec);
}

/* What was summed up is not what was promised.  Which part of it is wrong
 * nobody knows: all is forgotten. */
static int
refuse_crc(struct member *m, struct error *e)
{
	struct plan_entry *p = m->p;

	m->crc_from = m->crc_end = -1;
	m->learned = false;
	p->dirty |= p->checkpoints[0] != '\0';
	p->checkpoints = "";
	return error_set(e, p->declared_crc ? ERROR_SOURCE : ERROR_CHANGED,
			 "has CRC-32 %08x, not %08x as expected", m->crc,
			 p->crc);
}

/* The whole source went through the CRC: is it what was promised? */
static int
member_settle_crc(struct member *m, struct error *e)
{
	struct plan_entry *p = m->p;

	if (p->has_crc && p->crc != m->crc)
		return refuse_crc(m, e);
	if (p->size < 0)
		p->size = m->at;
	p->dirty |= !p->has_crc || (p->declared_crc && !p->crc_proved) ||
		    p->file->facts.layout == NULL ||
		    p->file->facts.layout[0] == '\0';
	p->crc = m->crc;
	p->has_crc = p->crc_proved = true;
	return 0;
}

/* The same, in parts of which this was one. */
static int
member_settle_sums(struct member *m, struct error *e)
{
	if (m->p->crc_proved)
		return 0;
	member_sum_up(m);
	if (spans_whole(&m->sums, m->p->size, &m->crc))
		return member_settle_crc(m, e);
	if (m->settles)
		return error_set(e, ERROR_INTERNAL, "A CRC is not whole");
	return 0;
}

static int
emit_descriptor(struct delivery *d, const struct plan_entry *p, struct error *e)
{
	struct zip_entry z;

	plan_zip_entry(p, &z);
	if (!z.descriptor)
		return 0;
	zip_put_descriptor(&d->record, &z);
	return delivery_emit_record(d, e);
}

static enum codec_kind
codec_of(enum plan_layout layout)
{
	if (layout == PLAN_STORED)
		return CODEC_STORE;
	return layout == PLAN_LEVEL0 ? CODEC_LEVEL0 : CODEC_DEFLATE;
}

/* Says why our own sink stopped the source, where it was not the client. */
static void
explain_stop(const struct member *m, struct error *e)
{
	if (m->p->size < 0 && m->at > MEMBER_UNSIZED_MAX)
		error_set(e, ERROR_SOURCE,
			  "passes 4 GiB and never gave its size");
}

/* Data of STORED with a known CRC, LEVEL0 and DEFLATED: as it comes. */
static int
stream_data(struct delivery *d, struct plan_entry *p, long item,
	    struct error *e)
{
	const struct member_part all = { .entry = p,
					 .crc_end = INT64_MAX,
					 .settles = true };
	struct member m;
	int rc = -1;

	member_init(&m, d, &all);
	m.codec = codec_open(codec_of(p->layout), p->level, p->size,
			     packed_sink, &m);
	if (m.codec == NULL) {
		error_memory(e);
		goto out;
	}
	if (fetch_stream(d->fetch, item, member_sink, &m, e) != 0) {
		explain_stop(&m, e);
		goto out;
	}
	if (codec_end(m.codec) != 0) {
		error_set(e, ERROR_GONE, "client gone");
		goto out;
	}
	if (member_settle_crc(&m, e) != 0)
		goto out;
	if (p->packed >= 0 && p->packed != m.packed) {
		error_set(e, ERROR_CHANGED, "packs to another length");
		goto out;
	}
	p->dirty |= p->packed < 0;
	p->packed = m.packed;
	rc = 0;
out:
	member_fini(&m);
	return rc;
}

static int
buf_sink(void *ctx, const void *p, size_t n)
{
	buf_put(ctx, p, n);
	return buf_failed(ctx) ? -1 : 0;
}

/* Packs a file that is in memory; one that does not shrink is stored. */
static int
pack_whole(struct plan_entry *p, const void *data, size_t n, struct buf *packed,
	   struct error *e)
{
	struct codec *k = codec_open(CODEC_DEFLATE, p->level, (int64_t)n,
				     buf_sink, packed);
	bool bad =
		k == NULL || codec_write(k, data, n) != 0 || codec_end(k) != 0;

	codec_close(k);
	if (bad)
		return error_memory(e);
	if (p->packed >= 0 && p->packed != (int64_t)packed->len)
		return error_set(e, ERROR_CHANGED, "packs to another length");
	if (p->packed < 0 && packed->len >= n) {
		p->layout = PLAN_STORED;
		p->packed = (int64_t)n;
		return 0;
	}
	p->dirty |= p->packed < 0;
	p->packed = (int64_t)packed->len;
	return 0;
}

/* STORED and PACKED files that are small: CRC first, no descriptor. */
static int
emit_small(struct delivery *d, struct plan_entry *p, const void *data, size_t n,
	   bool *begun, struct error *e)
{
	struct buf packed;
	struct member m = { .p = p,
			    .at = (int64_t)n,
			    .crc = codec_crc32(0, data, n) };
	int rc = -1;

	buf_init(&packed, PLAN_SMALL + 65536);
	if (p->layout == PLAN_PACKED && pack_whole(p, data, n, &packed, e) != 0)
		goto out;
	if (member_settle_crc(&m, e) != 0)
		goto out;
	*begun = true;
	if (delivery_emit_local(d, p, e) != 0)
		goto out;
	rc = p->layout == PLAN_PACKED
		     ? delivery_emit(d, packed.data, packed.len)
		     : delivery_emit(d, data, n);
	if (rc != 0)
		error_set(e, ERROR_GONE, "client gone");
out:
	buf_free(&packed);
	return rc;
}

/* Reads as much as the choice of the layout needs. */
static int
settle_layout(struct delivery *d, struct plan_entry *p, long item,
	      const void **data, size_t *n, bool *whole, struct error *e)
{
	size_t limit = plan_needs_whole(p)   ? PLAN_SMALL
		       : plan_wants_trial(p) ? PLAN_TRIAL
					     : 0;

	*data = NULL;
	*n = 0;
	*whole = false;
	if (limit > 0 &&
	    fetch_gather(d->fetch, item, limit, data, n, whole, e) != 0)
		return -1;
	if (!plan_choose(p, *data, *n, *whole))
		return error_set(e, ERROR_INTERNAL, "No layout for a member");
	return 0;
}

int
member_whole(struct delivery *d, struct plan_entry *p, long item, bool *begun,
	     struct error *e)
{
	struct source_facts facts;
	const void *data;
	size_t n;
	bool whole;

	if (fetch_answer(d->fetch, item, &facts, e) != 0 ||
	    plan_learn(d->plan, p, &facts, e) != 0 ||
	    settle_layout(d, p, item, &data, &n, &whole, e) != 0)
		return -1;
	if (plan_needs_whole(p) && !whole)
		return error_set(e, ERROR_CHANGED, "is larger than it said");
	if (whole && p->layout != PLAN_LEVEL0 && p->layout != PLAN_DEFLATED) {
		if (emit_small(d, p, data, n, begun, e) != 0)
			return -1;
		fetch_skip(d->fetch, item);
		return 0;
	}
	*begun = true;
	if (delivery_emit_local(d, p, e) != 0 ||
	    stream_data(d, p, item, e) != 0)
		return -1;
	return emit_descriptor(d, p, e);
}

static bool
overlaps(const struct delivery *d, int64_t from, int64_t length)
{
	return length > 0 && from <= d->last && from + length > d->first;
}

/* From the end of what is known of the beginning to the beginning of what is
 * known of the end: false when there is nothing between them. */
static bool
find_gap(const struct spans *sums, int64_t size, int64_t *from, int64_t *end)
{
	*from = spans_reach(sums, 0);
	if (*from < 0)
		*from = 0;
	*end = spans_tail(sums, size);
	return *from < *end;
}

/* Sums up what the part reads and nobody has yet, from `own` on: the block
 * before it belongs to the range in which that begins. */
static void
plan_sum(const struct plan_entry *p, int64_t own, struct member_part *part)
{
	struct spans sums;
	int64_t from, end = part->read_last + 1;

	spans_read(&sums, p->checkpoints, p->size);
	from = spans_reach(&sums, part->read_from);
	if (from < 0)
		from = spans_reach(&sums, own);
	if (from < 0)
		from = own;
	if (end > spans_next(&sums, from))
		end = spans_next(&sums, from);
	if (from >= end)
		return;
	part->crc_from = from;
	part->crc_end = end;
}

/* Sums up the end of the source, which the part reads.  What is missing
 * before that is read after it: the client does not wait for it. */
static void
plan_end(const struct plan_entry *p, struct member_part *part)
{
	struct spans sums;

	spans_read(&sums, p->checkpoints, p->size);
	part->read_last = -1;
	part->settles = true;
	part->crc_from = spans_reach(&sums, part->read_from);
	if (part->crc_from < 0)
		part->crc_from = part->read_from;
	part->crc_end = p->size;
	spans_add(&sums, part->crc_from, part->crc_end, 0);
	part->has_gap =
		find_gap(&sums, p->size, &part->gap_from, &part->gap_end);
}

void
member_plan_crc(struct plan_entry *p, struct member_part *part)
{
	struct spans sums;

	*part = (struct member_part){
		.entry = p, .codec_from = -1, .settles = true, .reads = true
	};
	spans_read(&sums, p->checkpoints, p->size);
	if (!find_gap(&sums, p->size, &part->crc_from, &part->crc_end)) {
		part->crc_from = 0;
		part->crc_end = p->size;
	}
	part->read_from = part->crc_from;
	part->read_last = part->crc_end < p->size ? part->crc_end - 1 : -1;
}

/* Source bytes behind the data bytes of the range, in whole blocks; returns
 * the first that stands in it together with all of its block. */
static int64_t
part_of_data(const struct delivery *d, const struct plan_entry *p, int64_t data,
	     struct member_part *part)
{
	int64_t lo = d->first > data ? d->first - data : 0, own = lo;
	int64_t hi =
		d->last - data < p->packed - 1 ? d->last - data : p->packed - 1;

	if (p->layout == PLAN_LEVEL0) {
		own = (lo + LEVEL0_SPAN - 1) / LEVEL0_SPAN * CODEC_LEVEL0_BLOCK;
		lo = lo / LEVEL0_SPAN * CODEC_LEVEL0_BLOCK;
		hi = (hi / LEVEL0_SPAN + 1) * CODEC_LEVEL0_BLOCK - 1;
	}
	part->read_from = part->codec_from = lo;
	part->read_last = hi < p->size - 1 ? hi : p->size - 1;
	part->reads = p->size > 0;
	return own;
}

void
member_plan_part(const struct delivery *d, struct plan_entry *p,
		 struct member_part *part)
{
	struct zip_entry z;
	int64_t data, tail, own;
	bool needs_crc, proves;

	plan_zip_entry(p, &z);
	data = p->offset + (int64_t)zip_local_size(&z);
	tail = data + p->packed;
	*part = (struct member_part){
		.entry = p, .codec_from = -1, .crc_from = -1, .crc_end = -1
	};
	needs_crc = !p->has_crc &&
		    (z.descriptor ? overlaps(d, tail,
					     (int64_t)zip_descriptor_size(&z))
				  : overlaps(d, p->offset, data - p->offset));
	/* A declared CRC that nobody has proved yet is proved by whoever reads
	 * to the end. */
	proves = p->declared_crc && !p->crc_proved && p->packed > 0 &&
		 overlaps(d, tail - 1, 1);
	if (p->layout == PLAN_DIRECTORY ||
	    (!needs_crc && !overlaps(d, data, p->packed)))
		return;
	if (p->layout == PLAN_PACKED || p->layout == PLAN_DEFLATED ||
	    (p->layout == PLAN_STORED && needs_crc) || p->size == 0) {
		part->whole = part->reads = true;
		part->read_last = -1;
		return;
	}
	if (!overlaps(d, data, p->packed)) {
		member_plan_crc(p, part);
		return;
	}
	own = part_of_data(d, p, data, part);
	if (needs_crc || proves)
		plan_end(p, part);
	else if (!p->crc_proved)
		plan_sum(p, own, part);
}

/* What the sum of a part still lacks. */
static int
part_gap(struct delivery *d, const struct member_part *part, struct error *e)
{
	const struct member_part gap = { .entry = part->entry,
					 .read_from = part->gap_from,
					 .codec_from = -1,
					 .crc_from = part->gap_from,
					 .crc_end = part->gap_end,
					 .settles = true };
	struct member m;
	int rc;

	member_init(&m, d, &gap);
	rc = fetch_stream(d->fetch, part->gap_item, member_sink, &m, e);
	if (rc == 0)
		rc = member_settle_sums(&m, e);
	member_fini(&m);
	return rc;
}

/* The data bytes of a part; d->at stands behind the local header. */
static int
part_data(struct delivery *d, const struct member_part *part, struct error *e)
{
	struct plan_entry *p = part->entry;
	int64_t data = d->at;
	struct member m;
	int rc = -1;

	member_init(&m, d, part);
	if (part->codec_from >= 0) {
		m.codec =
			codec_open(codec_of(p->layout), p->level,
				   p->size - part->codec_from, packed_sink, &m);
		if (m.codec == NULL) {
			error_memory(e);
			goto out;
		}
		d->at += p->layout == PLAN_LEVEL0
				 ? part->codec_from / CODEC_LEVEL0_BLOCK *
					   LEVEL0_SPAN
				 : part->codec_from;
	}
	if (fetch_stream(d->fetch, part->item, member_sink, &m, e) != 0)
		goto out;
	if (member_settle_sums(&m, e) != 0)
		goto out;
	rc = 0;
out:
	member_fini(&m);
	d->at = data + p->packed;
	return rc == 0 && part->has_gap ? part_gap(d, part, e) : rc;
}

int
member_part(struct delivery *d, const struct member_part *part, struct error *e)
{
	struct plan_entry *p = part->entry;
	bool begun = false;

	d->at = p->offset;
	if (part->whole)
		return member_whole(d, p, part->item, &begun, e);
	if (delivery_emit_local(d, p, e) != 0)
		return -1;
	if (!part->reads)
		d->at += p->packed;
	else if (part_data(d, part, e) != 0)
		return -1;
	return emit_descriptor(d, p, e);
}
