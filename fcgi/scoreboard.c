/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where a pool's scoreboard lies, and which of them are alive. */
#include "scoreboard.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "scoreboard"
#include "log.h"
#include "stats.h"

#define PREFIX "scoreboard."

static void
path_of(const struct config *c, pid_t pid, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/" PREFIX "%d", c->state_dir, (int)pid);
}

static bool
is_alive(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

/* The process that a file's name tells of; 0: it is another's file. */
static pid_t
pid_of(const char *name)
{
	char *end;
	long pid;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	pid = strtol(name + strlen(PREFIX), &end, 10);
	return *end == '\0' && pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* What pools that were killed have left. */
static void
remove_dead(const struct config *c)
{
	DIR *dir = opendir(c->state_dir);
	const struct dirent *d;
	char path[PATH_MAX];
	pid_t pid;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		pid = pid_of(d->d_name);
		if (pid == 0 || is_alive(pid))
			continue;
		path_of(c, pid, path);
		unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
}

int
scoreboard_create(const struct config *c, int slots)
{
	char path[PATH_MAX];

	remove_dead(c);
	path_of(c, getpid(), path);
	if (stats_create_file(slots, path) == 0)
		return 0;
	log_info("`zipstream status` will not see this pool: %s: %s", path,
		 strerror(errno));
	return stats_create(slots);
}

void
scoreboard_remove(const struct config *c)
{
	char path[PATH_MAX];

	if (stats_owner() != getpid())
		return;
	path_of(c, getpid(), path);
	unlink(path);
}

pid_t
scoreboard_next(const struct config *c, pid_t after)
{
	DIR *dir = opendir(c->state_dir);
	const struct dirent *d;
	char path[PATH_MAX];
	pid_t next = 0, pid;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		pid = pid_of(d->d_name);
		if (pid > after && (next == 0 || pid < next) && is_alive(pid))
			next = pid;
	}
	if (dir != NULL)
		closedir(dir);
	if (next == 0)
		return 0;
	path_of(c, next, path);
	/* One that ends just now, or is not ours to read: the next. */
	return stats_open(path) == 0 ? next : scoreboard_next(c, next);
}
