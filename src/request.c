/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What was asked: variables, headers, body.  The route is request_route.c's.
 */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bundle.h"

#define READ_PIECE 16384
#define VAR_NAME_MAX 80 /* longest header name that is ever asked for */

/* "" for a variable that is absent, as RFC 3875 section 4.1 has it. */
static const char *
var_or_empty(const struct request *r, const char *name)
{
	const char *value = request_var(r, name);

	return value != NULL ? value : "";
}

int64_t
request_length(const char *text)
{
	int64_t n = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' ||
		    __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *text - '0', &n))
			return -1;
	}
	return n;
}

static const char *
find_query(const struct request *r, const char *uri)
{
	const char *mark = strchr(uri, '?');

	if (*uri == '\0')
		return var_or_empty(r, "QUERY_STRING");
	return mark != NULL ? mark + 1 : "";
}

int
request_init(struct request *r, struct arena *a, const struct config *c,
	     const struct request_var *vars, size_t n, struct error *e)
{
	const char *uri, *https;

	r->arena = a;
	r->vars = vars;
	r->var_count = n;
	r->method_name = var_or_empty(r, "REQUEST_METHOD");
	r->method = http_method_from(r->method_name);
	r->protocol = var_or_empty(r, "SERVER_PROTOCOL");
	r->client = var_or_empty(r, "REMOTE_ADDR");
	r->content_type = var_or_empty(r, "CONTENT_TYPE");
	r->content_length = request_length(var_or_empty(r, "CONTENT_LENGTH"));
	https = var_or_empty(r, "HTTPS");
	r->https = strcasecmp(https, "on") == 0 || strcmp(https, "1") == 0 ||
		   strcmp(var_or_empty(r, "REQUEST_SCHEME"), "https") == 0;
	uri = var_or_empty(r, "REQUEST_URI");
	r->query = find_query(r, uri);
	if (request_route(a, uri, var_or_empty(r, "SCRIPT_NAME"),
			  var_or_empty(r, "PATH_INFO"), c->base_path, &r->mount,
			  &r->path) == -1)
		return error_memory(e);
	return 0;
}

const char *
request_var(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->var_count; i++)
		if (strcmp(r->vars[i].name, name) == 0)
			return r->vars[i].value;
	return NULL;
}

/* RFC 3875, section 4.1.18: "If-Range" is in HTTP_IF_RANGE; the two headers
 * that describe the body have no prefix. */
static void
variable_name(const char *header, char *out, size_t size)
{
	bool plain = strcasecmp(header, "Content-Type") == 0 ||
		     strcasecmp(header, "Content-Length") == 0;

	snprintf(out, size, "%s%s", plain ? "" : "HTTP_", header);
	for (; *out != '\0'; out++) {
		if (*out == '-')
			*out = '_';
		else if (*out >= 'a' && *out <= 'z')
			*out = (char)(*out - 'a' + 'A');
	}
}

const char *
request_header(const struct request *r, const char *name)
{
	char var[VAR_NAME_MAX];
	const char *value;

	variable_name(name, var, sizeof(var));
	value = request_var(r, var);
	return value != NULL && *value != '\0' ? value : NULL;
}

char *
request_query(const struct request *r, const char *name)
{
	const char *p = r->query, *end, *equals;
	size_t len;
	char *key;

	for (; *p != '\0'; p = *end != '\0' ? end + 1 : end) {
		end = strchrnul(p, '&');
		equals = memchr(p, '=', (size_t)(end - p));
		if (equals == NULL)
			equals = end;
		key = http_decode(r->arena, p, (size_t)(equals - p), true,
				  &len);
		if (key == NULL || strcmp(key, name) != 0)
			continue;
		if (equals < end)
			equals++;
		return http_decode(r->arena, equals, (size_t)(end - equals),
				   true, &len);
	}
	return NULL;
}

const char *
request_key(const struct request *r)
{
	static const char scheme[] = "Bearer ";
	const char *auth = request_header(r, "Authorization");

	/* Apache: where a rewrite rule passes it on. */
	if (auth == NULL)
		auth = request_var(r, "REDIRECT_HTTP_AUTHORIZATION");
	if (auth == NULL || strncasecmp(auth, scheme, strlen(scheme)) != 0)
		return request_header(r, "X-Api-Key");
	auth += strlen(scheme);
	auth += strspn(auth, " ");
	return *auth != '\0' ? auth : NULL;
}

void
request_adopt_id(struct request *r)
{
	static const char sane[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_.";
	const char *id = request_header(r, "X-Request-Id");
	size_t n = id != NULL ? strlen(id) : 0;

	if (n > 0 && n < sizeof(r->id) && strspn(id, sane) == n)
		memcpy(r->id, id, n + 1);
}

static int
too_large(struct error *e, int64_t max)
{
	return error_set(e, ERROR_TOO_LARGE,
			 "The body is larger than %lld bytes", (long long)max);
}

static int
read_body(struct request *r, int64_t max, struct buf *out, struct error *e)
{
	int64_t left = r->content_length;
	char piece[READ_PIECE];
	ssize_t n;

	if (left > max)
		return too_large(e, max);
	/* Never read past a declared length: RFC 3875, section 4.2. */
	while (left != 0) {
		n = r->read(r->read_ctx, piece,
			    left > 0 && left < READ_PIECE ? (size_t)left
							  : READ_PIECE);
		if (n < 0)
			return error_set(e, ERROR_GONE, "client gone");
		if (n == 0)
			break;
		if ((int64_t)out->len + n > max)
			return too_large(e, max);
		buf_put(out, piece, (size_t)n);
		left -= left > 0 ? n : 0;
	}
	if (left > 0)
		return error_set(e, ERROR_INPUT,
				 "The body ended %lld bytes early",
				 (long long)left);
	return buf_failed(out) ? error_memory(e) : 0;
}

enum document_type { DOCUMENT_JSON, DOCUMENT_FORM, DOCUMENT_BARE };

static int
bad_type(struct error *e)
{
	return error_set(e, ERROR_MEDIA_TYPE,
			 "Send application/json, "
			 "application/x-www-form-urlencoded or "
			 "multipart/form-data");
}

/* What the headers say the body is; -1: nothing that we take. */
static int
document_type(const struct request *r, struct error *e)
{
	const char *coding = request_header(r, "Content-Encoding");

	if (coding != NULL && strcasecmp(coding, "identity") != 0)
		return error_set(e, ERROR_MEDIA_TYPE,
				 "Send the body without a Content-Encoding");
	if (*r->content_type == '\0')
		return DOCUMENT_BARE;
	if (http_media_is(r->content_type, "application/json"))
		return DOCUMENT_JSON;
	if (http_media_is(r->content_type,
			  "application/x-www-form-urlencoded") ||
	    http_media_is(r->content_type, "multipart/form-data"))
		return DOCUMENT_FORM;
	return bad_type(e);
}

/* `curl -d @list.json` says that it sends a form: no form field that we know
 * begins with a brace or a bracket. */
static bool
looks_like_json(const struct buf *b)
{
	const char *p = buf_str(b);

	p += strspn(p, " \t\r\n");
	return *p == '{' || *p == '[';
}

/* The form's fields take the body's place in `json`. */
static int
convert_form(struct request *r, int64_t max, struct buf *json, struct error *e)
{
	struct buf form = *json;
	int rc;

	/* Quoting may make it longer, but not without bound. */
	buf_init(json, (size_t)max * 2);
	rc = bundle_form(r->arena, r->content_type, buf_str(&form), form.len,
			 json, e);
	buf_free(&form);
	if (rc == 0 && buf_failed(json))
		return too_large(e, max);
	return rc;
}

int
request_document(struct request *r, int64_t max, struct buf *json,
		 struct error *e)
{
	int type = document_type(r, e);

	if (type == -1 || read_body(r, max, json, e) == -1)
		return -1;
	if (type == DOCUMENT_JSON || looks_like_json(json))
		return 0;
	if (type == DOCUMENT_FORM)
		return convert_form(r, max, json, e);
	/* No type: an empty body is told what it lacks, no more. */
	return json->len == 0 ? 0 : bad_type(e);
}

/* What stands behind the first id in the text, NULL when there is none.  A
 * slash that is coded twice, or is none, ends an id as well. */
static const char *
behind_id(const char *text)
{
	const char *end = text + strlen(text);
	char id[BUNDLE_UUID];

	for (; end - text >= BUNDLE_UUID - 1; text++) {
		memcpy(id, text, BUNDLE_UUID - 1);
		id[BUNDLE_UUID - 1] = '\0';
		if (bundle_is_uuid(id))
			return text + BUNDLE_UUID - 1;
	}
	return NULL;
}

/* What follows a bundle's id is, or was meant to be, its secret; of a path
 * that is no route it may have come to be the mount point. */
const char *
request_masked_path(const struct request *r)
{
	char *text = arena_printf(r->arena, "%s%s", r->mount, r->path);
	const char *secret = text != NULL ? behind_id(text) : NULL, *tail;

	if (secret == NULL || *secret == '\0')
		return text != NULL ? text : "-";
	secret += *secret == '/';
	tail = strchrnul(secret, '/');
	text = arena_printf(r->arena, "%.*s***%s", (int)(secret - text), text,
			    behind_id(tail) == NULL ? tail : "/***");
	return text != NULL ? text : "-";
}
