/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Listening sockets: parse, open, adopt, accept, close. */
#include "listener.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backlog.h"
#include "confine.h"

#define LOG_MODULE "listener"
#include "log.h"

#define SYSTEMD_FIRST_FD 3
#define MODE_DEFAULT 0660

static int
parse_local(const char *text, struct listener_spec *s, struct error *e)
{
	const char *comma = strchr(text, ',');
	size_t n = comma != NULL ? (size_t)(comma - text) : strlen(text);
	char *end;

	s->local = true;
	s->mode = MODE_DEFAULT;
	if (n == 0 || n >= sizeof(s->path))
		return error_set(e, ERROR_INPUT,
				 "A socket's path has 1 to %zu bytes",
				 sizeof(s->path) - 1);
	memcpy(s->path, text, n);
	if (comma == NULL)
		return 0;
	if (strncmp(comma, ",mode=", 6) != 0 || !isdigit(comma[6]))
		return error_set(e, ERROR_INPUT,
				 "Expected unix:PATH,mode=0660, not \"%s\"",
				 comma);
	s->mode = (mode_t)strtoul(comma + 6, &end, 8);
	if (*end != '\0' || s->mode > 0777)
		return error_set(e, ERROR_INPUT,
				 "A socket's mode is octal, at most 0777");
	return 0;
}

static int
parse_inet(const char *text, struct listener_spec *s, struct error *e)
{
	const char *colon = strrchr(text, ':');
	size_t n;
	long port;
	char *end;

	if (colon == NULL)
		return error_set(e, ERROR_INPUT,
				 "Expected unix:PATH or HOST:PORT, not \"%s\"",
				 text);
	port = isdigit(colon[1]) ? strtol(colon + 1, &end, 10) : 0;
	if (port < 1 || port > 65535 || *end != '\0')
		return error_set(e, ERROR_INPUT,
				 "A port is a number from 1 to 65535");
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return error_set(e, ERROR_INPUT,
				 "An IPv6 address stands in brackets");
	}
	if (n >= sizeof(s->host))
		return error_set(e, ERROR_INPUT, "The host is too long");
	if (n != 1 || text[0] != '*')
		memcpy(s->host, text, n);
	snprintf(s->port, sizeof(s->port), "%ld", port);
	return 0;
}

int
listener_parse(const char *text, struct listener_spec *s, struct error *e)
{
	memset(s, 0, sizeof(*s));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_local(text + 5, s, e);
	return parse_inet(text, s, e);
}

static int
fail(struct error *e, const char *what, const char *name)
{
	int code = errno;

	error_set(e, ERROR_INTERNAL, "Cannot %s %s", what, name);
	return error_cause(e, "%s", strerror(code));
}

/* A free place in the table; NULL when all are taken. */
static struct listener *
new_listener(struct listeners *l, struct error *e)
{
	if (l->count == LISTENERS_MAX) {
		error_set(e, ERROR_INPUT, "At most %d sockets", LISTENERS_MAX);
		return NULL;
	}
	memset(&l->at[l->count], 0, sizeof(l->at[0]));
	return &l->at[l->count];
}

/* A pool that was killed leaves workers which finish what they stream: its
 * socket takes connections for so long, but nobody answers them. */
static bool
is_orphaned(int fd)
{
	struct ucred listener;
	socklen_t n = sizeof(listener);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &listener, &n) == 0 &&
	       listener.pid > 0 && kill(listener.pid, 0) == -1 &&
	       errno == ESRCH;
}

/* Removes a socket file that nobody listens on any more. */
static int
remove_stale(const struct sockaddr_un *sa, struct error *e)
{
	struct stat st;
	int fd, rc;

	if (lstat(sa->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : fail(e, "use", sa->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, ERROR_INTERNAL,
				 "%s exists and is no socket", sa->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return fail(e, "open a socket for", sa->sun_path);
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	if ((rc == -1 && errno == ECONNREFUSED) || (rc == 0 && is_orphaned(fd)))
		rc = unlink(sa->sun_path);
	else if (rc == 0 || errno == EAGAIN)
		rc = error_set(e, ERROR_INTERNAL, "%s is served already",
			       sa->sun_path);
	else
		rc = fail(e, "use", sa->sun_path);
	close(fd);
	return rc;
}

/* The workers' user owns the socket when root opens it. */
static int
give_away(const char *path, const struct config *c)
{
	uid_t uid;
	gid_t gid;

	if (confine_ids(c, &uid, &gid, NULL) == -1)
		return -1;
	/* Whoever may write to the folder could have put a link there. */
	return lchown(path, uid, gid);
}

/* With its mode from the start: a chmod could be led elsewhere. */
static int
bind_local(int fd, const struct sockaddr_un *sa, mode_t mode)
{
	mode_t mask = umask(~mode & 0777);
	int rc = bind(fd, (const struct sockaddr *)sa, sizeof(*sa));

	umask(mask);
	return rc;
}

static int
open_local(struct listener *l, const struct listener_spec *s,
	   const struct config *c, struct error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;

	memcpy(sa.sun_path, s->path, sizeof(sa.sun_path));
	if (remove_stale(&sa, e) == -1)
		return -1;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd == -1)
		return fail(e, "open a socket for", s->path);
	if (bind_local(l->fd, &sa, s->mode) == -1 ||
	    lstat(s->path, &st) == -1 || give_away(s->path, c) == -1 ||
	    listen(l->fd, LISTENER_BACKLOG) == -1) {
		fail(e, "listen on", s->path);
		close(l->fd);
		return -1;
	}
	l->own = true;
	l->local = true;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	memcpy(l->path, s->path, sizeof(l->path));
	return 0;
}

static int
open_inet(struct listener *l, const struct listener_spec *s, struct error *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct addrinfo *ai;
	int one = 1, rc;

	rc = getaddrinfo(s->host[0] ? s->host : NULL, s->port, &hints, &ai);
	if (rc != 0)
		return error_set(e, ERROR_INPUT, "Cannot listen on %s: %s",
				 s->host, gai_strerror(rc));
	l->fd = socket(ai->ai_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd == -1 ||
	    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(l->fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(l->fd, LISTENER_BACKLOG) == -1) {
		rc = fail(e, "listen on port", s->port);
		if (l->fd != -1)
			close(l->fd);
	}
	l->own = true;
	freeaddrinfo(ai);
	return rc;
}

int
listeners_open(struct listeners *l, const struct listener_spec *s,
	       const struct config *c, struct error *e)
{
	struct listener *one = new_listener(l, e);
	int rc;

	if (one == NULL)
		return -1;
	rc = s->local ? open_local(one, s, c, e) : open_inet(one, s, e);
	if (rc == 0)
		l->count++;
	return rc;
}

bool
listener_is(int fd)
{
	int listening = 0;
	socklen_t n = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 &&
	       listening != 0;
}

int
listeners_adopt(struct listeners *l, int fd, struct error *e)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	struct listener *one = new_listener(l, e);

	if (one == NULL)
		return -1;
	if (!listener_is(fd))
		return error_set(e, ERROR_INPUT,
				 "Descriptor %d is no listening socket", fd);
	/* The flag belongs to the socket, not to us, yet whoever made it
	 * only hands it on. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) == -1)
		return fail(e, "take over", "the listening socket");
	one->fd = fd;
	one->local = sa.ss_family == AF_UNIX;
	l->count++;
	return 0;
}

int
listeners_adopt_systemd(struct listeners *l, struct error *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n;

	if (pid == NULL || fds == NULL ||
	    strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	n = strtol(fds, NULL, 10);
	for (int i = 0; i < n; i++)
		if (listeners_adopt(l, SYSTEMD_FIRST_FD + i, e) == -1)
			return -1;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return 0;
}

int
listeners_accept(const struct listeners *l, bool own_only)
{
	int one = 1, fd;

	for (int i = 0; i < l->count; i++) {
		if (own_only && !l->at[i].own)
			continue;
		fd = accept4(l->at[i].fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd == -1)
			continue;
		if (!l->at[i].local)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				   sizeof(one));
		return fd;
	}
	errno = EAGAIN;
	return -1;
}

int
listeners_waiting(const struct listeners *l, bool own_only)
{
	int n = 0;

	for (int i = 0; i < l->count; i++)
		if (l->at[i].own || !own_only)
			n += backlog_length(l->at[i].fd);
	return n;
}

void
listeners_unlink(struct listeners *l)
{
	struct stat st;

	for (int i = 0; i < l->count; i++) {
		struct listener *one = &l->at[i];

		if (one->path[0] == '\0')
			continue;
		if (lstat(one->path, &st) == 0 && st.st_dev == one->dev &&
		    st.st_ino == one->ino && unlink(one->path) == -1)
			log_warn("cannot remove %s: %s", one->path,
				 strerror(errno));
		one->path[0] = '\0';
	}
}

void
listeners_shut(struct listeners *l)
{
	for (int i = 0; i < l->count; i++)
		if (l->at[i].own && !l->at[i].local)
			shutdown(l->at[i].fd, SHUT_RDWR);
}

bool
listener_of_mod_fcgid(int fd)
{
	struct sockaddr_un sa;
	socklen_t n = sizeof(sa);
	const char *name;
	long pid;
	int number, end = 0;

	if (getsockname(fd, (struct sockaddr *)&sa, &n) == -1 ||
	    sa.sun_family != AF_UNIX || n >= sizeof(sa))
		return false;
	((char *)&sa)[n] = '\0';
	name = strrchr(sa.sun_path, '/');
	return name != NULL &&
	       sscanf(name, "/%9ld.%9d%n", &pid, &number, &end) == 2 &&
	       name[end] == '\0';
}
