/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the keeper does with the connections that it was lent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../fcgi/keeper.h"

struct scene {
	struct keeper keeper;
	pid_t pid;
	int server; /* the web server's end of a connection */
};

/* Lends a connection of slot `slot` and closes it here, as a death does. */
static void
begin(struct scene *s, int slot)
{
	const struct timeval patience = { .tv_sec = 20 };
	struct error e;
	struct config *c = config_load("/dev/null", &e);
	int ends[2];

	assert_non_null(c);
	assert_int_equal(keeper_open(&s->keeper), 0);
	s->pid = fork();
	if (s->pid == 0)
		_exit(keeper_run(&s->keeper, c));
	config_free(c);
	close(s->keeper.told);
	s->keeper.told = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	s->server = ends[0];
	setsockopt(s->server, SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	keeper_lend(s->keeper.tell, slot, ends[1]);
	assert_int_equal(write(ends[1], "some", 4), 4);
	close(ends[1]);
}

static void
end(struct scene *s)
{
	int status = -1;

	keeper_close(&s->keeper);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
	close(s->server);
}

/* Reads to the end; how many bytes came, all of them 0xff. */
static size_t
read_flood(int fd)
{
	unsigned char bytes[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], 0xff);
		total += (size_t)n;
	}
	assert_int_equal(n, 0);
	return total;
}

static void
take_some(int fd)
{
	char some[4];

	assert_int_equal(recv(fd, some, sizeof(some), MSG_WAITALL), 4);
	assert_memory_equal(some, "some", 4);
}

/* More than what may be left of a torn record, and a header behind it. */
static void
test_the_dead_are_ended(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 300);
	keeper_bury(s.keeper.tell, 300);
	take_some(s.server);
	assert_true(read_flood(s.server) >= 65535 + 255 + 8);
	end(&s);
}

/* The bytes of one end must not fill another's answer. */
static void
test_what_was_returned_just_closes(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 0);
	keeper_return(s.keeper.tell, 0);
	keeper_bury(s.keeper.tell, 0);
	take_some(s.server);
	assert_int_equal(read_flood(s.server), 0);
	end(&s);
}

/* Without a word from the parent, which has died, too. */
static void
test_orphans_are_ended(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, 1);
	keeper_close(&s.keeper);
	take_some(s.server);
	assert_true(read_flood(s.server) > 0);
	end(&s);
}

/* Memory runs out, and many die at once: more than the socket's buffer holds
 * before the keeper gets to run. */
static void
test_all_of_many_dead_are_ended(void **state)
{
	enum { MANY = 400 };
	struct scene s;
	int ends[MANY][2];

	(void)state;
	begin(&s, MANY);
	keeper_return(s.keeper.tell, MANY);
	take_some(s.server);
	for (int i = 0; i < MANY; i++) {
		const struct timeval patience = { .tv_sec = 2 };

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]),
				 0);
		setsockopt(ends[i][0], SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
		keeper_lend(s.keeper.tell, i, ends[i][1]);
		close(ends[i][1]);
		usleep(1000);
	}
	kill(s.pid, SIGSTOP);
	if (fork() == 0) {
		usleep(10000);
		kill(s.pid, SIGCONT);
		_exit(0);
	}
	for (int i = 0; i < MANY; i++)
		keeper_bury(s.keeper.tell, i);
	for (int i = 0; i < MANY; i++) {
		assert_true(read_flood(ends[i][0]) > 0);
		close(ends[i][0]);
	}
	assert_true(wait(NULL) > 0);
	end(&s);
}

/* Its word of the death was lost: the next one of the slot may not let it
 * look well. */
static void
test_a_slot_that_is_lent_again_ends_what_it_had(void **state)
{
	struct scene s;
	int ends[2];

	(void)state;
	begin(&s, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	keeper_lend(s.keeper.tell, 0, ends[1]);
	take_some(s.server);
	assert_true(read_flood(s.server) > 0);
	close(ends[0]);
	close(ends[1]);
	end(&s);
}

static void
test_nobody_to_tell(void **state)
{
	(void)state;
	keeper_lend(-1, 0, STDIN_FILENO);
	keeper_return(-1, 0);
	keeper_bury(-1, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_dead_are_ended),
		cmocka_unit_test(test_what_was_returned_just_closes),
		cmocka_unit_test(test_orphans_are_ended),
		cmocka_unit_test(test_all_of_many_dead_are_ended),
		cmocka_unit_test(
			test_a_slot_that_is_lent_again_ends_what_it_had),
		cmocka_unit_test(test_nobody_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
