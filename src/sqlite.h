/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SQLite as the store uses it: one file, its schema, prepared statements.
 *
 * sqlite_begin opens the file when it is not open (or no longer the one of
 * that name), brings its tables up to date and begins a transaction, which
 * sqlite_finish ends.  Within it, statements are known by their numbers and
 * need no care: a bind, a row or a step that fails says so in the end.
 */
#ifndef ZIPSTREAM_SQLITE_H
#define ZIPSTREAM_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "config.h"
#include "error.h"
#include "sql.h"

struct sqlite;
struct sqlite3_stmt; /* the library's */

/* The texts of sql/sqlite that this connection runs. */
struct sqlite_texts {
	const char *connect; /* settings of each connection */
	const char *schema;  /* the table of steps */
	const struct sql_step *steps;
	size_t step_count;
	size_t version; /* these two are statements, by number */
	size_t set_version;
	const char *const *statements;
	size_t count;
};

/* A statement while it takes values and gives rows. */
struct sqlite_query {
	struct sqlite *db;
	struct sqlite3_stmt *st; /* NULL: could not be prepared */
	int bound;		 /* values so far */
	int column;		 /* the next one to be read */
	int rc;			 /* the first failure of a bind */
	struct arena *arena;	 /* NULL: texts are not copied, but absent */
	bool failed;		 /* no memory for a text */
};

/* `texts` is borrowed. */
struct sqlite *sqlite_new(const struct config *c,
			  const struct sqlite_texts *texts, struct error *e);
void sqlite_free(struct sqlite *s);
/* What it was made with. */
const struct config *sqlite_config(const struct sqlite *s);
/* Gives memory back and, in a crowd of workers, the file. */
void sqlite_rest(struct sqlite *s);

/* Opens the file if need be. */
int sqlite_ready(struct sqlite *s, struct error *e);
int sqlite_begin(struct sqlite *s, struct error *e); /* for reading */
/* Takes the lock.  `synced`: what is committed survives a loss of power. */
int sqlite_begin_write(struct sqlite *s, bool synced, struct error *e);
/* Commits when `failed` is 0, else rolls back; the outcome of both. */
int sqlite_finish(struct sqlite *s, int failed, struct error *e);
/* Rows that the last statement inserted, changed or deleted. */
int64_t sqlite_changed(const struct sqlite *s);

/* -1: it cannot be prepared.  The query needs its values, then its rows. */
int sqlite_query(struct sqlite *s, size_t which, struct sqlite_query *q,
		 struct error *e);
/* Values in order.  Texts are borrowed until sqlite_end or sqlite_step. */
void sqlite_bind_int(struct sqlite_query *q, int64_t value);
void sqlite_bind_known(struct sqlite_query *q, bool known, int64_t value);
void sqlite_bind_text(struct sqlite_query *q, const char *text);
/* 1: there is a row; 0: no more; -1: failed. */
int sqlite_next(struct sqlite_query *q, struct error *e);
/* Runs a statement that gives no rows, and ends it. */
int sqlite_step(struct sqlite_query *q, struct error *e);
/* Every query that was not stepped ends with this. */
void sqlite_end(struct sqlite_query *q);
/* Rows are missing that must be there. */
int sqlite_corrupt(struct sqlite *s, struct error *e);

/* Columns in order.  A cell lives until the next row; NULL when it is NULL. */
const char *sqlite_cell(struct sqlite_query *q);
const char *sqlite_text(struct sqlite_query *q, const char *absent);
int64_t sqlite_int(struct sqlite_query *q, int64_t absent);

#endif
