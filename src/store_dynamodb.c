/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The store on DynamoDB, for several machines without one of their own.
 *
 * A bundle is an item (dynamodb_item.c), what its downloads learn stands in
 * items beside it (dynamodb_learned.c); every call is whole in itself.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store_backend.h"
#include "store_dynamodb.h"

/* A body past its own ceiling is an item past DynamoDB's. */
static int
call_bounded(const struct dynamodb *db, const char *operation,
	     const struct buf *body, enum dynamodb_end *end, struct error *e)
{
	if (!buf_failed(body))
		return dynamodb_call(db, operation, body, end, NULL, e);
	*end = DYNAMODB_TOO_LARGE;
	return 0;
}

static int
create(void *self, const struct bundle *b, struct error *e)
{
	struct buf body;
	enum dynamodb_end end;
	int rc;

	dynamodb_begin(self, &body);
	buf_puts(&body, ",\"Item\":{");
	dynamodb_put_bundle(&body, b);
	buf_puts(&body, "},\"ConditionExpression\":"
			"\"attribute_not_exists(id)\"}");
	rc = call_bounded(self, "PutItem", &body, &end, e);
	/* A retry meets the item that its first try wrote: ids are random. */
	if (rc == 0 && end != DYNAMODB_OK && end != DYNAMODB_CONDITION)
		rc = dynamodb_refusal(end, e);
	buf_free(&body);
	return rc;
}

static int
read_bundle(void *self, const char *id, const char *secret, struct arena *a,
	    struct bundle *out, struct error *e)
{
	struct json *answer = NULL;
	const struct json *item;
	enum dynamodb_end end;
	struct buf body;
	int rc;

	dynamodb_begin(self, &body);
	dynamodb_put_key(&body, id);
	buf_puts(&body, ",\"ConsistentRead\":true}");
	rc = dynamodb_call(self, "GetItem", &body, &end, &answer, e);
	if (rc == 0 && end != DYNAMODB_OK)
		rc = dynamodb_refusal(end, e);
	item = json_get(answer, "Item");
	/* The TTL deletes late: what has expired is gone for us at once. */
	if (rc == 0 && (item == NULL || dynamodb_get_n(item, "expirationDate",
						       0) <= time(NULL)))
		rc = store_absent(e);
	if (rc == 0)
		rc = store_unlock(secret, dynamodb_get_s(item, "secret"), e);
	if (rc == 0)
		rc = dynamodb_get_bundle(self, item, a, out, e);
	json_free(answer);
	buf_free(&body);
	return rc == 0 ? dynamodb_read_facts(self, a, out, e) : rc;
}

/* Is it the append named `mark` that the bundle has seen last? */
static bool
was_appended(const struct dynamodb *db, const char *id, const char *mark)
{
	struct json *answer = NULL;
	enum dynamodb_end end;
	struct error e;
	struct buf body;
	bool yes;

	dynamodb_begin(db, &body);
	dynamodb_put_key(&body, id);
	buf_puts(&body, ",\"ProjectionExpression\":\"lastAppend\","
			"\"ConsistentRead\":true}");
	yes = dynamodb_call(db, "GetItem", &body, &end, &answer, &e) == 0 &&
	      strcmp(dynamodb_get_s(json_get(answer, "Item"), "lastAppend"),
		     mark) == 0;
	json_free(answer);
	buf_free(&body);
	return yes;
}

/* Why the condition of an append failed. */
static int
append_refused(struct dynamodb *db, const char *id, const char *secret,
	       size_t n, struct error *e)
{
	struct arena *a = arena_new(0);
	struct bundle b;
	int rc = a == NULL ? error_memory(e)
			   : read_bundle(db, id, secret, a, &b, e);

	if (rc == 0)
		rc = store_room(db->config, b.count, n, e);
	if (rc == 0)
		rc = store_absent(e);
	arena_free(a);
	return rc;
}

static int
append(void *self, const char *id, const char *secret, const struct file *files,
       size_t n, struct error *e)
{
	struct dynamodb *db = self;
	enum dynamodb_end end;
	char mark[BUNDLE_UUID];
	struct buf body;
	int rc;

	/* Known by its mark, an append that is tried again because its answer
	 * was lost does not take place twice. */
	if (bundle_uuid(mark) == -1)
		return error_memory(e);
	dynamodb_begin(db, &body);
	dynamodb_put_key(&body, id);
	buf_puts(&body,
		 ",\"UpdateExpression\":\"SET files=list_append("
		 "if_not_exists(files,:e),:f),lastAppend=:k\","
		 "\"ConditionExpression\":\"secret=:s AND expirationDate>:t "
		 "AND (attribute_not_exists(files) OR size(files)<=:m) AND "
		 "(attribute_not_exists(lastAppend) OR lastAppend<>:k)\","
		 "\"ExpressionAttributeValues\":{");
	dynamodb_put_s(&body, ":k", mark);
	buf_puts(&body, ",");
	dynamodb_put_s(&body, ":s", secret);
	buf_puts(&body, ",");
	dynamodb_put_n(&body, ":t", (int64_t)time(NULL));
	buf_puts(&body, ",");
	dynamodb_put_n(&body, ":m", db->config->max_files - (int64_t)n);
	/* The Node service may have kept a bundle without any. */
	buf_puts(&body, ",\":e\":{\"L\":[]},\":f\":");
	dynamodb_put_files(&body, files, n);
	buf_puts(&body, "}}");
	rc = call_bounded(db, "UpdateItem", &body, &end, e);
	buf_free(&body);
	if (rc != 0 || end == DYNAMODB_OK)
		return rc;
	if (end != DYNAMODB_CONDITION)
		return dynamodb_refusal(end, e);
	if (was_appended(db, id, mark))
		return 0;
	return append_refused(db, id, secret, n, e);
}

/* 0 when the bundle is there and the secret opens it. */
static int
look(struct dynamodb *db, const char *id, const char *secret, struct error *e)
{
	struct arena *a = arena_new(0);
	struct bundle b;
	int rc = a == NULL ? error_memory(e)
			   : read_bundle(db, id, secret, a, &b, e);

	arena_free(a);
	return rc;
}

static int
remove_bundle(void *self, const char *id, const char *secret, struct error *e)
{
	struct json *answer = NULL;
	enum dynamodb_end end;
	size_t count = 0;
	struct buf body;
	bool doubt;
	int rc;

	if (look(self, id, secret, e) != 0)
		return -1;
	dynamodb_begin(self, &body);
	dynamodb_put_key(&body, id);
	buf_puts(&body, ",\"ConditionExpression\":\"secret=:s\","
			"\"ReturnValues\":\"ALL_OLD\","
			"\"ExpressionAttributeValues\":{");
	dynamodb_put_s(&body, ":s", secret);
	buf_puts(&body, "}}");
	rc = dynamodb_call_told(self, "DeleteItem", &body, &end, &doubt,
				&answer, e);
	buf_free(&body);
	/* It was there a moment ago: then another has deleted it, or an
	 * earlier try of this call. */
	if (rc == 0 && end == DYNAMODB_CONDITION)
		rc = doubt ? 0 : store_absent(e);
	else if (rc == 0 && end != DYNAMODB_OK)
		rc = dynamodb_refusal(end, e);
	if (rc == 0)
		count = json_length(dynamodb_get_list(
			json_get(answer, "Attributes"), "files"));
	json_free(answer);
	if (rc == 0)
		dynamodb_forget(self, id, count);
	return rc;
}

static int
notes(void *self, const char *id, const char *secret, struct arena *a,
      struct store_notes *out, struct error *e)
{
	struct bundle b;

	if (read_bundle(self, id, secret, a, &b, e) == -1)
		return -1;
	out->files = b.count;
	return dynamodb_read_notes(self, id, a, out, e);
}

/* DynamoDB's own TTL deletes what has expired. */
static int
purge(void *self, int64_t now, int limit, int64_t *deleted, struct error *e)
{
	(void)self;
	(void)now;
	(void)limit;
	(void)e;
	*deleted = 0;
	return 0;
}

static void *
open_store(const struct config *c, struct transfer_engine *t, struct error *e)
{
	struct dynamodb *db = calloc(1, sizeof(*db));

	if (db == NULL) {
		error_memory(e);
		return NULL;
	}
	db->config = c;
	db->engine = t;
	return db;
}

static void
release(void *self)
{
	/* Every call is whole in itself: nothing is held. */
	(void)self;
}

const struct store_ops store_dynamodb = {
	.name = "dynamodb",
	.open = open_store,
	.close = free,
	.release = release,
	.init = dynamodb_table_init,
	.create = create,
	.read = read_bundle,
	.append = append,
	.remove = remove_bundle,
	.remember = dynamodb_remember,
	.note = dynamodb_note,
	.notes = notes,
	.purge = purge,
};
