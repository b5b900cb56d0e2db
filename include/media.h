/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Is it worth deflating?  By name first, then by media type.
 *
 * Pure tables.  MEDIA_UNKNOWN means that only a look at the first bytes can
 * tell (codec_compressible).
 */
#ifndef ZIPSTREAM_MEDIA_H
#define ZIPSTREAM_MEDIA_H

enum media_class {
	MEDIA_UNKNOWN,
	MEDIA_PACKED,  /* compressed already: store it */
	MEDIA_TEXTUAL, /* shrinks well: deflate it */
};

/* By the name's extension, without case. */
enum media_class media_by_name(const char *name);
/* By a Content-Type value; "" is unknown. */
enum media_class media_by_type(const char *content_type);

#endif
