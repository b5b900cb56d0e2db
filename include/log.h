/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One-line logs on stderr, text or JSON.
 *
 * Every line carries time (UTC, ms), level, pid, the request's id when one is
 * set, and the module.  Foreign bytes are escaped, a line is cut at 4 KiB and
 * written with one write(2), errno is preserved.  No module prints; only
 * this one does.  Secrets never reach it: callers mask paths first.
 */
#ifndef ZIPSTREAM_LOG_H
#define ZIPSTREAM_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Before log_init: level info, text, descriptor 2. */
void log_init(enum log_level level, enum log_format format);

/* The id that the following lines carry; NULL: none.  Copied. */
void log_request(const char *id);

void log_line(enum log_level level, const char *module, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERROR, LOG_MODULE, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, LOG_MODULE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, LOG_MODULE, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, LOG_MODULE, __VA_ARGS__)

/* What one request came to; the line that is written once for each. */
struct log_access {
	const char *method;
	const char *path;   /* the secret masked already */
	const char *client; /* address; "" unknown */
	int status;
	int64_t bytes; /* of the body, as sent */
	int64_t files; /* entries finished; -1: not a zip */
	int64_t ms;
	const char *end;   /* "done", "aborted", "client gone", ... */
	const char *cause; /* detail; "" none */
};
void log_access(const struct log_access *a);

#endif
