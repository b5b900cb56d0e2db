/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pool's arithmetic: growth, shrinking, back-off, overload. */
#include "sizing.h"

#define SPARE_SLACK 8 /* idle workers over the spare ones that may stay */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_STEPS 7 /* 100 ms doubled seven times: 12.8 s at most */

static int
at_most(int n, int limit)
{
	return n < limit ? n : limit;
}

int
sizing_spawn(const struct sizing *s)
{
	int want;

	if (s->fixed > 0)
		want = s->fixed - s->current;
	else
		want = s->min_spare + s->waiting - s->idle - s->starting;
	want = at_most(at_most(want, s->max - s->live), SIZING_BURST);
	return want > 0 ? want : 0;
}

int
sizing_retire(const struct sizing *s, int idle_low)
{
	int surplus = idle_low - s->min_spare -
		      (s->min_spare > SPARE_SLACK ? s->min_spare : SPARE_SLACK);

	if (s->fixed > 0 || surplus <= 0)
		return 0;
	/* An eighth at a time: fast after a storm, gentle near the end. */
	return (surplus + 7) / 8;
}

int64_t
sizing_backoff_ms(int fails)
{
	if (fails <= 0)
		return 0;
	return (int64_t)BACKOFF_FIRST_MS << at_most(fails - 1, BACKOFF_STEPS);
}

bool
sizing_overdue(struct sizing_wait *w, int64_t now_ms, int64_t accepted,
	       int waiting, int64_t limit_ms)
{
	if (waiting == 0) {
		w->since_ms = 0;
		return false;
	}
	if (w->since_ms == 0 || accepted >= w->target) {
		w->since_ms = now_ms;
		w->target = accepted + waiting;
	}
	return now_ms - w->since_ms >= limit_ms;
}
