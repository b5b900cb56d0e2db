/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `zipstream status`: the scoreboard as a table, like a small top.
 *
 * The numbers are read while workers write them: a row may be a mixture of
 * two moments, which the next look puts right.
 */
#include "status_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "amount.h"
#include "buf.h"
#include "scoreboard.h"
#include "stats.h"

#define SCREEN_MAX (4 << 20)
#define ROWS_ALL 100000
#define HOME "\033[H\033[2J"

static const char *const state_names[] = {
	[SLOT_FREE] = "free",	    [SLOT_STARTING] = "starting",
	[SLOT_IDLE] = "idle",	    [SLOT_READING] = "reading",
	[SLOT_BUSY] = "busy",	    [SLOT_SENDING] = "sending",
	[SLOT_LEAVING] = "leaving",
};

static bool
is_state(const struct stats_slot *s, enum stats_state state)
{
	return s->state == (int)state;
}

static void
put_totals(struct buf *out, pid_t pid)
{
	char age[AMOUNT_TEXT], sent[AMOUNT_TEXT], read_[AMOUNT_TEXT];
	int live = 0;

	for (int i = 0; i < stats_slots(); i++)
		live += !is_state(stats_slot(i), SLOT_FREE);
	buf_printf(out, "pool %d, up %s: %d workers of at most %d, %d idle\n",
		   (int)pid, amount_time(age, stats_age_ms() / 1000), live,
		   stats_slots(), stats_idle());
	buf_printf(out,
		   "%lld requests, %lld zips whole, %lld aborted, %lld clients "
		   "gone, %lld refused, %lld died\n",
		   (long long)stats_get(STAT_REQUESTS),
		   (long long)stats_get(STAT_ZIPS_DONE),
		   (long long)stats_get(STAT_ZIPS_ABORTED),
		   (long long)stats_get(STAT_CLIENT_GONE),
		   (long long)stats_get(STAT_REFUSED),
		   (long long)stats_get(STAT_DIED));
	buf_printf(out, "%s sent, %s read from sources, %lld files\n\n",
		   amount_bytes(sent, stats_get(STAT_BYTES_OUT)),
		   amount_bytes(read_, stats_get(STAT_BYTES_IN)),
		   (long long)stats_get(STAT_FILES));
}

/* Who knows an id whole can download the bundle: its head is enough here. */
static void
put_row(struct buf *out, const struct stats_slot *s)
{
	char age[AMOUNT_TEXT], bytes[AMOUNT_TEXT], total[AMOUNT_TEXT] = "-";
	char files[48] = "-", bundle[16] = "-";
	bool zip = s->files_total > 0;

	if (zip && s->total >= 0)
		amount_bytes(total, s->total);
	if (zip)
		snprintf(files, sizeof(files), "%lld/%lld",
			 (long long)s->files_done, (long long)s->files_total);
	if (s->bundle_id[0] != '\0')
		snprintf(bundle, sizeof(bundle), "%.8s...", s->bundle_id);
	buf_printf(out, "%8d  %-8s %6s %9lld %10s %10s %13s  %s\n", (int)s->pid,
		   s->state <= SLOT_LEAVING ? state_names[s->state] : "?",
		   amount_time(age, (stats_now_ms() - s->since_ms) / 1000),
		   (long long)s->requests, amount_bytes(bytes, s->bytes), total,
		   files, bundle);
}

/* Rows of workers that are idle, or of all others, as long as there is room;
 * returns how many were left out. */
static int
put_rows(struct buf *out, bool idle, int *room)
{
	int left_out = 0;

	for (int i = 0; i < stats_slots(); i++) {
		const struct stats_slot *s = stats_slot(i);

		if (is_state(s, SLOT_FREE) || is_state(s, SLOT_IDLE) != idle)
			continue;
		if (*room > 0)
			put_row(out, s);
		else
			left_out++;
		--*room;
	}
	return left_out;
}

static void
put_pool(struct buf *out, pid_t pid, int room)
{
	int more;

	put_totals(out, pid);
	buf_printf(out, "%8s  %-8s %6s %9s %10s %10s %13s  %s\n", "PID",
		   "STATE", "AGE", "REQUESTS", "SENT", "OF", "FILES", "BUNDLE");
	more = put_rows(out, false, &room) + put_rows(out, true, &room);
	if (more > 0)
		buf_printf(out, "%8s  and %d more\n", "", more);
}

/* Returns the number of pools. */
static int
put_pools(struct buf *out, const struct config *c, int room)
{
	pid_t pid = 0;
	int n = 0;

	while ((pid = scoreboard_next(c, pid)) != 0) {
		buf_puts(out, n++ > 0 ? "\n" : "");
		put_pool(out, pid, room);
	}
	if (n == 0)
		buf_printf(out, "No pool is running with STATE_DIR %s\n",
			   c->state_dir);
	return n;
}

static int
screen_rows(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_row == 0)
		return 24;
	return size.ws_row;
}

int
status_command(const struct config *c)
{
	bool screen = isatty(STDOUT_FILENO);
	struct buf out;
	int pools;

	buf_init(&out, SCREEN_MAX);
	for (;;) {
		buf_reset(&out);
		buf_puts(&out, screen ? HOME : "");
		/* Less the lines above and below the rows, and the cursor's */
		pools = put_pools(&out, c,
				  screen ? screen_rows() - 7 : ROWS_ALL);
		fwrite(buf_str(&out), 1, out.len, stdout);
		if (fflush(stdout) == EOF || !screen || pools == 0)
			break;
		sleep(1);
	}
	buf_free(&out);
	return pools > 0 ? 0 : 1;
}
