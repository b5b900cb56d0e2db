/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inside the fence: what still can be done, and what not, by trying. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../fcgi/confine.h"
#include "../../fcgi/fence.h"

/* Outside of /tmp, where everybody may write. */
static char outside[] = "/var/lib/zipstream-fence-XXXXXX";
static char inside[64], database[96];

static bool
has_landlock(void)
{
#ifdef COVERAGE
	return false; /* fence.c raises none there */
#endif
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
}

static int
make_folders(void **state)
{
	(void)state;
	if (mkdtemp(outside) == NULL)
		return 0; /* not root: skipped */
	snprintf(inside, sizeof(inside), "%s/state", outside);
	snprintf(database, sizeof(database), "%s/db/x.db", outside);
	return mkdir(inside, 0700);
}

static int
remove_folders(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", outside);
	return system(command) == 0 ? 0 : -1;
}

static int
write_below(const char *folder)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd == -1)
		return errno;
	close(fd);
	return unlink(path) == 0 ? 0 : errno;
}

static int
raise_fence(int db_interface)
{
	struct config c = { .state_dir = inside,
			    .db_interface = db_interface,
			    .db_cnxn = database };
	struct error e = { 0 };

	return confine_limits(&c, &e) == 0 && fence_raise(&c, &e) == 0 ? 0 : -1;
}

/* Each returns what is wrong, 0: nothing. */

static int
try_writing(void)
{
	if (raise_fence(DB_POSTGRES) != 0)
		return 1;
	if (write_below(inside) != 0 || write_below("/tmp") != 0)
		return 2;
	if (write_below(outside) != EACCES || write_below("/var/lib") != EACCES)
		return 3;
	if (mkdir("/var/lib/zipstream-new", 0700) != -1 || errno != EACCES)
		return 4;
	/* Reading is as before. */
	return access("/etc/passwd", R_OK) == 0 ? 0 : 5;
}

/* None is made and none is written to, but for the one that forgets. */
static int
try_devices(void)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/null", inside);
	if (raise_fence(DB_POSTGRES) != 0)
		return 1;
	fd = open("/dev/null", O_WRONLY | O_TRUNC);
	if (fd == -1 || write(fd, "x", 1) != 1)
		return 2;
	close(fd);
	if (open("/dev/full", O_WRONLY) != -1 || errno != EACCES)
		return 3;
	/* EPERM: not even root may, here. */
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) != -1 ||
	    (errno != EACCES && errno != EPERM))
		return 4;
	return write_below("/dev/shm");
}

/* A limit of 0 would not keep the kernel from running a program with it. */
static int
try_cores(void)
{
	const struct config c = { .state_dir = inside };
	struct rlimit limit, none = { 0, 0 };
	struct error e = { 0 };

	if (confine_limits(&c, &e) != 0 ||
	    getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 1 ||
	    limit.rlim_max != 1)
		return 1;
	/* Somebody has said so before, and we are not root. */
	if (setrlimit(RLIMIT_CORE, &none) != 0 || setuid(65534) != 0 ||
	    confine_limits(&c, &e) != 0)
		return 2;
	return 0;
}

/* The database's folder is made in one that is there. */
static int
try_database(void)
{
	char folder[64];

	if (raise_fence(DB_SQLITE) != 0)
		return 1;
	snprintf(folder, sizeof(folder), "%s/db", outside);
	if (mkdir(folder, 0700) != 0 || write_below(folder) != 0)
		return 2;
	return write_below("/var/lib") == EACCES ? 0 : 3;
}

static int
try_running(void)
{
	if (raise_fence(DB_POSTGRES) != 0)
		return 1;
#ifndef __SANITIZE_ADDRESS__
	execl("/bin/false", "false", NULL); /* which ends with 1 */
	return errno == EACCES ? 0 : 2;
#else
	return 0;
#endif
}

static void
in_child(int (*attempt)(void))
{
	int status = -1;
	pid_t pid;

	if (!has_landlock() || inside[0] == '\0')
		skip();
	pid = fork();
	if (pid == 0)
		_exit(attempt());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
changes_only_its_own(void **state)
{
	(void)state;
	in_child(try_writing);
}

static void
keeps_off_devices(void **state)
{
	(void)state;
	in_child(try_devices);
}

static void
dumps_no_core(void **state)
{
	(void)state;
	in_child(try_cores);
}

static void
makes_the_folder_of_its_database(void **state)
{
	(void)state;
	in_child(try_database);
}

static void
runs_nothing(void **state)
{
	(void)state;
	in_child(try_running);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_only_its_own),
		cmocka_unit_test(keeps_off_devices),
		cmocka_unit_test(dumps_no_core),
		cmocka_unit_test(makes_the_folder_of_its_database),
		cmocka_unit_test(runs_nothing),
	};

	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
