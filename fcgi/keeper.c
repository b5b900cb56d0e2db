/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's loop: take messages, then go on with what has to be ended.
 *
 * A worker may have died inside a record, and nobody knows how much of it is
 * still to come.  So the end is a run of bytes that is longer than any record:
 * what is left of the torn one swallows some, and the rest has a version that
 * no web server takes (FastCGI 1.0, section 3.3).
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"

#define LOG_MODULE "keeper"
#include "log.h"
#include "stats.h"

#define NO_RECORD 0xff /* as a version */
#define END_BYTES (8 + 65535 + 255 + 8)
#define END_MS 60000 /* for a slow client to take what was sent before */
/* The web server has to see that by itself first, or it may take both
 * together for a regular end. */
#define TAKEN_MS 50
#define TICK_MS 10
#define BURY_MS 100 /* many have died at once: for the keeper to catch up */

enum what { LEND, RETURN, BURY };

struct message {
	int32_t what;
	int32_t slot;
};

struct ending {
	int fd;
	size_t left; /* of END_BYTES */
	int64_t until;
	int64_t taken_ms; /* since when the queue is empty; 0: it is not */
};

struct kept {
	int *fds; /* by slot; -1: none */
	int slots;
	struct ending *endings;
	int count;
	int room;
};

int
keeper_open(struct keeper *k)
{
	int ends[2];

	k->told = k->tell = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, ends) == -1)
		return -1;
	k->told = ends[0];
	k->tell = ends[1];
	return 0;
}

void
keeper_close(struct keeper *k)
{
	if (k->told != -1)
		close(k->told);
	if (k->tell != -1)
		close(k->tell);
	k->told = k->tell = -1;
}

/* Telling. */

static void
tell(int to, enum what what, int slot, int fd)
{
	struct message m = { .what = what, .slot = slot };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd p = { .fd = to, .events = POLLOUT };
	struct cmsghdr *c;

	if (to == -1 || slot < 0)
		return;
	if (fd != -1) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (sendmsg(to, &msg, MSG_NOSIGNAL) == -1) {
		if (what == BURY && errno == EAGAIN && poll(&p, 1, BURY_MS) > 0)
			continue;
		log_debug("the keeper is not told: %s", strerror(errno));
		return;
	}
}

void
keeper_lend(int to, int slot, int fd)
{
	tell(to, LEND, slot, fd);
}

void
keeper_return(int to, int slot)
{
	tell(to, RETURN, slot, -1);
}

void
keeper_bury(int to, int slot)
{
	tell(to, BURY, slot, -1);
}

/* Keeping. */

static int
make_slots(struct kept *k, int slots)
{
	int *grown = realloc(k->fds, (size_t)slots * sizeof(*grown));

	if (grown == NULL)
		return -1;
	for (int i = k->slots; i < slots; i++)
		grown[i] = -1;
	k->fds = grown;
	k->slots = slots;
	return 0;
}

static void
begin_ending(struct kept *k, int fd)
{
	struct ending *grown = k->endings;

	if (k->count == k->room) {
		k->room = 2 * k->room + 16;
		grown = realloc(grown, (size_t)k->room * sizeof(*grown));
	}
	if (grown == NULL) {
		k->room = k->count;
		close(fd);
		return;
	}
	k->endings = grown;
	k->endings[k->count++] = (struct ending){
		.fd = fd, .left = END_BYTES, .until = stats_now_ms() + END_MS
	};
}

static void
give_up(struct kept *k, int slot, bool dead)
{
	int fd = slot < k->slots ? k->fds[slot] : -1;

	if (fd == -1)
		return;
	k->fds[slot] = -1;
	if (dead)
		begin_ending(k, fd);
	else
		close(fd);
}

/* What the slot still has is a dead one's of whom we were not told, or has been
 * shut down. */
static void
keep(struct kept *k, int slot, int fd)
{
	if (slot >= k->slots && make_slots(k, 2 * slot + 64) == -1) {
		close(fd);
		return;
	}
	give_up(k, slot, true);
	k->fds[slot] = fd;
}

static int
passed_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* False: nobody is there any more who could say something. */
static bool
take_messages(struct kept *k, int told)
{
	for (;;) {
		char control[CMSG_SPACE(sizeof(int))];
		struct message m = { .slot = -1 };
		struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(told, &msg, MSG_CMSG_CLOEXEC);
		int fd;

		if (n <= 0)
			return n == -1 && (errno == EAGAIN || errno == EINTR);
		fd = passed_fd(&msg);
		if (fd != -1)
			keep(k, m.slot, fd);
		else
			give_up(k, m.slot, m.what == BURY);
	}
}

/* Ending. */

/* Has the peer taken all, for a while? */
static bool
is_taken(struct ending *e, int64_t now)
{
	int queued = 0;

	if (ioctl(e->fd, SIOCOUTQ, &queued) == 0 && queued > 0) {
		e->taken_ms = 0;
		return false;
	}
	if (e->taken_ms == 0)
		e->taken_ms = now;
	return now - e->taken_ms >= TAKEN_MS;
}

/* True: there is no more to do. */
static bool
go_on_ending(struct ending *e, int64_t now)
{
	unsigned char bytes[4096];
	ssize_t n;

	if (now >= e->until)
		return true;
	if (e->left == END_BYTES && !is_taken(e, now))
		return false;
	memset(bytes, NO_RECORD, sizeof(bytes));
	while (e->left > 0) {
		n = send(e->fd, bytes,
			 e->left < sizeof(bytes) ? e->left : sizeof(bytes),
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1)
			return errno != EAGAIN;
		e->left -= (size_t)n;
	}
	return true;
}

static void
end_what_is_due(struct kept *k)
{
	int64_t now = stats_now_ms();
	int left = 0;

	for (int i = 0; i < k->count; i++) {
		struct ending *e = &k->endings[i];

		if (!go_on_ending(e, now)) {
			k->endings[left++] = *e;
			continue;
		}
		shutdown(e->fd, SHUT_RDWR);
		close(e->fd);
	}
	k->count = left;
}

/* Of the parent's descriptors it needs none but its end; Ctrl-C is not for
 * it, which outlives who may still say something. */
static int
settle(struct keeper *k, const struct config *c)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
	struct rlimit limit;
	struct error e = { 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	/* It may be the socket that is listened on. */
	if (null != -1)
		dup2(null, STDIN_FILENO);
	prctl(PR_SET_NAME, "zipstream-keep");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (confine_process(c, &e) == -1) {
		log_error("cannot keep connections: %s", e.text);
		return -1;
	}
	if (dup2(k->told, STDERR_FILENO + 1) == -1)
		return -1;
	closefrom(STDERR_FILENO + 2);
	k->told = STDERR_FILENO + 1;
	k->tell = -1;
	return 0;
}

int
keeper_run(struct keeper *k, const struct config *c)
{
	struct kept kept = { 0 };
	bool open = true;

	if (settle(k, c) == -1)
		return 1;
	while (open || kept.count > 0) {
		struct pollfd p = { .fd = open ? k->told : -1,
				    .events = POLLIN };

		poll(&p, 1, kept.count > 0 ? TICK_MS : -1);
		if (open)
			open = take_messages(&kept, k->told);
		for (int i = 0; !open && i < kept.slots; i++)
			give_up(&kept, i, true);
		end_what_is_due(&kept);
	}
	free(kept.fds);
	free(kept.endings);
	return 0;
}
