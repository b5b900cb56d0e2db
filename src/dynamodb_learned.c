/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What downloads leave behind, in items beside the bundle's: an append never
 * rewrites them, and the bundle's item stays as small as it was.
 *
 * Facts stand FACTS_A_ITEM files to an item under the id "ID/facts/N", how the
 * last downloads ended in a list under "ID/notes".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "facts.h"
#include "stats.h"
#include "store_dynamodb.h"

#define LOG_MODULE "dynamodb"
#include "log.h"

#define FACTS_A_ITEM 100
#define GET_BATCH 100  /* keys in one BatchGetItem, the service's limit */
#define WRITE_BATCH 25 /* requests in one BatchWriteItem, likewise */
#define ID_MAX (BUNDLE_UUID + 32)

/* The body of a request for many items of the table. */
static void
begin_batch(const struct dynamodb *db, struct buf *b)
{
	buf_init(b, DYNAMODB_BODY_MAX);
	buf_puts(b, "{\"RequestItems\":{");
	json_put_string(b, db->config->table_name,
			strlen(db->config->table_name));
	buf_puts(b, ":");
}

static const char *
facts_id(char text[ID_MAX], const char *id, size_t item)
{
	snprintf(text, ID_MAX, "%s/facts/%zu", id, item);
	return text;
}

static const char *
notes_id(char text[ID_MAX], const char *id)
{
	snprintf(text, ID_MAX, "%s/notes", id);
	return text;
}

/* The body of a request for one item. */
static void
begin_item(const struct dynamodb *db, struct buf *b, const char *item_id)
{
	dynamodb_begin(db, b);
	dynamodb_put_key(b, item_id);
}

/* The TTL is that of the bundle, from now on. */
static void
put_expiry(const struct dynamodb *db, struct buf *b)
{
	dynamodb_put_n(b, ":x",
		       (int64_t)time(NULL) +
			       db->config->data_lifetime_min * 60);
}

struct take {
	struct arena *a;
	struct bundle *b;
};

static int
take_member(void *ctx, const char *key, const struct json *v)
{
	struct take *t = ctx;
	size_t position;

	if (key[0] != 'p')
		return 0;
	position = (size_t)strtoull(key + 1, NULL, 10);
	if (position < t->b->count)
		facts_parse(t->a, json_string(json_get(v, "S"), NULL),
			    &t->b->files[position]);
	return 0;
}

void
dynamodb_take_facts(const struct json *item, struct arena *a, struct bundle *b)
{
	struct take take = { .a = a, .b = b };

	json_each(item, take_member, &take);
}

/* A request for items of facts, up to its keys. */
static void
begin_wanted(const struct dynamodb *db, struct buf *b)
{
	begin_batch(db, b);
	/* What the download before has written names the layout: the ETag. */
	buf_puts(b, "{\"ConsistentRead\":true,\"Keys\":[");
}

/* The keys that an answer left out (there is no capacity, or it would pass
 * 16 MB), as the next request's; how many they are. */
static size_t
put_left_out(const struct dynamodb *db, const struct json *answer,
	     struct buf *body)
{
	const struct json *keys =
		json_get(json_get(json_get(answer, "UnprocessedKeys"),
				  db->config->table_name),
			 "Keys");
	size_t n = json_length(keys);

	for (size_t i = 0; i < n; i++) {
		buf_puts(body, i > 0 ? ",{" : "{");
		dynamodb_put_s(body, "id",
			       dynamodb_get_s(json_at(keys, i), "id"));
		buf_puts(body, "}");
	}
	return n;
}

/* One question.  *body, its keys, becomes the next: for what was left out. */
static int
read_wanted(const struct dynamodb *db, struct buf *body, struct arena *a,
	    struct bundle *b, size_t *left_out, struct error *e)
{
	struct json *answer = NULL;
	const struct json *list;
	enum dynamodb_end end;
	int rc;

	buf_puts(body, "]}}}");
	rc = dynamodb_call(db, "BatchGetItem", body, &end, &answer, e);
	buf_free(body);
	if (rc != 0 || end != DYNAMODB_OK)
		return rc != 0 ? rc : dynamodb_refusal(end, e);
	list = json_get(json_get(answer, "Responses"), db->config->table_name);
	for (size_t i = 0; i < json_length(list); i++)
		dynamodb_take_facts(json_at(list, i), a, b);
	begin_wanted(db, body);
	*left_out = put_left_out(db, answer, body);
	json_free(answer);
	return 0;
}

/* Asks until nothing is left out, for DB_TIMEOUT; frees the body. */
static int
read_batch(const struct dynamodb *db, struct buf *body, struct arena *a,
	   struct bundle *b, struct error *e)
{
	int64_t deadline = stats_now_ms() + db->config->db_timeout_ms;
	size_t left_out;

	for (unsigned tries = 0;; tries++) {
		if (read_wanted(db, body, a, b, &left_out, e) != 0)
			return -1;
		if (left_out == 0 || stats_now_ms() >= deadline)
			break;
		dynamodb_pause(tries);
	}
	buf_free(body);
	return left_out == 0 ? 0 : dynamodb_away(e, "items are left out");
}

int
dynamodb_read_facts(const struct dynamodb *db, struct arena *a,
		    struct bundle *b, struct error *e)
{
	size_t items = (b->count + FACTS_A_ITEM - 1) / FACTS_A_ITEM;

	for (size_t from = 0; from < items; from += GET_BATCH) {
		char key[ID_MAX];
		struct buf body;

		begin_wanted(db, &body);
		for (size_t i = from; i < items && i < from + GET_BATCH; i++) {
			buf_puts(&body, i > from ? ",{" : "{");
			dynamodb_put_s(&body, "id", facts_id(key, b->id, i));
			buf_puts(&body, "}");
		}
		if (read_batch(db, &body, a, b, e) != 0)
			return -1;
	}
	return 0;
}

/* Facts that stand in one item, and what stood there before. */
struct rewrite {
	struct arena *a;
	const struct store_fact *facts;
	size_t count;
	const struct json *before;
};

/* "" when there is none. */
static const char *
text_before(const struct rewrite *w, size_t i)
{
	char name[32];

	snprintf(name, sizeof(name), "p%zu", w->facts[i].position);
	return dynamodb_get_s(w->before, name);
}

static void
put_text(struct buf *b, char kind, size_t i, const char *text)
{
	buf_printf(b, ",\":%c%zu\":{\"S\":", kind, i);
	json_put_string(b, text, strlen(text));
	buf_puts(b, "}");
}

static void
put_fact(struct buf *b, const struct rewrite *w, size_t i)
{
	struct facts facts = w->facts[i].facts;
	struct file before = { .src = w->facts[i].src };
	struct buf text;

	facts_clear(&before.facts);
	facts_parse(w->a, text_before(w, i), &before);
	facts_merge(w->a, &facts, &before.facts, w->facts[i].known);
	buf_init(&text, 1 << 20);
	facts_format(&text, &facts, before.src);
	put_text(b, 'f', i, buf_str(&text));
	buf_free(&text);
}

/* What was read must still be there, or another's facts would be lost. */
static void
put_rewrite(const struct dynamodb *db, struct buf *b, const struct rewrite *w)
{
	buf_puts(b, ",\"UpdateExpression\":\"SET expirationDate=:x");
	for (size_t i = 0; i < w->count; i++)
		buf_printf(b, ",p%zu=:f%zu", w->facts[i].position, i);
	buf_puts(b, "\",\"ConditionExpression\":\"");
	for (size_t i = 0; i < w->count; i++) {
		buf_puts(b, i > 0 ? " AND " : "");
		if (text_before(w, i)[0] != '\0')
			buf_printf(b, "p%zu=:o%zu", w->facts[i].position, i);
		else
			buf_printf(b, "attribute_not_exists(p%zu)",
				   w->facts[i].position);
	}
	buf_puts(b, "\",\"ExpressionAttributeValues\":{");
	put_expiry(db, b);
	for (size_t i = 0; i < w->count; i++) {
		put_fact(b, w, i);
		if (text_before(w, i)[0] != '\0')
			put_text(b, 'o', i, text_before(w, i));
	}
	buf_puts(b, "}}");
}

/* Reads the item and writes it anew; *clash: another did so meanwhile. */
static int
rewrite_item(const struct dynamodb *db, const char *id, struct rewrite *w,
	     bool *clash, struct error *e)
{
	char key[ID_MAX];
	struct json *answer = NULL;
	enum dynamodb_end end;
	struct buf body;
	int rc;

	facts_id(key, id, w->facts[0].position / FACTS_A_ITEM);
	begin_item(db, &body, key);
	buf_puts(&body, ",\"ConsistentRead\":true}");
	rc = dynamodb_call(db, "GetItem", &body, &end, &answer, e);
	buf_free(&body);
	if (rc == 0 && end == DYNAMODB_OK) {
		w->before = json_get(answer, "Item");
		begin_item(db, &body, key);
		put_rewrite(db, &body, w);
		rc = dynamodb_call(db, "UpdateItem", &body, &end, NULL, e);
		buf_free(&body);
	}
	json_free(answer);
	*clash = rc == 0 && end == DYNAMODB_CONDITION;
	return rc == 0 && end != DYNAMODB_OK && !*clash
		       ? dynamodb_refusal(end, e)
		       : rc;
}

/* Tries for DB_TIMEOUT: of those who write at the same time one always gets
 * through. */
static int
remember_item(const struct dynamodb *db, const char *id, struct rewrite *w,
	      struct error *e)
{
	int64_t deadline = stats_now_ms() + db->config->db_timeout_ms;
	bool clash;

	for (unsigned tries = 0;; tries++) {
		if (rewrite_item(db, id, w, &clash, e) != 0)
			return -1;
		if (!clash)
			return 0;
		if (stats_now_ms() >= deadline)
			return dynamodb_away(e, "others write the same facts");
		dynamodb_pause(tries);
	}
}

int
dynamodb_remember(void *self, const char *id, const struct store_fact *facts,
		  size_t n, struct error *e)
{
	struct rewrite w = { .a = arena_new(0), .facts = facts };
	int rc = w.a == NULL ? error_memory(e) : 0;

	for (; rc == 0 && n > 0; n -= w.count, w.facts += w.count) {
		size_t item = w.facts->position / FACTS_A_ITEM;

		w.count = 1;
		while (w.count < n && w.count < FACTS_A_ITEM &&
		       w.facts[w.count].position / FACTS_A_ITEM == item)
			w.count++;
		rc = remember_item(self, id, &w, e);
		arena_reset(w.a);
	}
	arena_free(w.a);
	return rc;
}

void
dynamodb_forget(const struct dynamodb *db, const char *id, size_t count)
{
	size_t facts = (count + FACTS_A_ITEM - 1) / FACTS_A_ITEM;

	for (size_t from = 0; from <= facts; from += WRITE_BATCH) {
		enum dynamodb_end end;
		char key[ID_MAX];
		struct error e;
		struct buf body;

		begin_batch(db, &body);
		buf_puts(&body, "[");
		for (size_t i = from; i <= facts && i < from + WRITE_BATCH;
		     i++) {
			buf_printf(&body, "%s{\"DeleteRequest\":{\"Key\":{",
				   i > from ? "," : "");
			dynamodb_put_s(&body, "id",
				       i < facts ? facts_id(key, id, i)
						 : notes_id(key, id));
			buf_puts(&body, "}}}");
		}
		buf_puts(&body, "]}}");
		if (dynamodb_call(db, "BatchWriteItem", &body, &end, NULL,
				  &e) != 0)
			log_debug("facts are left to their TTL: %s", e.cause);
		buf_free(&body);
	}
}

/* Nothing but what is older than the last STORE_NOTES: whoever else does the
 * same at the same time takes away no more. */
static int
trim_notes(const struct dynamodb *db, const char *id, size_t have,
	   struct error *e)
{
	enum dynamodb_end end;
	char key[ID_MAX];
	struct buf body;
	int rc;

	if (have <= STORE_NOTES)
		return 0;
	begin_item(db, &body, notes_id(key, id));
	buf_puts(&body, ",\"UpdateExpression\":\"REMOVE ");
	for (size_t i = STORE_NOTES; i < have; i++)
		buf_printf(&body, "%srecords[%zu]", i > STORE_NOTES ? "," : "",
			   i);
	buf_puts(&body, "\"}");
	rc = dynamodb_call(db, "UpdateItem", &body, &end, NULL, e);
	buf_free(&body);
	return rc;
}

int
dynamodb_note(void *self, const char *id, const char *record, struct error *e)
{
	struct dynamodb *db = self;
	struct json *answer = NULL;
	enum dynamodb_end end;
	char key[ID_MAX];
	struct buf body;
	size_t have;
	int rc;

	begin_item(db, &body, notes_id(key, id));
	buf_puts(&body, ",\"UpdateExpression\":\"SET expirationDate=:x,"
			"records=list_append(:r,if_not_exists(records,:n))\","
			"\"ReturnValues\":\"ALL_NEW\","
			"\"ExpressionAttributeValues\":{");
	put_expiry(db, &body);
	buf_puts(&body, ",\":n\":{\"L\":[]},\":r\":{\"L\":[{\"S\":");
	json_put_string(&body, record, strlen(record));
	buf_puts(&body, "}]}}}");
	rc = dynamodb_call(db, "UpdateItem", &body, &end, &answer, e);
	buf_free(&body);
	have = json_length(
		dynamodb_get_list(json_get(answer, "Attributes"), "records"));
	json_free(answer);
	return rc == 0 ? trim_notes(db, id, have, e) : rc;
}

int
dynamodb_take_notes(const struct json *item, struct arena *a,
		    struct store_notes *out, struct error *e)
{
	const struct json *list = dynamodb_get_list(item, "records");

	for (size_t i = 0; i < json_length(list) && i < STORE_NOTES; i++) {
		out->records[i] = arena_strdup(
			a, json_string(json_get(json_at(list, i), "S"), NULL));
		if (out->records[i] == NULL)
			return error_memory(e);
		out->count++;
	}
	return 0;
}

int
dynamodb_read_notes(const struct dynamodb *db, const char *id, struct arena *a,
		    struct store_notes *out, struct error *e)
{
	struct json *answer = NULL;
	enum dynamodb_end end;
	char key[ID_MAX];
	struct buf body;
	int rc;

	begin_item(db, &body, notes_id(key, id));
	buf_puts(&body, ",\"ConsistentRead\":true}");
	rc = dynamodb_call(db, "GetItem", &body, &end, &answer, e);
	buf_free(&body);
	if (rc == 0)
		rc = dynamodb_take_notes(json_get(answer, "Item"), a, out, e);
	json_free(answer);
	return rc;
}
