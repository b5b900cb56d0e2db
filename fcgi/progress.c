/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A line on a terminal that tells how far a zip is. */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "amount.h"
#include "stats.h"

#define DRAW_MS 100
#define LINE_MAX_BYTES 512
#define BAR_MIN 8 /* cells; with fewer the percentage must do */
#define TIME_MAX (AMOUNT_TEXT + 8)
#define BAR_MAX 40
#define NAME_MAX_COLUMNS 24

void
progress_begin(struct progress *p, const char *name, bool quiet)
{
	*p = (struct progress){
		.on = !quiet && isatty(STDERR_FILENO),
		.name = name,
		.total = -1,
		.begun_ms = stats_now_ms(),
	};
}

/* Tells the time left by bytes where the total is known, else by files. */
static int64_t
seconds_left(const struct progress *p, double seconds)
{
	double done, all;

	if (p->total >= 0) {
		done = (double)(p->bytes - p->kept);
		all = (double)(p->total - p->kept);
	} else {
		done = (double)p->files_done;
		all = (double)p->files_total;
	}
	if (done <= 0 || seconds < 1)
		return -1;
	return (int64_t)(seconds * (all - done) / done + 0.5);
}

/* "[====>    ]  43%", padded to `width` columns. */
static void
put_bar(const struct progress *p, int width, char *out)
{
	double share = p->total > 0 ? (double)p->bytes / (double)p->total : 0;
	int cells = width - 8, full;

	out[0] = '\0';
	if (p->total <= 0 || width < 6)
		return;
	if (share > 1)
		share = 1;
	if (cells < BAR_MIN) {
		snprintf(out, 8, "  %3d%%", (int)(share * 100));
		return;
	}
	if (cells > BAR_MAX)
		cells = BAR_MAX;
	full = (int)(share * cells);
	*out++ = ' ';
	*out++ = '[';
	for (int i = 0; i < cells; i++)
		*out++ = i < full ? '=' : i == full ? '>' : ' ';
	snprintf(out, 8, "] %3d%%", (int)(share * 100));
}

/* "  0:27 left", at the end "  in 0:31", "" while nothing can be told. */
static void
put_time(const struct progress *p, double seconds, char out[TIME_MAX])
{
	int64_t left = seconds_left(p, seconds);
	char time[AMOUNT_TEXT];

	out[0] = '\0';
	if (left <= 0 && p->files_done == p->files_total)
		snprintf(out, TIME_MAX, "  in %s",
			 amount_time(time, (int64_t)seconds));
	else if (left >= 0)
		snprintf(out, TIME_MAX, "  %s left", amount_time(time, left));
}

void
progress_line(const struct progress *p, int64_t now_ms, int width, char *out)
{
	double seconds = (double)(now_ms - p->begun_ms) / 1000;
	double rate = seconds > 0 ? (double)(p->bytes - p->kept) / seconds : 0;
	char done[AMOUNT_TEXT], all[AMOUNT_TEXT + 1] = "", fast[AMOUNT_TEXT];
	char time[TIME_MAX], facts[200], bar[BAR_MAX + 16];
	int name = (int)strnlen(p->name, NAME_MAX_COLUMNS);

	if (p->total >= 0) {
		all[0] = '/';
		amount_bytes(all + 1, p->total);
	}
	put_time(p, seconds, time);
	snprintf(facts, sizeof(facts), "  %s%s  %s/s  %lld/%lld files%s",
		 amount_bytes(done, p->bytes), all,
		 amount_bytes(fast, (int64_t)rate), (long long)p->files_done,
		 (long long)p->files_total, time);
	put_bar(p, width - name - (int)strlen(facts), bar);
	snprintf(out, LINE_MAX_BYTES, "%.*s%s%s", name, p->name, bar, facts);
	if (width > 0 && width < LINE_MAX_BYTES)
		out[width] = '\0';
}

static int
terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		return 79;
	return size.ws_col - 1;
}

static void
draw(struct progress *p)
{
	char line[LINE_MAX_BYTES];

	p->drawn_ms = stats_now_ms();
	progress_line(p, p->drawn_ms, terminal_width(), line);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
}

void
progress_step(struct progress *p)
{
	if (p->on && stats_now_ms() - p->drawn_ms >= DRAW_MS)
		draw(p);
}

void
progress_end(struct progress *p)
{
	if (!p->on)
		return;
	draw(p);
	fputc('\n', stderr);
	p->on = false;
}
