/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What downloads leave behind: facts in the rows of files, and notes. */
#include "store_postgres.h"

#define FACT_COLUMNS 10

static void
put_known_text(struct buf *array, const char *text)
{
	postgres_put_text(array, text == NULL || *text == '\0' ? NULL : text);
}

static int
remember_batch(struct store_pg *s, const char *id,
	       const struct store_fact *fact, size_t n, struct error *e)
{
	struct buf a[FACT_COLUMNS];
	struct postgres_params v = { 0 };
	const struct facts *f;
	int failed;

	postgres_add_text(&v, id);
	pg_init_arrays(a, FACT_COLUMNS);
	for (; n > 0; n--, fact++) {
		f = &fact->facts;
		postgres_put_int(&a[0], true, (int64_t)fact->position);
		postgres_put_text(&a[1], fact->src);
		postgres_put_int(&a[2], f->size >= 0, f->size);
		postgres_put_int(&a[3], f->packed >= 0, f->packed);
		postgres_put_int(&a[4], f->mtime != BUNDLE_NO_TIME, f->mtime);
		postgres_put_int(&a[5], f->has_crc, f->crc);
		put_known_text(&a[6], f->validator);
		put_known_text(&a[7], f->layout);
		put_known_text(&a[8], f->checkpoints);
		put_known_text(&a[9], fact->known);
	}
	failed = pg_run_arrays(s, REMEMBER, &v, a, FACT_COLUMNS, e);
	pg_free_arrays(a, FACT_COLUMNS);
	return failed;
}

int
pg_remember(void *self, const char *id, const struct store_fact *facts,
	    size_t count, struct error *e)
{
	struct store_pg *s = self;
	int failed = 0;
	size_t n;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	for (size_t i = 0; i < count && failed == 0; i += n) {
		n = count - i < PG_BATCH ? count - i : PG_BATCH;
		failed = remember_batch(s, id, facts + i, n, e);
	}
	return postgres_finish(s->server, failed, e);
}

int
pg_note(void *self, const char *id, const char *record, struct error *e)
{
	struct postgres_params v = { .values = { id, record }, .count = 2 };
	struct store_pg *s = self;
	struct bundle b;
	int failed;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	failed = pg_find(s, LOCK_BUNDLE, id, NULL, NULL, &b, e);
	if (failed == 0)
		failed = pg_run(s, NOTE, &v, e);
	return postgres_finish(s->server, failed, e);
}

static int
read_notes(struct store_pg *s, const char *id, struct arena *a,
	   struct store_notes *out, struct error *e)
{
	struct postgres_params v = { .values = { id }, .count = 1 };
	struct pg_result *result = pg_query(s, READ_NOTES, &v, e);
	struct postgres_reader r = { .result = result, .arena = a };

	if (result == NULL)
		return -1;
	for (; r.row < postgres_rows(result) && r.row < STORE_NOTES; r.row++) {
		out->records[out->count++] = postgres_text(&r, "");
		r.column = 0;
	}
	postgres_end(result);
	return r.failed ? error_memory(e) : 0;
}

int
pg_notes(void *self, const char *id, const char *secret, struct arena *a,
	 struct store_notes *out, struct error *e)
{
	struct store_pg *s = self;
	struct bundle b;
	int failed;

	if (postgres_begin(s->server, e) == -1)
		return -1;
	failed = pg_find(s, READ_BUNDLE, id, secret, NULL, &b, e);
	out->files = b.count;
	if (failed == 0)
		failed = read_notes(s, id, a, out, e);
	return postgres_finish(s->server, failed, e);
}
