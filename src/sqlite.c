/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The only user of SQLite.
 *
 * One file in WAL mode, shared by all workers of one machine.  Writers take
 * the lock up front (BEGIN IMMEDIATE) and wait for it at most DB_TIMEOUT.
 */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stats.h"
#include "store_backend.h"

#include <sqlite3.h>

#define RETRY_US 10000
/* The pause before another look at a lock: this times the number of looks so
 * far, and never more than the second. */
#define LOOK_US 250
#define LOOK_US_MAX 3000
/*
 * Each open file has a lock that the kernel walks past whenever a lock of
 * the same file is taken: with 5,000 of them a read took 0.9 ms and a write
 * 2.6, where 1 takes 0.03 and 0.06.  So many workers keep it open, which
 * saves each request half a millisecond.
 */
#define KEPT_OPEN 128

struct sqlite {
	const struct config *config;
	const struct sqlite_texts *texts;
	char *path;
	sqlite3 *db;  /* NULL: not open */
	dev_t device; /* of the open file, with its inode */
	ino_t inode;
	int64_t patience_end;	 /* of the running wait for a lock */
	bool unsynced;		 /* commits do not wait for the disk just now */
	sqlite3_stmt **prepared; /* NULL: not yet */
};

/* Maps SQLite's word to ours: what time or space may heal is "away". */
static int
fail(struct sqlite *s, int rc, struct error *e)
{
	const char *why = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);

	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return error_memory(e);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		store_away(e, why);
		break;
	default:
		error_set(e, ERROR_INTERNAL, "The store failed");
		break;
	}
	return error_cause(e, "SQLite, %s: %s", s->path, why);
}

/* Runs a text that takes no values and gives no rows. */
static int
run(struct sqlite *s, const char *text, struct error *e)
{
	char *sql = sql_expand(text, s->config->table_name);
	int rc;

	if (sql == NULL)
		return error_memory(e);
	rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	free(sql);
	return rc == SQLITE_OK ? 0 : fail(s, rc, e);
}

/* Prepared once for each connection, and reset after each use. */
int
sqlite_query(struct sqlite *s, size_t which, struct sqlite_query *q,
	     struct error *e)
{
	sqlite3_stmt **st = &s->prepared[which];
	char *sql;
	int rc;

	*q = (struct sqlite_query){ .db = s, .st = *st };
	if (*st != NULL)
		return 0;
	sql = sql_expand(s->texts->statements[which], s->config->table_name);
	if (sql == NULL)
		return error_memory(e);
	rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st,
				NULL);
	free(sql);
	q->st = *st;
	return rc == SQLITE_OK ? 0 : fail(s, rc, e);
}

void
sqlite_end(struct sqlite_query *q)
{
	sqlite3_reset(q->st);
	sqlite3_clear_bindings(q->st);
}

int
sqlite_next(struct sqlite_query *q, struct error *e)
{
	int rc = q->rc == SQLITE_OK ? sqlite3_step(q->st) : q->rc;

	q->column = 0;
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return rc == SQLITE_ROW;
	return fail(q->db, rc, e);
}

int
sqlite_step(struct sqlite_query *q, struct error *e)
{
	int rc = sqlite_next(q, e);

	sqlite_end(q);
	return rc == -1 ? -1 : 0;
}

int
sqlite_corrupt(struct sqlite *s, struct error *e)
{
	return fail(s, SQLITE_CORRUPT, e);
}

void
sqlite_bind_known(struct sqlite_query *q, bool known, int64_t value)
{
	int rc = known ? sqlite3_bind_int64(q->st, ++q->bound, value)
		       : sqlite3_bind_null(q->st, ++q->bound);

	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

void
sqlite_bind_int(struct sqlite_query *q, int64_t value)
{
	sqlite_bind_known(q, true, value);
}

/* Borrowed: every statement is reset before its caller returns. */
void
sqlite_bind_text(struct sqlite_query *q, const char *text)
{
	int rc = sqlite3_bind_text(q->st, ++q->bound, text, -1, SQLITE_STATIC);

	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

const char *
sqlite_cell(struct sqlite_query *q)
{
	const void *text = sqlite3_column_text(q->st, q->column++);

	return text;
}

const char *
sqlite_text(struct sqlite_query *q, const char *absent)
{
	int column = q->column;
	const char *text = sqlite_cell(q);
	char *copy;

	if (q->arena == NULL ||
	    sqlite3_column_type(q->st, column) == SQLITE_NULL)
		return absent;
	/* Without memory SQLite gives NULL for a text that is there. */
	copy = text == NULL ? NULL : arena_strdup(q->arena, text);
	if (copy == NULL)
		q->failed = true;
	return copy;
}

int64_t
sqlite_int(struct sqlite_query *q, int64_t absent)
{
	int column = q->column++;

	if (sqlite3_column_type(q->st, column) == SQLITE_NULL)
		return absent;
	return sqlite3_column_int64(q->st, column);
}

int
sqlite_finish(struct sqlite *s, int failed, struct error *e)
{
	if (failed == 0)
		failed = run(s, "COMMIT", e);
	/* SQLite has rolled back by itself after some errors (disk full). */
	if (failed != 0 && !sqlite3_get_autocommit(s->db))
		run(s, "ROLLBACK", NULL);
	return failed;
}

int64_t
sqlite_changed(const struct sqlite *s)
{
	return sqlite3_changes64(s->db);
}

static void
disconnect(struct sqlite *s)
{
	for (size_t i = 0; i < s->texts->count; i++) {
		sqlite3_finalize(s->prepared[i]);
		s->prepared[i] = NULL;
	}
	sqlite3_close(s->db);
	s->db = NULL;
}

/*
 * Creates an empty file that only its owner can read, because it holds
 * secrets; SQLite gives its side files the same mode.  Opened and closed
 * before SQLite does: closing it later would drop SQLite's POSIX locks.
 */
static int
create_file(struct sqlite *s, struct error *e)
{
	char *slash = strrchr(s->path, '/');
	int fd, made = 0;

	*slash = '\0';
	if (*s->path != '\0')
		made = mkdir(s->path, 0700);
	*slash = '/';
	if (made == -1 && errno != EEXIST)
		goto away;
	fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 && errno != EEXIST)
		goto away;
	if (fd != -1)
		close(fd);
	return 0;
away:
	store_away(e, "");
	return error_cause(e, "%s: %s", s->path, strerror(errno));
}

/* Turning WAL on needs the file alone, and when many processes open a new
 * file at once SQLite tells some "busy" without waiting. */
static int
enter_wal(struct sqlite *s, struct error *e)
{
	int64_t deadline = stats_now_ms() + s->config->db_timeout_ms;
	int rc;

	for (;;) {
		rc = sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", NULL,
				  NULL, NULL);
		if (rc != SQLITE_BUSY || stats_now_ms() >= deadline)
			return rc == SQLITE_OK ? 0 : fail(s, rc, e);
		usleep(RETRY_US);
	}
}

/* The version that the tables have; 0: there are none. */
static int
read_version(struct sqlite *s, int64_t *version, struct error *e)
{
	struct sqlite_query q;
	int rc;

	if (sqlite_query(s, s->texts->version, &q, e) == -1)
		return -1;
	rc = sqlite_next(&q, e);
	if (rc == 1)
		*version = sqlite_int(&q, 0);
	sqlite_end(&q);
	return rc == 1 ? 0 : -1;
}

/* Inside a transaction: runs the step unless another process has. */
static int
run_step(struct sqlite *s, size_t i, struct error *e)
{
	const struct sql_step *one = &s->texts->steps[i];
	struct sqlite_query q;
	int64_t version;

	if (read_version(s, &version, e) == -1)
		return -1;
	if (version > (int64_t)i)
		return 0;
	if (run(s, one->text, e) == -1 ||
	    sqlite_query(s, s->texts->set_version, &q, e) == -1)
		return -1;
	sqlite_bind_int(&q, (int64_t)i + 1);
	sqlite_bind_text(&q, one->name);
	return sqlite_step(&q, e);
}

/* Brings the tables up to date; the usual case costs one read. */
static int
upgrade(struct sqlite *s, struct error *e)
{
	int64_t version = 0;
	size_t i;

	if (read_version(s, &version, NULL) == -1 &&
	    run(s, s->texts->schema, e) == -1)
		return -1;
	if (version > (int64_t)s->texts->step_count)
		return store_away(e, "the tables are of a newer version");
	for (i = (size_t)version; i < s->texts->step_count; i++) {
		if (run(s, "BEGIN IMMEDIATE", e) == -1 ||
		    sqlite_finish(s, run_step(s, i, e), e) == -1)
			return -1;
	}
	return 0;
}

/* SQLite's own pauses grow to 100 ms: among many writers the one that has
 * waited longest would look the least often, and run out of time while the
 * others get the lock within 2 ms. */
static int
on_busy(void *ctx, int looks)
{
	struct sqlite *s = ctx;
	int64_t now = stats_now_ms();
	useconds_t us = looks < LOOK_US_MAX / LOOK_US
				? (useconds_t)(looks + 1) * LOOK_US
				: LOOK_US_MAX;

	if (looks == 0)
		s->patience_end = now + s->config->db_timeout_ms;
	if (now >= s->patience_end)
		return 0;
	usleep(us);
	return 1;
}

static int
set_up(struct sqlite *s, struct error *e)
{
	struct stat st;

	sqlite3_busy_handler(s->db, on_busy, s);
	if (enter_wal(s, e) == -1 || run(s, s->texts->connect, e) == -1 ||
	    upgrade(s, e) == -1)
		return -1;
	if (stat(s->path, &st) == -1)
		return store_away(e, strerror(errno));
	s->device = st.st_dev;
	s->inode = st.st_ino;
	s->unsynced = false;
	return 0;
}

static int
connect_file(struct sqlite *s, struct error *e)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int rc, failed;

	if (create_file(s, e) == -1)
		return -1;
	rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
	failed = rc == SQLITE_OK ? set_up(s, e) : fail(s, rc, e);
	if (failed)
		disconnect(s);
	return failed;
}

/* Ready to work on the file of that name: one that was deleted or replaced
 * under us would take bundles that nobody ever sees again. */
int
sqlite_ready(struct sqlite *s, struct error *e)
{
	struct stat st;

	if (s->db != NULL && (stat(s->path, &st) == -1 ||
			      st.st_ino != s->inode || st.st_dev != s->device))
		disconnect(s);
	return s->db != NULL ? 0 : connect_file(s, e);
}

int
sqlite_begin(struct sqlite *s, struct error *e)
{
	return sqlite_ready(s, e) == -1 ? -1 : run(s, "BEGIN", e);
}

/* In WAL mode NORMAL leaves commits to the next one that is synced. */
static int
set_synced(struct sqlite *s, bool synced, struct error *e)
{
	if (s->unsynced == !synced)
		return 0;
	if (run(s,
		synced ? "PRAGMA synchronous = FULL"
		       : "PRAGMA synchronous = NORMAL",
		e) == -1)
		return -1;
	s->unsynced = !synced;
	return 0;
}

int
sqlite_begin_write(struct sqlite *s, bool synced, struct error *e)
{
	if (sqlite_ready(s, e) == -1 || set_synced(s, synced, e) == -1)
		return -1;
	return run(s, "BEGIN IMMEDIATE", e);
}

/* A path with a slash in it is no special name (":memory:") to SQLite. */
static char *
make_path(const struct config *c)
{
	char *path;
	int n;

	if (*c->db_cnxn == '\0')
		n = asprintf(&path, "%s/zipstream.db", c->state_dir);
	else
		n = asprintf(&path, "%s%s", *c->db_cnxn == '/' ? "" : "./",
			     c->db_cnxn);
	return n == -1 ? NULL : path;
}

struct sqlite *
sqlite_new(const struct config *c, const struct sqlite_texts *texts,
	   struct error *e)
{
	struct sqlite *s = calloc(1, sizeof(*s));

	if (s == NULL)
		goto failed;
	s->config = c;
	s->texts = texts;
	s->path = make_path(c);
	s->prepared = calloc(texts->count, sizeof(*s->prepared));
	if (s->path != NULL && s->prepared != NULL)
		return s;
failed:
	sqlite_free(s);
	error_memory(e);
	return NULL;
}

void
sqlite_free(struct sqlite *s)
{
	if (s == NULL)
		return;
	if (s->db != NULL)
		disconnect(s);
	free(s->prepared);
	free(s->path);
	free(s);
}

const struct config *
sqlite_config(const struct sqlite *s)
{
	return s->config;
}

void
sqlite_rest(struct sqlite *s)
{
	if (s->db == NULL)
		return;
	if (stats_place() < KEPT_OPEN)
		sqlite3_db_release_memory(s->db);
	else
		disconnect(s);
}
