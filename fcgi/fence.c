/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Landlock by its system calls: libc has no functions for them. */
#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than Debian 12's headers; the third version of the interface. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define WRITING (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define CHANGES                                                                \
	(WRITING | LANDLOCK_ACCESS_FS_REMOVE_DIR |                             \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |        \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |          \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* Nowhere: a node of a disk is the disk. */
#define DEVICES (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

/* A sanitizer's report runs a symbolizer. */
#ifdef __SANITIZE_ADDRESS__
#define EXECUTION 0
#else
#define EXECUTION LANDLOCK_ACCESS_FS_EXECUTE
#endif

static int
fail(struct error *e)
{
	int code = errno;

	error_set(e, ERROR_INTERNAL, "Cannot fence the file system in");
	return error_cause(e, "%s", strerror(code));
}

/* What the running kernel can forbid; 0: nothing. */
static uint64_t
forbidden(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

#ifdef COVERAGE
	return 0; /* gcov writes its counts beside the objects */
#endif
	if (version < 1)
		return 0;
	return (EXECUTION | CHANGES | DEVICES) &
	       ~(version < 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

/* What is in `access`, of a file or below a folder.  One that is not there
 * needs no rule. */
static int
allow(int ruleset, uint64_t access, const char *path)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	long rc;

	if (rule.parent_fd == -1)
		return errno == ENOENT || errno == EACCES ? 0 : -1;
	rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		     &rule, 0);
	close(rule.parent_fd);
	return (int)rc;
}

/* The folder of the database, and, while there is none, the one that it will
 * be made in. */
static int
allow_database(int ruleset, uint64_t changes, const char *file)
{
	char folder[PATH_MAX];
	char *slash;

	/* SQLite follows links and works beside the real file. */
	if (realpath(file, folder) == NULL)
		snprintf(folder, sizeof(folder), "%s", file);
	for (int up = 0; up < 2; up++) {
		slash = strrchr(folder, '/');
		if (slash == NULL)
			return 0;
		slash[slash == folder ? 1 : 0] = '\0';
		if (allow(ruleset, changes, folder) == -1)
			return -1;
		if (access(folder, F_OK) == 0)
			return 0;
	}
	return 0;
}

int
fence_raise(const struct config *c, struct error *e)
{
	static const char *const temporary[] = { "/tmp", "/var/tmp",
						 "/dev/shm" };
	struct landlock_ruleset_attr attr = { .handled_access_fs =
						      forbidden() };
	uint64_t changes = attr.handled_access_fs & CHANGES;
	long rc = 0;
	int fd;

	if (changes == 0)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd == -1)
		return fail(e);
	for (size_t i = 0; i < sizeof(temporary) / sizeof(*temporary); i++)
		rc |= allow(fd, changes, temporary[i]);
	rc |= allow(fd, changes & WRITING, "/dev/null");
	rc |= allow(fd, changes, c->state_dir);
	if (c->db_interface == DB_SQLITE)
		rc |= allow_database(fd, changes, c->db_cnxn);
	if (rc == 0)
		rc = syscall(SYS_landlock_restrict_self, fd, 0);
	if (rc != 0)
		fail(e);
	close(fd);
	return rc == 0 ? 0 : -1;
}
