/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Names inside the zip: made safe once, when the bundle is made.
 *
 * UTF-8, NFC, '/' separators, no leading '/', drive letter, "." or ".."
 * segment, NUL or control character, 255 bytes a segment, 65,535 in all.
 * Made safe: '\' becomes '/'; a leading '/' or "C:/", empty and "." segments
 * go.  What Windows cannot hold is changed, so that the zip opens anywhere:
 * <>:"|?* and dots or spaces at the end of a segment become '_', and a device
 * name gets one ("CON_.txt").  The only user of libutf8proc.
 */
#ifndef ZIPSTREAM_DST_H
#define ZIPSTREAM_DST_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "error.h"

/*
 * Returns the safe form of n bytes, or NULL with ERROR_INPUT whose text says
 * what is wrong ("must not contain '..'"); the caller adds the file's index.
 * A trailing '/' (a directory) is kept.
 */
const char *
dst_clean(struct arena *a, const char *s, size_t n, struct error *e);

/* Is it valid UTF-8 (no overlong forms, no surrogates)? */
bool dst_is_utf8(const char *s, size_t n);
/* How many bytes from the start are valid UTF-8. */
size_t dst_utf8_span(const char *s, size_t n);
/* Does NFKC leave it as it is?  A host name that is not could become another
 * one, or an address, on its way through IDNA. */
bool dst_is_nfkc(const char *s, size_t n);

/*
 * Which names are taken, compared without case and after NFC; a name also
 * takes its folders, so that no file is a folder too.
 */
struct dst_set;
struct dst_set *dst_set_new(struct arena *a, size_t expected);
/*
 * Takes `name`, which is clean, for `owner`: the src, compared by content and
 * kept by reference; NULL for a directory.  Returns the name to use: `name`
 * itself, or "name (2).ext" when another owner has it (or "folder (2)/name"
 * when a file has the folder's name).  NULL: the same owner has it already
 * (drop the file) when e->code is ERROR_NONE, else the reason.
 */
const char *dst_set_take(struct dst_set *set, const char *name,
			 const char *owner, struct error *e);

#endif
