/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Dates of HTTP (RFC 9110, 5.6.7) and of RFC 3339, without any locale.
 *
 * Times before 1970 and after 9999 are no dates here: no source has them for
 * a reason, and the zip format could not hold them.
 */
#include "http.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIME_LAST INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static const char *const days[] = { "Sunday",	 "Monday",   "Tuesday",
				    "Wednesday", "Thursday", "Friday",
				    "Saturday" };
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* A reader that latches the first mismatch, so that one check is enough. */
struct reader {
	const char *p;
	bool failed;
};

static void
expect(struct reader *r, const char *text)
{
	size_t n = strlen(text);

	if (r->failed || strncmp(r->p, text, n) != 0)
		r->failed = true;
	else
		r->p += n;
}

/* Exactly n digits; the first may be a space when `padded`. */
static int
digits(struct reader *r, int n, bool padded)
{
	int value = 0;

	for (int i = 0; i < n && !r->failed; i++, r->p++) {
		if (*r->p >= '0' && *r->p <= '9')
			value = value * 10 + (*r->p - '0');
		else if (!(padded && i == 0 && *r->p == ' '))
			r->failed = true;
	}
	return value;
}

/* A name of the table by its first `n` letters (0: the whole name). */
static int
word(struct reader *r, const char *const *names, int count, size_t n)
{
	for (int i = 0; i < count && !r->failed; i++) {
		size_t len = n != 0 ? n : strlen(names[i]);

		if (strncmp(r->p, names[i], len) == 0) {
			r->p += len;
			return i;
		}
	}
	r->failed = true;
	return 0;
}

static void
clock_time(struct reader *r, struct tm *tm)
{
	tm->tm_hour = digits(r, 2, false);
	expect(r, ":");
	tm->tm_min = digits(r, 2, false);
	expect(r, ":");
	tm->tm_sec = digits(r, 2, false);
}

/* Seconds of a date that exists; 60 is a leap second.  -1: it does not. */
static int64_t
seconds(const struct tm *tm)
{
	struct tm copy = *tm;
	int64_t t;

	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		return -1;
	copy.tm_sec = 0;
	t = timegm(&copy);
	/* timegm makes March of the 30th of February. */
	if (copy.tm_mday != tm->tm_mday || copy.tm_mon != tm->tm_mon)
		return -1;
	t += tm->tm_sec;
	return t >= 0 && t <= TIME_LAST ? t : -1;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static int64_t
imf_fixdate(const char *text)
{
	struct reader r = { .p = text };
	struct tm tm = { 0 };

	word(&r, days, 7, 3);
	expect(&r, ", ");
	tm.tm_mday = digits(&r, 2, false);
	expect(&r, " ");
	tm.tm_mon = word(&r, months, 12, 3);
	expect(&r, " ");
	tm.tm_year = digits(&r, 4, false) - 1900;
	expect(&r, " ");
	clock_time(&r, &tm);
	expect(&r, " GMT");
	return r.failed || *r.p != '\0' ? -1 : seconds(&tm);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the century that keeps it after 1970. */
static int64_t
rfc850_date(const char *text)
{
	struct reader r = { .p = text };
	struct tm tm = { 0 };

	word(&r, days, 7, 0);
	expect(&r, ", ");
	tm.tm_mday = digits(&r, 2, false);
	expect(&r, "-");
	tm.tm_mon = word(&r, months, 12, 3);
	expect(&r, "-");
	tm.tm_year = digits(&r, 2, false);
	if (tm.tm_year < 70)
		tm.tm_year += 100;
	expect(&r, " ");
	clock_time(&r, &tm);
	expect(&r, " GMT");
	return r.failed || *r.p != '\0' ? -1 : seconds(&tm);
}

/* "Sun Nov  6 08:49:37 1994" */
static int64_t
asctime_date(const char *text)
{
	struct reader r = { .p = text };
	struct tm tm = { 0 };

	word(&r, days, 7, 3);
	expect(&r, " ");
	tm.tm_mon = word(&r, months, 12, 3);
	expect(&r, " ");
	tm.tm_mday = digits(&r, 2, true);
	expect(&r, " ");
	clock_time(&r, &tm);
	expect(&r, " ");
	tm.tm_year = digits(&r, 4, false) - 1900;
	return r.failed || *r.p != '\0' ? -1 : seconds(&tm);
}

int64_t
http_date_parse(const char *text)
{
	int64_t t;

	if (text == NULL)
		return -1;
	t = imf_fixdate(text);
	if (t < 0)
		t = rfc850_date(text);
	return t >= 0 ? t : asctime_date(text);
}

void
http_date_format(int64_t unix_seconds, char *out, size_t size)
{
	time_t t = unix_seconds;
	struct tm tm;

	if (t < 0)
		t = 0;
	if (t > TIME_LAST)
		t = TIME_LAST;
	gmtime_r(&t, &tm);
	snprintf(out, size, "%.3s, %02d %s %d %02d:%02d:%02d GMT",
		 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "Z", "+02:00": seconds east of UTC. */
static int
offset(struct reader *r)
{
	int sign = *r->p == '-' ? -1 : 1;
	int hours, minutes;

	if (*r->p == 'Z' || *r->p == 'z') {
		r->p++;
		return 0;
	}
	if (*r->p != '+' && *r->p != '-') {
		r->failed = true;
		return 0;
	}
	r->p++;
	hours = digits(r, 2, false);
	expect(r, ":");
	minutes = digits(r, 2, false);
	if (hours > 23 || minutes > 59)
		r->failed = true;
	return sign * (hours * 3600 + minutes * 60);
}

int64_t
http_rfc3339_parse(const char *text)
{
	struct reader r = { .p = text };
	struct tm tm = { 0 };
	int64_t t;
	int east;

	tm.tm_year = digits(&r, 4, false) - 1900;
	expect(&r, "-");
	tm.tm_mon = digits(&r, 2, false) - 1;
	expect(&r, "-");
	tm.tm_mday = digits(&r, 2, false);
	if (r.failed || strchr("Tt ", *r.p) == NULL || *r.p == '\0')
		return -1;
	r.p++;
	clock_time(&r, &tm);
	if (!r.failed && *r.p == '.') {
		r.p++;
		digits(&r, 1, false);
		r.p += r.failed ? 0 : strspn(r.p, "0123456789");
	}
	east = r.failed ? 0 : offset(&r);
	if (r.failed || *r.p != '\0')
		return -1;
	t = seconds(&tm);
	return t < 0 || t < east ? -1 : t - east;
}
