/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* http:// and https:// as sources. */
#include <string.h>

#include "http.h"
#include "source.h"

static int
check(const struct config *c, struct arena *a, const char *src, struct error *e)
{
	struct url u;

	if (url_parse(a, src, &u, e) != 0)
		return -1;
	if (url_host_is_address(u.host))
		return error_set(e, ERROR_INPUT,
				 "IP Addresses are not supported");
	if (!url_allowed(c->source_allow, &u))
		return error_set(e, ERROR_INPUT, "Source not allowed: '%.200s'",
				 source_label(a, src));
	return 0;
}

static const char *
name(struct arena *a, const char *src, size_t *len)
{
	struct url u;
	struct error e;
	const char *path;

	if (url_parse(a, src, &u, &e) != 0)
		return NULL;
	path = u.path + strspn(u.path, "/");
	return http_decode(a, path, strlen(path), false, len);
}

static void
add_header(struct transfer_call *call, const char *header, const char *value)
{
	call->headers[call->header_count++] =
		(struct transfer_header){ header, value };
}

static int
prepare(const struct config *c, struct transfer_engine *t, struct arena *a,
	const char *src, const struct source_want *want,
	struct transfer_call *call, struct error *e)
{
	const char *range;
	struct url u;

	(void)c;
	(void)t;
	if (url_parse(a, src, &u, e) != 0)
		return -1;
	call->method = "GET";
	call->url = url_format(a, &u);
	if (call->url == NULL)
		return error_memory(e);
	if (!want->ranged && want->first == 0 && want->last < 0)
		return 0;
	range = want->last >= 0 ? arena_printf(a, "bytes=%lld-%lld",
					       (long long)want->first,
					       (long long)want->last)
				: arena_printf(a, "bytes=%lld-",
					       (long long)want->first);
	if (range == NULL)
		return error_memory(e);
	add_header(call, "Range", range);
	/* RFC 9110, section 13.1.5: another version is then sent whole,
	 * which shows in its validator; a weak tag shows there alone. */
	if (want->validator != NULL && want->validator[0] != '\0' &&
	    !http_etag_weak(want->validator))
		add_header(call, "If-Range", want->validator);
	return 0;
}

const struct source_ops source_http = {
	.scheme = "http",
	.interface = FS_HTTPS,
	.check = check,
	.name = name,
	.prepare = prepare,
	.follows = true,
};

const struct source_ops source_https = {
	.scheme = "https",
	.interface = FS_HTTPS,
	.check = check,
	.name = name,
	.prepare = prepare,
	.follows = true,
};
