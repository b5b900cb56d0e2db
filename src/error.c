/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One error vocabulary: code, text for the client, cause for the log. */
#include "error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static const int status_of[ERROR_CODE_COUNT] = {
	[ERROR_NONE] = 200,	    [ERROR_INPUT] = 400,
	[ERROR_AUTH] = 401,	    [ERROR_FORBIDDEN] = 403,
	[ERROR_NOT_FOUND] = 404,    [ERROR_METHOD] = 405,
	[ERROR_PRECONDITION] = 412, [ERROR_TOO_LARGE] = 413,
	[ERROR_MEDIA_TYPE] = 415,   [ERROR_RANGE] = 416,
	[ERROR_INTERNAL] = 500,	    [ERROR_SOURCE] = 502,
	[ERROR_CHANGED] = 502,	    [ERROR_UNAVAILABLE] = 503,
	[ERROR_GONE] = 499,
};

int
error_set(struct error *e, enum error_code code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	e->code = code;
	e->http_status = 0;
	e->cause[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
error_cause(struct error *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(e->cause, sizeof(e->cause), fmt, ap);
	va_end(ap);
	return -1;
}

int
error_memory(struct error *e)
{
	return error_set(e, ERROR_INTERNAL, "Out of memory");
}

bool
error_of_source(const struct error *e)
{
	return e->code == ERROR_SOURCE || e->code == ERROR_CHANGED;
}

int
error_status(enum error_code code)
{
	if (code < 0 || code >= ERROR_CODE_COUNT)
		return 500;
	return status_of[code];
}
