/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the tests of the SQL stores start from: an empty store with its tables
 * made, in a temporary folder (SQLite) or in tables of its own on the server
 * that ZIPSTREAM_TEST_PG names by a conninfo or URI (PostgreSQL).
 */
#ifndef ZIPSTREAM_TESTS_STORE_FIXTURE_H
#define ZIPSTREAM_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include "sql.h"
#include "store.h"

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#define NOBODY "00000000-0000-4000-8000-000000000000"

/* What each test starts with: an empty store, its tables made. */
struct fixture {
	struct config config;
	char folder[64];
	char table[32];
	char path[128];
	struct store *store;
	struct arena *arena;
	struct error error;
};

static int backend; /* the one that the running group is about */

static inline struct store *
open_store(struct fixture *f)
{
	struct store *s = store_new(&f->config, NULL, &f->error);

	assert_non_null(s);
	return s;
}

static inline int
set_up(void **state)
{
	static int number;
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test-store-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->table, sizeof(f->table), "t%d_%d", (int)getpid(), ++number);
	snprintf(f->path, sizeof(f->path), "%s/new/zip.db", f->folder);
	f->config.db_interface = backend;
	f->config.db_cnxn =
		backend == DB_SQLITE ? f->path : getenv("ZIPSTREAM_TEST_PG");
	f->config.table_name = f->table;
	f->config.db_timeout_ms = 20000;
	f->config.data_lifetime_min = 60;
	f->config.max_files = 10000;
	f->arena = arena_new(0);
	f->store = open_store(f);
	assert_int_equal(store_init(f->store, &f->error), 0);
	*state = f;
	return 0;
}

/* Runs statements beside the store, with the fixture's names put in. */
static inline void
run_sql(struct fixture *f, const char *text)
{
	char *sql = sql_expand(text, f->table);
	sqlite3 *db;
	PGconn *pg;

	if (backend == DB_SQLITE) {
		assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), 0);
		sqlite3_close(db);
	} else {
		pg = PQconnectdb(getenv("ZIPSTREAM_TEST_PG"));
		PQsetNoticeProcessor(pg, NULL, NULL);
		PQclear(PQexec(pg, "SET client_min_messages = error"));
		PQclear(PQexec(pg, sql));
		assert_string_equal(PQerrorMessage(pg), "");
		PQfinish(pg);
	}
	free(sql);
}

static inline int
tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	store_free(f->store);
	arena_free(f->arena);
	if (backend == DB_POSTGRES)
		run_sql(f, "DROP TABLE IF EXISTS {notes}, {files}, {table}, "
			   "{schema}");
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* A file of which only its names are known. */
static inline struct file
plain(const char *src, const char *dst)
{
	struct file f = {
		.src = src,
		.dst = dst,
		.size = -1,
		.mtime = BUNDLE_NO_TIME,
	};

	facts_clear(&f.facts);
	return f;
}

static inline void
create(struct fixture *f, struct bundle *b, struct file *files, size_t n)
{
	*b = (struct bundle){ .filename = "", .files = files, .count = n };
	assert_int_equal(store_create(f->store, b, &f->error), 0);
}

static inline void
read_back(struct fixture *f, const struct bundle *b, struct bundle *out)
{
	assert_int_equal(store_read(f->store, b->id, b->secret, f->arena, out,
				    &f->error),
			 0);
}

#endif
