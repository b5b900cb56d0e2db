/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is let through to libfcgi, byte by byte, and what a socket holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../fcgi/head.h"
#include "buf.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BEGIN "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"
#define PARAMS(length, padding) "\1\4\0\1\0" length padding "\0"
#define END PARAMS("\0", "\0")
#define BYTES(text) text, sizeof(text) - 1

struct head_case {
	const char *bytes;
	size_t n;
	enum head_state want;
};

static const struct head_case cases[] = {
	{ BYTES(BEGIN END), HEAD_WHOLE },
	{ BYTES(BEGIN PARAMS("\4", "\0") "\1\1Nv" END), HEAD_WHOLE },
	{ BYTES(BEGIN PARAMS("\4", "\3") "\1\1Nv..." END), HEAD_WHOLE },
	/* A pair that runs on into the next record. */
	{ BYTES(BEGIN PARAMS("\1", "\0") "\1" PARAMS("\3", "\0") "\1Nv" END),
	  HEAD_WHOLE },
	/* Long forms of short lengths. */
	{ BYTES(BEGIN PARAMS("\12", "\0") "\x80\0\0\1\x80\0\0\1Nv" END),
	  HEAD_WHOLE },
	/* What follows the head is none of its business. */
	{ BYTES(BEGIN END "garbage"), HEAD_WHOLE },
	{ BYTES(""), HEAD_PARTIAL },
	{ BYTES(BEGIN), HEAD_PARTIAL },
	{ BYTES(BEGIN PARAMS("\4", "\0") "\1\1N"), HEAD_PARTIAL },
	/* The lengths of CVE-2025-23016, and a single one out of bounds. */
	{ BYTES(BEGIN PARAMS("\12", "\0") "\xff\xff\xff\xff\xff\xff\xff\xff"
					  "Nv" END),
	  HEAD_BAD },
	{ BYTES(BEGIN PARAMS("\7", "\0") "\xc0\0\0\0\1Nv" END), HEAD_BAD },
	/* A pair that has not ended when its stream has. */
	{ BYTES(BEGIN PARAMS("\4", "\0") "\1\2Nv" END), HEAD_BAD },
	{ BYTES(BEGIN PARAMS("\1", "\0") "\1" END), HEAD_BAD },
	/* Another version, no begin, a second one, another request, id 0, a
	 * body before the head has ended, a record of management. */
	{ BYTES("\2\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0" END), HEAD_BAD },
	{ BYTES(PARAMS("\4", "\0") "\1\1Nv" END), HEAD_BAD },
	{ BYTES(BEGIN BEGIN END), HEAD_BAD },
	{ BYTES(BEGIN "\1\4\0\2\0\0\0\0"), HEAD_BAD },
	{ BYTES("\1\1\0\0\0\10\0\0\0\1\0\0\0\0\0\0"), HEAD_BAD },
	{ BYTES(BEGIN "\1\5\0\1\0\0\0\0"), HEAD_BAD },
	{ BYTES("\1\11\0\0\0\0\0\0"), HEAD_BAD },
	/* Padding of the first record, which libfcgi takes for the next. */
	{ BYTES("\1\1\0\1\0\10\3\0\0\1\0\0\0\0\0\0..." END), HEAD_BAD },
	{ BYTES("GET / HTTP/1.1\r\n"), HEAD_BAD },
};

static void
lets_through_what_servers_send(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const unsigned char *p = (const unsigned char *)cases[i].bytes;

		if (head_look(p, cases[i].n) != cases[i].want)
			fail_msg("case %zu", i);
	}
}

static void
sees_every_cut_as_partial(void **state)
{
	const struct head_case *c = &cases[4];

	(void)state;
	for (size_t n = 0; n < c->n; n++)
		assert_int_equal(head_look((const unsigned char *)c->bytes, n),
				 HEAD_PARTIAL);
}

static int
peek_after(const char *bytes, size_t n, int shut)
{
	int ends[2], rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(send(ends[0], bytes, n, 0), n);
	if (shut)
		shutdown(ends[0], SHUT_WR);
	rc = head_peek(ends[1], 50);
	if (rc == 0) {
		char back[64];

		/* It has only looked. */
		assert_int_equal(recv(ends[1], back, sizeof(back), 0), n);
	}
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static void
peeks_and_takes_nothing(void **state)
{
	(void)state;
	for (int shut = 0; shut <= 1; shut++) {
		assert_int_equal(peek_after(BYTES(BEGIN END), shut), 0);
		assert_int_equal(peek_after(BYTES(BEGIN), shut), -1);
		assert_int_equal(peek_after(BYTES("GET /"), shut), -1);
		assert_int_equal(peek_after("", 0, shut), -1);
	}
}

/* A name as long as it says, in as many records as it takes. */
static void
bounds_the_whole(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_put(&b, BYTES(BEGIN));
	for (int i = 0; i < 600; i++) {
		buf_put(&b, BYTES(PARAMS("\xfa", "\0") "\x78\x80"));
		buf_put(&b, BYTES("\0\0\x7d"));
		while (b.len % 258 != (sizeof(BEGIN) - 1) % 258)
			buf_putc(&b, 'x');
	}
	buf_put(&b, BYTES(END));
	assert_int_equal(head_look((unsigned char *)b.data, b.len), HEAD_WHOLE);
	assert_true(b.len > HEAD_MAX);
	assert_int_equal(peek_after(b.data, b.len, 0), -1);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_through_what_servers_send),
		cmocka_unit_test(sees_every_cut_as_partial),
		cmocka_unit_test(peeks_and_takes_nothing),
		cmocka_unit_test(bounds_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
