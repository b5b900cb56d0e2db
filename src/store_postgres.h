/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parts of the store on PostgreSQL, above the connection of postgres.h.
 *
 * store_postgres.c is the life of a bundle, postgres_learned.c what downloads
 * leave behind, postgres_schema.c makes the tables, postgres_import.c reads
 * the Node service's.  All but what is marked run inside a transaction.
 */
#ifndef ZIPSTREAM_STORE_POSTGRES_H
#define ZIPSTREAM_STORE_POSTGRES_H

#include "postgres.h"
#include "store.h"

#define PG_BATCH 1000	      /* files in one statement */
#define PG_PATIENCE_MS 600000 /* upgrading and importing may take long */

/* Those of sql/postgres, by name. */
enum statement {
	INSERT_BUNDLE,
	INSERT_FILES,
	READ_BUNDLE,
	LOCK_BUNDLE,
	READ_FILES,
	EXTEND_BUNDLE,
	DELETE_BUNDLE,
	REMEMBER,
	NOTE,
	READ_NOTES,
	PURGE,
	SCHEMA,
	LOCK_SCHEMA,
	VERSION,
	SET_VERSION,
	STATEMENT_COUNT
};

struct store_pg {
	const struct config *config;
	struct postgres *server;
	char *sql[STATEMENT_COUNT];
};

/* postgres_query and postgres_run with one of them. */
struct pg_result *pg_query(struct store_pg *s, enum statement which,
			   const struct postgres_params *v, struct error *e);
int pg_run(struct store_pg *s, enum statement which,
	   const struct postgres_params *v, struct error *e);

/* Columns of a batch: opened, filled by postgres_put_*, closed and given to a
 * statement as its last values, freed in any case. */
void pg_init_arrays(struct buf *arrays, size_t n);
int pg_run_arrays(struct store_pg *s, enum statement which,
		  struct postgres_params *v, struct buf *arrays, size_t n,
		  struct error *e);
void pg_free_arrays(struct buf *arrays, size_t n);

/* The bundle without its files, if it lives and the secret opens it; without
 * its name when there is no arena to put that in. */
int pg_find(struct store_pg *s, enum statement which, const char *id,
	    const char *secret, struct arena *a, struct bundle *out,
	    struct error *e);
/* With its files; *added: false when the id is there already. */
int pg_insert(struct store_pg *s, const struct bundle *b, bool *added,
	      struct error *e);

/* As in struct store_ops: each is a transaction, or several. */
int pg_init(void *self, struct error *e);
int pg_import(void *self, const char *table, int64_t *count, struct error *e);
int pg_remember(void *self, const char *id, const struct store_fact *facts,
		size_t count, struct error *e);
int pg_note(void *self, const char *id, const char *record, struct error *e);
int pg_notes(void *self, const char *id, const char *secret, struct arena *a,
	     struct store_notes *out, struct error *e);

#endif
