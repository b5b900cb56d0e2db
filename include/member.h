/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One member's bytes on their way: source to CRC to codec to zip.
 *
 * A member is read either whole (member_whole: header, data, descriptor) or
 * in part (member_part: for a range).  Both advance d->at by what they make
 * and let delivery_emit cut it to the range asked for.
 */
#ifndef ZIPSTREAM_MEMBER_H
#define ZIPSTREAM_MEMBER_H

#include "delivery.h"

/* What of a source is read for a part of its member. */
struct member_part {
	struct plan_entry *entry;
	int64_t read_from;  /* first source byte to ask for */
	int64_t read_last;  /* last one; -1: to the end */
	int64_t codec_from; /* first source byte to be packed; -1: none */
	int64_t crc_from;   /* what of it is summed up: from here ... */
	int64_t crc_end;    /* ... to before this one; both -1: nothing */
	bool settles;	    /* with what is known the sum will be of all */
	bool whole;	    /* member_whole does it instead */
	bool reads;	    /* false: nothing of the source is needed */
	bool has_gap;	    /* the sum lacks what is to be read after it */
	int64_t gap_from;
	int64_t gap_end;
	long item; /* in the fetch */
	long gap_item;
};

/*
 * Waits for the source of item, chooses the layout, writes header, data and
 * descriptor.  *begun tells whether the header was made: before that a
 * failure leaves the zip as it was.
 */
int member_whole(struct delivery *d, struct plan_entry *p, long item,
		 bool *begun, struct error *e);

/*
 * Which reading makes bytes d->first..d->last of the entry.  Where its CRC is
 * not known, what is read is summed up: ranges that follow each other, in any
 * order, come to know it without reading anything twice.
 */
void member_plan_part(const struct delivery *d, struct plan_entry *p,
		      struct member_part *part);
/* The reading that learns an unknown CRC and makes nothing. */
void member_plan_crc(struct plan_entry *p, struct member_part *part);
int member_part(struct delivery *d, const struct member_part *part,
		struct error *e);

#endif
