/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What becomes of a bundle's downloads, told to whoever holds its secret. */
#include "status.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "stats.h"
#include "store.h"

#define LOG_MODULE "status"
#include "log.h"

#define SKIPPED_MAX 20	  /* files that a record names */
#define RECORD_MAX 131072 /* bytes; DynamoDB's items are bounded, too */
#define ANSWER_MAX (STORE_NOTES * RECORD_MAX + 262144)
#define RUNNING_MAX 64 /* downloads that an answer shows */

/* A number of bytes that may not be known. */
static void
put_bytes(struct buf *out, const char *key, int64_t bytes)
{
	if (bytes >= 0)
		buf_printf(out, ",\"%s\":%" PRId64, key, bytes);
	else
		buf_printf(out, ",\"%s\":null", key);
}

/* [{"dst", "status", "reason"}]: what failed, and is not in the zip. */
static void
put_skipped(struct buf *out, const struct delivery_failure *f)
{
	size_t most = out->len + RECORD_MAX / 2;

	buf_puts(out, ",\"skipped\":[");
	for (int n = 0; f != NULL && n < SKIPPED_MAX && out->len < most; n++) {
		buf_puts(out, n > 0 ? ",{" : "{");
		json_put_pair(out, "dst", f->name);
		buf_printf(out, ",\"status\":%d,", f->status);
		json_put_pair(out, "reason",
			      f->reason != NULL ? f->reason : "");
		buf_puts(out, "}");
		f = f->next;
	}
	buf_puts(out, "]");
}

static void
put_record(struct buf *out, const struct status_record *r)
{
	time_t now = time(NULL);

	buf_printf(out, "{\"started\":%" PRId64 ",\"seconds\":%" PRId64 ",",
		   r->started, (int64_t)now - r->started);
	json_put_pair(out, "outcome", r->outcome);
	buf_printf(out, ",\"part\":%s", r->part ? "true" : "false");
	put_bytes(out, "bytes", r->bytes);
	put_bytes(out, "total", r->total);
	buf_printf(out, ",\"filesDone\":%" PRId64 ",\"filesTotal\":%zu",
		   r->files_done, r->files_total);
	put_skipped(out, r->failures);
	if (r->to != NULL) {
		buf_puts(out, ",");
		json_put_pair(out, "to", r->to);
	}
	if (r->reason != NULL) {
		buf_puts(out, ",");
		json_put_pair(out, "reason", r->reason);
	}
	buf_puts(out, "}");
}

void
status_keep(struct store *s, const char *id, const struct status_record *r)
{
	struct error e = { .code = ERROR_NONE };
	struct buf record;
	int rc = 0;

	buf_init(&record, RECORD_MAX);
	put_record(&record, r);
	if (!buf_failed(&record))
		rc = store_note(s, id, buf_str(&record), &e);
	if (rc == -1 && e.code != ERROR_NOT_FOUND)
		log_warn("a delivery is not noted: %s %s", e.text, e.cause);
	buf_free(&record);
}

static bool
is_running(const struct stats_slot *slot, const char *id)
{
	return slot != stats_mine() &&
	       (slot->state == SLOT_BUSY || slot->state == SLOT_SENDING) &&
	       strncmp(slot->bundle_id, id, sizeof(slot->bundle_id)) == 0;
}

/* Other workers write to their slots meanwhile: numbers may be a moment old,
 * never torn.  Returns how many there are. */
static int
put_running(struct buf *out, const char *id)
{
	int64_t now = stats_now_ms();
	int n = 0;

	buf_puts(out, "[");
	for (int i = 0; i < stats_slots() && n < RUNNING_MAX; i++) {
		const struct stats_slot *slot = stats_slot(i);

		if (!is_running(slot, id))
			continue;
		buf_puts(out, n++ > 0 ? ",{" : "{");
		buf_printf(out, "\"seconds\":%" PRId64,
			   (now - slot->since_ms) / 1000);
		put_bytes(out, "bytes", slot->bytes);
		put_bytes(out, "total", slot->total);
		buf_printf(out,
			   ",\"filesDone\":%" PRId64 ",\"filesTotal\":%" PRId64
			   "}",
			   slot->files_done, slot->files_total);
	}
	buf_puts(out, "]");
	return n;
}

static const char *
state_name(int running, const struct store_notes *notes)
{
	static const char done[] = "\"outcome\":\"done\"";

	if (running > 0)
		return "downloading";
	if (notes->count == 0)
		return "never downloaded";
	return strstr(notes->records[0], done) != NULL ? "downloaded"
						       : "broken off";
}

static void
put_status(struct buf *out, const char *id, const struct store_notes *notes)
{
	struct buf running;
	int n;

	buf_init(&running, ANSWER_MAX);
	n = put_running(&running, id);
	buf_puts(out, "{");
	json_put_pair(out, "id", id);
	buf_puts(out, ",");
	json_put_pair(out, "state", state_name(n, notes));
	buf_printf(out, ",\"files\":%zu,\"running\":%s,\"downloads\":[",
		   notes->files, buf_str(&running));
	for (size_t i = 0; i < notes->count; i++) {
		buf_puts(out, i > 0 ? "," : "");
		buf_puts(out, notes->records[i]);
	}
	buf_puts(out, "]}");
	buf_free(&running);
}

int
handle_status(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct store_notes notes;
	struct buf json;

	if (store_notes(x->service->store, p->id, p->secret, x->arena, &notes,
			e) == -1)
		return -1;
	store_release(x->service->store);
	buf_init(&json, ANSWER_MAX);
	put_status(&json, p->id, &notes);
	return response_body(x->response, 200, "application/json", &json, e);
}
