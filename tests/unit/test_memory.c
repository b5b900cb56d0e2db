/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Every allocation fails once: the pure modules say so and lose nothing.
 *
 * The linker sends malloc and its kin here (--wrap, see the Makefile).  A
 * scenario is run again and again, the n-th allocation of the n-th run
 * failing, until a run has fewer; then with arenas that have less and less
 * room.  That nothing is lost or touched twice is for the sanitizers to say.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/s3_list.h"
#include "address.h"
#include "arena.h"
#include "buf.h"
#include "bundle.h"
#include "config.h"
#include "dst.h"
#include "facts.h"
#include "http.h"
#include "json.h"
#include "plan.h"
#include "request.h"
#include "s3.h"
#include "sigv4.h"
#include "url.h"

#define RUNS_MAX 20000
#define ARENA_ROOM 32768
#define ARENA_STEP 97

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static long countdown; /* allocations until the one that fails; 0: none */
static bool failed;

static bool
is_turn(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return is_turn() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return is_turn() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return is_turn() ? NULL : __real_realloc(p, n);
}

char *
__wrap_strdup(const char *s)
{
	return is_turn() ? NULL : __real_strdup(s);
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return is_turn() ? NULL : __real_strndup(s, n);
}

/* 0: well; -1: failed, and `e` says why.  `room`: of arenas; 0: no end. */
typedef int (*scenario_fn)(size_t room, struct error *e);

/* It is nobody's fault but ours; a buffer does not tell its ceiling from the
 * end of memory. */
static void
check_error(const struct error *e)
{
	if (e->code != ERROR_INTERNAL && e->code != ERROR_TOO_LARGE)
		fail_msg("code %d: %s", e->code, e->text);
}

static void
without_memory(scenario_fn run)
{
	struct error e;
	int rc;

	for (long n = 1;; n++) {
		assert_true(n < RUNS_MAX);
		memset(&e, 0, sizeof(e));
		countdown = n;
		failed = false;
		rc = run(0, &e);
		countdown = 0;
		if (rc == -1)
			check_error(&e);
		if (!failed) {
			assert_int_equal(rc, 0);
			break;
		}
	}
	for (size_t room = 1; room < ARENA_ROOM; room += ARENA_STEP) {
		memset(&e, 0, sizeof(e));
		if (run(room, &e) == -1)
			check_error(&e);
	}
}

/* Scenarios */

#define DOCUMENT                                                               \
	"{\"filename\":\"a\",\"onError\":\"report\",\"files\":["               \
	"{\"src\":\"http://h.example/a%20b?q\",\"dst\":\"d/e\\u0301\"},"       \
	"{\"src\":\"http://h.example/b\",\"dst\":\"D/\\u00e9\","               \
	"\"size\":5,\"crc32\":\"0000abcd\",\"mtime\":\"2020-01-01T00:00:"      \
	"00Z\"},"                                                              \
	"{\"src\":\"s3://bucket/k?#.jpg\"},{\"dst\":\"folder/\"},"             \
	"{\"src\":\"https://h.example/c\",\"dst\":\"folder/\"}]}"

static const struct config config = {
	.fs_interfaces = FS_S3 | FS_HTTPS,
	.file_root = "",
	.source_allow = "",
	.allow_private_networks = "",
	.aws_region = "us-west-2",
	.base_path = "",
	.max_files = 1000,
	.compression = COMPRESSION_AUTO,
	.compression_level = 1,
};

static int
run_buf(size_t room, struct error *e)
{
	struct buf b;
	int rc;

	(void)room;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 2000; i++)
		buf_printf(&b, "%d ", i);
	rc = buf_failed(&b) ? error_memory(e) : 0;
	if (rc == 0 && strlen(buf_str(&b)) != b.len)
		error_set(e, ERROR_INPUT, "a lost byte");
	buf_reset(&b);
	buf_free(&b);
	return rc;
}

static int
run_json(size_t room, struct error *e)
{
	struct json_cut cut;
	struct json *root, *one;

	(void)room;
	root = json_parse_cut(DOCUMENT, strlen(DOCUMENT), "files", &cut, e);
	while (root != NULL && (one = json_next(&cut, e)) != NULL)
		json_free(one);
	json_free(root);
	if (root == NULL || e->code != ERROR_NONE)
		return -1;
	root = json_parse(DOCUMENT, strlen(DOCUMENT), e);
	json_free(root);
	return root != NULL ? 0 : -1;
}

static int
run_bundle(size_t room, struct error *e)
{
	struct arena *a = arena_new(room);
	struct bundle b, more;
	int rc = -1;

	if (a == NULL)
		return error_memory(e);
	if (bundle_parse(&config, a, DOCUMENT, strlen(DOCUMENT),
			 BUNDLE_NEEDS_FILES, NULL, &b, e) == 0)
		rc = bundle_parse(&config, a, DOCUMENT, strlen(DOCUMENT), 0, &b,
				  &more, e);
	arena_free(a);
	return rc;
}

static int
form(size_t room, const char *type, const char *body, struct error *e)
{
	struct arena *a = arena_new(room);
	struct buf json;
	int rc;

	if (a == NULL)
		return error_memory(e);
	buf_init(&json, 1 << 20);
	rc = bundle_form(a, type, body, strlen(body), &json, e);
	if (rc == 0 && buf_failed(&json))
		rc = error_memory(e);
	buf_free(&json);
	arena_free(a);
	return rc;
}

static int
run_urlencoded(size_t room, struct error *e)
{
	return form(room, "application/x-www-form-urlencoded",
		    "files[0][src]=http%3A%2F%2Fh%2Fa&files[0][dst]=x&"
		    "files[1][src]=http%3A%2F%2Fh%2Fb&filename=n",
		    e);
}

static int
run_multipart(size_t room, struct error *e)
{
	return form(room, "multipart/form-data; boundary=\"b\"",
		    "--b\r\nContent-Disposition: form-data; "
		    "name=\"files[0][src]\"\r\n\r\nhttp://h/a\r\n--b\r\n"
		    "Content-Disposition: form-data; name=\"filename\"\r\n"
		    "\r\nn\r\n--b--\r\n",
		    e);
}

static int
run_dst(size_t room, struct error *e)
{
	static const char *const names[] = { "a/b",    "A/B", "a", "e\u0301",
					     "\u00e9", "x/",  "x", "b.tar.gz" };
	struct arena *a = arena_new(room);
	struct dst_set *set = a != NULL ? dst_set_new(a, 0) : NULL;
	char text[64];
	int rc = 0;

	if (set == NULL)
		rc = error_memory(e);
	for (int i = 0; rc == 0 && i < 400; i++) {
		const char *name = names[i % 8];
		const char *owner = NULL;

		if (strcmp(name, "x/") != 0) {
			snprintf(text, sizeof(text), "http://h/%d", i);
			owner = arena_strdup(a, text);
		}
		name = dst_clean(a, name, strlen(name), e);
		if (name == NULL || (owner == NULL && i % 8 != 5) ||
		    (dst_set_take(set, name, owner, e) == NULL &&
		     e->code != ERROR_NONE))
			rc = name != NULL && e->code == ERROR_NONE
				     ? error_memory(e)
				     : -1;
	}
	arena_free(a);
	return rc;
}

static int
run_plan(size_t room, struct error *e)
{
	struct arena *a = arena_new(room);
	struct file files[40];
	struct bundle b = { .files = files, .count = 40 };
	struct plan *plan;
	int rc = -1;

	for (size_t i = 0; i < 40; i++) {
		files[i] = (struct file){ .src = "https://h/x",
					  .dst = "x",
					  .size = (int64_t)i,
					  .mtime = 1,
					  .has_crc = true };
		facts_clear(&files[i].facts);
	}
	if (a == NULL)
		return error_memory(e);
	plan = plan_new(a, &config, &b, e);
	if (plan != NULL)
		rc = plan_measure(plan, e);
	arena_free(a);
	return rc;
}

static int
run_request(size_t room, struct error *e)
{
	static const struct request_var vars[] = {
		{ "REQUEST_METHOD", "GET" },
		{ "REQUEST_URI", "/zip/a%20b/?compression=st%6Fre" },
		{ "SCRIPT_NAME", "/zip" },
		{ "PATH_INFO", "/a b/" },
	};
	struct arena *a = arena_new(room);
	struct request r = { 0 };
	int rc = -1;

	if (a == NULL)
		return error_memory(e);
	if (request_init(&r, a, &config, vars, 4, e) == 0) {
		request_query(&r, "compression");
		request_masked_path(&r);
		rc = 0;
	}
	arena_free(a);
	return rc;
}

static int
run_urls(size_t room, struct error *e)
{
	struct arena *a = arena_new(room);
	struct s3_object o;
	struct url u, next;
	int rc = -1;

	if (a == NULL)
		return error_memory(e);
	if (url_parse(a, "https://H.example:8443/a/../b c?q=\u00e9", &u, e) ==
		    0 &&
	    url_resolve(a, &u, "../d?e", &next, e) == 0 &&
	    s3_parse(a, "s3://bucket/some//key", &o, e) == 0)
		rc = url_format(a, &next) != NULL ? 0 : error_memory(e);
	arena_free(a);
	return rc;
}

static int
run_sigv4(size_t room, struct error *e)
{
	struct sigv4_pair pairs[] = { { "b", "1" }, { "a", "\u00e9" } };
	struct sigv4_request r = {
		.method = "GET",
		.host = "h",
		.path = "/a b",
		.query = pairs,
		.query_count = 2,
		.payload_hash = SIGV4_UNSIGNED,
		.region = "r",
		.service = "s3",
		.access_key = "k",
		.secret_key = "s",
		.token = "t",
		.now = 1,
	};
	struct buf auth;
	char date[17];
	int rc;

	(void)room;
	buf_init(&auth, 8192);
	rc = sigv4_sign(&r, &auth, date) == 0 && !buf_failed(&auth)
		     ? 0
		     : error_memory(e);
	buf_free(&auth);
	return rc;
}

static int
run_config(size_t room, struct error *e)
{
	char path[] = "/tmp/zipstream-memory-XXXXXX";
	static const char text[] =
		"MAX_BODY=1MiB\nAPI_KEYS='a,b'\nSTATE_DIR=x\n"
		"SOURCE_ALLOW=https://h/\n";
	int fd = mkstemp(path), rc;
	struct config *c;

	(void)room;
	assert_true(fd != -1 &&
		    write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
	close(fd);
	c = config_load(path, e);
	rc = c != NULL ? 0 : -1;
	config_free(c);
	unlink(path);
	return rc;
}

static int
run_http(size_t room, struct error *e)
{
	static const char type[] = "multipart/form-data; x=1; boundary=\"a b\"";
	struct arena *a = arena_new(room);
	const char *boundary;
	struct buf out;
	size_t n;
	int rc = -1;

	if (a == NULL)
		return error_memory(e);
	buf_init(&out, 1 << 20);
	boundary = http_parameter(a, type, "boundary");
	http_disposition(&out, "na\u00efve \"name\".zip");
	if (boundary != NULL && !buf_failed(&out) &&
	    http_decode(a, "a%20b+c", 7, true, &n) != NULL)
		rc = strcmp(boundary, "a b") == 0 && n == 5
			     ? 0
			     : error_set(e, ERROR_INPUT, "wrong: %s", boundary);
	else
		error_memory(e);
	buf_free(&out);
	arena_free(a);
	return rc;
}

static int
run_address(size_t room, struct error *e)
{
	struct address_list *l;
	char *bad;

	(void)room;
	l = address_list_parse("10.0.0.0/8 fd00::/8,127.0.0.1", &bad);
	if (l == NULL)
		return error_memory(e);
	address_list_free(l);
	/* Told apart from no memory by what is bad. */
	l = address_list_parse("10.0.0.0/8 x", &bad);
	if (l != NULL || (bad != NULL && strcmp(bad, "x") != 0))
		error_set(e, ERROR_INPUT, "taken");
	free(bad);
	return 0;
}

/* Longer than a step of the arena's room. */
#define TEN "0123456789"
#define TOKEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LISTING                                                                \
	"<ListBucketResult><Contents><Key>a%20b</Key><Size>1</Size>"           \
	"</Contents><IsTruncated>true</IsTruncated><NextContinuationToken>"    \
	"&amp;" TOKEN "</NextContinuationToken></ListBucketResult>"

static int
take_listed(void *ctx, const struct s3_listed *o, struct error *e)
{
	(void)ctx;
	return strcmp(o->key, "a b") == 0 ? 0
					  : error_set(e, ERROR_INPUT, "key");
}

static int
run_listing(size_t room, struct error *e)
{
	struct arena *a = arena_new(room);
	const char *token;
	int rc;

	if (a == NULL)
		return error_memory(e);
	rc = s3_list_read(a, LISTING, strlen(LISTING), take_listed, NULL,
			  &token, e);
	if (rc == 0 && strcmp(token, "&" TOKEN) != 0)
		rc = error_set(e, ERROR_INPUT, "token");
	arena_free(a);
	return rc;
}

static int
run_facts(size_t room, struct error *e)
{
	struct arena *a = arena_new(room);
	struct file f = { .src = "http://h/a" };
	struct facts known = { .size = 3, .packed = 3, .layout = "stored" };
	struct buf line;
	int rc;

	if (a == NULL)
		return error_memory(e);
	buf_init(&line, 4096);
	facts_format(&line, &known, f.src);
	rc = buf_failed(&line) ? error_memory(e) : 0;
	/* What cannot be kept is not known: no error. */
	if (rc == 0) {
		facts_parse(a, buf_str(&line), &f);
		if (f.facts.layout != NULL && f.facts.size != 3)
			rc = error_set(e, ERROR_INPUT, "half of the facts");
	}
	buf_free(&line);
	arena_free(a);
	return rc;
}

#define SCENARIO(name)                                                         \
	static void test_##name(void **state)                                  \
	{                                                                      \
		(void)state;                                                   \
		without_memory(run_##name);                                    \
	}

SCENARIO(buf)
SCENARIO(json)
SCENARIO(bundle)
SCENARIO(urlencoded)
SCENARIO(multipart)
SCENARIO(dst)
SCENARIO(plan)
SCENARIO(request)
SCENARIO(urls)
SCENARIO(sigv4)
SCENARIO(config)
SCENARIO(http)
SCENARIO(address)
SCENARIO(listing)
SCENARIO(facts)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_urlencoded),
		cmocka_unit_test(test_multipart),
		cmocka_unit_test(test_dst),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_sigv4),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
