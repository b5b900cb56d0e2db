/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The store for several machines, on PostgreSQL.
 *
 * Files go in and out a thousand at a time, in one transaction for each
 * operation.  It connects when first used; nothing is held while bytes
 * stream.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store_backend.h"
#include "store_postgres.h"

#include "sql_postgres.h"

#define FETCH_FILES "FETCH 1000 FROM files"
#define VALUE_MAX (1 << 30) /* PostgreSQL takes no more */
#define FILE_COLUMNS 6

static const char *const texts[STATEMENT_COUNT] = {
	[INSERT_BUNDLE] = sql_postgres_insert_bundle,
	[INSERT_FILES] = sql_postgres_insert_files,
	[READ_BUNDLE] = sql_postgres_read_bundle,
	[LOCK_BUNDLE] = sql_postgres_lock_bundle,
	[READ_FILES] = sql_postgres_read_files,
	[EXTEND_BUNDLE] = sql_postgres_extend_bundle,
	[DELETE_BUNDLE] = sql_postgres_delete_bundle,
	[REMEMBER] = sql_postgres_remember,
	[NOTE] = sql_postgres_note,
	[READ_NOTES] = sql_postgres_read_notes,
	[PURGE] = sql_postgres_purge,
	[SCHEMA] = sql_postgres_schema,
	[LOCK_SCHEMA] = sql_postgres_lock_schema,
	[VERSION] = sql_postgres_version,
	[SET_VERSION] = sql_postgres_set_version,
};

struct pg_result *
pg_query(struct store_pg *s, enum statement which,
	 const struct postgres_params *v, struct error *e)
{
	return postgres_query(s->server, s->sql[which], v, e);
}

int
pg_run(struct store_pg *s, enum statement which,
       const struct postgres_params *v, struct error *e)
{
	return postgres_run(s->server, s->sql[which], v, e);
}

/* An enum's value by its name; 0, the default, is stored as NULL. */
static void
add_name(struct postgres_params *v, int value, const char *name)
{
	postgres_add_text(v, value == 0 ? NULL : name);
}

void
pg_init_arrays(struct buf *arrays, size_t n)
{
	while (n-- > 0)
		buf_init(&arrays[n], VALUE_MAX);
}

void
pg_free_arrays(struct buf *arrays, size_t n)
{
	while (n-- > 0)
		buf_free(&arrays[n]);
}

int
pg_run_arrays(struct store_pg *s, enum statement which,
	      struct postgres_params *v, struct buf *arrays, size_t n,
	      struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		buf_putc(&arrays[i], '}');
		if (buf_failed(&arrays[i]))
			return error_memory(e);
		postgres_add_text(v, buf_str(&arrays[i]));
	}
	return pg_run(s, which, v, e);
}

/* A name of one of our enums; absent or strange: its default, 0. */
static uint8_t
read_name(struct postgres_reader *r, int (*from_name)(const char *))
{
	const char *text = postgres_cell(r);
	int value = text == NULL ? 0 : from_name(text);

	return value < 0 ? 0 : (uint8_t)value;
}

static void
read_crc(struct postgres_reader *r, bool *has, uint32_t *crc)
{
	int64_t value = postgres_int(r, -1);

	*has = value >= 0;
	*crc = *has ? (uint32_t)value : 0;
}

static void
pg_close(void *self)
{
	struct store_pg *s = self;
	int i;

	postgres_free(s->server);
	for (i = 0; i < STATEMENT_COUNT; i++)
		free(s->sql[i]);
	free(s);
}

static int
set_up(struct store_pg *s, const struct config *c, struct error *e)
{
	int i;

	s->config = c;
	s->server = postgres_new(c->db_cnxn, c->db_timeout_ms, e);
	if (s->server == NULL)
		return -1;
	for (i = 0; i < STATEMENT_COUNT; i++) {
		s->sql[i] = sql_expand(texts[i], c->table_name);
		if (s->sql[i] == NULL)
			return error_memory(e);
	}
	return 0;
}

static void *
pg_open(const struct config *c, struct transfer_engine *t, struct error *e)
{
	struct store_pg *s;

	(void)t;
	if (!sql_table_valid(c->table_name, true)) {
		error_set(e, ERROR_INTERNAL, "TABLE_NAME is no table's name");
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	if (set_up(s, c, e) == -1) {
		pg_close(s);
		return NULL;
	}
	return s;
}

/* Thousands of workers that stream must not hold thousands of backends. */
static void
pg_release(void *self)
{
	struct store_pg *s = self;

	postgres_hang_up(s->server);
}

/* *added: false when the id is there already. */
static int
insert_bundle(struct store_pg *s, const struct bundle *b, bool *added,
	      struct error *e)
{
	struct postgres_params v = { 0 };
	struct pg_result *r;

	postgres_add_text(&v, b->id);
	postgres_add_text(&v, b->secret);
	postgres_add_text(&v, b->filename);
	postgres_add_int(&v, b->created);
	postgres_add_int(&v, b->expires);
	add_name(&v, b->compression, compression_name(b->compression));
	add_name(&v, b->on_error, on_error_name(b->on_error));
	postgres_add_int(&v, (int64_t)b->count);
	r = pg_query(s, INSERT_BUNDLE, &v, e);
	if (r == NULL)
		return -1;
	*added = postgres_changed(r) == 1;
	postgres_end(r);
	return 0;
}

static int
insert_batch(struct store_pg *s, const char *id, size_t first,
	     const struct file *f, size_t n, struct error *e)
{
	struct buf a[FILE_COLUMNS];
	struct postgres_params v = { 0 };
	int failed;

	postgres_add_text(&v, id);
	postgres_add_int(&v, (int64_t)first);
	pg_init_arrays(a, FILE_COLUMNS);
	for (; n > 0; n--, f++) {
		postgres_put_text(&a[0], f->src);
		postgres_put_text(&a[1], f->dst);
		postgres_put_int(&a[2], f->size >= 0, f->size);
		postgres_put_int(&a[3], f->mtime != BUNDLE_NO_TIME, f->mtime);
		postgres_put_int(&a[4], f->has_crc, f->crc);
		postgres_put_text(&a[5],
				  f->compression == COMPRESSION_DEFAULT
					  ? NULL
					  : compression_name(f->compression));
	}
	failed = pg_run_arrays(s, INSERT_FILES, &v, a, FILE_COLUMNS, e);
	pg_free_arrays(a, FILE_COLUMNS);
	return failed;
}

static int
insert_files(struct store_pg *s, const char *id, size_t first,
	     const struct file *files, size_t count, struct error *e)
{
	size_t i, n;

	for (i = 0; i < count; i += n) {
		n = count - i < PG_BATCH ? count - i : PG_BATCH;
		if (insert_batch(s, id, first + i, files + i, n, e) == -1)
			return -1;
	}
	return 0;
}

int
pg_insert(struct store_pg *s, const struct bundle *b, bool *added,
	  struct error *e)
{
	if (insert_bundle(s, b, added, e) == -1)
		return -1;
	return *added ? insert_files(s, b->id, 0, b->files, b->count, e) : 0;
}

static int
pg_create(void *self, const struct bundle *b, struct error *e)
{
	struct store_pg *s = self;
	bool added;
	int failed;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	failed = pg_insert(s, b, &added, e);
	if (failed == 0 && !added)
		failed = error_set(e, ERROR_INTERNAL, "The id is taken");
	return postgres_finish(s->server, failed, e);
}

static void
copy_bundle(struct postgres_reader *r, struct bundle *out)
{
	const char *secret = postgres_cell(r);

	snprintf(out->secret, sizeof(out->secret), "%s", secret);
	out->filename = postgres_text(r, "");
	out->created = postgres_int(r, 0);
	out->expires = postgres_int(r, 0);
	out->compression = read_name(r, compression_from_name);
	out->on_error = read_name(r, on_error_from_name);
	out->count = (size_t)postgres_int(r, 0);
}

int
pg_find(struct store_pg *s, enum statement which, const char *id,
	const char *secret, struct arena *a, struct bundle *out,
	struct error *e)
{
	struct postgres_reader r = { .arena = a };
	struct postgres_params v = { 0 };
	struct pg_result *result;
	bool found;

	*out = (struct bundle){ 0 };
	postgres_add_text(&v, id);
	postgres_add_int(&v, time(NULL));
	result = pg_query(s, which, &v, e);
	if (result == NULL)
		return -1;
	r.result = result;
	found = postgres_rows(result) == 1;
	if (found)
		copy_bundle(&r, out);
	postgres_end(result);
	if (r.failed)
		return error_memory(e);
	if (!found)
		return store_absent(e);
	snprintf(out->id, sizeof(out->id), "%s", id);
	return store_unlock(secret, out->secret, e);
}

static void
copy_file(struct postgres_reader *r, struct file *f)
{
	f->src = postgres_text(r, NULL);
	f->dst = postgres_text(r, "");
	f->size = postgres_int(r, -1);
	f->mtime = postgres_int(r, BUNDLE_NO_TIME);
	read_crc(r, &f->has_crc, &f->crc);
	f->compression = read_name(r, compression_from_name);
	f->facts.size = postgres_int(r, -1);
	f->facts.packed = postgres_int(r, -1);
	f->facts.mtime = postgres_int(r, BUNDLE_NO_TIME);
	read_crc(r, &f->facts.has_crc, &f->facts.crc);
	f->facts.validator = postgres_text(r, "");
	f->facts.layout = postgres_text(r, "");
	f->facts.checkpoints = postgres_text(r, "");
}

/* The next thousand files of the cursor, to out->files[*have] and on. */
static int
fetch_files(struct store_pg *s, struct arena *a, struct bundle *out,
	    size_t *have, struct error *e)
{
	struct postgres_params none = { 0 };
	struct pg_result *result =
		postgres_query(s->server, FETCH_FILES, &none, e);
	struct postgres_reader r = { .result = result, .arena = a };
	int rows;

	if (result == NULL)
		return -1;
	rows = postgres_rows(result);
	for (; r.row < rows && *have < out->count; r.row++) {
		r.column = 0;
		copy_file(&r, &out->files[(*have)++]);
	}
	postgres_end(result);
	if (r.failed)
		return error_memory(e);
	/* It was removed since its count was read. */
	return rows == 0 ? store_absent(e) : 0;
}

static int
read_files(struct store_pg *s, struct arena *a, struct bundle *out,
	   struct error *e)
{
	struct postgres_params v = { 0 };
	size_t have = 0;
	int failed;

	if (out->count == 0)
		return 0;
	out->files = arena_array(a, out->count, sizeof(*out->files));
	if (out->files == NULL)
		return error_memory(e);
	postgres_add_text(&v, out->id);
	postgres_add_int(&v, (int64_t)out->count);
	failed = pg_run(s, READ_FILES, &v, e);
	while (failed == 0 && have < out->count)
		failed = fetch_files(s, a, out, &have, e);
	return failed;
}

static int
pg_read(void *self, const char *id, const char *secret, struct arena *a,
	struct bundle *out, struct error *e)
{
	struct store_pg *s = self;
	int failed;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	failed = pg_find(s, READ_BUNDLE, id, secret, a, out, e);
	if (failed == 0)
		failed = read_files(s, a, out, e);
	return postgres_finish(s->server, failed, e);
}

static int
append_locked(struct store_pg *s, const char *id, const char *secret,
	      const struct file *files, size_t n, struct error *e)
{
	struct postgres_params v = { 0 };
	struct bundle b;

	if (pg_find(s, LOCK_BUNDLE, id, secret, NULL, &b, e) == -1 ||
	    store_room(s->config, b.count, n, e) == -1 ||
	    insert_files(s, id, b.count, files, n, e) == -1)
		return -1;
	postgres_add_text(&v, id);
	postgres_add_int(&v, (int64_t)n);
	return pg_run(s, EXTEND_BUNDLE, &v, e);
}

static int
pg_append(void *self, const char *id, const char *secret,
	  const struct file *files, size_t n, struct error *e)
{
	struct store_pg *s = self;
	int failed;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	failed = append_locked(s, id, secret, files, n, e);
	return postgres_finish(s->server, failed, e);
}

static int
remove_locked(struct store_pg *s, const char *id, const char *secret,
	      struct error *e)
{
	struct postgres_params v = { 0 };
	struct bundle b;

	if (pg_find(s, LOCK_BUNDLE, id, secret, NULL, &b, e) == -1)
		return -1;
	postgres_add_text(&v, id);
	return pg_run(s, DELETE_BUNDLE, &v, e);
}

static int
pg_remove(void *self, const char *id, const char *secret, struct error *e)
{
	struct store_pg *s = self;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	return postgres_finish(s->server, remove_locked(s, id, secret, e), e);
}

static int
purge_batch(struct store_pg *s, int64_t now, int limit, int64_t *deleted,
	    struct error *e)
{
	struct postgres_params v = { 0 };
	struct pg_result *r;

	postgres_add_int(&v, now);
	postgres_add_int(&v, limit);
	r = pg_query(s, PURGE, &v, e);
	if (r == NULL)
		return -1;
	*deleted = postgres_changed(r);
	postgres_end(r);
	return 0;
}

static int
pg_purge(void *self, int64_t now, int limit, int64_t *deleted, struct error *e)
{
	struct store_pg *s = self;
	int failed;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	failed = purge_batch(s, now, limit, deleted, e);
	return postgres_finish(s->server, failed, e);
}

const struct store_ops store_postgres = {
	.name = "postgres",
	.open = pg_open,
	.close = pg_close,
	.release = pg_release,
	.init = pg_init,
	.import = pg_import,
	.create = pg_create,
	.read = pg_read,
	.append = pg_append,
	.remove = pg_remove,
	.remember = pg_remember,
	.note = pg_note,
	.notes = pg_notes,
	.purge = pg_purge,
};
