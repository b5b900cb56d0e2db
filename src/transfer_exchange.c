/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A whole small exchange on top of an engine: it blocks until that is over. */
#include "transfer.h"

#include "stats.h"

struct exchange {
	struct transfer_answer *answer;
	bool done;
	enum transfer_end end;
	const char *reason;
};

static int
take_head(void *ctx, const struct transfer_head *h)
{
	struct transfer_answer *a = ((struct exchange *)ctx)->answer;

	a->status = h->status;
	for (size_t i = 0; i < a->want_count; i++) {
		const char *value = h->get(h, a->want[i]);

		a->got[i] =
			value != NULL ? arena_strdup(a->arena, value) : NULL;
	}
	return 0;
}

static size_t
take_data(void *ctx, const void *p, size_t n)
{
	struct buf *body = ((struct exchange *)ctx)->answer->body;

	buf_put(body, p, n);
	return buf_failed(body) ? TRANSFER_STOP : n;
}

static void
take_end(void *ctx, enum transfer_end end, const char *reason)
{
	struct exchange *x = ctx;

	x->done = true;
	x->end = end;
	x->reason = end == TRANSFER_STOPPED ? "too large an answer" : reason;
}

int
transfer_exchange(struct transfer_engine *t, const struct transfer_call *call,
		  int timeout_ms, struct transfer_answer *answer,
		  struct error *e)
{
	static const struct transfer_events events = { take_head, take_data,
						       take_end };
	struct exchange x = { .answer = answer };
	int64_t deadline = stats_now_ms() + timeout_ms, left;
	struct transfer *transfer;

	answer->status = 0;
	for (size_t i = 0; i < answer->want_count; i++)
		answer->got[i] = NULL;
	transfer = transfer_start(t, call, &events, &x, e);
	if (transfer == NULL)
		return -1;
	while (!x.done && (left = deadline - stats_now_ms()) > 0)
		transfer_turn(t, -1, (int)left);
	if (!x.done) {
		transfer_cancel(transfer);
		x.end = TRANSFER_TIMEOUT;
		x.reason = "timed out";
	}
	return x.end == TRANSFER_OK
		       ? 0
		       : error_set(e, ERROR_UNAVAILABLE, "%s", x.reason);
}
