/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API without a web server: requests through service_handle to a SQLite
 * store in a temporary folder, answers in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"
#include "router.h"
#include "store.h"
#include "transport_memory.h"

#define ID "0b1e6f4a-3c2d-4e5f-8a9b-0c1d2e3f4a5b"
#define SECRET "9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b1a"
#define MANY 3000 /* files whose JSON is larger than what is gathered */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
	char folder[64];
	char path[96];
	struct config config;
	struct service service;
	struct memory m;
	const char *body;
	size_t left;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error e;

	strcpy(f->folder, "/tmp/test-router-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/zip.db", f->folder);
	f->config = (struct config){ .base_path = "",
				     .cors_origin = "*",
				     .api_keys = "",
				     .source_allow = "",
				     .file_root = "",
				     .allow_private_networks = "",
				     .manifest_allow = "",
				     .export_allow = "",
				     .aws_region = "us-west-2",
				     .db_interface = DB_SQLITE,
				     .db_cnxn = f->path,
				     .table_name = "bundles",
				     .db_timeout_ms = 5000,
				     .data_lifetime_min = 60,
				     .fs_interfaces = FS_HTTPS,
				     .max_body = 1 << 20,
				     .max_files = 10000 };
	f->service.config = &f->config;
	f->service.arena = arena_new(0);
	f->service.store = store_new(&f->config, NULL, &e);
	assert_non_null(f->service.store);
	assert_int_equal(store_init(f->service.store, &e), 0);
	memory_init(&f->m);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	store_free(f->service.store);
	arena_free(f->service.arena);
	buf_free(&f->m.out);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static ssize_t
read_body(void *ctx, void *p, size_t n)
{
	struct fixture *f = ctx;

	if (n > f->left)
		n = f->left;
	memcpy(p, f->body, n);
	f->body += n;
	f->left -= n;
	return (ssize_t)n;
}

/* What a request differs in from GET / without a body. */
struct ask {
	const char *method;
	const char *uri;
	const char *type;
	const char *body;
	const char *key;
	const char *length;
};

#define ASK(m, u)                                                              \
	{                                                                      \
		.method = m, .uri = u                                          \
	}
#define BODY(m, u, t, b)                                                       \
	{                                                                      \
		.method = m, .uri = u, .type = t, .body = b                    \
	}

static void
ask(struct fixture *f, const struct ask *q,
    void (*answer)(struct service *, struct request *, struct response *))
{
	const struct request_var vars[] = {
		{ "REQUEST_METHOD", q->method },
		{ "REQUEST_URI", q->uri },
		{ "PATH_INFO", q->uri },
		{ "CONTENT_TYPE", q->type != NULL ? q->type : "" },
		{ "CONTENT_LENGTH", q->length != NULL ? q->length : "" },
		{ "HTTP_AUTHORIZATION", q->key != NULL ? q->key : "" },
	};
	struct request r = { .id = "7", .read = read_body, .read_ctx = f };
	struct response resp;
	struct error e;

	buf_reset(&f->m.out);
	f->m.finished = f->m.aborted = false;
	f->body = q->body != NULL ? q->body : "";
	f->left = strlen(f->body);
	arena_reset(f->service.arena);
	assert_int_equal(request_init(&r, f->service.arena, &f->config, vars,
				      COUNT(vars), &e),
			 0);
	assert_int_equal(
		response_init(&resp, &f->m.transport, r.method == HTTP_HEAD),
		0);
	answer(&f->service, &r, &resp);
	assert_true(resp.ended);
	response_fini(&resp);
}

static int
status_of(const struct fixture *f)
{
	int status = 0;

	sscanf(buf_str(&f->m.out), "Status: %d", &status);
	return status;
}

static const char *
body_of(const struct fixture *f)
{
	const char *end = strstr(buf_str(&f->m.out), "\r\n\r\n");

	return end != NULL ? end + 4 : "";
}

static bool
has_header(const struct fixture *f, const char *line)
{
	const char *p = strstr(buf_str(&f->m.out), line);

	return p != NULL && p < body_of(f) && p[strlen(line)] == '\r';
}

/* The value of a string in the answer's JSON; static memory. */
static const char *
json_value(const struct fixture *f, const char *key)
{
	static char value[64];
	char quoted[64];
	const char *p;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	p = strstr(body_of(f), quoted);
	assert_non_null(p);
	assert_int_equal(sscanf(p + strlen(quoted), " \"%63[^\"]\"", value), 1);
	return value;
}

struct answer_case {
	struct ask ask;
	int status;
	const char *header; /* NULL: none is looked for */
	const char *body;   /* begins so */
};

#define JSON "application/json"
#define NOT_FOUND "{\"message\":\"Not Found\"}"

static const struct answer_case answers[] = {
	{ ASK("GET", "/health-check"), 200, "X-Request-Id: 7", "OK" },
	{ ASK("GET", "/health-check/"), 200, "Access-Control-Allow-Origin: *",
	  "OK" },
	{ ASK("HEAD", "/health-check"), 200, "Content-Length: 2", "" },
	{ ASK("GET", "/"), 404, "Content-Type: application/json", NOT_FOUND },
	{ ASK("HEAD", "/"), 404, "Content-Length: 23", "" },
	{ ASK("GET", "/nothing"), 404, NULL, NOT_FOUND },
	{ ASK("PUT", "/" ID), 405, "Allow: GET, HEAD, OPTIONS",
	  "{\"message\":\"Method Not Allowed\"}" },
	{ ASK("GET", "/check"), 405, "Allow: POST, OPTIONS", "{" },
	{ ASK("PUT", "/bundle"), 405, "Allow: GET, HEAD, POST, OPTIONS", "{" },
	{ ASK("BREW", "/"), 405, "Allow: GET, HEAD, POST, OPTIONS", "{" },
	{ ASK("POST", "/" ID "/" SECRET), 405,
	  "Allow: GET, HEAD, PUT, DELETE, OPTIONS", "{" },
	{ ASK("OPTIONS", "/check"), 204,
	  "Access-Control-Allow-Methods: POST, OPTIONS", "" },
	{ ASK("OPTIONS", "/" ID "/" SECRET), 204,
	  "Allow: GET, HEAD, PUT, DELETE, OPTIONS", "" },
	{ ASK("OPTIONS", "/nothing"), 404, NULL, NOT_FOUND },
	/* No UUID, no such path: handlers and store never see it. */
	{ ASK("GET", "/" ID "0"), 404, NULL, NOT_FOUND },
	{ ASK("GET", "/" ID "/x"), 404, NULL, NOT_FOUND },
	{ ASK("GET", "/x/" SECRET), 404, NULL, NOT_FOUND },
	{ ASK("DELETE", "/'%20OR%201"), 404, NULL, NOT_FOUND },
	{ ASK("GET", "/" ID "/" SECRET "/x"), 404, NULL, NOT_FOUND },
	{ ASK("GET", "/" ID "%00"), 404, NULL, NOT_FOUND },
	{ ASK("GET", "/" ID "/" SECRET), 404, NULL, "{\"message\":" },
	{ ASK("DELETE", "/" ID "/" SECRET), 404, NULL, "{\"message\":" },
	{ BODY("PUT", "/" ID "/" SECRET, JSON, "{\"files\":[]}"), 404, NULL,
	  "{\"message\":" },
	{ BODY("POST", "/", JSON, "{"), 400, NULL,
	  "{\"message\":\"Invalid JSON: " },
	{ BODY("POST", "/", JSON, "{}"), 400, NULL,
	  "{\"message\":\"\\\"filename\\\" is required\"}" },
	{ BODY("POST", "/bundle", JSON, "{}"), 400, NULL,
	  "{\"message\":\"\\\"files\\\" is required\"}" },
	{ ASK("POST", "/bundle"), 400, NULL, "{\"message\":" },
	{ BODY("POST", "/bundle", "text/csv", "a,b"), 415, NULL,
	  "{\"message\":" },
	{ { .method = "POST",
	    .uri = "/",
	    .type = JSON,
	    .body = "{}",
	    .length = "1048577" },
	  413,
	  NULL,
	  "{\"message\":" },
};

static void
requests_are_answered(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(answers); i++) {
		const struct answer_case *c = &answers[i];

		ask(f, &c->ask, service_handle);
		if (status_of(f) != c->status ||
		    (c->header != NULL && !has_header(f, c->header)) ||
		    strncmp(body_of(f), c->body, strlen(c->body)) != 0)
			fail_msg("%s %s: %s", c->ask.method, c->ask.uri,
				 buf_str(&f->m.out));
		assert_true(f->m.finished && !f->m.aborted);
	}
}

static void
keys_are_asked_for(void **state)
{
	static const struct {
		const char *keys, *given;
		int status;
	} cases[] = {
		{ "k1,k2", NULL, 401 },
		{ "k1,k2", "Bearer k3", 401 },
		{ "k1,k2", "Bearer k", 401 },
		{ "k1,k2", "Bearer k1,k2", 401 },
		{ "k1,k2", "Basic k1", 401 },
		{ ",", "Bearer  ", 401 },
		{ " k1 , k2 ", "Bearer k1", 400 },
		{ "k1,k2", "Bearer k2", 400 },
	};
	struct fixture *f = *state;
	struct ask q = BODY("POST", "/", JSON, "{}");

	for (size_t i = 0; i < COUNT(cases); i++) {
		f->config.api_keys = cases[i].keys;
		q.key = cases[i].given;
		ask(f, &q, service_handle);
		assert_int_equal(status_of(f), cases[i].status);
		assert_int_equal(has_header(f, "WWW-Authenticate: Bearer"),
				 cases[i].status == 401);
		/* Who has no key is not even read. */
		assert_int_equal(f->left, cases[i].status == 401 ? 2 : 0);
	}
	q = (struct ask)ASK("GET", "/health-check");
	ask(f, &q, service_handle);
	assert_int_equal(status_of(f), 200);
}

static void
a_bundle_lives_and_dies(void **state)
{
	struct fixture *f = *state;
	char link[128];
	struct ask q = BODY("POST", "/", JSON,
			    "{\"filename\":\"a.zip\",\"files\":"
			    "[{\"src\":\"http://example.com/one\"}]}");

	ask(f, &q, service_handle);
	assert_int_equal(status_of(f), 201);
	assert_true(has_header(f, "Cache-Control: no-store"));
	snprintf(link, sizeof(link), "/%s/", json_value(f, "id"));
	strcat(link, json_value(f, "secret"));

	q = (struct ask)BODY(
		"PUT", link, JSON,
		"{\"files\":[{\"src\":\"http://example.com/two\"}]}");
	ask(f, &q, service_handle);
	assert_int_equal(status_of(f), 200);
	assert_non_null(strstr(body_of(f), "example.com/one"));
	assert_non_null(strstr(body_of(f), "example.com/two"));

	q = (struct ask)ASK("GET", link);
	ask(f, &q, service_handle);
	assert_int_equal(status_of(f), 200);
	assert_non_null(strstr(body_of(f), "example.com/two"));
	assert_string_equal(json_value(f, "filename"), "a.zip");

	q.method = "DELETE";
	ask(f, &q, service_handle);
	assert_int_equal(status_of(f), 200);
	assert_non_null(strstr(body_of(f), "example.com/one"));
	ask(f, &q, service_handle);
	assert_int_equal(status_of(f), 404);
}

static void
a_large_bundle_is_streamed(void **state)
{
	struct fixture *f = *state;
	struct buf json;
	char link[128];
	struct ask q = BODY("POST", "/", JSON, NULL);

	buf_init(&json, 1 << 20);
	buf_puts(&json, "{\"filename\":\"a\",\"files\":[");
	for (int i = 0; i < MANY; i++)
		buf_printf(&json, "%s{\"src\":\"http://example.com/%d\"}",
			   i > 0 ? "," : "", i);
	buf_puts(&json, "]}");
	q.body = buf_str(&json);
	ask(f, &q, service_handle);
	buf_free(&json);
	assert_int_equal(status_of(f), 201);
	assert_true(f->m.finished);
	assert_null(strstr(buf_str(&f->m.out), "\r\nContent-Length"));
	assert_non_null(strstr(body_of(f), "example.com/2999\""));
	snprintf(link, sizeof(link), "/%s/", json_value(f, "id"));
	strcat(link, json_value(f, "secret"));

	/* A client that leaves in the middle breaks nothing. */
	q = (struct ask)ASK("GET", link);
	f->m.writes = 0;
	f->m.fail_at = 2;
	ask(f, &q, service_handle);
	assert_true(f->m.aborted && !f->m.finished);
	f->m.fail_at = 0;
	ask(f, &q, service_handle);
	assert_true(f->m.finished);
	assert_int_equal(f->m.out.data[f->m.out.len - 1], '}');
}

static void
a_busy_service_says_so(void **state)
{
	struct fixture *f = *state;
	struct ask q = ASK("GET", "/" ID);

	ask(f, &q, service_refuse);
	assert_int_equal(status_of(f), 503);
	assert_non_null(strstr(buf_str(&f->m.out), "Retry-After: "));
	assert_true(has_header(f, "X-Request-Id: 7"));
}

/* request_route tells routes from mount points by their shape. */
static void
every_route_is_known_by_its_shape(void **state)
{
	struct arena *a = arena_new(0);
	const char *mount, *path, *p;
	const struct route *table;
	struct buf uri;
	size_t n;

	(void)state;
	table = router_table(&n);
	buf_init(&uri, 1000);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&uri);
		buf_puts(&uri, "/mounted/here");
		for (p = table[i].pattern; *p != '\0'; p++) {
			if (*p != ':') {
				buf_putc(&uri, *p);
				continue;
			}
			buf_puts(&uri, ID);
			p = strchrnul(p, '/') - 1;
		}
		assert_int_equal(request_route(a, buf_str(&uri), buf_str(&uri),
					       "", "", &mount, &path),
				 0);
		if (strcmp(table[i].pattern, "/") == 0)
			continue; /* cannot be told from the mount point */
		assert_string_equal(mount, "/mounted/here");
	}
	buf_free(&uri);
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(requests_are_answered, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(keys_are_asked_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_bundle_lives_and_dies, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_large_bundle_is_streamed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_busy_service_says_so, set_up,
						tear_down),
		cmocka_unit_test(every_route_is_known_by_its_shape),
	};

	log_init(LOG_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
