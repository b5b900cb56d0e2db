/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of the kinds of source. */
#include "source.h"

#include <string.h>

static const struct source_ops *const table[] = {
	&source_https,
	&source_http,
	&source_s3,
	&source_file,
};

#define SHOWN 40 /* bytes of a foreign scheme that a message repeats */

/* "scheme://": the length of the scheme, 0 when there is none. */
static size_t
scheme_length(const char *src)
{
	const char *end = strstr(src, "://");

	return end != NULL ? (size_t)(end - src) : 0;
}

static int
unsupported(const char *src, size_t n, struct error *e)
{
	return error_set(e, ERROR_INPUT, "Protocol '%.*s' not supported.",
			 (int)(n < SHOWN ? n : SHOWN), src);
}

const struct source_ops *
source_find(const struct config *c, const char *src, struct error *e)
{
	size_t n = scheme_length(src);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct source_ops *ops = table[i];

		if (strlen(ops->scheme) != n ||
		    strncasecmp(src, ops->scheme, n) != 0)
			continue;
		if ((c->fs_interfaces & ops->interface) == 0)
			break;
		return ops;
	}
	unsupported(src, n, e);
	return NULL;
}

bool
source_has_folder(const struct config *c, const char *src)
{
	const struct source_ops *ops = source_find(c, src, NULL);
	size_t n = strlen(src);

	return ops != NULL && ops->expand != NULL &&
	       (src[n - 1] == '/' ||
		(n > 1 && src[n - 1] == '*' && src[n - 2] == '/'));
}

int
source_check(const struct config *c, struct arena *a, const char *src,
	     struct error *e)
{
	const struct source_ops *ops = source_find(c, src, e);

	return ops != NULL ? ops->check(c, a, src, e) : -1;
}

const char *
source_label(struct arena *a, const char *src)
{
	size_t scheme = scheme_length(src), start, end;
	const char *at, *label;

	/* A key of S3 is literal: '?' and '#' belong to it. */
	if (scheme == 2 && strncasecmp(src, "s3", 2) == 0)
		return src;
	start = scheme > 0 ? scheme + 3 : 0;
	end = start + strcspn(src + start, "?#");
	at = memrchr(src + start, '@', strcspn(src + start, "/?#"));
	if (at != NULL)
		label = arena_printf(a, "%.*s%.*s", (int)start, src,
				     (int)(src + end - at - 1), at + 1);
	else
		label = arena_strndup(a, src, end);
	return label != NULL ? label : "";
}
