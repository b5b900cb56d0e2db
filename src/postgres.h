/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A connection to PostgreSQL that never waits longer than it was told.
 *
 *	postgres_new                connects to nothing yet
 *	postgres_begin              connects if need be; a transaction
 *	postgres_run, _query ...    inside it
 *	postgres_finish             commit or roll back
 *	postgres_hang_up            at any time outside of a transaction
 *
 * All calls fail with ERROR_UNAVAILABLE for what time or an operator may
 * heal, and then the connection is closed; with ERROR_INTERNAL for the rest.
 */
#ifndef ZIPSTREAM_POSTGRES_H
#define ZIPSTREAM_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "error.h"

#define POSTGRES_PARAMS 11

struct postgres;
struct pg_result; /* libpq's */

/* The values of a statement, in its order; texts are borrowed. */
struct postgres_params {
	const char *values[POSTGRES_PARAMS];
	char numbers[POSTGRES_PARAMS][24];
	int count;
};

/* A row being read, column by column, into the arena. */
struct postgres_reader {
	const struct pg_result *result;
	int row;
	int column;
	struct arena *arena; /* NULL: texts are not copied, but absent */
	bool failed;	     /* no memory */
};

/* `cnxn` is a URI or conninfo, borrowed. */
struct postgres *
postgres_new(const char *cnxn, int64_t timeout_ms, struct error *e);
void postgres_free(struct postgres *p);
void postgres_hang_up(struct postgres *p);
/* For one answer of the server, from the next transaction on; connecting
 * keeps the time-out it was born with. */
void postgres_patience(struct postgres *p, int64_t ms);

int postgres_begin(struct postgres *p, struct error *e);
/* Commits when `failed` is 0, else rolls back; the outcome of both. */
int postgres_finish(struct postgres *p, int failed, struct error *e);

/* One or more statements without values; their rows are dropped. */
int postgres_run_text(struct postgres *p, const char *text, struct error *e);
/* One statement; its rows are dropped. */
int postgres_run(struct postgres *p, const char *text,
		 const struct postgres_params *v, struct error *e);
/* The same with rows, for postgres_end; NULL: failed. */
struct pg_result *
postgres_query(struct postgres *p, const char *text,
	       const struct postgres_params *v, struct error *e);
void postgres_end(struct pg_result *r);
int postgres_rows(const struct pg_result *r);
/* Rows that a statement inserted, changed or deleted. */
int64_t postgres_changed(struct pg_result *r);

void postgres_add_text(struct postgres_params *v, const char *text);
void postgres_add_int(struct postgres_params *v, int64_t n);

/* One more element of an array in PostgreSQL's text form; NULL and what is
 * not known are NULL.  The caller puts the closing brace. */
void postgres_put_text(struct buf *array, const char *text);
void postgres_put_int(struct buf *array, bool known, int64_t n);

/* The next column; NULL when it is NULL.  Lives as long as the result. */
const char *postgres_cell(struct postgres_reader *r);
const char *postgres_text(struct postgres_reader *r, const char *absent);
int64_t postgres_int(struct postgres_reader *r, int64_t absent);

#endif
