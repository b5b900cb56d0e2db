/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The tables: made and upgraded by init, under a lock, not on first use, for
 * the account that serves may have no right to.
 */
#include <stdlib.h>

#include "store_backend.h"
#include "store_postgres.h"

#include "sql_postgres.h"

#define STEP_COUNT (sizeof(sql_postgres_steps) / sizeof(sql_postgres_steps[0]))

static int
read_version(struct store_pg *s, int64_t *version, struct error *e)
{
	struct postgres_params none = { 0 };
	struct pg_result *result = pg_query(s, VERSION, &none, e);
	struct postgres_reader r = { .result = result };

	if (result == NULL)
		return -1;
	*version = postgres_int(&r, 0);
	postgres_end(result);
	return 0;
}

/* Inside a transaction: runs the step unless another process has. */
static int
run_step(struct store_pg *s, size_t i, struct error *e)
{
	const struct sql_step *one = &sql_postgres_steps[i];
	struct postgres_params lock = { 0 }, set = { 0 };
	int64_t version;
	char *sql;
	int failed;

	postgres_add_text(&lock, s->config->table_name);
	if (pg_run(s, LOCK_SCHEMA, &lock, e) == -1 ||
	    postgres_run_text(s->server, s->sql[SCHEMA], e) == -1 ||
	    read_version(s, &version, e) == -1)
		return -1;
	if (version > (int64_t)STEP_COUNT)
		return store_away(e, "the tables are of a newer version");
	if (version > (int64_t)i)
		return 0;
	sql = sql_expand(one->text, s->config->table_name);
	failed = sql == NULL ? error_memory(e)
			     : postgres_run_text(s->server, sql, e);
	free(sql);
	if (failed)
		return -1;
	postgres_add_int(&set, (int64_t)i + 1);
	postgres_add_text(&set, one->name);
	return pg_run(s, SET_VERSION, &set, e);
}

/* Needs no right to change tables when there is nothing to change. */
static bool
is_current(struct store_pg *s)
{
	int64_t version = 0;

	if (postgres_begin(s->server, NULL) == -1 ||
	    postgres_finish(s->server, read_version(s, &version, NULL), NULL))
		return false;
	return version == (int64_t)STEP_COUNT;
}

int
pg_init(void *self, struct error *e)
{
	struct store_pg *s = self;
	int failed = 0;

	if (is_current(s))
		return 0;
	postgres_patience(s->server, PG_PATIENCE_MS);
	for (size_t i = 0; i < STEP_COUNT && failed == 0; i++) {
		failed = postgres_begin(s->server, e);
		if (failed == 0)
			failed = postgres_finish(s->server, run_step(s, i, e),
						 e);
	}
	postgres_patience(s->server, s->config->db_timeout_ms);
	return failed;
}
