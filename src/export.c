/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A zip that goes to S3 instead of the client. */
#include "export.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "deliver.h"
#include "expand.h"
#include "json.h"
#include "s3_upload.h"
#include "source.h"
#include "stats.h"
#include "status.h"
#include "store.h"
#include "survey.h"

#define LOG_MODULE "export"
#include "log.h"

/* A member is joined from here on. */
#define JOIN_MIN S3_PART_MIN

struct export
{
	struct exchange *x;
	struct bundle *bundle;
	const char *to;
	struct s3_object object;
	struct plan *plan;
	struct delivery delivery;
	/* The upload's own: it moves while the other one delivers bytes. */
	struct transfer_engine *engine;
	struct s3_upload *upload;
	struct error failure; /* of the upload */
	int64_t started;      /* unix seconds */
	int64_t bytes;
	size_t files; /* that it shall have */
};

/* "s3" in any case, as source_find has it. */
static bool
is_s3(const char *src)
{
	return src != NULL && strncasecmp(src, "s3://", 5) == 0;
}

static bool
list_has(const char *list, const char *name)
{
	size_t n = strlen(name), len;

	for (; *list != '\0'; list += len + (list[len] != '\0')) {
		list += strspn(list, " ");
		len = strcspn(list, ", ");
		if (len == n && memcmp(list, name, n) == 0)
			return true;
	}
	return false;
}

static int
check_target(struct export *x, struct error *e)
{
	const char *allow = x->x->config->export_allow;

	if (!is_s3(x->to))
		return error_set(e, ERROR_INPUT,
				 "\"to\" must be s3://bucket/key.zip");
	if (s3_parse(x->x->arena, x->to, &x->object, e) != 0)
		return -1;
	if (x->object.key[0] == '\0' ||
	    x->object.key[strlen(x->object.key) - 1] == '/')
		return error_set(e, ERROR_INPUT, "\"to\" needs a key");
	if (!list_has(allow, x->object.bucket))
		return error_set(e, ERROR_FORBIDDEN,
				 "Not a bucket to write to: see EXPORT_ALLOW");
	return 0;
}

/* The way of the bytes */

static void
show_bytes(const struct export *x)
{
	struct stats_slot *slot = stats_mine();

	if (slot != NULL)
		slot->bytes = x->bytes;
}

static int
write_zip(void *ctx, const void *p, size_t n)
{
	struct export *x = ctx;

	if (s3_upload_write(x->upload, p, n, &x->failure) != 0)
		return -1;
	x->bytes += (int64_t)n;
	show_bytes(x);
	return 0;
}

static bool
joins(void *ctx, const struct plan_entry *p)
{
	(void)ctx;
	return is_s3(p->file->src) && p->layout == PLAN_STORED && p->has_crc &&
	       p->answered && p->size >= JOIN_MIN;
}

static int
join(void *ctx, const struct plan_entry *p, struct error *e)
{
	struct export *x = ctx;
	const char *etag = p->validator[0] == '"' ? p->validator : "";
	struct s3_object from;

	if (s3_parse(x->x->arena, p->file->src, &from, e) != 0 ||
	    s3_upload_copy(x->upload, &from, etag, p->size, e) != 0)
		return -1;
	x->bytes += p->size;
	show_bytes(x);
	return 0;
}

static void
note_file(void *ctx, const struct plan_entry *p)
{
	struct export *x = ctx;
	struct stats_slot *slot = stats_mine();

	(void)p;
	stats_add(STAT_FILES, 1);
	if (slot != NULL)
		slot->files_done = x->delivery.files_done;
}

/* The survey */

/* Could it be joined, if more were known of it? */
static bool
is_candidate(const struct plan_entry *p)
{
	return is_s3(p->file->src) && !p->answered &&
	       (p->size < 0 || p->size >= JOIN_MIN) &&
	       (p->layout == PLAN_STORED || p->layout == PLAN_OPEN);
}

/* S3's own checksums and versions; what fails here fails again when it is
 * read, and is told then. */
static int
ask_candidates(struct export *x, struct error *e)
{
	struct plan *plan = x->plan;
	struct fetch_probe *probes =
		arena_array(x->x->arena, plan->count + 1, sizeof(*probes));
	struct fetch_client nobody = { .watch_fd = -1 };
	struct error seen;
	size_t n = 0;

	if (probes == NULL)
		return error_memory(e);
	for (size_t i = 0; i < plan->count; i++) {
		if (is_candidate(&plan->entries[i]))
			probes[n++].src = plan->entries[i].file->src;
	}
	if (n == 0)
		return 0;
	if (fetch_probe(x->x->config, x->x->service->engine, &nobody,
			x->x->arena, probes, n, NULL, e) != 0)
		return -1;
	n = 0;
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_entry *p = &plan->entries[i];
		const struct fetch_probe *probe = &probes[n];

		if (!is_candidate(p))
			continue;
		n++;
		if (!probe->failed &&
		    plan_learn(plan, p, &probe->facts, &seen) == 0)
			plan_choose(p, NULL, 0, false);
	}
	return 0;
}

/* The caller has many sources: which was it? */
static int
refuse_folder(const struct delivery_failure *f, struct error *e)
{
	return error_set(e, ERROR_SOURCE, "%.200s: %.250s", f->file->src,
			 f->reason);
}

static int
prepare(struct export *x, struct error *e)
{
	struct exchange *ex = x->x;
	const struct fetch_client nobody = { .watch_fd = -1 };
	struct delivery_failure *missing = NULL;

	if (expand_needed(x->bundle) &&
	    expand_bundle(ex->config, ex->service->engine, ex->arena, x->bundle,
			  &missing, e) != 0)
		return missing != NULL && error_of_source(e)
			       ? refuse_folder(missing, e)
			       : -1;
	x->plan = plan_new(ex->arena, ex->config, x->bundle, e);
	if (x->plan == NULL)
		return -1;
	delivery_init(&x->delivery, ex->arena, ex->config, ex->service->engine,
		      x->plan, &nobody, write_zip, x);
	x->delivery.progress = note_file;
	x->delivery.joins = joins;
	x->delivery.join = join;
	x->delivery.missing = missing;
	x->files = delivery_files(&x->delivery);
	return 0;
}

/* The answer, and the work after it */

/* {"id", "secret", "expirationDate", "to", "status"} */
static int
answer(struct export *x, struct error *e)
{
	const struct bundle *b = x->bundle;
	const char *link = arena_printf(x->x->arena, "%s/%s/%s/status",
					x->x->request->mount, b->id, b->secret);
	struct buf json;

	if (link == NULL)
		return error_memory(e);
	buf_init(&json, 65536);
	buf_puts(&json, "{");
	json_put_pair(&json, "id", b->id);
	buf_puts(&json, ",");
	json_put_pair(&json, "secret", b->secret);
	buf_printf(&json, ",\"expirationDate\":%lld,", (long long)b->expires);
	json_put_pair(&json, "to", x->to);
	buf_puts(&json, ",");
	json_put_pair(&json, "status", link);
	buf_puts(&json, "}");
	response_header(x->x->response, "Location", "%s", link);
	return response_body(x->x->response, 202, "application/json", &json, e);
}

static void
show_begin(const struct export *x)
{
	struct stats_slot *slot = stats_mine();

	if (slot == NULL)
		return;
	slot->bytes = 0;
	slot->files_total = (int64_t)x->files;
	memcpy(slot->bundle_id, x->bundle->id, sizeof(x->bundle->id));
	stats_state(SLOT_SENDING);
}

static int
deliver(struct export *x, struct error *e)
{
	struct stats_slot *slot = stats_mine();

	if (ask_candidates(x, e) != 0 ||
	    survey_run(&x->delivery, true, false, e) != 0)
		return -1;
	if (slot != NULL)
		slot->total = x->plan->total;
	s3_upload_expect(x->upload, x->plan->total);
	if (deliver_whole(&x->delivery, e) != 0)
		return -1;
	return s3_upload_finish(x->upload, e);
}

static const char *
why(const struct export *x, const struct error *e)
{
	if (x->failure.code != ERROR_NONE)
		return x->failure.text;
	return e->text;
}

static void
keep_status(struct export *x, int rc, const struct error *e)
{
	const struct status_record record = {
		.started = x->started,
		.outcome = rc == 0 ? "done" : "failed",
		.bytes = x->bytes,
		.total = x->plan->total,
		.files_done = x->delivery.files_done,
		.files_total = x->files,
		.failures = x->delivery.failures,
		.to = x->to,
		.reason = rc == 0 ? NULL : why(x, e),
	};

	status_keep(x->x->service->store, x->bundle->id, &record);
	x->x->access.files = x->delivery.files_done;
	x->x->access.end = rc == 0 ? "exported" : "export failed";
	if (rc != 0)
		x->x->access.cause = arena_strdup(x->x->arena, why(x, e));
	if (x->x->access.cause == NULL)
		x->x->access.cause = "";
}

/* -1: nothing was answered. */
static int
run(struct export *x, struct error *e)
{
	const struct config *c = x->x->config;
	bool failed;
	int rc = service_detach(x->x, e);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	rc = -1;
	if (prepare(x, e) != 0)
		return -1;
	store_release(x->x->service->store);
	x->engine = transfer_engine_new(c, e);
	if (x->engine != NULL)
		x->upload = s3_upload_begin(c, x->engine, &x->object,
					    "application/zip", e);
	if (x->upload == NULL)
		goto out;
	show_begin(x);
	rc = answer(x, e);
	failed = rc != 0 || deliver(x, e) != 0;
	if (failed)
		s3_upload_abort(x->upload);
	if (rc == 0)
		keep_status(x, failed ? -1 : 0, e);
out:
	s3_upload_free(x->upload);
	if (x->engine != NULL)
		transfer_engine_free(x->engine);
	delivery_fini(&x->delivery);
	return rc;
}

int
export_new(struct exchange *x, struct bundle *b, const char *to,
	   struct error *e)
{
	struct export ex = {
		.x = x, .bundle = b, .to = to, .started = time(NULL)
	};
	struct error unheard;

	if (check_target(&ex, e) != 0 ||
	    store_create(x->service->store, b, e) != 0)
		return -1;
	if (run(&ex, e) == 0)
		return 0;
	/* Nobody has learned of it; at the worst it stays till it expires. */
	if (store_remove(x->service->store, b->id, b->secret, &unheard) != 0)
		log_warn("an export that was refused is kept: %s",
			 unheard.text);
	return -1;
}

/* The document's one member. */
static int
read_target(struct exchange *x, const char **to, struct error *e)
{
	struct json_cut cut;
	struct json *root = json_parse_cut(buf_str(&x->document),
					   x->document.len, "files", &cut, e);
	int rc;

	if (root == NULL)
		return -1;
	rc = bundle_member(x->arena, root, "to", to, e);
	if (rc == 0 && *to == NULL)
		rc = error_set(e, ERROR_INPUT, "\"to\" is required");
	json_free(root);
	return rc;
}

int
handle_export(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct bundle b;
	struct export ex = { .x = x, .bundle = &b, .started = time(NULL) };

	if (read_target(x, &ex.to, e) != 0)
		return -1;
	buf_free(&x->document);
	if (store_read(x->service->store, p->id, p->secret, x->arena, &b, e) !=
		    0 ||
	    check_target(&ex, e) != 0)
		return -1;
	return run(&ex, e);
}
