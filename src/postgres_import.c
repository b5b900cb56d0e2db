/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table that the Node service left behind, copied into ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store_postgres.h"

#define LOG_MODULE "store_postgres"
#include "log.h"

#include "sql_postgres.h"

#define FETCH_BUNDLES "FETCH 10 FROM bundles" /* each may be large */

/*
 * One bundle of the Node service, made ours by the rules of the model.  What
 * these refuse is left behind, with a line in the log.
 */
static int
import_one(struct store_pg *s, struct postgres_reader *r, int64_t *count,
	   struct error *e)
{
	const char *id = postgres_text(r, "");
	const char *secret = postgres_text(r, "");
	int64_t expires = postgres_int(r, 0);
	const char *text = postgres_text(r, "");
	struct bundle b;
	bool added;

	if (r->failed)
		return error_memory(e);
	if (!bundle_is_uuid(id) || !bundle_is_uuid(secret)) {
		log_warn("not imported: %s or its secret is no UUID", id);
		return 0;
	}
	if (bundle_parse(s->config, r->arena, text, strlen(text), 0, NULL, &b,
			 e) == -1) {
		log_warn("not imported: %s: %s", id, e->text);
		return e->code == ERROR_INTERNAL ? -1 : 0;
	}
	snprintf(b.id, sizeof(b.id), "%s", id);
	snprintf(b.secret, sizeof(b.secret), "%s", secret);
	b.created = time(NULL);
	b.expires = expires;
	if (pg_insert(s, &b, &added, e) == -1)
		return -1;
	*count += added;
	return 0;
}

/* A few bundles of the cursor; *more: there may be others. */
static int
import_some(struct store_pg *s, struct arena *a, int64_t *count, bool *more,
	    struct error *e)
{
	struct postgres_params none = { 0 };
	struct pg_result *result =
		postgres_query(s->server, FETCH_BUNDLES, &none, e);
	struct postgres_reader r = { .result = result, .arena = a };
	int failed = 0;

	if (result == NULL)
		return -1;
	*more = postgres_rows(result) > 0;
	for (; r.row < postgres_rows(result) && failed == 0; r.row++) {
		arena_reset(a);
		r.column = 0;
		failed = import_one(s, &r, count, e);
	}
	postgres_end(result);
	return failed;
}

static int
import_all(struct store_pg *s, const char *table, int64_t *count,
	   struct error *e)
{
	char *sql = sql_expand(sql_postgres_import, table);
	struct arena *a = arena_new(0);
	bool more = true;
	int failed = -1;

	if (sql == NULL || a == NULL)
		error_memory(e);
	else
		failed = postgres_run_text(s->server, sql, e);
	while (failed == 0 && more)
		failed = import_some(s, a, count, &more, e);
	arena_free(a);
	free(sql);
	return failed;
}

int
pg_import(void *self, const char *table, int64_t *count, struct error *e)
{
	struct store_pg *s = self;
	struct error why = { 0 }; /* of a bundle left behind, too */
	int failed;

	if (!sql_table_valid(table, true))
		return error_set(e, ERROR_INPUT, "That is no table's name");
	postgres_patience(s->server, PG_PATIENCE_MS);
	failed = postgres_begin(s->server, &why);
	if (failed == 0)
		failed = postgres_finish(
			s->server, import_all(s, table, count, &why), &why);
	postgres_patience(s->server, s->config->db_timeout_ms);
	if (failed && e != NULL)
		*e = why;
	return failed;
}
