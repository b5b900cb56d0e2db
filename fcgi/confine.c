/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Dropping privileges and setting limits, before the first request. */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fence.h"

/* The kernel hands a core to a program whatever the limit is, but for this
 * one (fs/coredump.c); no file is as small. */
#define CORE_NONE 1
#define THREAD_STACK 262144

static int
fail(struct error *e, const char *what)
{
	int code = errno;

	error_set(e, ERROR_INTERNAL, "Cannot %s", what);
	return error_cause(e, "%s", strerror(code));
}

int
confine_ids(const struct config *c, uid_t *uid, gid_t *gid, struct error *e)
{
	const struct passwd *user;
	const struct group *group;

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (geteuid() != 0)
		return 0;
	if (c->user[0] == '\0' && c->group[0] != '\0')
		return error_set(e, ERROR_INPUT,
				 "RUN_GROUP: it needs RUN_USER");
	if (c->user[0] != '\0') {
		user = getpwnam(c->user);
		if (user == NULL)
			return error_set(e, ERROR_INPUT,
					 "RUN_USER: no user \"%s\"", c->user);
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	}
	if (c->group[0] != '\0') {
		group = getgrnam(c->group);
		if (group == NULL)
			return error_set(e, ERROR_INPUT,
					 "RUN_GROUP: no group \"%s\"",
					 c->group);
		*gid = group->gr_gid;
	}
	return 0;
}

int
confine_user(const struct config *c, struct error *e)
{
	uid_t uid;
	gid_t gid;

	if (confine_ids(c, &uid, &gid, e) == -1)
		return -1;
	if (uid == (uid_t)-1)
		return 0;
	if (initgroups(c->user, gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return fail(e, "become RUN_USER");
	if (uid != 0 && setuid(0) == 0)
		return error_set(e, ERROR_INTERNAL, "Root can be regained");
	return 0;
}

/* Where 0 was set before us, it stays: nobody but root can raise it. */
static int
forbid_cores(void)
{
	struct rlimit limit = { CORE_NONE, CORE_NONE };

	if (setrlimit(RLIMIT_CORE, &limit) == 0)
		return 0;
	limit = (struct rlimit){ 0, 0 };
	return setrlimit(RLIMIT_CORE, &limit);
}

/* AddressSanitizer reserves terabytes of address space. */
#ifndef __SANITIZE_ADDRESS__
/* Each name is looked up by a thread, for which glibc would reserve 8 MiB of
 * stack and 64 MiB of heap. */
static int
limit_memory(int64_t bytes)
{
	struct rlimit limit = { (rlim_t)bytes, (rlim_t)bytes };
	pthread_attr_t attr;

	mallopt(M_ARENA_MAX, 1);
	if (pthread_attr_init(&attr) == 0) {
		pthread_attr_setstacksize(&attr, THREAD_STACK);
		pthread_setattr_default_np(&attr);
		pthread_attr_destroy(&attr);
	}
	return setrlimit(RLIMIT_AS, &limit);
}
#endif

int
confine_limits(const struct config *c, struct error *e)
{
	if (forbid_cores() == -1)
		return fail(e, "turn core dumps off");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return fail(e, "give up new privileges");
#ifndef __SANITIZE_ADDRESS__
	if (c->worker_memory > 0 && limit_memory(c->worker_memory) == -1)
		return fail(e, "set WORKER_MEMORY");
#else
	(void)c;
#endif
	return 0;
}

int
confine_process(const struct config *c, struct error *e)
{
	if (confine_user(c, e) == -1 || confine_limits(c, e) == -1)
		return -1;
	return fence_raise(c, e);
}
