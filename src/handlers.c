/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The endpoints of bundles: what is asked for, and who answers it.
 *
 * A bundle is read before its answer begins and the store is released before
 * the first byte goes out: a slow client holds no connection.
 */
#include "handlers.h"

#include "download.h"
#include "export.h"
#include "landing.h"
#include "manifest.h"
#include "store.h"

#define PIECE 32768 /* bytes of JSON made before they are written */

/* A file's strings came out of one body; escaping makes a byte six at most. */
#define ESCAPED_MAX 6

/* The request's document as a bundle; the document is not held while the zip
 * streams. */
static int
take_body(struct exchange *x, unsigned needs, const struct bundle *taken,
	  struct bundle *out, struct error *e)
{
	int rc = bundle_parse(x->config, x->arena, buf_str(&x->document),
			      x->document.len, needs, taken, out, e);

	buf_free(&x->document);
	return rc;
}

int
handle_health(struct exchange *x, const struct route_params *p, struct error *e)
{
	(void)p;
	(void)e;
	response_header(x->response, "Cache-Control", "no-store");
	response_text(x->response, 200, "text/plain; charset=utf-8", "OK", 2);
	return 0;
}

/* Writes what has come together, once it is `least` bytes. */
static int
write_piece(struct response *r, struct buf *piece, size_t least,
	    struct error *e)
{
	if (buf_failed(piece))
		return error_memory(e);
	if (piece->len < least)
		return 0;
	if (response_write(r, piece->data, piece->len) == -1)
		return error_set(e, ERROR_GONE, "client gone");
	buf_reset(piece);
	return 0;
}

static int
write_bundle(struct response *r, struct buf *piece, const struct bundle *b,
	     struct error *e)
{
	bundle_put_head(piece, b);
	for (size_t i = 0; i < b->count; i++) {
		bundle_put_file(piece, &b->files[i], i);
		if (write_piece(r, piece, PIECE, e) == -1)
			return -1;
	}
	bundle_put_tail(piece, b);
	return write_piece(r, piece, 1, e);
}

static int
send_bundle(struct exchange *x, int status, struct bundle *b, struct error *e)
{
	struct response *r = x->response;
	struct buf piece;
	int rc;

	store_release(x->service->store);
	if (bundle_tell_apart(x->arena, b, e) != 0)
		return -1;
	response_status(r, status);
	response_header(r, "Content-Type", "application/json");
	response_header(r, "Cache-Control", "no-store");
	response_header(r, "X-Content-Type-Options", "nosniff");
	buf_init(&piece, PIECE + ESCAPED_MAX * (size_t)x->config->max_body);
	rc = write_bundle(r, &piece, b, e);
	buf_free(&piece);
	if (rc == 0)
		response_finish(r);
	return rc;
}

int
handle_create(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct bundle b;

	(void)p;
	if (take_body(x, BUNDLE_NEEDS_NAME, NULL, &b, e) == -1 ||
	    store_create(x->service->store, &b, e) == -1)
		return -1;
	return send_bundle(x, 201, &b, e);
}

int
handle_show(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct bundle b;

	if (store_read(x->service->store, p->id, p->secret, x->arena, &b, e) ==
	    -1)
		return -1;
	return send_bundle(x, 200, &b, e);
}

int
handle_append(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct store *s = x->service->store;
	struct bundle taken, added, whole;

	if (store_read(s, p->id, p->secret, x->arena, &taken, e) == -1 ||
	    take_body(x, BUNDLE_NEEDS_FILES | BUNDLE_ONLY_FILES, &taken, &added,
		      e) == -1 ||
	    store_append(s, p->id, p->secret, added.files, added.count, e) ==
		    -1 ||
	    store_read(s, p->id, p->secret, x->arena, &whole, e) == -1)
		return -1;
	return send_bundle(x, 200, &whole, e);
}

int
handle_remove(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct store *s = x->service->store;
	struct bundle b;

	if (store_read(s, p->id, p->secret, x->arena, &b, e) == -1 ||
	    store_remove(s, p->id, p->secret, e) == -1)
		return -1;
	return send_bundle(x, 200, &b, e);
}

int
handle_stream(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct bundle b;

	(void)p;
	if (take_body(x, BUNDLE_NEEDS_LIST, NULL, &b, e) == -1)
		return -1;
	if (b.manifest != NULL && manifest_read(x, b.manifest, &b, e) != 0)
		return -1;
	return b.to == NULL ? download_run(x, &b, false, e)
			    : export_new(x, &b, b.to, e);
}

int
handle_download(struct exchange *x, const struct route_params *p,
		struct error *e)
{
	struct bundle b;

	if (store_read(x->service->store, p->id, NULL, x->arena, &b, e) != 0)
		return -1;
	store_release(x->service->store);
	if (x->config->landing_page)
		response_header(x->response, "Vary", "Accept");
	if (landing_wanted(x))
		return landing_show(x, &b, e);
	return download_run(x, &b, true, e);
}

int
handle_manifest(struct exchange *x, const struct route_params *p,
		struct error *e)
{
	const char *url = request_query(x->request, "manifest");
	struct bundle b = { .created = 0 };

	(void)p;
	if (url == NULL)
		return error_set(e, ERROR_INPUT, "\"manifest\" is required");
	if (manifest_read(x, url, &b, e) != 0)
		return -1;
	return download_run(x, &b, false, e);
}
