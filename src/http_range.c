/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Byte ranges: Range as asked, Content-Range as answered.  RFC 9110, 14. */
#include "http.h"

#include <string.h>
#include <strings.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Optional white space, section 5.6.3. */
static const char *
skip_ows(const char *p)
{
	return p + strspn(p, " \t");
}

/* Reads digits at *p; a number too large becomes the largest.  False: none. */
static bool
take_number(const char **p, int64_t *out)
{
	const char *s = *p;
	int64_t value = 0;

	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); s++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *s - '0', &value))
			value = INT64_MAX;
	}
	*p = s;
	*out = value;
	return true;
}

/* One range-spec at *p, first or last -1 where it is left out. */
static bool
take_spec(const char **p, struct http_range *r)
{
	*r = (struct http_range){ -1, -1 };
	take_number(p, &r->first);
	if (**p != '-')
		return false;
	++*p;
	if (!take_number(p, &r->last))
		return r->first >= 0;
	return r->last >= r->first;
}

/* Turns a spec into positions below `total`; false: not satisfiable. */
static bool
resolve(struct http_range *r, int64_t total)
{
	if (r->first < 0) {
		int64_t suffix = r->last;

		r->first = suffix < total ? total - suffix : 0;
		r->last = total - 1;
		return suffix > 0 && total > 0;
	}
	if (r->last < 0 || r->last >= total)
		r->last = total - 1;
	return r->first < total;
}

static bool
touch(const struct http_range *a, const struct http_range *b)
{
	return a->first - 1 <= b->last && b->first - 1 <= a->last;
}

static void
unite(struct http_range *a, const struct http_range *b)
{
	if (b->first < a->first)
		a->first = b->first;
	if (b->last > a->last)
		a->last = b->last;
}

/*
 * Adds r to n ranges of which no two touch, and keeps it so.  What touches
 * takes the place of the first, so no byte is ever asked for twice: a list
 * of "0-,0-,0-" cannot multiply the answer (section 17.15).
 */
static int
add_range(struct http_range *list, int n, struct http_range r)
{
	int at = 0, kept;

	while (at < n && !touch(&list[at], &r))
		at++;
	if (at == n) {
		list[n] = r;
		return n + 1;
	}
	unite(&list[at], &r);
	kept = at + 1;
	for (int i = at + 1; i < n; i++) {
		if (touch(&list[at], &list[i]))
			unite(&list[at], &list[i]);
		else
			list[kept++] = list[i];
	}
	return kept;
}

int
http_ranges(const char *value, int64_t total, struct http_range *out, int max)
{
	struct http_range r;
	int specs = 0, n = 0;

	if (value == NULL || strncasecmp(value, "bytes=", 6) != 0)
		return 0;
	/* A list may have empty elements, section 5.6.1.2. */
	for (value += 6;; value++) {
		value = skip_ows(value);
		if (*value != ',' && *value != '\0') {
			if (!take_spec(&value, &r) || ++specs > max)
				return 0;
			if (resolve(&r, total))
				n = add_range(out, n, r);
			value = skip_ows(value);
		}
		if (*value == '\0')
			break;
		if (*value != ',')
			return 0;
	}
	if (specs == 0)
		return 0;
	return n > 0 ? n : -1;
}

/* After "bytes", which it takes with the space that follows. */
static const char *
content_range_body(const char *value)
{
	if (value == NULL || strncasecmp(value, "bytes ", 6) != 0)
		return NULL;
	return skip_ows(value + 6);
}

int
http_content_range(const char *value, int64_t *first, int64_t *last,
		   int64_t *total)
{
	const char *p = content_range_body(value);

	if (p == NULL || !take_number(&p, first) || *p++ != '-' ||
	    !take_number(&p, last) || *p++ != '/' || *last < *first)
		return -1;
	if (*p == '*') {
		*total = -1;
		return *skip_ows(p + 1) == '\0' ? 0 : -1;
	}
	if (!take_number(&p, total) || *skip_ows(p) != '\0')
		return -1;
	return *last < *total ? 0 : -1;
}

int64_t
http_content_range_total(const char *value)
{
	const char *p = content_range_body(value);
	int64_t total;

	if (p == NULL || strncmp(p, "*/", 2) != 0)
		return -1;
	p += 2;
	if (!take_number(&p, &total) || *skip_ows(p) != '\0')
		return -1;
	return total;
}
