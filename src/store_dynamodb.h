/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parts of the store on DynamoDB, above the protocol of dynamodb.h.
 *
 * dynamodb_item.c knows what items look like, dynamodb_learned.c keeps what
 * downloads leave behind, dynamodb_table.c makes the table; store_dynamodb.c
 * puts them together as a back end.  `self` is a struct dynamodb.
 */
#ifndef ZIPSTREAM_STORE_DYNAMODB_H
#define ZIPSTREAM_STORE_DYNAMODB_H

#include "dynamodb.h"
#include "store.h"

#define DYNAMODB_BODY_MAX (4 << 20) /* more than any item has */

/* The body of a request: opened, the table named; the bundle's key. */
void dynamodb_begin(const struct dynamodb *db, struct buf *b);
void dynamodb_put_key(struct buf *b, const char *id);

/* "name":{"S":"value"} and so on. */
void dynamodb_put_s(struct buf *b, const char *name, const char *value);
void dynamodb_put_n(struct buf *b, const char *name, int64_t value);
/* The value alone. */
void dynamodb_put_files(struct buf *b, const struct file *files, size_t n);
/* All attributes of a bundle's item. */
void dynamodb_put_bundle(struct buf *out, const struct bundle *b);

const char *dynamodb_get_s(const struct json *item, const char *name);
int64_t
dynamodb_get_n(const struct json *item, const char *name, int64_t otherwise);
const struct json *dynamodb_get_list(const struct json *item, const char *name);
int dynamodb_get_bundle(const struct dynamodb *db, const struct json *item,
			struct arena *a, struct bundle *out, struct error *e);

/* What an item of facts, an item of notes holds: no more than there is room
 * for, whatever stands in it. */
void
dynamodb_take_facts(const struct json *item, struct arena *a, struct bundle *b);
int dynamodb_take_notes(const struct json *item, struct arena *a,
			struct store_notes *out, struct error *e);

/* Into the files of a bundle that was read.  All or an error: with some of
 * them missing the bundle would get another layout and another ETag. */
int dynamodb_read_facts(const struct dynamodb *db, struct arena *a,
			struct bundle *b, struct error *e);
int
dynamodb_read_notes(const struct dynamodb *db, const char *id, struct arena *a,
		    struct store_notes *out, struct error *e);
/* As in struct store_ops. */
int
dynamodb_remember(void *self, const char *id, const struct store_fact *facts,
		  size_t n, struct error *e);
int
dynamodb_note(void *self, const char *id, const char *record, struct error *e);
/* What a deleted bundle of `count` files has left: the TTL would get it. */
void dynamodb_forget(const struct dynamodb *db, const char *id, size_t count);

/* As in struct store_ops. */
int dynamodb_table_init(void *self, struct error *e);

#endif
