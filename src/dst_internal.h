/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the files of dst share: dst.c makes one name safe and knows nothing of
 * the others; dst_set.c keeps them apart.
 */
#ifndef ZIPSTREAM_DST_INTERNAL_H
#define ZIPSTREAM_DST_INTERNAL_H

#include "dst.h"

#define DST_SEGMENT_MAX 255 /* bytes; what file systems take */
#define DST_NAME_MAX 65535  /* the zip format's 16-bit length */

/* How many bytes of s are ASCII, from the start. */
size_t dst_ascii_span(const char *s, size_t n);
/* UTF-8 in NFC and without case, *len bytes for the caller to free; NULL: no
 * memory. */
char *dst_fold(const char *s, size_t n, size_t *len);

#endif
