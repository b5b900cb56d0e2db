/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* JSON's grammar by recursive descent, bounded in depth and weight. */
#include "json_scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dst.h"
#include "json.h"

#define OBJECT_WEIGHT 12 /* of json-c's smallest table, in values */

struct scan {
	const char *p;
	const char *end;
	const char *what; /* what is wrong at p; NULL: nothing so far */
	int depth;
	long weight;
	bool too_heavy;
	bool lax; /* halves of surrogate pairs pass */
	bool key_seen;
	const char *key;	/* of the array to find; NULL: none */
	struct json_span *span; /* where it goes */
};

static bool scan_value(struct scan *s);

static bool
fail(struct scan *s, const char *what)
{
	s->what = what;
	return false;
}

/* What is at p does not belong there. */
static bool
unexpected(struct scan *s)
{
	return fail(s,
		    s->p == s->end ? "unexpected end" : "unexpected character");
}

static void
skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
				 *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool
next_is(const struct scan *s, char c)
{
	return s->p < s->end && *s->p == c;
}

static bool
digit_is_next(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool
scan_digits(struct scan *s)
{
	if (!digit_is_next(s))
		return unexpected(s);
	while (digit_is_next(s))
		s->p++;
	return true;
}

static bool
scan_number(struct scan *s)
{
	if (next_is(s, '-'))
		s->p++;
	if (next_is(s, '0'))
		s->p++;
	else if (!scan_digits(s))
		return false;
	if (next_is(s, '.')) {
		s->p++;
		if (!scan_digits(s))
			return false;
	}
	if (next_is(s, 'e') || next_is(s, 'E')) {
		s->p++;
		if (next_is(s, '+') || next_is(s, '-'))
			s->p++;
		return scan_digits(s);
	}
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* The four digits of "\uXXXX"; -1: they are none. */
static int
scan_unit(struct scan *s)
{
	int unit = 0;

	for (int i = 0; i < 4; i++, s->p++) {
		if (s->p == s->end || hex_value(*s->p) < 0) {
			unexpected(s);
			return -1;
		}
		unit = unit * 16 + hex_value(*s->p);
	}
	return unit;
}

/* RFC 8259, section 8.2: half of a pair is no character.  json-c would put
 * U+FFFD in its place: the name of another object. */
static bool
scan_unicode(struct scan *s)
{
	const char *start = s->p++;
	int unit = scan_unit(s), low = 0;

	if (unit >= 0xD800 && unit <= 0xDBFF && s->end - s->p >= 2 &&
	    memcmp(s->p, "\\u", 2) == 0) {
		s->p += 2;
		low = scan_unit(s);
	}
	if (unit < 0 || low < 0)
		return false;
	if (unit < 0xD800 || unit > 0xDFFF ||
	    (low >= 0xDC00 && low <= 0xDFFF) || s->lax)
		return true;
	s->p = start;
	return fail(s, "half of a surrogate pair");
}

/* The byte behind the '\' and what belongs to it. */
static bool
scan_escape(struct scan *s)
{
	if (s->p == s->end)
		return unexpected(s);
	if (*s->p == 'u')
		return scan_unicode(s);
	if (*s->p == '\0' || strchr("\"\\/bfnrt", *s->p) == NULL)
		return fail(s, "unknown escape");
	s->p++;
	return true;
}

static bool
scan_string(struct scan *s)
{
	if (!next_is(s, '"'))
		return unexpected(s);
	for (s->p++; !next_is(s, '"');) {
		if (s->p == s->end)
			return unexpected(s);
		if ((unsigned char)*s->p < ' ')
			return fail(s, "control character in a string");
		if (*s->p++ == '\\' && !scan_escape(s))
			return false;
	}
	s->p++;
	return true;
}

static bool
scan_word(struct scan *s, const char *word)
{
	for (; *word != '\0'; word++, s->p++) {
		if (!next_is(s, *word))
			return unexpected(s);
	}
	return true;
}

/* Is the scanned string p..end (quotes included) the key?  Only "\uXXXX" can
 * disguise a key of letters. */
static bool
is_key(const char *p, const char *end, const char *key)
{
	for (p++, end--; p < end && *key != '\0'; key++) {
		int c = (unsigned char)*p++;

		if (c == '\\' && *p == 'u') {
			c = 0;
			for (int i = 1; i <= 4; i++)
				c = c * 16 + hex_value(p[i]);
			p += 5;
		}
		if (c != (unsigned char)*key)
			return false;
	}
	return p == end && *key == '\0';
}

/* Goes one level down, behind the bracket. */
static bool
enter(struct scan *s)
{
	if (s->depth == JSON_DEPTH_MAX)
		return fail(s, "nesting too deep");
	s->depth++;
	s->p++;
	skip_space(s);
	return true;
}

/* Behind a value in a container: a ',' (*more) or the closing bracket. */
static bool
scan_separator(struct scan *s, char close, bool *more)
{
	skip_space(s);
	*more = next_is(s, ',');
	if (!*more && !next_is(s, close))
		return unexpected(s);
	s->p++;
	s->depth -= *more ? 0 : 1;
	skip_space(s);
	return true;
}

/* An empty container's end. */
static bool
closes(struct scan *s, char close)
{
	if (!next_is(s, close))
		return false;
	s->p++;
	s->depth--;
	return true;
}

static bool
scan_array(struct scan *s, size_t *count)
{
	bool more = true;

	*count = 0;
	if (!enter(s))
		return false;
	if (closes(s, ']'))
		return true;
	while (more) {
		if (!scan_value(s) || !scan_separator(s, ']', &more))
			return false;
		++*count;
	}
	return true;
}

/* The array that is cut out: each element is a tree of its own, later. */
static bool
scan_cut(struct scan *s)
{
	struct json_span span = { .start = s->p };
	long weight = s->weight;
	bool more = true;

	if (!enter(s))
		return false;
	if (closes(s, ']'))
		more = false;
	while (more) {
		s->weight = 0;
		if (!scan_value(s))
			return false;
		skip_space(s);
		if (next_is(s, ']'))
			span.end = s->p + 1;
		if (!scan_separator(s, ']', &more))
			return false;
		span.count++;
	}
	if (span.end == NULL)
		span.end = s->p;
	s->weight = weight;
	*s->span = span;
	return true;
}

static bool
scan_member(struct scan *s)
{
	const char *name = s->p;
	bool cut;

	if (!scan_string(s))
		return false;
	/* json-c would cut the name there and take it for another one. */
	if (memmem(name, (size_t)(s->p - name), "\\u0000", 6) != NULL)
		return fail(s, "NUL in a name");
	cut = s->key != NULL && s->depth == 1 && is_key(name, s->p, s->key);
	skip_space(s);
	if (!next_is(s, ':'))
		return unexpected(s);
	s->p++;
	skip_space(s);
	if (cut) {
		if (s->key_seen)
			return fail(s, "a member that is there twice");
		s->key_seen = true;
		if (next_is(s, '['))
			return scan_cut(s);
	}
	return scan_value(s);
}

static bool
scan_object(struct scan *s)
{
	bool more = true;

	s->weight += OBJECT_WEIGHT;
	if (!enter(s))
		return false;
	if (closes(s, '}'))
		return true;
	while (more) {
		if (!scan_member(s) || !scan_separator(s, '}', &more))
			return false;
	}
	return true;
}

static bool
scan_value(struct scan *s)
{
	size_t count;

	if (++s->weight > JSON_WEIGHT_MAX) {
		s->too_heavy = true;
		return fail(s, "too many values");
	}
	switch (s->p < s->end ? *s->p : '\0') {
	case '{':
		return scan_object(s);
	case '[':
		return scan_array(s, &count);
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

/* Lines and columns count from 1, columns in characters. */
static int
report(const char *text, const char *at, enum error_code code, const char *what,
       struct error *e)
{
	size_t line = 1, column = 1;

	for (const char *p = text; p < at; p++) {
		if (*p == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)*p & 0xC0) != 0x80) {
			column++;
		}
	}
	return error_set(e, code, "Invalid JSON: %s at line %zu, column %zu",
			 what, line, column);
}

int
json_scan(const char *text, size_t n, bool lax, const char *key,
	  struct json_span *span, struct error *e)
{
	struct scan s = {
		.p = text, .end = text + n, .lax = lax, .key = key, .span = span
	};
	size_t valid = dst_utf8_span(text, n);

	if (valid < n)
		return report(text, text + valid, ERROR_INPUT, "invalid UTF-8",
			      e);
	skip_space(&s);
	if (scan_value(&s)) {
		skip_space(&s);
		if (s.p == s.end)
			return 0;
		unexpected(&s);
	}
	return report(text, s.p, s.too_heavy ? ERROR_TOO_LARGE : ERROR_INPUT,
		      s.what, e);
}

const char *
json_scan_value(const char *text, size_t n)
{
	struct scan s = { .p = text, .end = text + n, .lax = true };

	return scan_value(&s) ? s.p : NULL;
}
