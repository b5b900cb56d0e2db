/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The plan of a zip: which entries it has, how each is laid out, and, where
 * every length is known, at which byte everything stands.
 *
 * Pure: no I/O and no clock.  The layout of an entry follows from what is
 * known of its content alone (size, declared CRC, name, media type, first
 * PLAN_TRIAL bytes), never from timing, so that the same sources always give
 * the same bytes.  What an earlier download pinned wins over any choice.
 *
 *	plan_new            entries, with what is declared and remembered
 *	plan_learn          what a source said, as it becomes known
 *	plan_choose         the layout, once it can be chosen
 *	plan_measure        offsets, total and ETag, the layout's name, when all
 *	                    entries are measured
 *
 * Layouts: PKWARE APPNOTE 4.4; why these and no others: README, "Which
 * programs open the zips".  STORE with a descriptor is never written.
 */
#ifndef ZIPSTREAM_PLAN_H
#define ZIPSTREAM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bundle.h"
#include "config.h"
#include "error.h"
#include "source.h"
#include "zip.h"

/* Up to so many bytes a file is read whole before its header is written. */
#define PLAN_SMALL 65536
#define PLAN_TRIAL 16384 /* first bytes that decide for the unknown */
/* Of so many bytes no coder makes 4 GiB: its stored blocks add less than a
 * thousandth and a MiB. */
#define PLAN_NARROW INT64_C(4289000000)
#define PLAN_ETAG 68 /* quoted SHA-256 in hex, and NUL */

enum plan_layout {
	PLAN_OPEN,	/* not chosen yet */
	PLAN_DIRECTORY, /* method 0, empty */
	PLAN_STORED,	/* method 0; CRC and size stand in the header */
	PLAN_LEVEL0,	/* method 8 of stored blocks, descriptor */
	PLAN_PACKED,	/* method 8; CRC and sizes stand in the header */
	PLAN_DEFLATED	/* method 8, descriptor */
};

struct plan_entry {
	const struct file *file;
	size_t position; /* in the bundle */
	const char *name;
	enum plan_layout layout;
	uint8_t level;	     /* of PLAN_PACKED and PLAN_DEFLATED */
	uint8_t compression; /* enum compression, resolved: never default */
	bool has_crc;
	bool declared_crc;
	bool crc_proved;  /* all of the source has been summed up */
	bool answered;	  /* the source has spoken in this request */
	bool left_out;	  /* failed under onError: report */
	bool crc_planned; /* a reading of the range will tell its CRC */
	bool dirty;	  /* learned something worth remembering */
	uint32_t crc;
	int64_t size;	/* at the source; -1 unknown */
	int64_t packed; /* in the zip; -1 unknown */
	int64_t mtime;	/* BUNDLE_NO_TIME until known */
	int64_t offset; /* of its local header; -1 unknown */
	const char *validator;
	const char *content_type; /* "" unknown */
	const char *checkpoints;  /* as struct facts has them; never NULL */
};

struct plan {
	struct arena *arena;
	const struct config *config;
	const struct bundle *bundle;
	struct plan_entry *entries;
	size_t count;
	int64_t central_offset; /* -1 unknown, as the next two */
	int64_t central_size;
	int64_t total;
	bool resumable; /* every later byte can be proved the same byte */
	char etag[PLAN_ETAG];
};

/* Exact duplicates are dropped and equal names told apart (dst rules). */
struct plan *plan_new(struct arena *a, const struct config *c,
		      const struct bundle *b, struct error *e);

/* Would knowing more of this entry's source help to know its length, or
 * (want_validator) to prove it unchanged later? */
bool plan_lacks(const struct plan_entry *p, bool want_validator);
/* Can this entry's length in the zip be known before it is read, as far as
 * is known now? */
bool plan_predictable(const struct plan_entry *p);
/* Are the entry's first bytes needed to choose its layout? */
bool plan_wants_trial(const struct plan_entry *p);

/* What the source said.  -1 with ERROR_SOURCE when it contradicts what was
 * declared. */
int plan_learn(struct plan *plan, struct plan_entry *p,
	       const struct source_facts *facts, struct error *e);

/*
 * Chooses the layout if it is open.  `head` is the first n bytes (at least
 * PLAN_TRIAL, or all when `whole`); NULL when none are at hand.  Returns
 * true when the layout is chosen.
 */
bool plan_choose(struct plan_entry *p, const void *head, size_t n, bool whole);

/* Must the whole file be read before its local header can be written? */
bool plan_needs_whole(const struct plan_entry *p);

/* Offsets, total and ETag, when every length is known; total is -1 else.
 * ERROR_TOO_LARGE when it passes all bounds. */
int plan_measure(struct plan *plan, struct error *e);

/* The entry as zip.h writes it. */
void plan_zip_entry(const struct plan_entry *p, struct zip_entry *z);
/* Length in the zip of header, data and descriptor. */
int64_t plan_span(const struct plan_entry *p);

/* Forgets what was remembered of a source that has changed. */
void plan_forget(struct plan_entry *p);
/* What the store shall remember of the entry. */
void
plan_facts(struct plan *plan, const struct plan_entry *p, struct facts *out);

#endif
