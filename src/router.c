/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From method and path to a handler.
 *
 * The order of the checks is the order of their cost and of what they give
 * away: path (404), method (405), key (401), body (413, 415), handler.
 */
#include "router.h"

#include <ctype.h>
#include <string.h>

#define LOG_MODULE "router"
#include "check.h"
#include "export.h"
#include "handlers.h"
#include "http.h"
#include "log.h"
#include "metrics.h"
#include "page.h"
#include "stats.h"
#include "status.h"

#define PREFLIGHT_AGE "86400" /* seconds; browsers cut it to their own */
#define PREFLIGHT_HEADERS                                                      \
	"Content-Type, Authorization, X-Api-Key, X-Request-Id, Range, "        \
	"If-Range, If-Match, If-None-Match"

static const struct route table[] = {
	{ HTTP_GET, "/", page_home, 0 },
	{ HTTP_POST, "/", handle_create, ROUTE_NEEDS_KEY | ROUTE_NEEDS_BODY },
	{ HTTP_GET, "/bundle", handle_manifest, ROUTE_NEEDS_KEY },
	{ HTTP_POST, "/bundle", handle_stream,
	  ROUTE_NEEDS_KEY | ROUTE_NEEDS_BODY },
	{ HTTP_POST, "/check", handle_check,
	  ROUTE_NEEDS_KEY | ROUTE_NEEDS_BODY },
	{ HTTP_GET, "/health-check", handle_health, 0 },
	{ HTTP_GET, "/metrics", handle_metrics, 0 },
	{ HTTP_GET, "/openapi.json", page_openapi, 0 },
	{ HTTP_GET, "/:id", handle_download, 0 },
	{ HTTP_GET, "/:id/:secret", handle_show, 0 },
	{ HTTP_PUT, "/:id/:secret", handle_append, ROUTE_NEEDS_BODY },
	{ HTTP_DELETE, "/:id/:secret", handle_remove, 0 },
	{ HTTP_POST, "/:id/:secret/export", handle_export, ROUTE_NEEDS_BODY },
	{ HTTP_GET, "/:id/:secret/status", handle_status, 0 },
};

#define ROUTES (sizeof(table) / sizeof(table[0]))

const struct route *
router_table(size_t *count)
{
	*count = ROUTES;
	return table;
}

/* One segment of a pattern against one of the path. */
static bool
match_segment(struct arena *a, const char *pattern, size_t pattern_len,
	      const char *segment, size_t len, struct route_params *p)
{
	char *value;

	if (*pattern != ':')
		return pattern_len == len && memcmp(pattern, segment, len) == 0;
	value = arena_strndup(a, segment, len);
	if (value == NULL || !bundle_is_uuid(value))
		return false;
	/* RFC 9562, section 4: written in lower case, read in either. */
	for (char *c = value; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	if (pattern[1] == 'i')
		p->id = value;
	else
		p->secret = value;
	return true;
}

static bool
match(struct arena *a, const char *pattern, const char *path,
      struct route_params *p)
{
	const char *pattern_end, *end;

	*p = (struct route_params){ .id = "", .secret = "" };
	while (*pattern == '/' && *path == '/') {
		pattern_end = strchrnul(++pattern, '/');
		end = strchrnul(++path, '/');
		if (!match_segment(a, pattern, (size_t)(pattern_end - pattern),
				   path, (size_t)(end - path), p))
			return false;
		pattern = pattern_end;
		path = end;
	}
	return *pattern == '\0' && *path == '\0';
}

/* *allowed: every method of the path, 0 when there is no such path. */
static const struct route *
find_route(const struct exchange *x, struct route_params *p, unsigned *allowed)
{
	unsigned method = x->request->method;

	if (method == HTTP_HEAD)
		method = HTTP_GET;
	*allowed = 0;
	for (const struct route *r = table; r < table + ROUTES; r++) {
		if (!match(x->arena, r->pattern, x->request->path, p))
			continue;
		if ((r->methods & method) != 0)
			return r;
		*allowed |= r->methods | HTTP_OPTIONS;
		if ((r->methods & HTTP_GET) != 0)
			*allowed |= HTTP_HEAD;
	}
	return NULL;
}

/* "GET, HEAD, OPTIONS" */
static void
put_methods(struct response *r, const char *header, unsigned methods)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = { { HTTP_GET, "GET" },	 { HTTP_HEAD, "HEAD" },
		      { HTTP_POST, "POST" },	 { HTTP_PUT, "PUT" },
		      { HTTP_DELETE, "DELETE" }, { HTTP_OPTIONS, "OPTIONS" } };
	struct buf list;

	buf_init(&list, 64);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((methods & names[i].bit) == 0)
			continue;
		buf_puts(&list, list.len > 0 ? ", " : "");
		buf_puts(&list, names[i].name);
	}
	response_header(r, header, "%s", buf_str(&list));
	buf_free(&list);
}

static int
answer_options(struct exchange *x, unsigned allowed)
{
	struct response *r = x->response;

	response_status(r, 204);
	put_methods(r, "Allow", allowed);
	put_methods(r, "Access-Control-Allow-Methods", allowed);
	response_header(r, "Access-Control-Allow-Headers", PREFLIGHT_HEADERS);
	response_header(r, "Access-Control-Max-Age", PREFLIGHT_AGE);
	response_finish(r);
	return 0;
}

static int
answer_no_route(struct exchange *x, unsigned allowed, struct error *e)
{
	if (allowed == 0)
		return error_set(e, ERROR_NOT_FOUND, "Not Found");
	if (x->request->method == HTTP_OPTIONS)
		return answer_options(x, allowed);
	put_methods(x->response, "Allow", allowed);
	error_set(e, ERROR_METHOD, "Method Not Allowed");
	response_error(x->response, e);
	return 0;
}

/* Every key is looked at, so that the time tells nothing of which. */
static bool
has_key(const struct exchange *x)
{
	const char *given = request_key(x->request);
	const char *p = x->config->api_keys, *end;
	bool found = false;
	char *key;

	if (*p == '\0')
		return true;
	if (given == NULL)
		return false;
	for (; *p != '\0'; p = *end != '\0' ? end + 1 : end) {
		p += strspn(p, " ");
		end = strchrnul(p, ',');
		key = arena_strndup(x->arena, p, (size_t)(end - p));
		if (key == NULL)
			return false;
		for (size_t n = strlen(key); n > 0 && key[n - 1] == ' ';)
			key[--n] = '\0';
		found |= *key != '\0' && http_equal_secret(key, given);
	}
	return found;
}

static int
answer_no_key(struct exchange *x, struct error *e)
{
	response_header(x->response, "WWW-Authenticate", "Bearer");
	error_set(e, ERROR_AUTH, "An API key is required");
	response_error(x->response, e);
	return 0;
}

static int
read_document(struct exchange *x, struct error *e)
{
	int64_t max = x->config->max_body;
	int rc;

	stats_state(SLOT_READING);
	buf_init(&x->document, (size_t)max + 1);
	rc = request_document(x->request, max, &x->document, e);
	stats_state(SLOT_BUSY);
	return rc;
}

static int
run_route(struct exchange *x, const struct route *r,
	  const struct route_params *p, struct error *e)
{
	int rc = 0;

	if ((r->needs & ROUTE_NEEDS_KEY) != 0 && !has_key(x))
		return answer_no_key(x, e);
	if ((r->needs & ROUTE_NEEDS_BODY) != 0)
		rc = read_document(x, e);
	if (rc == 0)
		rc = r->handler(x, p, e);
	buf_free(&x->document);
	return rc;
}

static void
note_cause(struct exchange *x, const struct error *e)
{
	const char *cause =
		arena_printf(x->arena, "%s%s%s", e->text,
			     e->cause[0] != '\0' ? ": " : "", e->cause);

	if (x->access.cause[0] == '\0' && cause != NULL)
		x->access.cause = cause;
	if (e->code == ERROR_GONE)
		x->access.end = "client gone";
	if (e->code == ERROR_INTERNAL || e->code == ERROR_UNAVAILABLE)
		log_error("%s%s%s", e->text, e->cause[0] != '\0' ? ": " : "",
			  e->cause);
}

/* An answer as long as one is possible, else a cut that is seen. */
static void
fail(struct exchange *x, struct error *e)
{
	struct response *r = x->response;

	if (e->code == ERROR_NONE)
		error_set(e, ERROR_INTERNAL, "Internal error");
	note_cause(x, e);
	if (r->ended)
		return;
	if (r->head_sent || r->gone) {
		response_abort(r);
		return;
	}
	response_restart(r);
	response_error(r, e);
}

void
router_dispatch(struct exchange *x)
{
	struct error e = { .code = ERROR_NONE };
	struct route_params params;
	const struct route *route;
	unsigned allowed;
	int rc;

	route = find_route(x, &params, &allowed);
	x->route = route != NULL ? (int)(route - table) : -1;
	if (route != NULL)
		rc = run_route(x, route, &params, &e);
	else
		rc = answer_no_route(x, allowed, &e);
	if (rc != 0)
		fail(x, &e);
}
