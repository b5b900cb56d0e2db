/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A transport that keeps what it is given, for tests of answers. */
#ifndef ZIPSTREAM_TRANSPORT_MEMORY_H
#define ZIPSTREAM_TRANSPORT_MEMORY_H

#include <stdbool.h>

#include "buf.h"
#include "response.h"

struct memory {
	struct transport transport;
	struct buf out;
	int writes;
	int fail_at; /* the write that fails, from 1; 0: none */
	bool finished;
	bool aborted;
	bool abort_saw_head;
};

static int
memory_write(void *ctx, const struct iovec *iov, int n)
{
	struct memory *m = ctx;

	if (++m->writes == m->fail_at)
		return -1;
	for (int i = 0; i < n; i++)
		buf_put(&m->out, iov[i].iov_base, iov[i].iov_len);
	return 0;
}

static int
memory_finish(void *ctx)
{
	((struct memory *)ctx)->finished = true;
	return 0;
}

static void
memory_abort(void *ctx, bool head_sent)
{
	struct memory *m = ctx;

	m->aborted = true;
	m->abort_saw_head = head_sent;
}

static void
memory_init(struct memory *m)
{
	*m = (struct memory){ .transport = { .ctx = m,
					     .write = memory_write,
					     .finish = memory_finish,
					     .abort = memory_abort,
					     .watch_fd = -1 } };
	buf_init(&m->out, 64 << 20);
}

#endif
