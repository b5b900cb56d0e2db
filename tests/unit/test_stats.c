/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stats: shared between processes, exact however a worker ends. */
#include "stats.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
does_nothing_without_a_board(void **state)
{
	(void)state;
	assert_int_equal(stats_slots(), 0);
	assert_null(stats_slot(0));
	assert_null(stats_mine());
	stats_attach(3);
	stats_state(SLOT_IDLE);
	stats_clear(0);
	stats_add(STAT_REQUESTS, 1);
	stats_first_byte(1);
	assert_int_equal(stats_get(STAT_REQUESTS), 0);
	assert_int_equal(stats_idle(), 0);
	assert_int_equal(stats_first_byte_bucket(0, NULL), 0);
}

static void
counts_across_processes(void **state)
{
	(void)state;
	assert_int_equal(stats_create(4), 0);
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (int n = 0; n < 10000; n++)
				stats_add(STAT_BYTES_OUT, 3);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	assert_int_equal(stats_get(STAT_BYTES_OUT), 120000);
	assert_int_equal(stats_get(STAT_BYTES_IN), 0);
	assert_int_equal(stats_get(STAT_COUNTER_COUNT), 0);
}

static void
knows_idle_workers_though_one_is_killed(void **state)
{
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(stats_create(3), 0);
	stats_attach(0);
	stats_state(SLOT_IDLE);
	child = fork();
	if (child == 0) {
		stats_attach(2);
		stats_mine()->requests = 7;
		stats_state(SLOT_IDLE);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(stats_idle(), 2);
	assert_int_equal(stats_slot(2)->requests, 7);
	assert_true(stats_slot(2)->since_ms > 0);
	stats_clear(2);
	assert_int_equal(stats_idle(), 1);
	assert_int_equal(stats_slot(2)->requests, 0);
	assert_int_equal(stats_slot(2)->state, SLOT_FREE);
	stats_state(SLOT_BUSY);
	stats_state(SLOT_BUSY);
	assert_int_equal(stats_idle(), 0);
	assert_int_equal(stats_slot(0)->state, SLOT_BUSY);
}

static void
keeps_to_its_slots(void **state)
{
	(void)state;
	assert_int_equal(stats_create(2), 0);
	assert_null(stats_slot(-1));
	assert_null(stats_slot(2));
	stats_attach(2);
	assert_null(stats_mine());
	stats_attach(1);
	assert_ptr_equal(stats_mine(), stats_slot(1));
	stats_attach(-1);
	assert_null(stats_mine());
	assert_int_equal(stats_create(-1), -1);
}

static void
sorts_first_bytes_into_buckets(void **state)
{
	static const struct {
		int64_t ms;
		int bucket;
	} cases[] = {
		{ 0, 0 },    { 5, 0 },	    { 6, 1 },
		{ 1000, 7 }, { 10000, 10 }, { 10001, 11 },
	};
	int64_t upper, last = -1;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(stats_create(0), 0);
		stats_first_byte(cases[i].ms);
		for (int b = 0; b < STATS_BUCKETS; b++)
			assert_int_equal(stats_first_byte_bucket(b, NULL),
					 b == cases[i].bucket);
	}
	for (int b = 0; b < STATS_BUCKETS; b++) {
		stats_first_byte_bucket(b, &upper);
		assert_true(upper > last);
		last = upper;
	}
	assert_true(last == INT64_MAX);
	assert_int_equal(stats_first_byte_bucket(STATS_BUCKETS, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_nothing_without_a_board),
		cmocka_unit_test(counts_across_processes),
		cmocka_unit_test(knows_idle_workers_though_one_is_killed),
		cmocka_unit_test(keeps_to_its_slots),
		cmocka_unit_test(sorts_first_bytes_into_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
