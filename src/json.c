/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * JSON in and out: json-c keeps the tree, json_scan the rules.
 *
 * A struct json is a json_object of json-c under another name.  json-c has
 * no object for null: inside a tree a NULL pointer stands for it, and
 * null_root where the whole document is null.
 */
#include "json.h"

#include <string.h>

#include "dst.h"
#include "json_scan.h"

/* A name of json-c's that is ours as well. */
#define json_type json_c_type
#include <json-c/json.h>
#undef json_type

#define WHOLE_MAX 9007199254740992.0 /* 2^53: doubles are exact below it */
#define CUT "[]"

static const char null_root;

static struct json *
wrap(const void *o)
{
	return (struct json *)(uintptr_t)o;
}

/* json-c's readers take pointers without const, and change nothing. */
static json_object *
unwrap(const struct json *v)
{
	if (v == wrap(&null_root))
		return NULL;
	return (json_object *)(uintptr_t)v;
}

/* A tree of text that json_scan has passed. */
static struct json *
build(const char *text, size_t n, struct error *e)
{
	json_tokener *t = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	json_object *o = NULL;
	bool whole = false;

	/* A number ends where something else begins: at the root there is
	 * only the NUL, which json-c must be shown as well. */
	if (t != NULL && n < INT32_MAX) {
		o = json_tokener_parse_ex(t, text, (int)n);
		if (json_tokener_get_error(t) == json_tokener_continue)
			o = json_tokener_parse_ex(t, "", 1);
		whole = json_tokener_get_error(t) == json_tokener_success;
	}
	if (t != NULL)
		json_tokener_free(t);
	if (whole)
		return o != NULL ? wrap(o) : wrap(&null_root);
	json_object_put(o);
	error_memory(e);
	return NULL;
}

struct json *
json_parse(const char *text, size_t n, struct error *e)
{
	if (json_scan(text, n, false, NULL, NULL, e) != 0)
		return NULL;
	return build(text, n, e);
}

struct json *
json_parse_lax(const char *text, size_t n, struct error *e)
{
	if (json_scan(text, n, true, NULL, NULL, e) != 0)
		return NULL;
	return build(text, n, e);
}

/* The text with "[]" for the array. */
static struct json *
build_without(const char *text, size_t n, const struct json_span *span,
	      struct error *e)
{
	size_t before = (size_t)(span->start - text);
	size_t after = n - (size_t)(span->end - text);
	struct json *root = NULL;
	struct buf rest;

	buf_init(&rest, n + strlen(CUT));
	buf_put(&rest, text, before);
	buf_puts(&rest, CUT);
	buf_put(&rest, span->end, after);
	if (buf_failed(&rest))
		error_memory(e);
	else
		root = build(buf_str(&rest), rest.len, e);
	buf_free(&rest);
	return root;
}

struct json *
json_parse_cut(const char *text, size_t n, const char *key,
	       struct json_cut *cut, struct error *e)
{
	struct json_span span = { 0 };

	*cut = (struct json_cut){ 0 };
	if (json_scan(text, n, false, key, &span, e) != 0)
		return NULL;
	if (span.start == NULL)
		return build(text, n, e);
	cut->text = span.start + 1;
	cut->len = (size_t)(span.end - 1 - cut->text);
	cut->count = span.count;
	return build_without(text, n, &span, e);
}

struct json *
json_next(struct json_cut *cut, struct error *e)
{
	size_t skip = 0;
	const char *start, *end;

	e->code = ERROR_NONE;
	if (cut->count == 0)
		return NULL;
	while (skip < cut->len && strchr(", \t\r\n", cut->text[skip]) != NULL)
		skip++;
	start = cut->text + skip;
	end = json_scan_value(start, cut->len - skip);
	if (end == NULL)
		return NULL;
	cut->len -= (size_t)(end - cut->text);
	cut->text = end;
	return build(start, (size_t)(end - start), e);
}

void
json_free(struct json *root)
{
	json_object_put(unwrap(root));
}

enum json_type
json_type(const struct json *v)
{
	switch (json_object_get_type(unwrap(v))) {
	case json_type_boolean:
		return JSON_BOOL;
	case json_type_int:
	case json_type_double:
		return JSON_NUMBER;
	case json_type_string:
		return JSON_STRING;
	case json_type_array:
		return JSON_ARRAY;
	case json_type_object:
		return JSON_OBJECT;
	default:
		return JSON_NULL;
	}
}

const struct json *
json_get(const struct json *object, const char *key)
{
	json_object *o = unwrap(object), *value = NULL;

	if (json_type(object) == JSON_OBJECT)
		json_object_object_get_ex(o, key, &value);
	return wrap(value);
}

size_t
json_length(const struct json *array)
{
	if (json_type(array) != JSON_ARRAY)
		return 0;
	return json_object_array_length(unwrap(array));
}

const struct json *
json_at(const struct json *array, size_t i)
{
	if (i >= json_length(array))
		return NULL;
	return wrap(json_object_array_get_idx(unwrap(array), i));
}

const char *
json_string(const struct json *v, size_t *n)
{
	json_object *o = unwrap(v);
	bool is_string = json_type(v) == JSON_STRING;

	if (n != NULL)
		*n = is_string ? (size_t)json_object_get_string_len(o) : 0;
	return is_string ? json_object_get_string(o) : "";
}

bool
json_floor(const struct json *v, int64_t *out)
{
	json_object *o = unwrap(v);
	double real;

	if (json_type(v) != JSON_NUMBER)
		return false;
	if (json_object_is_type(o, json_type_double)) {
		real = json_object_get_double(o);
		if (!(real > -WHOLE_MAX && real < WHOLE_MAX))
			return false;
		*out = (int64_t)real;
		*out -= (double)*out > real;
		return true;
	}
	/* json-c holds what is too large at the ends of its range. */
	*out = json_object_get_int64(o);
	return *out != INT64_MIN &&
	       (*out < 0 || json_object_get_uint64(o) <= INT64_MAX);
}

bool
json_integer(const struct json *v, int64_t *out)
{
	return json_floor(v, out) &&
	       json_object_get_double(unwrap(v)) == (double)*out;
}

int
json_each(const struct json *object,
	  int (*fn)(void *ctx, const char *key, const struct json *v),
	  void *ctx)
{
	int r = 0;

	if (json_type(object) != JSON_OBJECT)
		return 0;
	json_object_object_foreach(unwrap(object), key, value)
	{
		r = fn(ctx, key, wrap(value));
		if (r != 0)
			break;
	}
	return r;
}

/* One ASCII character of a string. */
static void
put_ascii(struct buf *out, char c)
{
	static const char short_form[] = "\bb\nn\tt\rr\ff\"\"\\\\";

	for (const char *p = short_form; *p != '\0'; p += 2) {
		if (*p == c) {
			buf_putc(out, '\\');
			buf_putc(out, p[1]);
			return;
		}
	}
	if (c < ' ' || c == 0x7f)
		buf_printf(out, "\\u%04x", (unsigned)c);
	else
		buf_putc(out, c);
}

static bool
is_plain(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\' && c != 0x7f;
}

void
json_put_string(struct buf *out, const char *s, size_t n)
{
	const char *end = s + n, *valid = s + dst_utf8_span(s, n);

	buf_putc(out, '"');
	while (s < end) {
		const char *start = s;

		while (s < valid && is_plain(*s))
			s++;
		buf_put(out, start, (size_t)(s - start));
		if (s == end)
			break;
		if (s < valid) {
			put_ascii(out, *s++);
			continue;
		}
		buf_puts(out, "\xef\xbf\xbd"); /* U+FFFD */
		s++;
		valid = s + dst_utf8_span(s, (size_t)(end - s));
	}
	buf_putc(out, '"');
}

void
json_put_pair(struct buf *out, const char *key, const char *value)
{
	json_put_string(out, key, strlen(key));
	buf_putc(out, ':');
	json_put_string(out, value, strlen(value));
}
