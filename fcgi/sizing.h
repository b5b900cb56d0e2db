/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How many workers there should be: the pool's arithmetic, without processes.
 *
 * Pure: numbers in, numbers out; clocks are the caller's.
 */
#ifndef ZIPSTREAM_SIZING_H
#define ZIPSTREAM_SIZING_H

#include <stdbool.h>
#include <stdint.h>

#define SIZING_BURST 64 /* forks in a row before the parent looks around */

/* The pool at one moment. */
struct sizing {
	int fixed;     /* workers wanted, idle or not; 0: grow and shrink */
	int min_spare; /* idle workers kept ready */
	int max;       /* workers at most, those of older settings included */
	int live;      /* all that run */
	int current;   /* of these, with the settings in force */
	int idle;
	int starting; /* forked, not idle yet */
	int waiting;  /* connections that nobody has accepted */
};

/* Workers to fork now. */
int sizing_spawn(const struct sizing *s);

/* Workers to retire now; `idle_low` is the lowest idle count of late. */
int sizing_retire(const struct sizing *s, int idle_low);

/* How long to wait before the next fork after `fails` failed starts. */
int64_t sizing_backoff_ms(int fails);

/*
 * Do connections wait longer than `limit_ms`?  Connections are accepted in
 * order, so whatever waited at `since_ms` has been served once the count of
 * accepted connections reaches `target`; a queue that never empties but
 * moves fast is no reason to refuse anybody.
 */
struct sizing_wait {
	int64_t since_ms; /* 0: nothing waits */
	int64_t target;
};
bool sizing_overdue(struct sizing_wait *w, int64_t now_ms, int64_t accepted,
		    int waiting, int64_t limit_ms);

#endif
