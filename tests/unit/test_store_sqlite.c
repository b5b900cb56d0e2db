/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* SQLite's file: private, replaced, locked, full, out of reach. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "stats.h"

static void
keeps_its_file_private(void **state)
{
	struct fixture *f = *state;
	char folder[80], wal[160];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s/new", f->folder);
	snprintf(wal, sizeof(wal), "%s-wal", f->path);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
notices_a_replaced_file(void **state)
{
	struct fixture *f = *state;
	struct bundle b, got;
	struct store *other;

	create(f, &b, NULL, 0);
	assert_int_equal(unlink(f->path), 0);
	create(f, &b, NULL, 0);
	other = open_store(f);
	assert_int_equal(
		store_read(other, b.id, NULL, f->arena, &got, &f->error), 0);
	store_free(other);
}

static void
waits_for_a_lock_no_longer_than_set(void **state)
{
	struct fixture *f = *state;
	struct bundle b = { .filename = "" }, got;
	int64_t start;
	sqlite3 *db;

	create(f, &b, NULL, 0);
	store_free(f->store);
	f->config.db_timeout_ms = 300;
	f->store = open_store(f);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", 0, 0, 0), 0);
	start = stats_now_ms();
	read_back(f, &b, &got); /* readers do not wait for a writer */
	assert_int_equal(store_create(f->store, &b, &f->error), -1);
	assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
	assert_in_range(stats_now_ms() - start, 250, 2000);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", 0, 0, 0), 0);
	sqlite3_close(db);
	assert_int_equal(store_create(f->store, &b, &f->error), 0);
}

/* A limit on file sizes fails a write as a full disk does. */
static void
survives_a_full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, small;
	struct file files[2000];
	struct bundle b, got;
	size_t i;

	for (i = 0; i < 2000; i++)
		files[i] = plain("https://a.example/some/path", "a");
	create(f, &b, files, 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 131072;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, files, 2000, &f->error),
		-1);
	assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
	setrlimit(RLIMIT_FSIZE, &limit);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 1);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, files, 2000, &f->error),
		0);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 2001);
}

static void
says_when_the_file_cannot_be_had(void **state)
{
	static const char *const paths[] = {
		"/proc/zip.db",
		"/dev/null/zip.db",
		"/nowhere/at/all/zip.db",
		"/tmp",
	};
	struct fixture *f = *state;
	struct store *s;
	int64_t deleted;
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		f->config.db_cnxn = paths[i];
		s = open_store(f);
		assert_int_equal(store_purge(s, &deleted, &f->error), -1);
		assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
		assert_null(strstr(f->error.text, paths[i]));
		store_free(s);
	}
}

/* Does this process have the file open? */
static bool
has_open(const char *path)
{
	struct stat wanted, st;
	bool found = false;

	assert_int_equal(stat(path, &wanted), 0);
	for (int fd = 0; fd < 1024 && !found; fd++)
		found = fstat(fd, &st) == 0 && st.st_ino == wanted.st_ino &&
			st.st_dev == wanted.st_dev;
	return found;
}

static void
gives_its_file_up_in_a_crowd(void **state)
{
	static const struct {
		int place;
		bool open;
	} table[] = {
		{ -1, true }, { 0, true }, { 127, true }, { 128, false }
	};
	struct fixture *f = *state;
	struct bundle b, got;

	create(f, &b, NULL, 0);
	assert_int_equal(stats_create(129), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		stats_attach(table[i].place);
		read_back(f, &b, &got);
		store_release(f->store);
		assert_int_equal(has_open(f->path), table[i].open);
	}
	stats_attach(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(keeps_its_file_private),
		T(notices_a_replaced_file),
		T(waits_for_a_lock_no_longer_than_set),
		T(survives_a_full_disk),
		T(says_when_the_file_cannot_be_had),
		T(gives_its_file_up_in_a_crowd),
	};

	backend = DB_SQLITE;
	return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
