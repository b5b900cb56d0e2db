/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a worker holds between requests, and the frame of every answer. */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "credentials.h"
#include "router.h"
#include "source.h"
#include "stats.h"
#include "store.h"
#include "transfer.h"

#define LOG_MODULE "service"
#include "log.h"

/* What a request may take of memory follows from the settings: its files,
 * twice while one is appended, its body as text and as a tree. */
#define ARENA_PER_FILE 4096
#define ARENA_PER_BODY_BYTE 8
#define ARENA_LEAST (INT64_C(16) << 20)

/* What a script on another site may read of an answer. */
#define EXPOSED_HEADERS                                                        \
	"Content-Length, Content-Disposition, Content-Range, Accept-Ranges, "  \
	"ETag, X-Request-Id"

int
service_prepare(const struct config *c, struct error *e)
{
	/* Opens nothing: it is the settings that are tried. */
	struct store *store = store_new(c, NULL, e);

	if (store == NULL)
		return -1;
	store_free(store);
	if (transfer_prepare(c, e) == -1 || source_file_prepare(c, e) == -1)
		return -1;
	if ((c->fs_interfaces & FS_S3) != 0 || c->db_interface == DB_DYNAMODB)
		credentials_prepare(c);
	return 0;
}

static size_t
arena_ceiling(const struct config *c)
{
	int64_t files, body, all;

	if (__builtin_mul_overflow(c->max_files, ARENA_PER_FILE, &files) ||
	    __builtin_mul_overflow(c->max_body, ARENA_PER_BODY_BYTE, &body) ||
	    __builtin_add_overflow(files, body, &all) ||
	    __builtin_add_overflow(all, ARENA_LEAST, &all))
		return SIZE_MAX;
	return (size_t)all;
}

struct service *
service_new(const struct config *c, struct error *e)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	s->config = c;
	s->arena = arena_new(arena_ceiling(c));
	if (s->arena == NULL) {
		error_memory(e);
		goto failed;
	}
	s->engine = transfer_engine_new(c, e);
	if (s->engine == NULL)
		goto failed;
	s->store = store_new(c, s->engine, e);
	if (s->store == NULL)
		goto failed;
	return s;
failed:
	service_free(s);
	return NULL;
}

void
service_free(struct service *s)
{
	if (s == NULL)
		return;
	if (s->store != NULL)
		store_free(s->store);
	if (s->engine != NULL)
		transfer_engine_free(s->engine);
	arena_free(s->arena);
	free(s);
}

/* The headers that every answer of ours bears, whatever becomes of it. */
static void
put_common(const struct config *c, const struct request *r,
	   struct response *resp)
{
	response_header(resp, "X-Request-Id", "%s", r->id);
	if (c->cors_origin[0] != '\0') {
		response_header(resp, "Access-Control-Allow-Origin", "%s",
				c->cors_origin);
		response_header(resp, "Access-Control-Expose-Headers",
				EXPOSED_HEADERS);
	}
	response_keep(resp);
}

static void
show_in_slot(const struct request *r)
{
	struct stats_slot *slot = stats_mine();

	if (slot == NULL)
		return;
	slot->bytes = 0;
	slot->total = -1;
	slot->files_done = 0;
	slot->files_total = 0;
	slot->bundle_id[0] = '\0';
	snprintf(slot->request_id, sizeof(slot->request_id), "%.*s",
		 (int)sizeof(slot->request_id) - 1, r->id);
}

static void
begin(struct service *s, struct exchange *x, struct request *r,
      struct response *resp)
{
	*x = (struct exchange){ .service = s,
				.config = s->config,
				.arena = r->arena,
				.request = r,
				.response = resp,
				.route = -1,
				.access = {
					.files = -1, .end = "", .cause = "" } };
	request_adopt_id(r);
	log_request(r->id);
	show_in_slot(r);
	stats_add(STAT_REQUESTS, 1);
	resp->details = s->config->env != ENV_PRODUCTION;
	put_common(s->config, r, resp);
}

static void
count_answer(const struct exchange *x, int64_t started)
{
	static const enum stats_counter classes[] = {
		[2] = STAT_STATUS_2XX,
		[3] = STAT_STATUS_3XX,
		[4] = STAT_STATUS_4XX,
		[5] = STAT_STATUS_5XX,
	};
	const struct response *r = x->response;
	int class = x->access.status / 100;

	if (class >= 2 && class <= 5)
		stats_add(classes[class], 1);
	stats_answer(x->route + 1, x->access.status);
	if (strcmp(x->access.end, "client gone") == 0)
		stats_add(STAT_CLIENT_GONE, 1);
	if (r->first_byte_ms != 0)
		stats_first_byte(r->first_byte_ms - started);
	/* A 502 has counted the files that it got, and is no zip. */
	if (x->access.files >= 0 && class == 2 && !r->head_only)
		stats_add(r->aborted ? STAT_ZIPS_ABORTED : STAT_ZIPS_DONE, 1);
}

static const char *
end_name(const struct response *r)
{
	if (r->gone)
		return "client gone";
	return r->aborted ? "aborted" : "done";
}

/* Sees to it that the response has ended, and writes down how. */
static void
conclude(struct exchange *x, int64_t started)
{
	struct response *r = x->response;
	struct log_access *a = &x->access;

	if (!r->ended) {
		log_error("a handler has left its answer open");
		response_abort(r);
	}
	a->method = x->request->method_name;
	a->path = request_masked_path(x->request);
	a->client = x->request->client;
	a->status = r->head_sent ? r->status : error_status(ERROR_GONE);
	a->bytes = r->head_only ? 0 : r->sent;
	a->ms = stats_now_ms() - started;
	if (a->end[0] == '\0')
		a->end = end_name(r);
	count_answer(x, started);
	log_access(a);
}

/* A store that has nothing open. */
static int
renew_store(struct service *s, struct error *e)
{
	struct store *fresh = store_new(s->config, s->engine, e);

	if (fresh == NULL)
		return -1;
	store_free(s->store);
	s->store = fresh;
	return 0;
}

int
service_detach(struct exchange *x, struct error *e)
{
	struct transport *t = x->response->transport;
	struct service *s = x->service;
	struct transfer_engine *fresh;
	int rc;

	store_release(s->store);
	if (t->detach == NULL)
		return 0;
	/* SQLite counts a process's locks in its memory: with the file open, a
	 * child would take its parent's for its own, and the last one to close
	 * would delete the log that it writes to. */
	if (renew_store(s, e) != 0)
		return -1;
	rc = t->detach(t->ctx);
	x->detached = rc == 1;
	if (rc == -1)
		return error_set(e, ERROR_UNAVAILABLE,
				 "An export is being written already");
	if (rc == 1)
		return 1;
	/* The slot, and what the other one has open, stay its own. */
	stats_attach(-1);
	fresh = transfer_engine_new(s->config, e);
	if (fresh == NULL)
		return -1;
	s->engine = fresh;
	return renew_store(s, e);
}

void
service_handle(struct service *s, struct request *r, struct response *resp)
{
	int64_t started = stats_now_ms();
	struct exchange x;

	stats_state(SLOT_BUSY);
	begin(s, &x, r, resp);
	router_dispatch(&x);
	if (x.detached) /* who answers concludes, too */
		return;
	store_release(s->store);
	conclude(&x, started);
}

void
service_refuse(struct service *s, struct request *r, struct response *resp)
{
	int64_t started = stats_now_ms();
	struct exchange x;
	struct error e;

	begin(s, &x, r, resp);
	error_set(&e, ERROR_UNAVAILABLE, "All workers are busy");
	x.access.cause = e.text;
	response_error(resp, &e);
	conclude(&x, started);
}
