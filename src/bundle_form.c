/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A web form -> the JSON document that bundle_parse reads.
 *
 * Fields are `files[0][src]`, `files[0][dst]` and so on, in any order and
 * with gaps, and the bundle's own members by their names; or one field
 * `json` with the whole document.  Others are ignored, and so are empty ones:
 * a form sends every row that was not filled in.  Nothing is validated here
 * but the form itself.
 */
#include "bundle.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dst.h"
#include "http.h"
#include "json.h"

#define INDEX_MAX 1000000   /* of files[N]; numbers above are a mistake */
#define BOUNDARY_MAX 70	    /* RFC 2046, section 5.1.1 */
#define PART_HEAD_MAX 4096  /* of a part's headers */
#define WHOLE_DIGITS_MAX 18 /* of a number that surely fits */
#define FIRST_ROOM 64

/* A member of a file, in the form's order. */
struct field {
	uint32_t index;
	uint32_t order;
	const char *member; /* from file_members */
	const char *value;
	size_t len;
};

struct form {
	struct arena *arena;
	struct arena *scratch;
	struct field *fields;
	size_t count;
	size_t room;
	const char *json; /* NULL: no such field */
	size_t json_len;
	struct buf *out;
	bool any; /* a member was put to out */
	struct error *e;
};

static const char *const file_members[] = { "src",   "dst",   "size",
					    "crc32", "mtime", "compression" };
static const char *const bundle_members[] = { "filename", "compression",
					      "onError", "manifest", "to" };

static const char *
known(const char *const *names, size_t count, const char *name, size_t n)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return names[i];
	}
	return NULL;
}

/* "files[12][src]": false when it is no such name. */
static bool
parse_name(const char *name, size_t n, uint64_t *index, const char **member)
{
	const char *p = name + strlen("files["), *end = name + n;

	if (n < strlen("files[0][x]") || strncmp(name, "files[", 6) != 0 ||
	    *p < '0' || *p > '9' || end[-1] != ']')
		return false;
	for (*index = 0; *p >= '0' && *p <= '9'; p++) {
		if (*index < INDEX_MAX)
			*index = *index * 10 + (uint64_t)(*p - '0');
	}
	if (p[0] != ']' || p[1] != '[')
		return false;
	*member = known(file_members,
			sizeof(file_members) / sizeof(*file_members), p + 2,
			(size_t)(end - 1 - (p + 2)));
	return true;
}

static int
add_field(struct form *f, uint32_t index, const char *member, const char *value,
	  size_t n)
{
	if (f->count == f->room) {
		size_t room = f->room != 0 ? 2 * f->room : FIRST_ROOM;
		struct field *grown =
			arena_array(f->arena, room, sizeof(*grown));

		if (grown == NULL)
			return error_memory(f->e);
		if (f->count > 0)
			memcpy(grown, f->fields, f->count * sizeof(*grown));
		f->fields = grown;
		f->room = room;
	}
	f->fields[f->count] = (struct field){ .index = index,
					      .order = (uint32_t)f->count,
					      .member = member,
					      .value = value,
					      .len = n };
	f->count++;
	return 0;
}

static void
put_key(struct form *f, const char *key)
{
	buf_putc(f->out, f->any ? ',' : '{');
	f->any = true;
	json_put_string(f->out, key, strlen(key));
	buf_putc(f->out, ':');
}

/* One decoded field; `value` lives as long as the form. */
static int
take_field(struct form *f, const char *name, size_t name_len, const char *value,
	   size_t n)
{
	const char *member;
	uint64_t index;

	if (!dst_is_utf8(value, n))
		return error_set(f->e, ERROR_INPUT,
				 "Form fields must be UTF-8");
	if (n == 0)
		return 0;
	if (parse_name(name, name_len, &index, &member)) {
		if (index >= INDEX_MAX)
			return error_set(f->e, ERROR_INPUT,
					 "The index of files[...] must be "
					 "below %d",
					 INDEX_MAX);
		return member == NULL ? 0
				      : add_field(f, (uint32_t)index, member,
						  value, n);
	}
	if (name_len == 4 && memcmp(name, "json", 4) == 0) {
		f->json = value;
		f->json_len = n;
		return 0;
	}
	member = known(bundle_members,
		       sizeof(bundle_members) / sizeof(*bundle_members), name,
		       name_len);
	if (member != NULL) {
		put_key(f, member);
		json_put_string(f->out, value, n);
	}
	return 0;
}

/* WHATWG URL, 5.1: name=value&name=value, percent-coded, '+' for spaces. */
static int
read_urlencoded(struct form *f, const char *body, size_t n)
{
	const char *end = body + n, *next, *equals;
	size_t name_len, value_len;
	char *name, *value;

	for (; body < end; body = next + 1) {
		next = memchr(body, '&', (size_t)(end - body));
		if (next == NULL)
			next = end;
		equals = memchr(body, '=', (size_t)(next - body));
		if (equals == NULL)
			continue;
		name = http_decode(f->scratch, body, (size_t)(equals - body),
				   true, &name_len);
		value = http_decode(f->arena, equals + 1,
				    (size_t)(next - equals - 1), true,
				    &value_len);
		if (name == NULL || value == NULL)
			return error_memory(f->e);
		if (take_field(f, name, name_len, value, value_len) != 0)
			return -1;
		arena_reset(f->scratch);
	}
	return 0;
}

static int
bad_form(struct form *f, const char *what)
{
	return error_set(f->e, ERROR_INPUT, "Invalid form: %s", what);
}

/* The name that a part's head (n bytes) gives; NULL when it gives none. */
static const char *
part_name(struct form *f, const char *head, size_t n)
{
	static const char field[] = "Content-Disposition:";
	const char *line = arena_strndup(f->scratch, head, n);

	while (line != NULL && *line != '\0') {
		size_t len = strcspn(line, "\r\n");

		if (strncasecmp(line, field, strlen(field)) == 0) {
			line = arena_strndup(f->scratch, line, len);
			return http_parameter(f->scratch, line, "name");
		}
		line += len;
		line += strspn(line, "\r\n");
	}
	return NULL;
}

/* One part, from behind its delimiter line to before the next delimiter. */
static int
read_part(struct form *f, const char *part, size_t n)
{
	const char *blank = memmem(part, n, "\r\n\r\n", 4), *name;
	int rc = 0;

	if (blank == NULL || blank - part > PART_HEAD_MAX)
		return bad_form(f, "a part has no head");
	name = part_name(f, part, (size_t)(blank - part));
	if (name == NULL && arena_failed(f->scratch))
		return error_memory(f->e);
	if (name != NULL)
		rc = take_field(f, name, strlen(name), blank + 4,
				n - (size_t)(blank + 4 - part));
	arena_reset(f->scratch);
	return rc;
}

/* Behind the first delimiter, which may stand at the very start, without
 * its CRLF; NULL: there is none. */
static const char *
first_delimiter(const char *body, size_t n, const char *delimiter, size_t len)
{
	const char *at;

	if (n >= len - 2 && memcmp(body, delimiter + 2, len - 2) == 0)
		return body + len - 2;
	at = memmem(body, n, delimiter, len);
	return at != NULL ? at + len : NULL;
}

/* RFC 2046, section 5.1: parts up to the delimiter that "--" follows. */
static int
read_parts(struct form *f, const char *at, const char *end,
	   const char *delimiter, size_t len)
{
	const char *next;

	while (end - at < 2 || memcmp(at, "--", 2) != 0) {
		next = memmem(at, (size_t)(end - at), delimiter, len);
		if (next == NULL)
			return bad_form(f, "it is cut short");
		/* Padding may end the line; its CRLF opens the head. */
		while (*at == ' ' || *at == '\t')
			at++;
		if (memcmp(at, "\r\n", 2) != 0)
			return bad_form(f, "a boundary does not end its line");
		if (read_part(f, at, (size_t)(next - at)) != 0)
			return -1;
		at = next + len;
	}
	return 0;
}

/* RFC 7578. */
static int
read_multipart(struct form *f, const char *type, const char *body, size_t n)
{
	char *boundary = http_parameter(f->arena, type, "boundary");
	const char *at;
	char *delimiter;
	size_t len;

	if (boundary == NULL && arena_failed(f->arena))
		return error_memory(f->e);
	if (boundary == NULL || *boundary == '\0' ||
	    strlen(boundary) > BOUNDARY_MAX)
		return bad_form(f, "there is no boundary");
	delimiter = arena_printf(f->arena, "\r\n--%s", boundary);
	if (delimiter == NULL)
		return error_memory(f->e);
	len = strlen(delimiter);
	at = first_delimiter(body, n, delimiter, len);
	if (at == NULL)
		return bad_form(f, "the boundary does not occur");
	return read_parts(f, at, body + n, delimiter, len);
}

static int
compare_fields(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Form values are text; what must be a number and looks like one becomes
 * one, without the leading zeros that JSON forbids. */
static void
put_value(struct form *f, const struct field *x)
{
	bool number = strcmp(x->member, "size") == 0 ||
		      strcmp(x->member, "mtime") == 0;
	const char *digits = x->value;
	size_t n = x->len;

	for (size_t i = 0; i < x->len; i++)
		number &= digits[i] >= '0' && digits[i] <= '9';
	for (; number && n > 1 && *digits == '0'; n--)
		digits++;
	if (number && n <= WHOLE_DIGITS_MAX)
		buf_put(f->out, digits, n);
	else
		json_put_string(f->out, x->value, x->len);
}

static void
put_files(struct form *f)
{
	const struct field *x = f->fields;

	if (f->count == 0)
		return;
	qsort(f->fields, f->count, sizeof(*f->fields), compare_fields);
	put_key(f, "files");
	for (size_t i = 0; i < f->count; i++) {
		if (i == 0)
			buf_puts(f->out, "[{");
		else
			buf_puts(f->out,
				 x[i].index == x[i - 1].index ? "," : "},{");
		json_put_string(f->out, x[i].member, strlen(x[i].member));
		buf_putc(f->out, ':');
		put_value(f, &x[i]);
	}
	buf_puts(f->out, "}]");
}

static void
put_document(struct form *f)
{
	if (f->json != NULL) {
		buf_reset(f->out);
		buf_put(f->out, f->json, f->json_len);
		return;
	}
	put_files(f);
	buf_puts(f->out, f->any ? "}" : "{}");
}

int
bundle_form(struct arena *a, const char *type, const char *body, size_t n,
	    struct buf *json, struct error *e)
{
	struct form f = { .arena = a, .out = json, .e = e };
	int rc;

	f.scratch = arena_new(0);
	if (f.scratch == NULL)
		return error_memory(e);
	if (http_media_is(type, "application/x-www-form-urlencoded"))
		rc = read_urlencoded(&f, body, n);
	else if (http_media_is(type, "multipart/form-data"))
		rc = read_multipart(&f, type, body, n);
	else
		rc = error_set(e, ERROR_MEDIA_TYPE, "Unsupported media type");
	if (rc == 0)
		put_document(&f);
	if (rc == 0 && buf_failed(json))
		rc = error_set(e, ERROR_TOO_LARGE, "The form is too large");
	arena_free(f.scratch);
	return rc;
}
