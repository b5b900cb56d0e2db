/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* log: one line each, escaped, cut, still JSON, errno untouched. */
#define LOG_MODULE "test"
#include "log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "error.h"
#include "json.h"

#define LINE_BYTES 4096

static char line[4 * LINE_BYTES];
static int saved_stderr, pipe_fd[2];

static void
capture(void)
{
	assert_int_equal(pipe(pipe_fd), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(pipe_fd[1], STDERR_FILENO);
}

/* What was logged since capture, in `line`. */
static const char *
captured(void)
{
	ssize_t n;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_fd[1]);
	n = read(pipe_fd[0], line, sizeof(line) - 1);
	close(pipe_fd[0]);
	line[n > 0 ? n : 0] = '\0';
	return line;
}

static struct json *
captured_json(void)
{
	struct error e = { .text = "" };
	struct json *v;

	captured();
	v = json_parse(line, strlen(line), &e);
	if (v == NULL)
		fail_msg("%s: %s", e.text, line);
	return v;
}

static void
writes_one_text_line(void **state)
{
	(void)state;
	log_init(LOG_INFO, LOG_TEXT);
	log_request("r-1");
	capture();
	errno = ENOENT;
	log_warn("cannot open %s: %m", "a\nb");
	assert_int_equal(errno, ENOENT);
	captured();
	assert_non_null(strstr(line, "Z warn  "));
	assert_non_null(strstr(line, " r-1 test: cannot open a\\nb: No such "
				     "file or directory\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	log_request(NULL);
}

static void
leaves_out_what_is_not_urgent(void **state)
{
	(void)state;
	log_init(LOG_WARN, LOG_TEXT);
	capture();
	log_info("no");
	log_debug("no");
	log_access(&(struct log_access){ .method = "GET" });
	log_error("yes");
	captured();
	assert_null(strstr(line, "no"));
	assert_null(strstr(line, "GET"));
	assert_non_null(strstr(line, "error "));
}

static void
escapes_foreign_bytes(void **state)
{
	static const struct {
		const char *in, *text, *json;
	} cases[] = {
		{ "plain", "plain", "plain" },
		{ "a\"b\\c", "a\"b\\\\c", "a\"b\\c" },
		{ "\x1b[31m", "\\x1b[31m", "\x1b[31m" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x89",
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x89",
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x89" },
		{ "\xff", "\\xff", "\xef\xbf\xbd" },
		{ "\xc3", "\\xc3", "\xef\xbf\xbd" },
		{ "\xc0\xaf", "\\xc0\\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc2\x9b", "\\xc2\\x9b", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\x7f", "\\x7f", "\x7f" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[128];
		struct json *v;

		log_init(LOG_INFO, LOG_TEXT);
		capture();
		log_info("%s", cases[i].in);
		snprintf(expected, sizeof(expected), " test: %s\n",
			 cases[i].text);
		assert_non_null(strstr(captured(), expected));
		log_init(LOG_INFO, LOG_JSON);
		capture();
		log_info("%s", cases[i].in);
		v = captured_json();
		assert_string_equal(json_string(json_get(v, "message"), NULL),
				    cases[i].json);
		json_free(v);
	}
}

static void
cuts_at_4_kib_and_stays_json(void **state)
{
	static const char fillers[] = { 'x', '"', '\x01', '\n' };
	char text[2 * LINE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(fillers); i++) {
		for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
			memset(text, fillers[i], sizeof(text) - 1);
			text[sizeof(text) - 1] = '\0';
			log_init(LOG_INFO, (enum log_format)format);
			capture();
			log_info("%s", text);
			if (format == LOG_JSON)
				json_free(captured_json());
			else
				captured();
			assert_in_range(strlen(line), LINE_BYTES - 16,
					LINE_BYTES);
			assert_int_equal(line[strlen(line) - 1], '\n');
		}
	}
}

static void
logs_a_request(void **state)
{
	struct log_access a = {
		.method = "GET",
		.path = "/1/***/",
		.client = "192.0.2.1",
		.status = 200,
		.bytes = 5000000000,
		.files = 3,
		.ms = 12,
		.end = "done",
		.cause = "",
	};
	int64_t n;
	struct json *v;

	(void)state;
	log_init(LOG_INFO, LOG_TEXT);
	capture();
	log_access(&a);
	assert_non_null(strstr(captured(), " - access: method=GET path=/1/***/ "
					   "client=192.0.2.1 status=200 "
					   "bytes=5000000000 files=3 ms=12 "
					   "end=done\n"));
	log_init(LOG_INFO, LOG_JSON);
	a.files = -1;
	a.cause = "because \"it\"";
	capture();
	log_access(&a);
	v = captured_json();
	assert_true(json_integer(json_get(v, "bytes"), &n));
	assert_true(n == 5000000000);
	assert_null(json_get(v, "files"));
	assert_null(json_get(v, "request"));
	assert_string_equal(json_string(json_get(v, "cause"), NULL), a.cause);
	json_free(v);
}

static void
cuts_the_parts_of_a_request(void **state)
{
	char text[2 * LINE_BYTES];
	struct log_access a = { .method = text,
				.path = text,
				.client = text,
				.status = 599,
				.bytes = INT64_MAX,
				.files = INT64_MAX,
				.ms = INT64_MAX,
				.end = text,
				.cause = text };

	(void)state;
	memset(text, '\x01', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init(LOG_INFO, LOG_JSON);
	log_request("an-id-that-is-longer-than-an-id-may-ever-be");
	capture();
	log_access(&a);
	json_free(captured_json());
	assert_true(strlen(line) <= LINE_BYTES);
	log_request(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_one_text_line),
		cmocka_unit_test(leaves_out_what_is_not_urgent),
		cmocka_unit_test(escapes_foreign_bytes),
		cmocka_unit_test(cuts_at_4_kib_and_stays_json),
		cmocka_unit_test(logs_a_request),
		cmocka_unit_test(cuts_the_parts_of_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
