/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names inside the zip: the safe form of each; the only user of utf8proc. */
#include "dst_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utf8proc.h>

size_t
dst_ascii_span(const char *s, size_t n)
{
	uint64_t word;
	size_t i = 0;

	for (; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		if ((word & UINT64_C(0x8080808080808080)) != 0)
			break;
	}
	while (i < n && (unsigned char)s[i] < 0x80)
		i++;
	return i;
}

size_t
dst_utf8_span(const char *s, size_t n)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t len;
	size_t i = 0;

	while ((i += dst_ascii_span(s + i, n - i)) < n) {
		len = utf8proc_iterate((const utf8proc_uint8_t *)s + i,
				       (utf8proc_ssize_t)(n - i), &c);
		if (len <= 0)
			break;
		i += (size_t)len;
	}
	return i;
}

bool
dst_is_utf8(const char *s, size_t n)
{
	return dst_utf8_span(s, n) == n;
}

/* Normalises into malloc'ed memory of *len bytes; NULL: no memory, since the
 * text is known to be UTF-8. */
static char *
normalise(const char *s, size_t n, unsigned options, size_t *len)
{
	utf8proc_uint8_t *out = NULL;
	utf8proc_ssize_t got;

	got = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n,
			   &out,
			   (utf8proc_option_t)(UTF8PROC_STABLE |
					       UTF8PROC_COMPOSE | options));
	if (got < 0)
		return NULL;
	*len = (size_t)got;
	return (char *)out;
}

char *
dst_fold(const char *s, size_t n, size_t *len)
{
	return normalise(s, n, UTF8PROC_CASEFOLD, len);
}

bool
dst_is_nfkc(const char *s, size_t n)
{
	bool same;
	size_t len;
	char *form;

	if (dst_ascii_span(s, n) == n)
		return true;
	form = normalise(s, n, UTF8PROC_COMPAT | UTF8PROC_IGNORE, &len);
	same = form != NULL && len == n && memcmp(form, s, n) == 0;
	free(form);
	return same;
}

/* C0, DEL and C1 (two bytes in UTF-8). */
static bool
has_control(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c == 0x7f ||
		    (c == 0xC2 && (unsigned char)s[i + 1] < 0xA0))
			return true;
	}
	return false;
}

/* Windows takes these for devices, with any extension. */
static bool
is_device(const char *base, size_t n)
{
	static const char *const names[] = { "CON", "PRN",    "AUX",
					     "NUL", "CONIN$", "CONOUT$" };

	while (n > 0 && base[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (n == strlen(names[i]) &&
		    strncasecmp(base, names[i], n) == 0)
			return true;
	}
	if (n < 4 || (strncasecmp(base, "COM", 3) != 0 &&
		      strncasecmp(base, "LPT", 3) != 0))
		return false;
	/* Latin-1's superscript digits count as digits. */
	return (n == 4 && base[3] >= '0' && base[3] <= '9') ||
	       (n == 5 && base[3] == '\xC2' &&
		memchr("\xB9\xB2\xB3", base[4], 3) != NULL);
}

/* Writes a segment to *out as any system can hold it. */
static int
put_segment(char **out, const char *s, size_t n, struct error *e)
{
	const char *dot = memchr(s, '.', n);
	size_t base = dot != NULL ? (size_t)(dot - s) : n;
	bool device = is_device(s, base);
	char *o = *out;

	if (n == 2 && memcmp(s, "..", 2) == 0)
		return error_set(e, ERROR_INPUT, "must not contain '..'");
	if (n + device > DST_SEGMENT_MAX)
		return error_set(e, ERROR_INPUT,
				 "must not have a part of more than %d bytes",
				 DST_SEGMENT_MAX);
	for (size_t i = 0; i < n; i++) {
		if (i == base && device)
			*o++ = '_';
		*o++ = strchr("<>:\"|?*", s[i]) != NULL ? '_' : s[i];
	}
	for (char *end = o; end > *out && strchr(". ", end[-1]) != NULL;)
		*--end = '_';
	if (device && base == n)
		*o++ = '_';
	*out = o;
	return 0;
}

static size_t
segment_length(const char *s, const char *end)
{
	size_t n = 0;

	while (s + n < end && s[n] != '/' && s[n] != '\\')
		n++;
	return n;
}

/* Behind a leading '/' or '\' and a drive "C:/". */
static const char *
skip_root(const char *s, const char *end)
{
	while (s < end && (*s == '/' || *s == '\\'))
		s++;
	if (end - s >= 3 && s[1] == ':' && (s[2] == '/' || s[2] == '\\') &&
	    ((s[0] | 0x20) >= 'a' && (s[0] | 0x20) <= 'z'))
		s += 3;
	return s;
}

/* `out` has room for twice n. */
static int
put_segments(char *out, const char *s, size_t n, struct error *e)
{
	const char *end = s + n;
	char *o = out;

	for (s = skip_root(s, end); s < end; s++) {
		size_t len = segment_length(s, end);
		bool more = s + len < end;

		if (len > 0 && !(len == 1 && *s == '.')) {
			if (put_segment(&o, s, len, e) != 0)
				return -1;
			if (more)
				*o++ = '/';
		}
		s += len;
	}
	*o = '\0';
	if (o == out)
		return error_set(e, ERROR_INPUT, "must name a file");
	if (o - out > DST_NAME_MAX)
		return error_set(e, ERROR_INPUT,
				 "must not be longer than %d bytes",
				 DST_NAME_MAX);
	return 0;
}

const char *
dst_clean(struct arena *a, const char *s, size_t n, struct error *e)
{
	char *form = NULL, *out;
	const char *safe = NULL;

	/* NFC makes nothing shorter than a third. */
	if (n > 3 * DST_NAME_MAX) {
		error_set(e, ERROR_INPUT, "must not be longer than %d bytes",
			  DST_NAME_MAX);
		return NULL;
	}
	if (!dst_is_utf8(s, n)) {
		error_set(e, ERROR_INPUT, "must be UTF-8");
		return NULL;
	}
	if (has_control(s, n)) {
		error_set(e, ERROR_INPUT,
			  "must not contain control characters");
		return NULL;
	}
	if (dst_ascii_span(s, n) != n) {
		form = normalise(s, n, 0, &n);
		s = form;
	}
	out = s != NULL ? arena_alloc(a, 2 * n + 1) : NULL;
	if (out == NULL)
		error_memory(e);
	else if (put_segments(out, s, n, e) == 0)
		safe = out;
	free(form);
	return safe;
}
