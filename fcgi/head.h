/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A look at the head of a FastCGI request before libfcgi reads it.
 *
 * libfcgi believes the lengths of names and values: it adds two of them as
 * ints (CVE-2025-23016), allocates up to 2 GiB, and writes to NULL when there
 * is no memory.  So it only gets to see what web servers send: BEGIN_REQUEST,
 * then PARAMS of the same request up to the empty one, every length within
 * what has really come.  Pure, but for head_peek.
 */
#ifndef ZIPSTREAM_HEAD_H
#define ZIPSTREAM_HEAD_H

#include <stddef.h>

#define HEAD_MAX 131072 /* bytes; a Unix socket holds about 200 KB */

enum head_state {
	HEAD_PARTIAL, /* more has to come */
	HEAD_WHOLE,
	HEAD_BAD
};

enum head_state head_look(const unsigned char *p, size_t n);

/*
 * Waits until a whole head is in the socket's queue, without taking it.
 * -1: it is bad, larger than HEAD_MAX, or not whole within timeout_ms.
 */
int head_peek(int fd, int timeout_ms);

#endif
