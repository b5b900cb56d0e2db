/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pure parts of the process edge: sizes, records, addresses, chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../fcgi/children.h"
#include "../../fcgi/inbound.h"
#include "../../fcgi/listener.h"
#include "../../fcgi/record.h"
#include "../../fcgi/sizing.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
spawns_what_is_missing(void **state)
{
	/* fixed, spare, max, live, current, idle, starting, waiting */
	static const struct {
		struct sizing s;
		int want;
	} cases[] = {
		{ { 0, 2, 50, 0, 0, 0, 0, 0 }, 2 },
		{ { 0, 2, 50, 2, 2, 2, 0, 0 }, 0 },
		{ { 0, 2, 50, 2, 2, 0, 0, 5 }, 7 },
		{ { 0, 2, 50, 9, 9, 0, 7, 5 }, 0 },
		{ { 0, 2, 50, 49, 49, 0, 0, 9 }, 1 },
		{ { 0, 2, 50, 50, 50, 0, 0, 9 }, 0 },
		{ { 0, 2, 9000, 10, 10, 0, 0, 900 }, SIZING_BURST },
		{ { 0, 2, 50, 60, 60, 0, 0, 9 }, 0 },
		{ { 3, 2, 6, 0, 0, 0, 0, 9 }, 3 },
		{ { 3, 2, 6, 3, 3, 0, 0, 9 }, 0 },
		{ { 3, 2, 6, 3, 0, 3, 0, 0 }, 3 },
		{ { 3, 2, 6, 5, 0, 0, 0, 0 }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(sizing_spawn(&cases[i].s), cases[i].want);
}

static void
shrinks_slowly(void **state)
{
	struct sizing s = { .min_spare = 2, .max = 1000 };

	(void)state;
	assert_int_equal(sizing_retire(&s, 10), 0);
	assert_int_equal(sizing_retire(&s, 11), 1);
	assert_int_equal(sizing_retire(&s, 810), 100);
	s.min_spare = 100;
	assert_int_equal(sizing_retire(&s, 200), 0);
	s.fixed = 3;
	assert_int_equal(sizing_retire(&s, 810), 0);
}

static void
backs_off(void **state)
{
	(void)state;
	assert_int_equal(sizing_backoff_ms(0), 0);
	assert_int_equal(sizing_backoff_ms(1), 100);
	assert_int_equal(sizing_backoff_ms(4), 800);
	assert_int_equal(sizing_backoff_ms(1000), 12800);
}

static void
refuses_only_what_waits_too_long(void **state)
{
	struct sizing_wait w = { 0 };

	(void)state;
	assert_false(sizing_overdue(&w, 1000, 7, 3, 500));
	assert_false(sizing_overdue(&w, 1400, 9, 3, 500));
	/* the first three have been served: a new clock */
	assert_false(sizing_overdue(&w, 1600, 10, 3, 500));
	assert_false(sizing_overdue(&w, 2099, 11, 3, 500));
	assert_true(sizing_overdue(&w, 2100, 11, 3, 500));
	assert_false(sizing_overdue(&w, 2200, 11, 0, 500));
	assert_false(sizing_overdue(&w, 2300, 11, 1, 500));
}

/* Cuts `total` bytes in pieces of `piece` and puts the records together. */
static void
check_records(size_t total, size_t piece)
{
	static char in[300000], out[300000];
	struct iovec iov[64], part[RECORD_PIECES];
	struct record_cursor c = { .iov = iov };
	unsigned char head[RECORD_HEADER];
	size_t got = 0;
	int used;

	for (size_t i = 0; i < total; i++)
		in[i] = (char)(i * 31 + i / 251);
	for (size_t at = 0; at < total; at += piece, c.n++) {
		iov[c.n].iov_base = in + at;
		iov[c.n].iov_len = total - at < piece ? total - at : piece;
	}
	while ((used = record_next(&c, 258, head, part)) > 0) {
		size_t length = (size_t)head[4] << 8 | head[5], sum = 0;

		assert_memory_equal(head, "\1\6\1\2", 4);
		assert_true(length > 0 && length <= RECORD_CONTENT);
		assert_int_equal((length + head[6]) % 8, 0);
		for (int i = 1; i < used; i++) {
			if (sum < length)
				memcpy(out + got + sum, part[i].iov_base,
				       part[i].iov_len);
			sum += part[i].iov_len;
		}
		assert_int_equal(sum, length + head[6]);
		got += length;
	}
	assert_int_equal(got, total);
	assert_memory_equal(in, out, total);
}

static void
cuts_records(void **state)
{
	static const size_t totals[] = { 1, 8, 63, 65528, 65529, 300000 };

	(void)state;
	for (size_t i = 0; i < COUNT(totals); i++) {
		check_records(totals[i], 300000);
		check_records(totals[i], totals[i] / 60 + 1);
	}
}

static void
advances_over_partial_writes(void **state)
{
	char text[] = "abcdef";
	struct iovec iov[2] = { { text, 2 }, { text + 2, 4 } };
	struct iovec *at = iov;

	(void)state;
	assert_int_equal(record_advance(&at, 2, 1), 2);
	assert_int_equal(at->iov_len, 1);
	assert_int_equal(record_advance(&at, 2, 2), 1);
	assert_ptr_equal(at->iov_base, text + 3);
	assert_int_equal(record_advance(&at, 1, 3), 0);
}

static void
parses_addresses(void **state)
{
	static const char *const bad[] = {
		"",	  "host",	 "host:",	  "host:0",
		":65536", "unix:",	 "unix:/a,mode=", "unix:/a,mode=0999",
		"::1:80", "unix:/a,x=1", "h:80x",	  "unix:/a,mode=01777",
	};
	struct listener_spec s;
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(listener_parse(bad[i], &s, &e), -1);
	assert_int_equal(listener_parse("unix:/run/a,mode=0600", &s, &e), 0);
	assert_true(s.local);
	assert_string_equal(s.path, "/run/a");
	assert_int_equal(s.mode, 0600);
	assert_int_equal(listener_parse("[::1]:80", &s, &e), 0);
	assert_string_equal(s.host, "::1");
	assert_string_equal(s.port, "80");
	assert_int_equal(listener_parse("*:8080", &s, &e), 0);
	assert_string_equal(s.host, "");
}

static void
chunks_only_where_they_pass(void **state)
{
	static const struct {
		int setting;
		enum inbound_path path;
		const char *protocol, *software;
		bool want;
	} cases[] = {
		{ SWITCH_AUTO, INBOUND_MOD_FCGID, "HTTP/1.1", "Apache/2",
		  true },
		{ SWITCH_AUTO, INBOUND_MOD_FCGID, "HTTP/1.0", "Apache", false },
		{ SWITCH_AUTO, INBOUND_MOD_FCGID, "HTTP/2.0", "Apache", false },
		{ SWITCH_AUTO, INBOUND_MOD_FCGID, "HTTP/1.1", "nginx", false },
		{ SWITCH_AUTO, INBOUND_FASTCGI, "HTTP/1.1", "Apache", false },
		{ SWITCH_AUTO, INBOUND_CGI, "HTTP/1.1", "lighttpd/1.4", true },
		{ SWITCH_AUTO, INBOUND_CGI, "HTTP/1.1", "Apache", false },
		{ SWITCH_OFF, INBOUND_MOD_FCGID, "HTTP/1.1", "Apache", false },
		{ SWITCH_ON, INBOUND_FASTCGI, "HTTP/1.1", "nginx", true },
		{ SWITCH_ON, INBOUND_FASTCGI, "HTTP/1.0", "nginx", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(inbound_chunks(cases[i].setting, cases[i].path,
						cases[i].protocol,
						cases[i].software),
				 cases[i].want);
}

static void
keeps_slots(void **state)
{
	struct children c;

	(void)state;
	assert_int_equal(children_init(&c, 3), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(children_next(&c), i);
		children_add(&c, 100 + i, 1);
	}
	assert_int_equal(children_next(&c), -1);
	assert_int_equal(children_find(&c, 101), 1);
	assert_int_equal(children_find(&c, 7), -1);
	children_remove(&c, 1);
	assert_int_equal(c.live, 2);
	assert_int_equal(children_next(&c), 1);
	children_fini(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spawns_what_is_missing),
		cmocka_unit_test(shrinks_slowly),
		cmocka_unit_test(backs_off),
		cmocka_unit_test(refuses_only_what_waits_too_long),
		cmocka_unit_test(cuts_records),
		cmocka_unit_test(advances_over_partial_writes),
		cmocka_unit_test(parses_addresses),
		cmocka_unit_test(chunks_only_where_they_pass),
		cmocka_unit_test(keeps_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
