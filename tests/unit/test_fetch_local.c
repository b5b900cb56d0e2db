/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files of this machine as items: in part, in order, and when they change. */
#include "fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG 3000000

static char root[] = "/tmp/zipstream-test-XXXXXX";

static struct config config = {
	.fs_interfaces = FS_FILE,
	.file_root = root,
	.source_allow = "",
	.allow_private_networks = "",
	.source_proxy = "",
	.ca_file = "",
	.read_ahead_files = 4,
	.read_ahead_bytes = 65536,
};

static struct transfer_engine *engine;
static const struct source_want all = { .last = -1, .validator = "" };

static unsigned char
pattern(int64_t i)
{
	return (unsigned char)(i * 31 + (i >> 8) * 7);
}

/* What a sink has seen, held against the pattern. */
struct seen {
	int64_t at;
	bool wrong;
};

static int
see(void *ctx, const void *p, size_t n)
{
	struct seen *s = ctx;
	const unsigned char *b = p;

	for (size_t k = 0; k < n; k++)
		s->wrong |= b[k] != pattern(s->at + (int64_t)k);
	s->at += (int64_t)n;
	return 0;
}

static struct fetch *
begin(void)
{
	struct fetch_client client = { .watch_fd = -1 };
	struct error e;
	struct fetch *f = fetch_new(&config, engine, &client, &e);

	assert_non_null(f);
	return f;
}

static int
read_part(const char *src, const struct source_want *want, int64_t expect,
	  struct seen *s, struct error *e)
{
	struct fetch *f = begin();
	int rc;

	*s = (struct seen){ .at = want->first };
	assert_int_equal(fetch_add(f, src, want, expect, e), 0);
	rc = fetch_stream(f, 0, see, s, e);
	fetch_free(f);
	assert_false(s->wrong);
	return rc;
}

static void
make_file(const char *name, int64_t size)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	out = fopen(path, "w");
	assert_non_null(out);
	for (int64_t k = 0; k < size; k++)
		fputc(pattern(k), out);
	fclose(out);
}

/* Lengthens its file in the middle of being read. */
static int
grow(void *ctx, const void *p, size_t n)
{
	make_file("grows", BIG + 1);
	return see(ctx, p, n);
}

static void
test_files(void **state)
{
	struct source_want part = { .first = 10, .last = 19, .validator = "" };
	struct fetch *f;
	struct seen s;
	struct error e;
	const void *p;
	size_t n;
	bool whole;

	(void)state;
	make_file("a b", BIG);
	make_file("grows", BIG);
	assert_int_equal(read_part("file:///a%20b", &all, BIG, &s, &e), 0);
	assert_int_equal(s.at, BIG);
	assert_int_equal(read_part("file:///a%20b", &part, -1, &s, &e), 0);
	assert_int_equal(s.at, 20);
	assert_int_equal(read_part("file:///a%20b", &all, 5, &s, &e), -1);
	assert_int_equal(read_part("file:///none", &all, -1, &s, &e), -1);
	assert_int_equal(e.http_status, 404);
	part.validator = "\"other\"";
	assert_int_equal(read_part("file:///a%20b", &part, -1, &s, &e), -1);
	assert_int_equal(e.code, ERROR_CHANGED);

	f = begin();
	fetch_add(f, "file:///a%20b", &all, -1, &e);
	fetch_add(f, "file:///grows", &all, -1, &e);
	assert_int_equal(fetch_gather(f, 0, 100, &p, &n, &whole, &e), 0);
	assert_int_equal(n, 100);
	assert_false(whole);
	s = (struct seen){ 0 };
	assert_int_equal(fetch_stream(f, 0, see, &s, &e), 0);
	assert_int_equal(s.at, BIG);
	s = (struct seen){ 0 };
	assert_int_equal(fetch_stream(f, 1, grow, &s, &e), -1);
	assert_int_equal(e.code, ERROR_CHANGED);
	fetch_free(f);
}

static int
setup(void **state)
{
	struct error e;

	(void)state;
	if (mkdtemp(root) == NULL || transfer_prepare(&config, &e) != 0)
		return -1;
	engine = transfer_engine_new(&config, &e);
	return engine != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	char path[256];

	(void)state;
	transfer_engine_free(engine);
	snprintf(path, sizeof(path), "%s/a b", root);
	unlink(path);
	snprintf(path, sizeof(path), "%s/grows", root);
	unlink(path);
	return rmdir(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
