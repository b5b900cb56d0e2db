/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The length of a listening socket's queue, from the kernel.
 *
 * The pool forks exactly as many workers as connections wait, so that it
 * keeps up with a storm and never overshoots.  TCP tells by a socket option;
 * a Unix socket is looked up by its inode number over netlink (sock_diag(7)).
 */
#include "backlog.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct question {
	struct nlmsghdr head;
	struct unix_diag_req body;
};

/* Finds the queue length among the attributes of the answer. */
static int
find_length(struct nlmsghdr *h, ssize_t n)
{
	const struct unix_diag_rqlen *q;
	struct rtattr *a;
	ssize_t left = n - NLMSG_LENGTH(sizeof(struct unix_diag_msg));

	if (left <= 0 || h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -1;
	a = (struct rtattr *)((char *)NLMSG_DATA(h) +
			      NLMSG_ALIGN(sizeof(struct unix_diag_msg)));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != UNIX_DIAG_RQLEN)
			continue;
		q = RTA_DATA(a);
		return (int)q->udiag_rqueue;
	}
	return -1;
}

static int
ask(int netlink, ino_t inode)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof(q),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST },
		.body = { .sdiag_family = AF_UNIX,
			  .udiag_states = (__u32)-1,
			  .udiag_ino = (__u32)inode,
			  .udiag_show = UDIAG_SHOW_RQLEN,
			  .udiag_cookie = { (__u32)-1, (__u32)-1 } },
	};
	_Alignas(struct nlmsghdr) char answer[1024];
	ssize_t n;

	if (send(netlink, &q, sizeof(q), 0) != sizeof(q))
		return -1;
	n = recv(netlink, answer, sizeof(answer), 0);
	if (n < (ssize_t)sizeof(struct nlmsghdr))
		return -1;
	return find_length((struct nlmsghdr *)answer, n);
}

/* -1 where the kernel does not tell. */
static int
local_length(int fd)
{
	static int netlink = -2;
	struct timeval soon = { .tv_sec = 1 };
	struct stat st;

	if (netlink == -2) {
		netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
				 NETLINK_SOCK_DIAG);
		if (netlink != -1)
			setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &soon,
				   sizeof(soon));
	}
	if (netlink == -1 || fstat(fd, &st) == -1)
		return -1;
	return ask(netlink, st.st_ino);
}

static int
tcp_length(int fd)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	/* Of a listening socket this field counts the accept queue. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == -1)
		return -1;
	return info.tcpi_state == TCP_LISTEN ? (int)info.tcpi_unacked : -1;
}

int
backlog_length(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int domain = AF_UNSPEC, length;
	socklen_t n = sizeof(domain);

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLIN))
		return 0;
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
	length = domain == AF_UNIX ? local_length(fd) : tcp_length(fd);
	return length > 0 ? length : BACKLOG_GUESS;
}
