/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Routes as every web server spells them; headers, bodies, masking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "request.h"
#include "request_recorded.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct route_case {
	const char *who;
	const char *uri, *script_name, *path_info, *base;
	const char *mount, *path;
};

/* What servers send with other configurations than those of deploy/, and with
 * the mistakes that people make in them. */
static const struct route_case routes[] = {
	{ "lighttpd, key /, fix-root-scriptname", "/", "", "/", "", "", "/" },
	{ "the same", "/bundle?x=/y", "", "/bundle", "", "", "/bundle" },
	{ "the same", "/" ID "/" SECRET "/", "", "/" ID "/" SECRET "/", "", "",
	  "/" ID "/" SECRET },
	{ "the same", "/nothing", "", "/nothing", "", "", "/nothing" },
	{ "the same, deeper", "/zip/bundle", "", "/zip/bundle", "", "",
	  "/zip/bundle" },
	{ "lighttpd, key / alone", "/bundle", "/bundle", "", "", "",
	  "/bundle" },
	{ "the same", "/" ID "/" SECRET, "/" ID, "/" SECRET, "", "",
	  "/" ID "/" SECRET },
	{ "lighttpd, key /zip", "/zip", "/zip", "", "", "/zip", "/" },
	{ "the same", "/zip/", "/zip", "/", "", "/zip", "/" },
	{ "the same", "/zip/bundle", "/zip", "/bundle", "", "/zip", "/bundle" },
	{ "lighttpd, key /zip/", "/zip/bundle", "/zip/bundle", "", "", "/zip",
	  "/bundle" },
	{ "the same", "/zip/" ID "/" SECRET, "/zip/" ID, "/" SECRET, "", "/zip",
	  "/" ID "/" SECRET },
	{ "the same", "/zip/", "/zip/", "", "", "/zip", "/" },
	{ "mod_fcgid, ScriptAlias /zip", "/zip/" ID "/", "/zip", "/" ID "/", "",
	  "/zip", "/" ID },
	{ "the same, folded", "//zip//bundle", "/zip", "/bundle", "", "/zip",
	  "/bundle" },
	{ "FcgidWrapper virtual", "/" ID "/" SECRET, "/" ID, "/" SECRET, "", "",
	  "/" ID "/" SECRET },
	{ "mod_proxy_fcgi as it is", "/pool/bundle", "/pool/bundle", "", "",
	  "/pool", "/bundle" },
	{ "the same", "/pool/" ID "/" SECRET "/status",
	  "/pool/" ID "/" SECRET "/status", "", "", "/pool",
	  "/" ID "/" SECRET "/status" },
	{ "mod_proxy_fcgi, ProxyFCGISetEnvIf", "/pool/bundle", "/pool",
	  "/bundle", "", "/pool", "/bundle" },
	{ "nginx, stock fastcgi_params", "/zip/health-check",
	  "/zip/health-check", "", "", "/zip", "/health-check" },
	{ "nginx, fastcgi_split_path_info", "/zip/bundle", "/zip", "/bundle",
	  "", "/zip", "/bundle" },
	{ "nginx, stock parameters and PATH_INFO", "/b%75ndle?q", "/bundle",
	  "/bundle", "", "", "/bundle" },
	{ "the same", "/" ID "/" SECRET "/", "/" ID "/" SECRET "/",
	  "/" ID "/" SECRET "/", "", "", "/" ID "/" SECRET },
	{ "the same, root", "/", "/", "/", "", "", "/" },
	{ "the same, unknown", "/x", "/x", "/x", "", "", "/x" },
	{ "CGI, bare", "/cgi/zip.cgi", "/cgi/zip.cgi", "", "", "/cgi/zip.cgi",
	  "/" },
	{ "CGI", "/cgi/zip.cgi/bundle", "/cgi/zip.cgi", "/bundle", "",
	  "/cgi/zip.cgi", "/bundle" },
	{ ".htaccess, path passed on", "/zip/bundle", "/zip/zipstream.fcgi",
	  "/bundle", "", "/zip", "/bundle" },
	{ "the same, root", "/zip/", "/zip/zipstream.fcgi", "/", "", "/zip",
	  "/" },
	{ "the same, by name", "/zip/zipstream.fcgi/bundle",
	  "/zip/zipstream.fcgi", "/bundle", "", "/zip/zipstream.fcgi",
	  "/bundle" },
	{ ".htaccess, nothing passed on", "/zip/bundle", "/zip/zipstream.fcgi",
	  "", "", "/zip", "/bundle" },
	{ "the same, root", "/zip/", "/zip/zipstream.fcgi", "", "", "/zip",
	  "/" },
	{ "script of the root, rewritten", "/zip/bundle", "/zipstream.fcgi", "",
	  "", "/zip", "/bundle" },
	{ "the same", "/", "/zipstream.fcgi", "", "", "", "/" },
	{ "the same, unknown", "/zip/x", "/zip/zipstream.fcgi", "", "", "/zip",
	  "/x" },
	{ "nothing given", "/zip/bundle", "", "", "", "/zip", "/bundle" },
	{ "the same, unknown", "/zip/x", "", "", "", "", "/zip/x" },
	{ "no REQUEST_URI", "", "/zip", "/bundle", "", "/zip", "/bundle" },
	{ "nothing at all", "", "", "", "", "", "/" },

	{ "BASE_PATH", "/zip/bundle", "/zip/bundle", "", "/zip", "/zip",
	  "/bundle" },
	{ "the same, with slash", "/a/b/x", "", "/a/b/x", "/a/b/", "/a/b",
	  "/x" },
	{ "the same, itself", "/zip", "", "/zip", "/zip", "/zip", "/" },
	{ "the same, named like a route", "/bundle", "/bundle", "", "/bundle",
	  "/bundle", "/" },
	{ "the same, taken off by a proxy", "/bundle", "", "/bundle", "/zip",
	  "/zip", "/bundle" },
	{ "the same, only half of it", "/zipfoo/bundle", "", "/zipfoo/bundle",
	  "/zip", "/zip", "/zipfoo/bundle" },

	{ "absolute form", "http://h:80/zip/bundle", "/zip", "/bundle", "",
	  "/zip", "/bundle" },
	{ "absolute form, bare", "http://h", "", "/", "", "", "/" },
	{ "absolute form in a query", "/bundle?u=http://h/x", "", "/bundle", "",
	  "", "/bundle" },
	{ "dot segments", "/zip/./x/../bundle/.", "/zip", "/bundle/", "",
	  "/zip", "/bundle" },
	{ "the same, above the root", "/../%2e./bundle", "", "/bundle", "", "",
	  "/bundle" },
	{ "the same, out of the mount", "/zip/../bundle", "", "/bundle", "", "",
	  "/bundle" },
	{ "escapes", "/b%75ndle", "", "/bundle", "", "", "/bundle" },
	{ "escapes in the mount", "/my%20zip/bundle", "/my zip", "/bundle", "",
	  "/my zip", "/bundle" },
	{ "plus is plus", "/a+b", "", "/a+b", "", "", "/a+b" },
	{ "hidden slash", "/a%2fbundle", "", "/a/bundle", "", "",
	  "/a%2fbundle" },
	{ "hidden slash in front", "/%2Fbundle", "", "//bundle", "", "",
	  "/%2Fbundle" },
	{ "hidden NUL", "/bundle%00", "", "/bundle", "", "", "/bundle%00" },
	{ "bad escape", "/bundle%zz", "", "/bundle%zz", "", "", "/bundle%zz" },
	{ "asterisk", "*", "", "", "", "", "/*" },
	{ "only slashes", "////", "", "/", "", "", "/" },
};

static void
routes_are_found(void **state)
{
	struct arena *a = arena_new(0);
	const char *mount, *path;

	(void)state;
	for (size_t i = 0; i < COUNT(routes); i++) {
		const struct route_case *c = &routes[i];

		assert_int_equal(request_route(a, c->uri, c->script_name,
					       c->path_info, c->base, &mount,
					       &path),
				 0);
		if (strcmp(mount, c->mount) != 0 || strcmp(path, c->path) != 0)
			fail_msg("%s: %s is %s + %s, not %s + %s", c->who,
				 c->uri, mount, path, c->mount, c->path);
	}
	arena_free(a);
}

static void
routes_need_memory(void **state)
{
	const char *mount, *path;

	(void)state;
	for (size_t max = 1; max < 512; max += 16) {
		struct arena *a = arena_new(max);
		int rc = request_route(a, "/zip/bundle", "/zip", "/bundle", "",
				       &mount, &path);

		if (rc == 0)
			assert_string_equal(path, "/bundle");
		arena_free(a);
	}
}

/* A request from variables, with a body that comes in small pieces. */
struct fixture {
	struct arena *arena;
	struct config config;
	struct request r;
	const char *body;
	size_t left;
	size_t piece;
	bool broken;
};

static ssize_t
read_body(void *ctx, void *p, size_t n)
{
	struct fixture *f = ctx;

	if (f->broken)
		return -1;
	if (n > f->left)
		n = f->left;
	if (n > f->piece)
		n = f->piece;
	memcpy(p, f->body, n);
	f->body += n;
	f->left -= n;
	return (ssize_t)n;
}

static void
set_up(struct fixture *f, const struct request_var *vars, size_t n,
       const char *body)
{
	struct error e;

	*f = (struct fixture){ .arena = arena_new(0),
			       .config = { .base_path = "" },
			       .body = body,
			       .left = strlen(body),
			       .piece = 3 };
	assert_int_equal(request_init(&f->r, f->arena, &f->config, vars, n, &e),
			 0);
	f->r.read = read_body;
	f->r.read_ctx = f;
}

static void
recorded_routes_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(recorded); i++) {
		const struct recorded *c = &recorded[i];
		const struct request_var vars[] = {
			{ "REQUEST_URI", c->uri },
			{ "SCRIPT_NAME", c->script_name },
			{ "PATH_INFO", c->path_info },
		};
		struct fixture f;

		set_up(&f, vars, c->path_info != NULL ? 3 : 2, "");
		if (strcmp(f.r.mount, c->mount) != 0 ||
		    strcmp(f.r.path, c->path) != 0)
			fail_msg("%s: %s is %s + %s, not %s + %s", c->servers,
				 c->uri, f.r.mount, f.r.path, c->mount,
				 c->path);
		arena_free(f.arena);
	}
}

static void
variables_become_a_request(void **state)
{
	static const struct request_var vars[] = {
		{ "REQUEST_METHOD", "HEAD" },
		{ "REQUEST_URI", "/zip/bundle?a=1%262&b=x+y&a=3&c" },
		{ "QUERY_STRING", "spoilt" },
		{ "SCRIPT_NAME", "/zip" },
		{ "PATH_INFO", "/bundle" },
		{ "SERVER_PROTOCOL", "HTTP/1.1" },
		{ "REMOTE_ADDR", "192.0.2.1" },
		{ "REQUEST_SCHEME", "https" },
		{ "CONTENT_TYPE", "application/json" },
		{ "CONTENT_LENGTH", "" },
		{ "HTTP_IF_RANGE", "\"x\"" },
		{ "HTTP_RANGE", "" },
	};
	struct fixture f;

	(void)state;
	set_up(&f, vars, COUNT(vars), "");
	assert_int_equal(f.r.method, HTTP_HEAD);
	assert_string_equal(f.r.mount, "/zip");
	assert_string_equal(f.r.path, "/bundle");
	assert_string_equal(f.r.query, "a=1%262&b=x+y&a=3&c");
	assert_string_equal(f.r.protocol, "HTTP/1.1");
	assert_string_equal(f.r.client, "192.0.2.1");
	assert_true(f.r.https);
	assert_int_equal(f.r.content_length, -1);
	assert_string_equal(request_header(&f.r, "If-Range"), "\"x\"");
	assert_string_equal(request_header(&f.r, "content-type"),
			    "application/json");
	assert_null(request_header(&f.r, "Range"));
	assert_null(request_header(&f.r, "Host"));
	assert_string_equal(request_query(&f.r, "a"), "1&2");
	assert_string_equal(request_query(&f.r, "b"), "x y");
	assert_string_equal(request_query(&f.r, "c"), "");
	assert_null(request_query(&f.r, "d"));
	arena_free(f.arena);
}

static void
lengths_are_numbers_or_unknown(void **state)
{
	static const struct {
		const char *text;
		int64_t length;
	} cases[] = {
		{ "0", 0 },
		{ "17", 17 },
		{ "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", -1 },
		{ "-1", -1 },
		{ "1x", -1 },
		{ " 1", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct request_var v = { "CONTENT_LENGTH", cases[i].text };
		struct fixture f;

		set_up(&f, &v, 1, "");
		assert_int_equal(f.r.content_length, cases[i].length);
		arena_free(f.arena);
	}
}

static void
keys_come_in_two_headers(void **state)
{
	static const struct {
		struct request_var vars[2];
		const char *key;
	} cases[] = {
		{ { { "HTTP_AUTHORIZATION", "Bearer k1" } }, "k1" },
		{ { { "HTTP_AUTHORIZATION", "bearer   k1" } }, "k1" },
		{ { { "REDIRECT_HTTP_AUTHORIZATION", "Bearer k1" } }, "k1" },
		{ { { "HTTP_X_API_KEY", "k2" } }, "k2" },
		{ { { "HTTP_AUTHORIZATION", "Basic eDp5" },
		    { "HTTP_X_API_KEY", "k2" } },
		  "k2" },
		{ { { "HTTP_AUTHORIZATION", "Bearer " } }, NULL },
		{ { { "HTTP_AUTHORIZATION", "Bearer" } }, NULL },
		{ { { "HTTP_X_API_KEY", "" } }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = cases[i].vars[1].name != NULL ? 2 : 1;
		struct fixture f;
		const char *key;

		set_up(&f, cases[i].vars, n, "");
		key = request_key(&f.r);
		if (cases[i].key == NULL)
			assert_null(key);
		else
			assert_string_equal(key, cases[i].key);
		arena_free(f.arena);
	}
}

static void
only_sane_ids_are_adopted(void **state)
{
	static const struct {
		const char *sent, *id;
	} cases[] = {
		{ "abc-1.2_X", "abc-1.2_X" },
		{ SECRET, SECRET },
		{ "0123456789012345678901234567890123456789", "own" },
		{ "a b", "own" },
		{ "a\nb", "own" },
		{ "", "own" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct request_var v = { "HTTP_X_REQUEST_ID", cases[i].sent };
		struct fixture f;

		set_up(&f, &v, 1, "");
		strcpy(f.r.id, "own");
		request_adopt_id(&f.r);
		assert_string_equal(f.r.id, cases[i].id);
		arena_free(f.arena);
	}
}

static void
secrets_are_masked(void **state)
{
	static const struct {
		const char *uri, *masked;
	} cases[] = {
		{ "/", "/" },
		{ "/" ID, "/" ID },
		{ "/" ID "/" SECRET "/", "/" ID "/***" },
		{ "/" ID "/" SECRET "/status", "/" ID "/***/status" },
		{ "/" ID "/half-a-secret", "/" ID "/***" },
		{ "/zip/" ID "/" SECRET, "/zip/" ID "/***" },
		{ "/x/" ID "/se%2Fcret/y", "/x/" ID "/***/y" },
		{ "/" ID "%2F" SECRET, "/" ID "***" },
		{ "/" ID "%252F" SECRET "/y", "/" ID "***/y" },
		{ "/" ID "/x/" SECRET, "/" ID "/***/***" },
		{ "/" ID SECRET, "/" ID "***" },
		{ "/x/y", "/x/y" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct request_var v = { "REQUEST_URI", cases[i].uri };
		struct fixture f;

		set_up(&f, &v, 1, "");
		assert_string_equal(request_masked_path(&f.r), cases[i].masked);
		arena_free(f.arena);
	}
}

/* Without PATH_INFO all of it is in SCRIPT_NAME, and what is in front of a
 * route's last word is taken for the mount point. */
static void
secrets_are_masked_in_a_mount_point(void **state)
{
	static const char uri[] = "/" ID "/" SECRET "/health-check";
	struct request_var v[] = { { "REQUEST_URI", uri },
				   { "SCRIPT_NAME", uri } };
	struct fixture f;

	(void)state;
	set_up(&f, v, 2, "");
	assert_string_equal(f.r.mount, "/" ID "/" SECRET);
	assert_string_equal(request_masked_path(&f.r),
			    "/" ID "/***/health-check");
	arena_free(f.arena);
}

struct body_case {
	const char *type;
	const char *length; /* "" unknown */
	const char *body;
	int64_t max;
	enum error_code code;
	const char *json;
};

#define JSON "application/json"
#define FORM "application/x-www-form-urlencoded"

static const struct body_case bodies[] = {
	{ JSON, "2", "{}", 99, ERROR_NONE, "{}" },
	{ JSON "; charset=utf-8", "", "{\"a\": 1}", 99, ERROR_NONE,
	  "{\"a\": 1}" },
	/* Content-Length bytes are read, not one more. */
	{ JSON, "2", "{}more", 99, ERROR_NONE, "{}" },
	{ JSON, "9", "{}", 99, ERROR_INPUT, NULL },
	{ JSON, "100", "", 99, ERROR_TOO_LARGE, NULL },
	{ JSON, "", "0123456789", 9, ERROR_TOO_LARGE, NULL },
	{ JSON, "", "0123456789", 10, ERROR_NONE, "0123456789" },
	/* curl -d @list.json */
	{ FORM, "", "\r\n {\"a\":1}", 99, ERROR_NONE, "\r\n {\"a\":1}" },
	{ FORM, "", "[]", 99, ERROR_NONE, "[]" },
	{ "", "", "{\"a\":1}", 99, ERROR_NONE, "{\"a\":1}" },
	{ "", "0", "", 99, ERROR_NONE, "" },
	{ "", "", "a=b", 99, ERROR_MEDIA_TYPE, NULL },
	{ "text/plain", "2", "{}", 99, ERROR_MEDIA_TYPE, NULL },
	{ "application/jsonx", "2", "{}", 99, ERROR_MEDIA_TYPE, NULL },
};

static void
bodies_become_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		const struct body_case *c = &bodies[i];
		struct request_var vars[] = { { "CONTENT_TYPE", c->type },
					      { "CONTENT_LENGTH", c->length } };
		struct error e = { .code = ERROR_NONE };
		struct fixture f;
		struct buf json;
		int rc;

		set_up(&f, vars, 2, c->body);
		buf_init(&json, (size_t)c->max + 1);
		rc = request_document(&f.r, c->max, &json, &e);
		if (e.code != c->code || (rc == 0) != (c->json != NULL))
			fail_msg("body %zu: %d %s", i, e.code, e.text);
		if (c->json != NULL)
			assert_string_equal(buf_str(&json), c->json);
		buf_free(&json);
		arena_free(f.arena);
	}
}

static void
forms_become_json(void **state)
{
	struct request_var v = { "CONTENT_TYPE", FORM };
	struct fixture f;
	struct error e;
	struct buf json;

	(void)state;
	set_up(&f, &v, 1, "filename=a.zip&files[0][src]=http%3A%2F%2Fh%2Fx");
	buf_init(&json, 1000);
	assert_int_equal(request_document(&f.r, 999, &json, &e), 0);
	assert_int_equal(*buf_str(&json), '{');
	assert_non_null(strstr(buf_str(&json), "a.zip"));
	assert_non_null(strstr(buf_str(&json), "http:"));
	buf_free(&json);
	arena_free(f.arena);
}

static void
packed_and_broken_bodies_are_refused(void **state)
{
	struct request_var vars[] = { { "CONTENT_TYPE", JSON },
				      { "HTTP_CONTENT_ENCODING", "gzip" } };
	struct fixture f;
	struct error e;
	struct buf json;

	(void)state;
	set_up(&f, vars, 2, "{}");
	buf_init(&json, 100);
	assert_int_equal(request_document(&f.r, 99, &json, &e), -1);
	assert_int_equal(e.code, ERROR_MEDIA_TYPE);
	arena_free(f.arena);
	set_up(&f, vars, 1, "{}");
	f.broken = true;
	assert_int_equal(request_document(&f.r, 99, &json, &e), -1);
	assert_int_equal(e.code, ERROR_GONE);
	buf_free(&json);
	arena_free(f.arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_are_found),
		cmocka_unit_test(recorded_routes_are_found),
		cmocka_unit_test(routes_need_memory),
		cmocka_unit_test(variables_become_a_request),
		cmocka_unit_test(lengths_are_numbers_or_unknown),
		cmocka_unit_test(keys_come_in_two_headers),
		cmocka_unit_test(only_sane_ids_are_adopted),
		cmocka_unit_test(secrets_are_masked),
		cmocka_unit_test(secrets_are_masked_in_a_mount_point),
		cmocka_unit_test(bodies_become_json),
		cmocka_unit_test(forms_become_json),
		cmocka_unit_test(packed_and_broken_bodies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
