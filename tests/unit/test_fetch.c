/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sources that work, break, lie, stall and change: whole or failed. */
#include "fetch_fixture.h"

#define BIG 3000000

static struct script scripts[] = {
	{ .path = "/ok", .size = 1000 },
	{ .path = "/big", .size = BIG },
	{ .path = "/empty", .size = 0 },
	{ .path = "/empty-bare", .size = 0, .flags = ORIGIN_BARE_416 },
	{ .path = "/bare", .size = 10, .flags = ORIGIN_BARE_416 },
	{ .path = "/chunked", .size = 5000, .flags = ORIGIN_CHUNKED },
	{ .path = "/close", .size = 5000, .flags = ORIGIN_CLOSE },
	{ .path = "/informs", .size = 10, .flags = ORIGIN_INFORMS },
	{ .path = "/500-ok", .size = 10, .status = 500, .times = 1 },
	{ .path = "/503-ok",
	  .size = 10,
	  .status = 503,
	  .times = 1,
	  .header = "Retry-After: 1\r\n" },
	{ .path = "/503", .status = 503, .times = -1 },
	{ .path = "/403", .status = 403, .times = -1 },
	{ .path = "/204", .status = 204, .times = -1 },
	{ .path = "/move", .status = 302, .times = -1, .location = "/ok" },
	{ .path = "/move-twice",
	  .status = 307,
	  .times = -1,
	  .location = "/move" },
	{ .path = "/loop", .status = 301, .times = -1, .location = "/loop" },
	{ .path = "/to-ip",
	  .status = 302,
	  .times = -1,
	  .location = "http://169.254.169.254/" },
	{ .path = "/to-file",
	  .status = 302,
	  .times = -1,
	  .location = "file:///etc/passwd" },
	{ .path = "/cut", .size = BIG, .cut_at = 100000, .times = 1 },
	{ .path = "/cut-chunked",
	  .size = BIG,
	  .cut_at = 100000,
	  .times = 1,
	  .flags = ORIGIN_CHUNKED },
	{ .path = "/cut-dated",
	  .size = BIG,
	  .cut_at = 100000,
	  .times = 1,
	  .flags = ORIGIN_DATED },
	{ .path = "/cut-reread",
	  .size = BIG,
	  .cut_at = 100000,
	  .times = 1,
	  .flags = ORIGIN_NO_RANGES },
	{ .path = "/cut-changed",
	  .size = BIG,
	  .cut_at = 2000000,
	  .times = 1,
	  .flags = ORIGIN_CHANGES },
	{ .path = "/cut-changed-whole",
	  .size = BIG,
	  .cut_at = 2000000,
	  .times = 1,
	  .flags = ORIGIN_CHANGES | ORIGIN_NO_RANGES },
	{ .path = "/cut-nameless",
	  .size = BIG,
	  .cut_at = 2000000,
	  .times = 1,
	  .flags = ORIGIN_NO_VALIDATOR },
	{ .path = "/cut-always", .size = BIG, .cut_at = 100000, .times = -1 },
	{ .path = "/partial", .size = 950, .flags = ORIGIN_PARTIAL },
	{ .path = "/wrong-part", .size = 100, .flags = ORIGIN_WRONG_PART },
	{ .path = "/claims-more", .size = 1000, .claim = 10 },
	{ .path = "/gzip", .size = 10, .flags = ORIGIN_GZIP },
	{ .path = "/no-ranges", .size = 1000, .flags = ORIGIN_NO_RANGES },
	{ .path = "/stall-once",
	  .size = BIG,
	  .cut_at = 100000,
	  .times = 1,
	  .flags = ORIGIN_STALL },
	{ .path = "/drips", .size = 30, .flags = ORIGIN_DRIPS },
	{ .path = "/late", .size = 10, .flags = ORIGIN_LATE },
	{ .path = "/silent",
	  .size = 10,
	  .cut_at = -1,
	  .times = -1,
	  .flags = ORIGIN_STALL },
	{ .path = "/closed", .size = 10, .cut_at = -1, .times = -1 },
	{ .path = "/stall-always",
	  .size = BIG,
	  .cut_at = 100000,
	  .times = -1,
	  .flags = ORIGIN_STALL | ORIGIN_NO_VALIDATOR },
	{ .path = "/big-head", .size = 1, .flags = ORIGIN_BIG_HEAD },
};

/* Reads one part of one source; returns fetch_stream's verdict. */
static int
read_part(const char *src, const struct source_want *want, int64_t expect,
	  struct seen *s, struct error *e)
{
	struct fetch *f = begin(-1);
	int rc;

	*s = (struct seen){ .at = want->first };
	*e = (struct error){ .code = ERROR_NONE };
	assert_int_equal(fetch_add(f, src, want, expect, e), 0);
	rc = fetch_stream(f, 0, see, s, e);
	fetch_free(f);
	assert_false(s->wrong);
	return rc;
}

static void
test_whole(void **state)
{
	static const struct {
		const char *path;
		int64_t expect;
		int64_t size;
		int requests;
	} table[] = {
		{ "/ok", -1, 1000, 1 },		{ "/ok", 1000, 1000, 1 },
		{ "/big", -1, BIG, 1 },		{ "/empty", -1, 0, 1 },
		{ "/empty", 0, 0, 1 },		{ "/chunked", -1, 5000, 1 },
		{ "/chunked", 5000, 5000, 1 },	{ "/close", -1, 5000, 1 },
		{ "/informs", -1, 10, 1 },	{ "/500-ok", -1, 10, 2 },
		{ "/503-ok", -1, 10, 2 },	{ "/move", -1, 1000, 1 },
		{ "/move-twice", -1, 1000, 1 }, { "/cut", -1, BIG, 2 },
		{ "/cut-chunked", -1, BIG, 2 }, { "/cut-dated", -1, BIG, 2 },
		{ "/cut-reread", -1, BIG, 2 },	{ "/stall-once", -1, BIG, 2 },
		{ "/no-ranges", -1, 1000, 1 },
	};
	struct error e;
	struct seen s;

	(void)state;
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
		if (read_part(source(table[k].path), &all, table[k].expect, &s,
			      &e) != 0)
			fail_msg("%s: %s", table[k].path, e.text);
		if (s.at != table[k].size)
			fail_msg("%s: %lld bytes", table[k].path,
				 (long long)s.at);
		if (script(table[k].path)->requests != table[k].requests)
			fail_msg("%s: %d requests", table[k].path,
				 script(table[k].path)->requests);
	}
}

static void
test_failures(void **state)
{
	static const struct {
		const char *path;
		int64_t expect;
		enum error_code code;
		int status;
		const char *text;
	} table[] = {
		{ "/none", -1, ERROR_SOURCE, 404, "404 Not Found" },
		{ "/403", -1, ERROR_SOURCE, 403, "403 Forbidden" },
		{ "/204", -1, ERROR_SOURCE, 204, "204 No Content" },
		{ "/503", -1, ERROR_SOURCE, 503, "503 Service Unavailable" },
		{ "/loop", -1, ERROR_SOURCE, 301, "too many redirects" },
		{ "/to-ip", -1, ERROR_SOURCE, 0,
		  "redirects to a place that is refused: "
		  "IP Addresses are not supported" },
		{ "/to-file", -1, ERROR_SOURCE, 0, NULL },
		{ "/ok", 999, ERROR_SOURCE, 0,
		  "its size is 1000, not 999 as declared" },
		{ "/chunked", 5001, ERROR_SOURCE, 0,
		  "its size is 5000, not 5001 as declared" },
		{ "/chunked", 4999, ERROR_SOURCE, 0,
		  "is longer than 4999 bytes as declared" },
		{ "/empty", 1, ERROR_SOURCE, 0,
		  "its size is 0, not 1 as declared" },
		{ "/cut-changed", -1, ERROR_CHANGED, 0,
		  "changed while it was read" },
		{ "/cut-changed-whole", -1, ERROR_CHANGED, 0,
		  "changed while it was read" },
		{ "/cut-nameless", -1, ERROR_SOURCE, 0,
		  "broke off at byte 2000000" },
		{ "/cut-always", -1, ERROR_SOURCE, 0, NULL },
		{ "/claims-more", -1, ERROR_CHANGED, 0,
		  "changed while it was read" },
		{ "/silent", -1, ERROR_SOURCE, 0, "timed out" },
		{ "/closed", -1, ERROR_SOURCE, 0, "closed without an answer" },
		{ "/stall-always", -1, ERROR_SOURCE, 0,
		  "timed out at byte 100000" },
		{ "/gzip", -1, ERROR_SOURCE, 200,
		  "is sent compressed, though not asked to be" },
		{ "/big-head", -1, ERROR_SOURCE, 0, "sent too large a head" },
	};
	struct error e;
	struct seen s;

	(void)state;
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
		if (read_part(source(table[k].path), &all, table[k].expect, &s,
			      &e) == 0)
			fail_msg("%s is read", table[k].path);
		if (table[k].text != NULL)
			assert_string_equal(e.text, table[k].text);
		if (e.code != table[k].code || e.http_status != table[k].status)
			fail_msg("%s: code %d, status %d, %s", table[k].path,
				 e.code, e.http_status, e.text);
	}
	/* An error's body is never delivered. */
	read_part(source("/403"), &all, -1, &s, &e);
	assert_int_equal(s.at, 0);
}

static void
test_unreachable(void **state)
{
	struct error e;
	struct seen s;

	(void)state;
	assert_int_equal(read_part("http://localhost:1/", &all, -1, &s, &e),
			 -1);
	assert_string_equal(e.text, "connection refused");
	assert_int_equal(read_part("http://nothing.invalid/", &all, -1, &s, &e),
			 -1);
	assert_string_equal(e.text, "name not found");
	assert_int_equal(read_part("ftp://localhost/", &all, -1, &s, &e), -1);
	assert_string_equal(e.text, "Protocol 'ftp' not supported.");
	assert_int_equal(read_part("http://127.0.0.1/", &all, -1, &s, &e), -1);
	assert_string_equal(e.text, "IP Addresses are not supported");
}

/* A name of a private address: not one connection is made. */
static void
test_private(void **state)
{
	struct config strict = config;
	struct transfer_engine *other;
	struct fetch_client client = { .watch_fd = -1 };
	int before = origin.connections;
	struct error e;
	struct seen s = { 0 };
	struct fetch *f;

	(void)state;
	strict.allow_private_networks = "";
	other = transfer_engine_new(&strict, &e);
	f = fetch_new(&strict, other, &client, &e);
	fetch_add(f, source("/ok"), &all, -1, &e);
	assert_int_equal(fetch_stream(f, 0, see, &s, &e), -1);
	assert_string_equal(e.text, "its address is not allowed");
	assert_int_equal(e.code, ERROR_SOURCE);
	fetch_free(f);
	transfer_engine_free(other);
	assert_int_equal(origin.connections, before);
}

static void
test_parts(void **state)
{
	static const struct {
		const char *path;
		struct source_want want;
		int64_t end;
		int requests;
	} table[] = {
		{ "/ok", { .first = 100, .last = 199 }, 200, 1 },
		{ "/ok", { .first = 900, .last = -1 }, 1000, 1 },
		{ "/ok", { .first = 0, .last = 0 }, 1, 1 },
		{ "/ok", { .first = 999, .last = 5000 }, 1000, 1 },
		{ "/ok", { .last = -1, .ranged = true }, 1000, 1 },
		{ "/no-ranges", { .first = 100, .last = 199 }, 200, 1 },
		{ "/no-ranges", { .first = 100, .last = -1 }, 1000, 1 },
		{ "/partial", { .last = -1, .ranged = true }, 950, 10 },
		{ "/cut", { .first = 50000, .last = 150000 }, 150001, 2 },
		{ "/empty", { .last = -1, .ranged = true }, 0, 1 },
		{ "/empty-bare", { .last = -1, .ranged = true }, 0, 2 },
	};
	struct error e;
	struct seen s;

	(void)state;
	config.source_resumes = 20;
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
		struct source_want want = table[k].want;

		want.validator = "";
		if (read_part(source(table[k].path), &want, -1, &s, &e) != 0)
			fail_msg("%s: %s", table[k].path, e.text);
		if (s.at != table[k].end)
			fail_msg("%s: to %lld", table[k].path, (long long)s.at);
		assert_int_equal(script(table[k].path)->requests,
				 table[k].requests);
	}
	config.source_resumes = 2;
	assert_int_equal(read_part(source("/wrong-part"),
				   &(struct source_want){ .first = 5,
							  .last = 9,
							  .validator = "" },
				   -1, &s, &e),
			 -1);
	assert_int_equal(s.at, 5);
}

static void
test_validators(void **state)
{
	static const struct {
		const char *path;
		const char *validator;
		int64_t first;
		bool same;
	} table[] = {
		{ "/ok", "\"v\"", 0, true },
		{ "/ok", "\"v\"", 10, true },
		{ "/ok", "\"w\"", 0, false },
		{ "/ok", "\"w\"", 10, false },
		{ "/ok", "Sun, 06 Nov 1994 08:49:37 GMT", 10, true },
		{ "/ok", "Sun, 06 Nov 1994 08:49:38 GMT", 10, false },
		{ "/no-ranges", "\"v\"", 10, true },
		{ "/no-ranges", "\"w\"", 10, false },
		{ "/ok", "\"v\"", 1000, false },
	};
	struct error e;
	struct seen s;

	(void)state;
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
		struct source_want want = { .first = table[k].first,
					    .last = -1,
					    .validator = table[k].validator };
		int rc = read_part(source(table[k].path), &want, -1, &s, &e);

		if ((rc == 0) != table[k].same)
			fail_msg("%s with %s", table[k].path,
				 table[k].validator);
		if (!table[k].same)
			assert_int_equal(e.code, ERROR_CHANGED);
	}
}

/* The resumption asks under the validator that was seen. */
static void
test_resume_header(void **state)
{
	struct error e;
	struct seen s;

	(void)state;
	assert_int_equal(read_part(source("/cut"), &all, -1, &s, &e), 0);
	assert_non_null(
		strstr(script("/cut")->asked, "\r\nRange: bytes=100000-\r\n"));
	assert_non_null(
		strstr(script("/cut")->asked, "\r\nIf-Range: \"v\"\r\n"));
	assert_non_null(strstr(script("/cut")->asked,
			       "\r\nAccept-Encoding: identity\r\n"));
}

/* Many at once, in order, more than the window and its bytes hold. */
static void
test_window(void **state)
{
	static const char *const paths[] = { "/ok",	 "/big",   "/cut",
					     "/chunked", "/empty", "/move",
					     "/500-ok" };
	static const int64_t sizes[] = { 1000, BIG, BIG, 5000, 0, 1000, 10 };
	struct fetch *f = begin(-1);
	struct source_facts facts;
	struct error e;

	(void)state;
	for (size_t k = 0; k < 70; k++)
		assert_int_equal(
			fetch_add(f, source(paths[k % 7]), &all, -1, &e),
			(long)k);
	for (size_t k = 0; k < 70; k++) {
		struct seen s = { 0 };
		const void *p;
		size_t n;
		bool whole;

		if (k % 10 == 9) {
			fetch_skip(f, (long)k);
			continue;
		}
		assert_int_equal(fetch_answer(f, (long)k, &facts, &e), 0);
		if (k % 3 == 0) {
			assert_int_equal(fetch_gather(f, (long)k, 20000, &p, &n,
						      &whole, &e),
					 0);
			assert_true(whole == (sizes[k % 7] <= 20000));
			assert_int_equal(n, whole ? sizes[k % 7] : 20000);
		}
		if (fetch_stream(f, (long)k, see, &s, &e) != 0)
			fail_msg("%zu: %s", k, e.text);
		assert_false(s.wrong);
		assert_int_equal(s.at, sizes[k % 7]);
	}
	fetch_free(f);
}

static void
test_gather_bounds(void **state)
{
	static const struct {
		size_t limit;
		size_t n;
		bool whole;
	} table[] = {
		{ 0, 0, false },      { 1, 1, false },
		{ 999, 999, false },  { 1000, 1000, true },
		{ 1001, 1000, true }, { 262144, 1000, true },
	};
	struct error e;

	(void)state;
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
		struct fetch *f = begin(-1);
		const void *p;
		size_t n;
		bool whole;

		fetch_add(f, source("/ok"), &all, -1, &e);
		assert_int_equal(
			fetch_gather(f, 0, table[k].limit, &p, &n, &whole, &e),
			0);
		assert_int_equal(n, table[k].n);
		assert_int_equal(whole, table[k].whole);
		fetch_free(f);
	}
}

/* What a slow client takes is not the next source's time. */
static void
test_slow_sink(void **state)
{
	struct fetch *f = begin(-1);
	struct seen s = { .naps = 1 };
	struct error e;

	(void)state;
	fetch_add(f, source("/drips"), &all, -1, &e);
	fetch_add(f, source("/late"), &all, -1, &e);
	assert_int_equal(fetch_stream(f, 0, see, &s, &e), 0);
	assert_int_equal(s.at, 30);
	assert_int_equal(script("/drips")->requests, 1);
	s = (struct seen){ 0 };
	assert_int_equal(fetch_stream(f, 1, see, &s, &e), 0);
	assert_int_equal(s.at, 10);
	assert_int_equal(script("/late")->requests, 1);
	fetch_free(f);
}

static void
test_gone(void **state)
{
	struct seen s = { .stop_at = 50000 };
	struct fetch *f = begin(-1);
	struct error e;
	int pair[2];

	(void)state;
	fetch_add(f, source("/big"), &all, -1, &e);
	assert_int_equal(fetch_stream(f, 0, see, &s, &e), -1);
	assert_int_equal(e.code, ERROR_GONE);
	assert_true(s.at < BIG);
	fetch_free(f);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	f = begin(pair[0]);
	fetch_add(f, source("/stall-once"), &all, -1, &e);
	/* Unread bytes of a client are no hang-up. */
	assert_int_equal(write(pair[1], "x", 1), 1);
	s = (struct seen){ 0 };
	assert_int_equal(fetch_settle(f, 100, &e), 0);
	close(pair[1]);
	assert_int_equal(fetch_stream(f, 0, see, &s, &e), -1);
	assert_int_equal(e.code, ERROR_GONE);
	assert_true(s.at <= 100000);
	close(pair[0]);
	fetch_free(f);
}

static int
say_gone(void *ctx)
{
	++*(int *)ctx;
	return -1;
}

static void
test_idle(void **state)
{
	int idles = 0;
	struct fetch_client client = { .ctx = &idles,
				       .idle = say_gone,
				       .watch_fd = -1 };
	struct error e;
	struct seen s = { 0 };
	struct fetch *f = fetch_new(&config, engine, &client, &e);

	(void)state;
	script("/stall-once")->requests = 0;
	fetch_add(f, source("/stall-once"), &all, -1, &e);
	assert_int_equal(fetch_stream(f, 0, see, &s, &e), -1);
	assert_int_equal(e.code, ERROR_GONE);
	assert_int_equal(idles, 1);
	fetch_free(f);
}

static void
test_settle_and_peek(void **state)
{
	struct fetch *f = begin(-1);
	struct error e;

	(void)state;
	fetch_add(f, source("/ok"), &all, -1, &e);
	fetch_add(f, source("/none"), &all, -1, &e);
	fetch_add(f, source("/503-ok"), &all, -1, &e);
	assert_int_equal(fetch_settle(f, 300, &e), 0);
	assert_int_equal(fetch_peek(f, 0, &e), 1);
	assert_int_equal(fetch_peek(f, 1, &e), -1);
	assert_int_equal(e.http_status, 404);
	assert_int_equal(fetch_peek(f, 2, &e), 0);
	fetch_free(f);
}

static void
test_facts(void **state)
{
	struct fetch *f = begin(-1);
	struct source_facts facts;
	struct error e;

	(void)state;
	fetch_add(f, source("/ok"), &all, -1, &e);
	fetch_add(f, source("/cut-dated"), &all, -1, &e);
	fetch_add(f, source("/chunked"), &all, -1, &e);
	assert_int_equal(fetch_answer(f, 0, &facts, &e), 0);
	assert_int_equal(facts.size, 1000);
	assert_int_equal(facts.mtime, 784111777);
	assert_string_equal(facts.validator, "\"v\"");
	assert_string_equal(facts.content_type, "text/plain");
	assert_false(facts.has_crc);
	assert_int_equal(fetch_answer(f, 1, &facts, &e), 0);
	assert_string_equal(facts.validator, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_int_equal(fetch_answer(f, 2, &facts, &e), 0);
	assert_int_equal(facts.size, -1);
	fetch_free(f);
}

static int
setup(void **state)
{
	(void)state;
	return with_origin(scripts, sizeof(scripts) / sizeof(scripts[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_validators),
		cmocka_unit_test(test_resume_header),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_gather_bounds),
		cmocka_unit_test(test_slow_sink),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_settle_and_peek),
		cmocka_unit_test(test_facts),
	};

	return cmocka_run_group_tests(tests, setup, without_origin);
}
