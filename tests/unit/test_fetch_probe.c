/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Facts and beginnings of many sources, and what of them is kept. */
#include "fetch_fixture.h"

#define BIG 3000000

static struct script scripts[] = {
	{ .path = "/ok", .size = 1000 },
	{ .path = "/big", .size = BIG },
	{ .path = "/empty", .size = 0 },
	{ .path = "/empty-bare", .size = 0, .flags = ORIGIN_BARE_416 },
	{ .path = "/chunked", .size = 5000, .flags = ORIGIN_CHUNKED },
	{ .path = "/no-ranges", .size = 1000, .flags = ORIGIN_NO_RANGES },
	{ .path = "/403", .status = 403, .times = -1 },
	{ .path = "/late", .size = 1000, .flags = ORIGIN_LATE },
};

static void
test_probe(void **state)
{
	static const struct {
		const char *path;
		size_t prefix;
		int64_t size; /* -2: fails */
		bool ranges;
		size_t n;
	} table[] = {
		{ "/ok", 0, 1000, true, 0 },
		{ "/ok", 100, 1000, true, 100 },
		{ "/ok", 5000, 1000, true, 1000 },
		{ "/big", 16384, BIG, true, 16384 },
		{ "/empty", 0, 0, true, 0 },
		{ "/empty", 100, 0, true, 0 },
		{ "/empty-bare", 100, 0, false, 0 },
		{ "/no-ranges", 100, 1000, false, 100 },
		{ "/no-ranges", 0, 1000, false, 0 },
		{ "/chunked", 10, 5000, true, 10 },
		{ "/none", 10, -2, false, 0 },
		{ "/403", 0, -2, false, 0 },
	};
	enum { COUNT = sizeof(table) / sizeof(table[0]) };
	struct fetch_client client = { .watch_fd = -1 };
	struct fetch_probe probes[COUNT] = { 0 };
	struct arena *a = arena_new(0);
	struct error e;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		probes[k] = (struct fetch_probe){ .src = source(table[k].path),
						  .prefix = table[k].prefix };
	assert_int_equal(fetch_probe(&config, engine, &client, a, probes, COUNT,
				     NULL, &e),
			 0);
	for (size_t k = 0; k < COUNT; k++) {
		const unsigned char *head = probes[k].head;

		assert_null(probes[k].kept);
		assert_int_equal(probes[k].failed, table[k].size == -2);
		if (probes[k].failed)
			continue;
		if (probes[k].facts.size != table[k].size ||
		    probes[k].facts.ranges != table[k].ranges ||
		    probes[k].n != table[k].n)
			fail_msg("%s: %lld, %d, %zu", table[k].path,
				 (long long)probes[k].facts.size,
				 probes[k].facts.ranges, probes[k].n);
		for (size_t j = 0; j < probes[k].n; j++)
			assert_int_equal(head[j], origin_byte((int64_t)j));
	}
	arena_free(a);
}

/* What a probe has read whole is not asked for again, as far as memory
 * goes. */
static void
test_probe_keeps(void **state)
{
	static const struct {
		const char *path;
		bool kept;
	} table[] = {
		{ "/ok", true },       { "/big", false },
		{ "/empty", false },   { "/no-ranges", true },
		{ "/chunked", false }, /* nobody said that this is all */
		{ "/none", false },    { "/ok", false }, /* no memory left */
	};
	enum { COUNT = sizeof(table) / sizeof(table[0]) };
	struct fetch_client client = { .watch_fd = -1 };
	struct fetch_probe probes[COUNT] = { 0 };
	struct arena *a = arena_new(0);
	int64_t keep = 2 * (1000 + 3000); /* two, with their books */
	struct fetch *f;
	struct error e;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		probes[k] = (struct fetch_probe){ .src = source(table[k].path),
						  .prefix = 16384 };
	assert_int_equal(fetch_probe(&config, engine, &client, a, probes, COUNT,
				     &keep, &e),
			 0);
	f = begin(-1);
	for (size_t k = 0; k < COUNT; k++) {
		struct seen s = { 0 };
		long i;

		if ((probes[k].kept != NULL) != table[k].kept)
			fail_msg("%s", table[k].path);
		i = fetch_add(f, source(table[k].path), &all, -1, &e);
		if (!table[k].kept)
			continue;
		fetch_adopt(f, i, probes[k].kept);
		assert_int_equal(fetch_stream(f, i, see, &s, &e), 0);
		assert_int_equal(s.at, 1000);
		assert_false(s.wrong);
	}
	assert_int_equal(script("/ok")->requests, 0);
	assert_int_equal(script("/no-ranges")->requests, 0);
	fetch_free(f);
	arena_free(a);
}

/* What is kept takes no place of those that are asked before it. */
static void
test_kept_wait_outside(void **state)
{
	enum { ASKED = 2, KEPT = 20 };
	struct fetch_client client = { .watch_fd = -1 };
	struct fetch_probe probes[KEPT] = { 0 };
	struct arena *a = arena_new(0);
	int64_t keep = 1 << 20;
	struct seen s = { 0 };
	struct fetch *f;
	struct error e;

	(void)state;
	for (size_t k = 0; k < KEPT; k++)
		probes[k] = (struct fetch_probe){ .src = source("/ok"),
						  .prefix = 16384 };
	assert_int_equal(fetch_probe(&config, engine, &client, a, probes, KEPT,
				     &keep, &e),
			 0);
	f = begin(-1);
	for (long i = 0; i < ASKED; i++)
		fetch_add(f, source("/chunked"), &all, -1, &e);
	for (long i = 0; i < KEPT; i++) {
		fetch_add(f, source("/ok"), &all, 1000, &e);
		assert_non_null(probes[i].kept);
		fetch_adopt(f, ASKED + i, probes[i].kept);
	}
	assert_int_equal(fetch_settle(f, 2000, &e), 0);
	assert_int_equal(fetch_peek(f, ASKED - 1, &e), 1);
	for (long i = 0; i < ASKED; i++)
		fetch_skip(f, i);
	assert_int_equal(fetch_stream(f, ASKED, see, &s, &e), 0);
	assert_int_equal(s.at, 1000);
	assert_int_equal(script("/ok")->requests, 0);
	fetch_free(f); /* with the others */
	arena_free(a);
}

/* Those who are late keep nobody else from being asked, even where they fill
 * all of the window but one place. */
static void
test_glance(void **state)
{
	static const struct {
		const char *path;
		int64_t size; /* -2: fails */
	} table[] = {
		{ "/late", -2 }, { "/ok", 1000 },      { "/late", -2 },
		{ "/403", -2 },	 { "/late", -2 },      { "/big", BIG },
		{ "/empty", 0 }, { "/chunked", 5000 }, { "/no-ranges", 1000 },
		{ "/none", -2 }, { "/ok", 1000 },
	};
	enum { COUNT = sizeof(table) / sizeof(table[0]) };
	struct fetch_client client = { .watch_fd = -1 };
	struct fetch_probe probes[COUNT] = { 0 };
	struct arena *a = arena_new(0);
	struct error e;

	(void)state;
	for (size_t k = 0; k < COUNT; k++)
		probes[k].src = source(table[k].path);
	assert_int_equal(fetch_glance(&config, engine, &client, a, probes,
				      COUNT, 600, &e),
			 0);
	for (size_t k = 0; k < COUNT; k++) {
		if (probes[k].failed != (table[k].size == -2))
			fail_msg("%s", table[k].path);
		if (!probes[k].failed)
			assert_int_equal(probes[k].facts.size, table[k].size);
		else if (strcmp(table[k].path, "/late") == 0)
			assert_string_equal(probes[k].error->text, "timed out");
	}
	arena_free(a);
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
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_probe_keeps),
		cmocka_unit_test(test_glance),
		cmocka_unit_test(test_kept_wait_outside),
	};

	return cmocka_run_group_tests(tests, setup, without_origin);
}
