/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How many connections wait in a listening socket's queue. */
#ifndef ZIPSTREAM_BACKLOG_H
#define ZIPSTREAM_BACKLOG_H

/*
 * Exact where the kernel tells (TCP, and Unix sockets through sock_diag);
 * else BACKLOG_GUESS when the socket is readable and 0 when it is not.
 */
int backlog_length(int fd);

#define BACKLOG_GUESS 8

#endif
