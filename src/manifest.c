/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A list of files that lies elsewhere. */
#include "manifest.h"

#include <string.h>

#include "fetch.h"
#include "source.h"
#include "url.h"

static int
take_bytes(void *ctx, const void *p, size_t n)
{
	buf_put(ctx, p, n);
	return buf_failed(ctx) ? -1 : 0;
}

/* The settings with which sources are read, but for where from: so redirects
 * are held against MANIFEST_ALLOW as well.  FS_INTERFACES, which says what
 * bundles may name, need not have https for that. */
static struct config
settings_for(const struct config *c)
{
	struct config own = *c;

	own.source_allow = c->manifest_allow;
	own.fs_interfaces |= FS_HTTPS;
	return own;
}

static int
check_url(struct exchange *x, const struct config *c, const char *url,
	  struct error *e)
{
	if (x->config->manifest_allow[0] == '\0')
		return error_set(e, ERROR_FORBIDDEN,
				 "Remote lists are off: see MANIFEST_ALLOW");
	if (strlen(url) > URL_MAX)
		return error_set(e, ERROR_INPUT, "\"manifest\" is too long");
	return source_check(c, x->arena, url, e);
}

static int
stream(struct exchange *x, const struct config *c, const char *url,
       struct buf *text, struct error *e)
{
	const struct fetch_client client = {
		.watch_fd = x->response->transport->watch_fd
	};
	const struct source_want want = { .last = -1 };
	struct fetch *f = fetch_new(c, x->service->engine, &client, e);
	int rc = -1;

	if (f == NULL)
		return -1;
	if (fetch_add(f, url, &want, -1, e) == 0)
		rc = fetch_stream(f, 0, take_bytes, text, e);
	fetch_free(f);
	if (buf_failed(text))
		return error_set(e, ERROR_TOO_LARGE,
				 "The list is larger than MAX_BODY");
	return rc;
}

/* 502 says where the list is; the reason alone would puzzle. */
static int
explain(struct error *e)
{
	char reason[ERROR_TEXT_MAX];

	if (!error_of_source(e))
		return -1;
	memcpy(reason, e->text, sizeof(reason));
	return error_set(e, ERROR_SOURCE, "The manifest: %.400s", reason);
}

/* What was asked for goes before what the list says. */
static void
fill(struct bundle *b, const struct bundle *list)
{
	b->files = list->files;
	b->count = list->count;
	if (b->filename == NULL || b->filename[0] == '\0')
		b->filename = list->filename;
	if (b->compression == COMPRESSION_DEFAULT)
		b->compression = list->compression;
	if (b->on_error == ON_ERROR_DEFAULT)
		b->on_error = list->on_error;
}

int
manifest_read(struct exchange *x, const char *url, struct bundle *b,
	      struct error *e)
{
	struct config c = settings_for(x->config);
	struct bundle list;
	struct buf text;
	int rc;

	if (check_url(x, &c, url, e) != 0)
		return -1;
	buf_init(&text, (size_t)c.max_body);
	rc = stream(x, &c, url, &text, e);
	if (rc != 0)
		explain(e);
	else
		rc = bundle_parse(x->config, x->arena, buf_str(&text), text.len,
				  BUNDLE_NEEDS_FILES, NULL, &list, e);
	if (rc == 0)
		fill(b, &list);
	buf_free(&text);
	return rc;
}
