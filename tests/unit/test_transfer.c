/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One exchange: address rules, pauses, ends, and what is sent. */
#include "transfer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "origin.h"

static struct script scripts[] = {
	{ .path = "/ok", .size = 100000 },
	{ .path = "/small", .size = 10 },
	{ .path = "/cut", .size = 1000, .cut_at = 10, .times = -1 },
	{ .path = "/silent",
	  .size = 9,
	  .cut_at = -1,
	  .times = -1,
	  .flags = ORIGIN_STALL },
	{ .path = "/informs", .size = 10, .flags = ORIGIN_INFORMS },
	{ .path = "/big-head", .size = 1, .flags = ORIGIN_BIG_HEAD },
	{ .path = "/move", .status = 302, .times = -1, .location = "/ok" },
};

static struct config config = {
	.allow_private_networks = "127.0.0.0/8,::1",
	.source_proxy = "",
	.ca_file = "",
	.connect_timeout_ms = 2000,
	.max_source_header = 16384,
};

static struct origin origin;
static struct transfer_engine *engine;

/* What happened to a transfer. */
struct story {
	int heads;
	int status;
	int64_t length;
	size_t bytes;
	int pauses; /* to be asked for */
	size_t stop_at;
	bool done;
	enum transfer_end end;
	char reason[64];
	char etag[32];
};

static int
on_head(void *ctx, const struct transfer_head *h)
{
	struct story *s = ctx;

	s->heads++;
	s->status = h->status;
	s->length = h->content_length;
	snprintf(s->etag, sizeof(s->etag), "%s", h->etag);
	return 0;
}

static size_t
on_data(void *ctx, const void *p, size_t n)
{
	struct story *s = ctx;

	if (s->pauses > 0) {
		s->pauses--;
		return TRANSFER_PAUSE;
	}
	for (size_t k = 0; s->status == 200 && k < n; k++)
		assert_int_equal(((const unsigned char *)p)[k],
				 origin_byte((int64_t)(s->bytes + k)));
	s->bytes += n;
	return s->stop_at > 0 && s->bytes >= s->stop_at ? TRANSFER_STOP : n;
}

static void
on_done(void *ctx, enum transfer_end end, const char *reason)
{
	struct story *s = ctx;

	s->done = true;
	s->end = end;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

static const struct transfer_events events = { on_head, on_data, on_done };

static char *
url(const char *path)
{
	static char text[128];

	snprintf(text, sizeof(text), "http://localhost:%d%s", origin.port,
		 path);
	return text;
}

static struct transfer *
start(struct transfer_engine *t, const char *address, bool trusted,
      struct story *s)
{
	struct transfer_call call = { .method = "GET",
				      .url = address,
				      .trusted = trusted };
	struct error e;
	struct transfer *x = transfer_start(t, &call, &events, s, &e);

	assert_non_null(x);
	return x;
}

static void
run(struct transfer_engine *t, struct transfer *x, struct story *s)
{
	for (int turns = 0; !s->done && turns < 300; turns++) {
		int left = s->pauses;

		assert_int_equal(transfer_turn(t, -1, 100), 0);
		/* Paused: nothing may come until it is let go. */
		if (!s->done && left >= 0)
			transfer_unpause(x);
	}
	assert_true(s->done);
}

static void
test_ends(void **state)
{
	static const struct {
		const char *path;
		size_t stop_at;
		int pauses;
		enum transfer_end end;
		int status;
		size_t bytes;
	} table[] = {
		{ "/ok", 0, 0, TRANSFER_OK, 200, 100000 },
		{ "/ok", 0, 5, TRANSFER_OK, 200, 100000 },
		{ "/ok", 1, 0, TRANSFER_STOPPED, 200, 0 },
		{ "/ok", 1, 2, TRANSFER_STOPPED, 200, 0 },
		{ "/cut", 0, 0, TRANSFER_BROKEN, 200, 10 },
		{ "/informs", 0, 0, TRANSFER_OK, 200, 10 },
		{ "/big-head", 0, 0, TRANSFER_BROKEN, 0, 0 },
		{ "/move", 0, 0, TRANSFER_OK, 302, 6 },
		{ "/none", 0, 0, TRANSFER_OK, 404, 4 },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
		struct story s = { .stop_at = table[k].stop_at,
				   .pauses = table[k].pauses };

		run(engine, start(engine, url(table[k].path), false, &s), &s);
		if (s.end != table[k].end || s.status != table[k].status)
			fail_msg("%s: end %d, status %d, %s", table[k].path,
				 s.end, s.status, s.reason);
		if (table[k].stop_at == 0)
			assert_int_equal(s.bytes, table[k].bytes);
		assert_int_equal(s.heads, table[k].status != 0);
	}
}

static void
test_head(void **state)
{
	struct story s = { .status = 0 };

	(void)state;
	run(engine, start(engine, url("/informs"), false, &s), &s);
	assert_int_equal(s.length, 10);
	assert_string_equal(s.etag, "\"v\"");
}

/* A paused transfer stays paused, whatever turns. */
static void
test_pause(void **state)
{
	struct story s = { .pauses = 1 };
	struct transfer *x = start(engine, url("/small"), false, &s);

	(void)state;
	for (int turns = 0; turns < 20; turns++)
		transfer_turn(engine, -1, 10);
	assert_int_equal(s.pauses, 0);
	assert_int_equal(s.bytes, 0);
	assert_false(s.done);
	run(engine, x, &s);
	assert_int_equal(s.bytes, 10);
}

/* Every way in: by name, through a kept connection of a trusted call. */
static void
test_address_rules(void **state)
{
	struct config strict = config;
	struct transfer_engine *t;
	struct story s = { 0 }, trusted = { 0 }, again = { 0 };
	int before = origin.connections;
	struct error e;

	(void)state;
	strict.allow_private_networks = "10.0.0.0/8";
	t = transfer_engine_new(&strict, &e);
	assert_non_null(t);
	run(t, start(t, url("/small"), false, &s), &s);
	assert_int_equal(s.end, TRANSFER_REFUSED);
	assert_int_equal(origin.connections, before);
	run(t, start(t, url("/small"), true, &trusted), &trusted);
	assert_int_equal(trusted.end, TRANSFER_OK);
	scripts[1].requests = 0;
	run(t, start(t, url("/small"), false, &again), &again);
	assert_int_equal(again.end, TRANSFER_REFUSED);
	assert_int_equal(scripts[1].requests, 0);
	transfer_engine_free(t);
}

static void
test_connect(void **state)
{
	struct story s = { 0 }, t = { 0 }, u = { 0 };

	(void)state;
	run(engine, start(engine, "http://localhost:1/", false, &s), &s);
	assert_int_equal(s.end, TRANSFER_CONNECT);
	assert_string_equal(s.reason, "connection refused");
	run(engine, start(engine, "http://nothing.invalid/", false, &t), &t);
	assert_int_equal(t.end, TRANSFER_RESOLVE);
	run(engine, start(engine, "ftp://localhost/", false, &u), &u);
	assert_int_not_equal(u.end, TRANSFER_OK);
}

/* Proxy variables of the environment are not for us. */
static void
test_environment(void **state)
{
	struct story s = { 0 };

	(void)state;
	setenv("http_proxy", "http://localhost:1/", 1);
	setenv("ALL_PROXY", "http://localhost:1/", 1);
	run(engine, start(engine, url("/small"), false, &s), &s);
	assert_int_equal(s.end, TRANSFER_OK);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void
test_reuse(void **state)
{
	int before;

	(void)state;
	for (int k = 0; k < 20; k++) {
		struct story s = { 0 };

		if (k == 1)
			before = origin.connections;
		run(engine, start(engine, url("/small"), false, &s), &s);
		assert_int_equal(s.bytes, 10);
	}
	assert_int_equal(origin.connections, before);
}

static void
test_watch(void **state)
{
	struct story s = { 0 };
	struct transfer *x = start(engine, url("/silent"), false, &s);
	int pair[2], turns = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int k = 0; k < 5; k++)
		assert_int_equal(transfer_turn(engine, pair[0], 10), 0);
	/* Unread bytes neither end it nor make it spin. */
	assert_int_equal(write(pair[1], "x", 1), 1);
	for (int k = 0; k < 3; k++)
		assert_int_equal(transfer_turn(engine, pair[0], 20), 0);
	close(pair[1]);
	while (transfer_turn(engine, pair[0], 100) == 0 && turns < 100)
		turns++;
	assert_true(turns < 5);
	close(pair[0]);
	transfer_cancel(x);
	assert_false(s.done);
}

static void
test_exchange(void **state)
{
	static const char *const want[] = { "ETag", "X-None" };
	struct transfer_call call = { .method = "POST",
				      .url = url("/small"),
				      .body = "a=b",
				      .body_len = 3 };
	struct arena *a = arena_new(0);
	const char *got[2];
	struct buf out;
	struct transfer_answer answer = { .body = &out,
					  .want = want,
					  .got = got,
					  .want_count = 2,
					  .arena = a };
	struct error e;

	(void)state;
	call.headers[call.header_count++] =
		(struct transfer_header){ "X-Own", "yes" };
	buf_init(&out, 10);
	assert_int_equal(transfer_exchange(engine, &call, 2000, &answer, &e),
			 0);
	assert_int_equal(answer.status, 200);
	assert_int_equal(out.len, 10);
	assert_string_equal(got[0], "\"v\"");
	assert_null(got[1]);
	assert_non_null(strstr(scripts[1].asked, "POST /small HTTP/1.1\r\n"));
	assert_non_null(strstr(scripts[1].asked, "\r\nX-Own: yes\r\n"));
	assert_non_null(strstr(scripts[1].asked, "\r\nUser-Agent: ZipStream/"));
	assert_null(strstr(scripts[1].asked, "Content-Type"));
	assert_null(strstr(scripts[1].asked, "Expect"));

	call.method = "GET";
	call.body = NULL;
	call.url = url("/silent");
	buf_reset(&out);
	assert_int_equal(transfer_exchange(engine, &call, 200, &answer, &e),
			 -1);
	assert_null(got[0]);
	assert_int_equal(e.code, ERROR_UNAVAILABLE);
	assert_string_equal(e.text, "timed out");
	call.url = url("/ok");
	assert_int_equal(transfer_exchange(engine, &call, 2000, &answer, &e),
			 -1);
	assert_string_equal(e.text, "too large an answer");
	/* A value cannot smuggle in another header. */
	call.headers[0].value = "a\r\nX-Evil: b";
	assert_int_equal(transfer_exchange(engine, &call, 2000, &answer, &e),
			 -1);
	assert_int_equal(e.code, ERROR_INTERNAL);
	buf_free(&out);
	arena_free(a);
}

static int
setup(void **state)
{
	struct error e;

	(void)state;
	origin_start(&origin, scripts, sizeof(scripts) / sizeof(scripts[0]));
	if (transfer_prepare(&config, &e) != 0)
		return -1;
	engine = transfer_engine_new(&config, &e);
	return engine != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	transfer_engine_free(engine);
	origin_stop(&origin);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_address_rules),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_exchange),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
