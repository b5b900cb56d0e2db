/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Heads, gathering, framing and ends of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "response.h"
#include "transport_memory.h"

struct fixture {
	struct memory m;
	struct response r;
};

enum framing { PLAIN, CHUNKS };
enum asked { ASKED_GET, ASKED_HEAD };

static void
set_up(struct fixture *f, enum framing framing, enum asked asked)
{
	memory_init(&f->m);
	f->m.transport.chunks = framing == CHUNKS;
	assert_int_equal(
		response_init(&f->r, &f->m.transport, asked == ASKED_HEAD), 0);
}

static void
tear_down(struct fixture *f)
{
	response_fini(&f->r);
	buf_free(&f->m.out);
}

static void
assert_output(const struct fixture *f, const char *text)
{
	assert_string_equal(buf_str(&f->m.out), text);
	assert_int_equal(f->m.out.len, strlen(text));
}

static void
small_answers_go_out_in_one_write(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	response_header(&f.r, "X-Kept", "%d", 1);
	assert_int_equal(response_text(&f.r, 404, "text/plain", "no", 2), 0);
	assert_output(&f, "Status: 404 Not Found\r\n"
			  "X-Kept: 1\r\n"
			  "Content-Type: text/plain\r\n"
			  "X-Content-Type-Options: nosniff\r\n"
			  "Content-Length: 2\r\n"
			  "\r\n"
			  "no");
	assert_int_equal(f.m.writes, 1);
	assert_true(f.m.finished && f.r.ended && !f.r.aborted);
	assert_int_equal(f.r.sent, 2);
	assert_true(f.r.first_byte_ms > 0);
	tear_down(&f);
}

static void
values_cannot_make_headers(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	response_header(&f.r, "X", "a\r\nSet-Cookie: b\x7f\tc\xc3\xa9");
	assert_int_equal(response_finish(&f.r), 0);
	assert_output(&f, "Status: 200 OK\r\n"
			  "X: a  Set-Cookie: b  c\xc3\xa9\r\n"
			  "Content-Length: 0\r\n\r\n");
	tear_down(&f);
}

static void
too_long_a_head_is_no_answer(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	response_keep(&f.r);
	for (int i = 0; i < 100; i++)
		response_header(&f.r, "X", "%01000d", i);
	assert_int_equal(response_flush(&f.r), -1);
	assert_false(f.r.head_sent || f.r.gone);
	response_restart(&f.r);
	assert_int_equal(response_text(&f.r, 500, "t/p", "", 0), 0);
	assert_non_null(strstr(buf_str(&f.m.out), "Status: 500 "));
	tear_down(&f);
}

/* A body of `total` bytes written in pieces of `piece`. */
static void
write_pieces(struct response *r, size_t total, size_t piece)
{
	char *bytes = malloc(piece);
	size_t n;

	for (size_t at = 0; at < total; at += n) {
		n = total - at < piece ? total - at : piece;
		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)((at + i) % 251);
		assert_int_equal(response_write(r, bytes, n), 0);
	}
	free(bytes);
}

static void
assert_pattern(const char *p, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal((unsigned char)p[i], (at + i) % 251);
}

static void
bodies_are_gathered(void **state)
{
	static const size_t totals[] = {
		1, 65527, 65528, 65529, 131056, 1000003
	};
	static const size_t pieces[] = { 1, 30, 4096, 65527, 65528, 200000 };
	struct fixture f;
	const char *body;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (size_t k = 0; k < 6; k++) {
			set_up(&f, PLAIN, ASKED_GET);
			response_length(&f.r, (int64_t)totals[i]);
			write_pieces(&f.r, totals[i], pieces[k]);
			assert_int_equal(response_finish(&f.r), 0);
			body = strstr(buf_str(&f.m.out), "\r\n\r\n") + 4;
			assert_int_equal(f.m.out.data + f.m.out.len - body,
					 totals[i]);
			assert_pattern(body, totals[i], 0);
			assert_true((size_t)f.m.writes <=
				    totals[i] / RESPONSE_GATHER * 2 + 2);
			assert_int_equal(f.r.sent, totals[i]);
			tear_down(&f);
		}
	}
}

static void
a_flush_sends_what_there_is(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	assert_int_equal(response_write(&f.r, "abc", 3), 0);
	assert_int_equal(f.m.writes, 0);
	assert_int_equal(response_flush(&f.r), 0);
	assert_int_equal(f.m.writes, 1);
	assert_int_equal(response_flush(&f.r), 0);
	assert_int_equal(f.m.writes, 1);
	assert_output(&f, "Status: 200 OK\r\n\r\nabc");
	assert_int_equal(response_finish(&f.r), 0);
	assert_output(&f, "Status: 200 OK\r\n\r\nabc");
	tear_down(&f);
}

static void
our_chunks_are_framed(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, CHUNKS, ASKED_GET);
	response_write(&f.r, "abc", 3);
	response_flush(&f.r);
	response_write(&f.r, "0123456789abcdef", 16);
	assert_int_equal(response_finish(&f.r), 0);
	assert_output(&f, "Status: 200 OK\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n"
			  "3\r\nabc\r\n"
			  "10\r\n0123456789abcdef\r\n"
			  "0\r\n\r\n");
	assert_int_equal(f.r.sent, 19);
	tear_down(&f);

	set_up(&f, CHUNKS, ASKED_GET);
	response_flush(&f.r);
	response_finish(&f.r);
	assert_output(&f, "Status: 200 OK\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n"
			  "0\r\n\r\n");
	tear_down(&f);
}

static void
a_known_length_needs_no_chunks(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, CHUNKS, ASKED_GET);
	response_write(&f.r, "abc", 3);
	response_finish(&f.r);
	assert_output(&f, "Status: 200 OK\r\nContent-Length: 3\r\n\r\nabc");
	tear_down(&f);
}

static void
chunks_of_a_cut_answer_stay_open(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, CHUNKS, ASKED_GET);
	response_write(&f.r, "abc", 3);
	response_flush(&f.r);
	response_write(&f.r, "def", 3);
	response_abort(&f.r);
	assert_output(&f, "Status: 200 OK\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n"
			  "3\r\nabc\r\n");
	assert_true(f.m.aborted && f.m.abort_saw_head && !f.m.finished);
	tear_down(&f);
}

static void
some_answers_have_no_body(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, CHUNKS, ASKED_HEAD);
	response_text(&f.r, 200, "t/p", "abc", 3);
	assert_output(&f, "Status: 200 OK\r\nContent-Type: t/p\r\n"
			  "X-Content-Type-Options: nosniff\r\n"
			  "Content-Length: 3\r\n\r\n");
	assert_true(f.m.finished);
	tear_down(&f);

	/* Declared, not written: what a HEAD for a zip does. */
	set_up(&f, PLAIN, ASKED_HEAD);
	response_length(&f.r, 5000000000);
	assert_int_equal(response_finish(&f.r), 0);
	assert_output(&f, "Status: 200 OK\r\n"
			  "Content-Length: 5000000000\r\n\r\n");
	tear_down(&f);

	set_up(&f, CHUNKS, ASKED_HEAD);
	response_finish(&f.r);
	assert_output(&f, "Status: 200 OK\r\n\r\n");
	tear_down(&f);

	for (int status = 204; status <= 304; status += 100) {
		set_up(&f, CHUNKS, ASKED_GET);
		response_status(&f.r, status);
		response_write(&f.r, "abc", 3);
		assert_int_equal(response_finish(&f.r), 0);
		assert_null(strstr(buf_str(&f.m.out), "Content-Length"));
		assert_null(strstr(buf_str(&f.m.out), "chunked"));
		assert_null(strstr(buf_str(&f.m.out), "abc"));
		tear_down(&f);
	}
}

static void
a_wrong_length_is_never_whole(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	response_length(&f.r, 4);
	response_write(&f.r, "abc", 3);
	assert_int_equal(response_finish(&f.r), -1);
	assert_true(f.m.aborted && !f.m.finished && f.r.aborted);
	tear_down(&f);

	set_up(&f, PLAIN, ASKED_GET);
	response_length(&f.r, 4);
	assert_int_equal(response_write(&f.r, "abcde", 5), -1);
	assert_int_equal(response_finish(&f.r), -1);
	assert_true(f.m.aborted && !f.m.finished);
	tear_down(&f);
}

static void
a_client_that_left_gets_nothing_more(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	f.m.fail_at = 2;
	response_write(&f.r, "abc", 3);
	assert_int_equal(response_flush(&f.r), 0);
	response_write(&f.r, "def", 3);
	assert_int_equal(response_flush(&f.r), -1);
	assert_true(f.r.gone);
	assert_int_equal(response_write(&f.r, "ghi", 3), -1);
	assert_int_equal(response_flush(&f.r), -1);
	assert_int_equal(response_finish(&f.r), -1);
	assert_int_equal(f.m.writes, 2);
	assert_true(f.m.aborted && !f.m.finished);
	response_abort(&f.r);
	assert_int_equal(response_finish(&f.r), -1);
	tear_down(&f);
}

static void
another_answer_can_be_given_until_the_first_byte(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	response_header(&f.r, "X-Kept", "yes");
	response_keep(&f.r);
	response_status(&f.r, 206);
	response_header(&f.r, "Content-Type", "application/zip");
	response_length(&f.r, 1000);
	response_write(&f.r, "PK", 2);
	response_restart(&f.r);
	response_text(&f.r, 502, "t/p", "bad", 3);
	assert_output(&f, "Status: 502 Bad Gateway\r\n"
			  "X-Kept: yes\r\n"
			  "Content-Type: t/p\r\n"
			  "X-Content-Type-Options: nosniff\r\n"
			  "Content-Length: 3\r\n\r\nbad");
	tear_down(&f);
}

static void
errors_are_json(void **state)
{
	struct fixture f;
	struct error e;

	(void)state;
	set_up(&f, PLAIN, ASKED_GET);
	error_set(&e, ERROR_UNAVAILABLE, "\"x\" is away");
	error_cause(&e, "it sleeps");
	assert_int_equal(response_error(&f.r, &e), 0);
	assert_non_null(strstr(buf_str(&f.m.out), "Status: 503 "));
	assert_non_null(strstr(buf_str(&f.m.out), "Retry-After: "));
	assert_non_null(strstr(buf_str(&f.m.out),
			       "\r\n\r\n{\"message\":\"\\\"x\\\" is away\"}"));
	tear_down(&f);

	set_up(&f, PLAIN, ASKED_GET);
	f.r.details = true;
	response_error(&f.r, &e);
	assert_non_null(
		strstr(buf_str(&f.m.out), ",\"detail\":\"it sleeps\"}"));
	tear_down(&f);

	/* The cause of a 4xx is for the log alone. */
	set_up(&f, PLAIN, ASKED_GET);
	f.r.details = true;
	error_set(&e, ERROR_NOT_FOUND, "Not Found");
	error_cause(&e, "wrong secret");
	response_error(&f.r, &e);
	assert_null(strstr(buf_str(&f.m.out), "secret"));
	tear_down(&f);

	set_up(&f, PLAIN, ASKED_GET);
	error_set(&e, ERROR_GONE, "client gone");
	assert_int_equal(response_error(&f.r, &e), -1);
	assert_true(f.m.aborted && f.m.writes == 0);
	tear_down(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_answers_go_out_in_one_write),
		cmocka_unit_test(values_cannot_make_headers),
		cmocka_unit_test(too_long_a_head_is_no_answer),
		cmocka_unit_test(bodies_are_gathered),
		cmocka_unit_test(a_flush_sends_what_there_is),
		cmocka_unit_test(our_chunks_are_framed),
		cmocka_unit_test(a_known_length_needs_no_chunks),
		cmocka_unit_test(chunks_of_a_cut_answer_stay_open),
		cmocka_unit_test(some_answers_have_no_body),
		cmocka_unit_test(a_wrong_length_is_never_whole),
		cmocka_unit_test(a_client_that_left_gets_nothing_more),
		cmocka_unit_test(
			another_answer_can_be_given_until_the_first_byte),
		cmocka_unit_test(errors_are_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
