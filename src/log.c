/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One-line logs on descriptor 2, as text or JSON.
 *
 * A line is built in a fixed array, so that it can be written when there is
 * no memory, and in one write(2) of at most PIPE_BUF bytes, so that the lines
 * of many workers on one pipe never mix.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* PIPE_BUF on Linux: atomic on a pipe */
#define LINE_END_BYTES 3    /* quote, brace and newline always fit */
#define PATH_BYTES 2048	    /* of an access line; the parts below ... */
#define CAUSE_BYTES 1024    /* ... and the fixed ones stay under a line */
#define WORD_BYTES 64

struct line {
	char data[LINE_MAX_BYTES];
	size_t len;
};

static enum log_level max_level = LOG_INFO;
static enum log_format format = LOG_TEXT;
static char request_id[40];

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void
log_init(enum log_level level, enum log_format f)
{
	max_level = level;
	format = f;
}

void
log_request(const char *id)
{
	snprintf(request_id, sizeof(request_id), "%s", id != NULL ? id : "");
}

/* Never more than fits: the callers' limits add up to less than a line. */
static void
put(struct line *l, const char *text, size_t n)
{
	if (n > sizeof(l->data) - l->len)
		return;
	memcpy(l->data + l->len, text, n);
	l->len += n;
}

static void __attribute__((format(printf, 2, 3)))
put_format(struct line *l, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(l, text, strlen(text));
}

/* Bytes of the UTF-8 character at p; 0: none, or a C1 control character,
 * which terminals obey (RFC 3629; overlong forms and surrogates refused). */
static size_t
utf8_length(const unsigned char *p)
{
	static const unsigned first[] = { 0, 0, 0xa0, 0x800, 0x10000 };
	size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;
	unsigned code;

	if (n == 0 || *p > 0xf4)
		return 0;
	code = *p & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fu);
	}
	if (code < first[n] || code > 0x10ffff || code >> 11 == 0x1b)
		return 0;
	return n;
}

/* How the character at `p` is written; *used says how long it was. */
static void
escape(const unsigned char *p, size_t *used, char out[8])
{
	size_t n = utf8_length(p);

	*used = n != 0 ? n : 1;
	if (n != 0)
		snprintf(out, 8, "%.*s", (int)n, (const char *)p);
	else if (*p == '\n')
		snprintf(out, 8, "\\n");
	else if (*p == '\\' || (*p == '"' && format == LOG_JSON))
		snprintf(out, 8, "\\%c", *p);
	else if (*p >= 0x20 && *p < 0x7f)
		snprintf(out, 8, "%c", *p);
	else if (format == LOG_JSON)
		snprintf(out, 8, "\\u%04x", *p < 0x80 ? *p : 0xfffd);
	else
		snprintf(out, 8, "\\x%02x", *p);
}

/* Escaped, at most `max` bytes of output. */
static void
put_escaped(struct line *l, const char *text, size_t max)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t end = l->len + max, used;
	char out[8];

	for (; *p != '\0'; p += used) {
		escape(p, &used, out);
		if (l->len + strlen(out) > end)
			return;
		put(l, out, strlen(out));
	}
}

/* ,"name":"text" or  name=text; nothing when there is no text. */
static void
put_field(struct line *l, const char *name, const char *text, size_t max)
{
	if (text == NULL || *text == '\0')
		return;
	put_format(l, format == LOG_JSON ? ",\"%s\":\"" : " %s=", name);
	put_escaped(l, text, max);
	if (format == LOG_JSON)
		put(l, "\"", 1);
}

static void
put_number(struct line *l, const char *name, int64_t n)
{
	put_format(l, format == LOG_JSON ? ",\"%s\":%lld" : " %s=%lld", name,
		   (long long)n);
}

/* Time, level, pid, request and module: how every line begins. */
static void
put_head(struct line *l, enum log_level level, const char *module)
{
	struct timespec now;
	struct tm tm;
	char when[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	put_format(
		l,
		format == LOG_JSON
			? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"pid\":%d"
			: "%s.%03ldZ %-5s %d",
		when, now.tv_nsec / 1000000, level_names[level], (int)getpid());
	if (format == LOG_JSON) {
		put_field(l, "request", request_id, WORD_BYTES);
		put_field(l, "module", module, WORD_BYTES);
		return;
	}
	put_format(l, " %s ", request_id[0] != '\0' ? request_id : "-");
	put_escaped(l, module, WORD_BYTES);
	put(l, ":", 1);
}

/* A line that cannot be written is lost: there is nobody to tell. */
static void
send_line(struct line *l)
{
	ssize_t n;

	put(l, format == LOG_JSON ? "}\n" : "\n", format == LOG_JSON ? 2 : 1);
	do
		n = write(STDERR_FILENO, l->data, l->len);
	while (n < 0 && errno == EINTR);
}

void
log_line(enum log_level level, const char *module, const char *fmt, ...)
{
	struct line l = { .len = 0 };
	char text[LINE_MAX_BYTES];
	int saved = errno;
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_head(&l, level, module);
	put_format(&l, format == LOG_JSON ? ",\"message\":\"" : " ");
	put_escaped(&l, text, sizeof(l.data) - l.len - LINE_END_BYTES);
	if (format == LOG_JSON)
		put(&l, "\"", 1);
	send_line(&l);
	errno = saved;
}

void
log_access(const struct log_access *a)
{
	struct line l = { .len = 0 };
	int saved = errno;

	if (max_level < LOG_INFO)
		return;
	put_head(&l, LOG_INFO, "access");
	put_field(&l, "method", a->method, WORD_BYTES);
	put_field(&l, "path", a->path, PATH_BYTES);
	put_field(&l, "client", a->client, WORD_BYTES);
	put_number(&l, "status", a->status);
	put_number(&l, "bytes", a->bytes);
	if (a->files >= 0)
		put_number(&l, "files", a->files);
	put_number(&l, "ms", a->ms);
	put_field(&l, "end", a->end, WORD_BYTES);
	put_field(&l, "cause", a->cause, CAUSE_BYTES);
	send_line(&l);
	errno = saved;
}
