/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * PostgreSQL's server: silent, gone, locked; and the Node service's table.
 * Nothing is tested without a server in ZIPSTREAM_TEST_PG.
 */
#include "store_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "stats.h"

/* A port that listens and never answers. */
static int
mute_port(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void
gives_up_on_a_server_in_time(void **state)
{
	struct fixture *f = *state;
	char cnxn[2][96];
	int64_t start;
	struct store *s;
	int64_t deleted;
	int fd, port, i;

	fd = mute_port(&port);
	snprintf(cnxn[0], sizeof(cnxn[0]),
		 "host=127.0.0.1 port=%d user=u password=hush", port);
	snprintf(cnxn[1], sizeof(cnxn[1]),
		 "postgresql://u:hush@127.0.0.1:1/db");
	f->config.db_timeout_ms = 300;
	for (i = 0; i < 2; i++) {
		f->config.db_cnxn = cnxn[i];
		s = open_store(f);
		start = stats_now_ms();
		assert_int_equal(store_purge(s, &deleted, &f->error), -1);
		assert_in_range(stats_now_ms() - start, i == 0 ? 250 : 0, 2000);
		assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
		assert_null(strstr(f->error.cause, "hush"));
		store_free(s);
	}
	close(fd);
}

static void
keeps_passwords_out_of_errors(void **state)
{
	static const char *const bad[] = {
		"postgresql://u:hu@sh@localhost/db",
		"postgresql://u:hush%zz@localhost/db",
		"host=localhost password=hu sh",
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->config.db_cnxn = bad[i];
		assert_null(store_new(&f->config, NULL, &f->error));
		assert_null(strstr(f->error.text, "sh"));
		assert_null(strstr(f->error.cause, "sh"));
	}
}

static void
reconnects_when_the_server_hung_up(void **state)
{
	struct fixture *f = *state;
	struct bundle b, got;

	create(f, &b, NULL, 0);
	run_sql(f, "SELECT pg_terminate_backend(pid, 5000) "
		   "FROM pg_stat_activity "
		   "WHERE pid <> pg_backend_pid() "
		   "AND backend_type = 'client backend'");
	read_back(f, &b, &got);
}

static void
waits_for_a_row_no_longer_than_set(void **state)
{
	struct fixture *f = *state;
	struct file more = plain("https://a.example/", "a");
	PGconn *pg = PQconnectdb(getenv("ZIPSTREAM_TEST_PG"));
	char *sql =
		sql_expand("BEGIN; SELECT * FROM {table} FOR UPDATE", f->table);
	struct bundle b, got;
	int64_t start;

	create(f, &b, NULL, 0);
	f->config.db_timeout_ms = 300;
	store_free(f->store);
	f->store = open_store(f);
	PQclear(PQexec(pg, sql));
	start = stats_now_ms();
	assert_int_equal(
		store_append(f->store, b.id, b.secret, &more, 1, &f->error),
		-1);
	assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
	assert_in_range(stats_now_ms() - start, 250, 2000);
	PQfinish(pg);
	free(sql);
	f->config.db_timeout_ms = 20000;
	store_free(f->store);
	f->store = open_store(f);
	assert_int_equal(
		store_append(f->store, b.id, b.secret, &more, 1, &f->error), 0);
	read_back(f, &b, &got);
	assert_int_equal(got.count, 1);
}

static void
asks_for_init(void **state)
{
	struct fixture *f = *state;
	struct bundle b = { .filename = "" };

	run_sql(f, "DROP TABLE {notes}, {files}, {table}, {schema}");
	assert_int_equal(store_create(f->store, &b, &f->error), -1);
	assert_int_equal(f->error.code, ERROR_UNAVAILABLE);
	assert_non_null(strstr(f->error.cause, "zipstream init"));
}

static void
takes_a_schema_in_the_name(void **state)
{
	struct fixture *f = *state;
	struct bundle b, got;

	memmove(f->table + 7, f->table, strlen(f->table) + 1);
	memcpy(f->table, "public.", 7);
	store_free(f->store);
	f->store = open_store(f);
	create(f, &b, NULL, 0);
	read_back(f, &b, &got);
}

#define OLD_ID "11111111-1111-4111-8111-11111111111"
#define OLD_SECRET "22222222-2222-4222-8222-222222222222"

static void
imports_the_node_service_s_table(void **state)
{
	struct fixture *f = *state;
	struct bundle got;
	int64_t count;

	f->config.fs_interfaces = FS_S3 | FS_HTTPS;
	f->config.source_allow = "";
	run_sql(f, "CREATE SCHEMA IF NOT EXISTS node;"
		   "DROP TABLE IF EXISTS node.old;"
		   "CREATE TABLE node.old (id text, secret text, files json[],"
		   " expirationdate timestamp, filename text);"
		   "INSERT INTO node.old VALUES"
		   "('" OLD_ID "1', '" OLD_SECRET "', ARRAY["
		   "'{\"src\":\"https://a.example/x/y%20z?q\"}'::json,"
		   "'{\"src\":\"s3://bucket/k\",\"dst\":\"d/k\"}'],"
		   " '2999-01-01 00:00:00', 'n.zip'),"
		   "('" OLD_ID "2', '" OLD_SECRET "', '{}',"
		   " '2999-01-01 00:00:00', NULL),"
		   "('" OLD_ID "3', '" OLD_SECRET "', ARRAY["
		   "'{\"src\":\"ftp://a.example/\"}'::json],"
		   " '2999-01-01 00:00:00', 'refused.zip'),"
		   "('no uuid', 'x', '{}', '2999-01-01 00:00:00', 'x.zip');");
	assert_int_equal(store_import(f->store, "node.old", &count, &f->error),
			 0);
	assert_int_equal(count, 2);
	assert_int_equal(store_read(f->store, OLD_ID "1", OLD_SECRET, f->arena,
				    &got, &f->error),
			 0);
	assert_int_equal(got.expires, INT64_C(32472144000));
	assert_string_equal(got.filename, "n.zip");
	assert_int_equal(got.count, 2);
	assert_string_equal(got.files[0].dst, "x/y z");
	assert_string_equal(got.files[1].dst, "d/k");
	assert_int_equal(store_read(f->store, OLD_ID "2", NULL, f->arena, &got,
				    &f->error),
			 0);
	assert_int_equal(got.count, 0);
	assert_int_equal(store_import(f->store, "node.old", &count, &f->error),
			 0);
	assert_int_equal(count, 0);
	assert_int_equal(store_import(f->store, "no\"table", &count, &f->error),
			 -1);
	run_sql(f, "DROP SCHEMA node CASCADE");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(gives_up_on_a_server_in_time),
		T(keeps_passwords_out_of_errors),
		T(reconnects_when_the_server_hung_up),
		T(waits_for_a_row_no_longer_than_set),
		T(asks_for_init),
		T(takes_a_schema_in_the_name),
		T(imports_the_node_service_s_table),
	};

	backend = DB_POSTGRES;
	if (getenv("ZIPSTREAM_TEST_PG") == NULL)
		return 0;
	return cmocka_run_group_tests_name("postgres", tests, NULL, NULL);
}
