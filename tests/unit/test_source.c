/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Kinds of source: which are taken, what they are called, what they ask. */
#include "source.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config config = {
	.fs_interfaces = FS_HTTPS | FS_FILE | FS_S3,
	.source_allow = "",
	.aws_region = "us-west-2",
};
static struct arena *arena;
static char root[] = "/tmp/zipstream-test-XXXXXX";

static void
test_check(void **state)
{
	static const struct {
		const char *src;
		const char *text; /* NULL: taken */
	} table[] = {
		{ "http://example.com/a", NULL },
		{ "https://example.com:8443/a?b=c", NULL },
		{ "HTTPS://EXAMPLE.com/", NULL },
		{ "file:///a", NULL },
		{ "file://localhost/a", NULL },
		{ "FILE:///a", NULL },
		{ "file:///", NULL }, /* as a folder */
		{ "ftp://example.com/a", "Protocol 'ftp' not supported." },
		{ "httpx://example.com/a", "Protocol 'httpx' not supported." },
		{ "example.com/a", "Protocol '' not supported." },
		{ "", "Protocol '' not supported." },
		{ "http://127.0.0.1/a", "IP Addresses are not supported" },
		{ "http://2130706433/", "IP Addresses are not supported" },
		{ "http://0x7f.1/", "IP Addresses are not supported" },
		{ "https://[::1]/a", "IP Addresses are not supported" },
		{ "file://host/a",
		  "A file source is file:///path, without a host" },
		{ "file:///a?b", "Not the path of a file: 'file:///a?b'" },
		{ "file:///a%00b", "A path must not contain NUL" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc = source_check(&config, arena, table[i].src, &e);

		if ((rc == 0) != (table[i].text == NULL))
			fail_msg("%s: %d", table[i].src, rc);
		if (rc == 0)
			continue;
		assert_int_equal(e.code, ERROR_INPUT);
		assert_string_equal(e.text, table[i].text);
	}
}

static void
test_settings(void **state)
{
	struct config c = config;
	struct error e;

	(void)state;
	c.fs_interfaces = FS_S3;
	assert_null(source_find(&c, "http://example.com/", &e));
	assert_string_equal(e.text, "Protocol 'http' not supported.");
	c = config;
	c.file_root = "";
	assert_int_equal(source_check(&c, arena, "file:///a", &e), -1);
	assert_string_equal(e.text, "Protocol 'file' not supported.");
	c = config;
	c.source_allow = "https://cdn.example/files/";
	assert_int_equal(
		source_check(&c, arena, "https://cdn.example/files/a", &e), 0);
	assert_int_equal(
		source_check(&c, arena, "https://cdn.example.evil/files/a", &e),
		-1);
	assert_int_equal(source_check(&c, arena,
				      "https://cdn.example/other?sig=secret",
				      &e),
			 -1);
	assert_string_equal(e.text,
			    "Source not allowed: 'https://cdn.example/other'");
}

static void
test_names(void **state)
{
	static const char *const table[][2] = {
		{ "http://example.com/a/b.txt", "a/b.txt" },
		{ "https://example.com//a?x=y", "a" },
		{ "https://example.com/a%20b%C3%A9", "a b\xc3\xa9" },
		{ "https://example.com/a+b", "a+b" },
		{ "https://example.com", "" },
		{ "file:///dir/a%20b", "dir/a b" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct source_ops *ops =
			source_find(&config, table[i][0], &e);
		size_t len;
		const char *name = ops->name(arena, table[i][0], &len);

		assert_string_equal(name, table[i][1]);
		assert_int_equal(len, strlen(table[i][1]));
	}
}

static void
test_labels(void **state)
{
	static const char *const table[][2] = {
		{ "https://a.example/x?sig=secret#f", "https://a.example/x" },
		{ "https://u:p@a.example/x", "https://a.example/x" },
		{ "https://a.example/x@y", "https://a.example/x@y" },
		{ "https://a.example?u@h", "https://a.example" },
		{ "s3://bucket/what?#x", "s3://bucket/what?#x" },
		{ "nothing", "nothing" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(source_label(arena, table[i][0]),
				    table[i][1]);
}

/* "Range: ...|If-Range: ..." of what is asked. */
static const char *
asked(struct source_want want)
{
	struct transfer_call call = { .header_count = 0 };
	const char *text = "";
	struct error e;

	assert_int_equal(source_https.prepare(&config, NULL, arena,
					      "HTTPS://Example.com/a b?c#d",
					      &want, &call, &e),
			 0);
	assert_string_equal(call.method, "GET");
	assert_string_equal(call.url, "https://example.com/a%20b?c");
	assert_false(call.trusted);
	for (size_t i = 0; i < call.header_count; i++)
		text = arena_printf(arena, "%s%s: %s|", text,
				    call.headers[i].name,
				    call.headers[i].value);
	return text;
}

static void
test_prepare(void **state)
{
	(void)state;
	assert_string_equal(asked((struct source_want){ .last = -1 }), "");
	assert_string_equal(
		asked((struct source_want){ .last = -1, .validator = "\"v\"" }),
		"");
	assert_string_equal(
		asked((struct source_want){ .last = -1, .ranged = true }),
		"Range: bytes=0-|");
	assert_string_equal(
		asked((struct source_want){ .first = 5, .last = -1 }),
		"Range: bytes=5-|");
	assert_string_equal(asked((struct source_want){ .first = 5,
							.last = 9,
							.validator = "\"v\"" }),
			    "Range: bytes=5-9|If-Range: \"v\"|");
}

static int
open_source(const char *src, struct source_facts *facts, struct error *e)
{
	int fd = source_file.open(&config, arena, src, facts, e);

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : -1;
}

static void
test_files(void **state)
{
	static const struct {
		const char *src;
		int status;
	} refused[] = {
		{ "file:///none", 404 },
		{ "file:///file/below", 404 },
		{ "file:///../../../../etc/passwd", 403 },
		{ "file:///dir/../../x", 403 },
		{ "file:///%2e%2e/x", 403 },
		{ "file:///out", 403 },
		{ "file:///rooted", 403 },
		{ "file:///fifo", 0 },
		{ "file:///dir", 0 },
		{ "file:////etc/passwd", 404 },
	};
	struct source_facts facts;
	struct error e;
	char first[64];

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (open_source(refused[i].src, &facts, &e) == 0)
			fail_msg("%s is opened", refused[i].src);
		assert_int_equal(e.code, ERROR_SOURCE);
		assert_int_equal(e.http_status, refused[i].status);
	}
	assert_int_equal(open_source("file:///file", &facts, &e), 0);
	assert_int_equal(facts.size, 4);
	assert_true(facts.ranges);
	assert_int_equal(facts.validator[0], '"');
	snprintf(first, sizeof(first), "%s", facts.validator);
	assert_int_equal(open_source("file:///in", &facts, &e), 0);
	assert_string_equal(facts.validator, first);
	assert_int_equal(open_source("file:///dir/../file", &facts, &e), 0);
}

static int
setup(void **state)
{
	int fd;

	(void)state;
	arena = arena_new(0);
	if (mkdtemp(root) == NULL || chdir(root) != 0)
		return -1;
	config.file_root = root;
	fd = open("file", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, "text", 4) != 4)
		return -1;
	close(fd);
	return mkdir("dir", 0700) | mkfifo("fifo", 0600) |
	       symlink("/etc/passwd", "rooted") | symlink("../..", "out") |
	       symlink("dir/../file", "in");
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return unlink("file") | rmdir("dir") | unlink("fifo") |
	       unlink("rooted") | unlink("out") | unlink("in") | rmdir(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),	cmocka_unit_test(test_settings),
		cmocka_unit_test(test_names),	cmocka_unit_test(test_labels),
		cmocka_unit_test(test_prepare), cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
