/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * config: the grammar of values and of the file, who wins over whom, and
 * that the manual page and the sample file say what the table says.
 *
 * Runs in the root of the checkout.  `test_config --sample` prints what
 * deploy/zipstream.env.sample must be.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "log.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char sample_path[] = "deploy/zipstream.env.sample";
static const char manual_path[] = "man/zipstream.conf.5";

static char folder[] = "/tmp/zipstream-config-XXXXXX";
static char file_path[64];

static void
write_file(const char *text, size_t n)
{
	FILE *f = fopen(file_path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static struct config *
load_text(const char *text, struct error *e)
{
	write_file(text, strlen(text));
	return config_load(file_path, e);
}

/* A file that must be valid. */
static struct config *
load(const char *text)
{
	struct error e = { .text = "" };
	struct config *c = load_text(text, &e);

	if (c == NULL)
		fail_msg("%s: %s", text, e.text);
	return c;
}

static void
read_whole(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char block[4096];
	size_t n;

	assert_non_null(f);
	buf_init(out, 1 << 20);
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_put(out, block, n);
	fclose(f);
}

/* What `print` writes; the caller frees it. */
static char *
printed(const struct config *c)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (c != NULL)
		config_print(c, f);
	else
		config_print_sample(f);
	fclose(f);
	return text;
}

static void
parses_sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "16 MiB", 16 << 20 },
		{ "16MiB", 16 << 20 },
		{ "64k", 65536 },
		{ "1G", 1 << 30 },
		{ "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", -1 },
		{ "9007199254740992k", -1 },
		{ "8388608T", -1 },
		{ "", -1 },
		{ "-1", -1 },
		{ "+1", -1 },
		{ "MiB", -1 },
		{ "1.5M", -1 },
		{ "1 MB!", -1 },
		{ "0x10", -1 },
		{ " 1", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(config_parse_size(cases[i].text) == cases[i].bytes);
}

static void
parses_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t bare, ms;
	} cases[] = {
		{ "30s", 1, 30000 },	   { "500ms", 1000, 500 },
		{ "7200", 1000, 7200000 }, { "7200", 1, 7200 },
		{ "2 h", 1, 7200000 },	   { "7d", 1, 604800000 },
		{ "5m", 1, 300000 },	   { "5min", 1, 300000 },
		{ "1w", 1, -1 },	   { "s", 1, -1 },
		{ "-5s", 1, -1 },	   { "106751991168d", 1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(config_parse_duration_ms(cases[i].text,
						     cases[i].bare) ==
			    cases[i].ms);
}

static void
has_safe_defaults(void **state)
{
	struct config *c = load("");

	(void)state;
	assert_int_equal(c->env, ENV_DEVELOPMENT);
	assert_int_equal(c->port, 4040);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->log_format, LOG_TEXT);
	assert_int_equal(c->db_interface, DB_SQLITE);
	assert_int_equal(c->data_lifetime_min, 10080);
	assert_int_equal(c->purge_interval_s, 3600);
	assert_int_equal(c->db_timeout_ms, 5000);
	assert_int_equal(c->fs_interfaces, FS_S3 | FS_HTTPS);
	assert_int_equal(c->max_body, 16 << 20);
	assert_int_equal(c->max_bundle_bytes, 0);
	assert_int_equal(c->client_timeout_ms, 7200000);
	assert_int_equal(c->chunked_by_us, SWITCH_AUTO);
	assert_int_equal(c->compression, COMPRESSION_AUTO);
	assert_int_equal(c->on_source_error, ON_ERROR_ABORT);
	assert_int_equal(c->probe, 1);
	assert_in_range(c->max_workers, 4, 1000);
	assert_string_equal(c->table_name, "bundles");
	assert_string_equal(c->aws_region, "us-west-2");
	assert_string_equal(c->cors_origin, "*");
	assert_string_equal(c->base_path, "");
	assert_string_equal(c->api_keys, "");
	assert_string_equal(c->allow_private_networks, "");
	assert_non_null(strstr(c->state_dir, "/var"));
	config_free(c);
}

static void
reads_the_grammar_of_the_file(void **state)
{
	struct config *c = load("\xef\xbb\xbf# a comment\r\n"
				"\r\n"
				"  PORT = 5000 # why\r\n"
				"export RUN_GROUP='a # b'\n"
				"API_KEYS=\"one,\\\"two\\\"\\\\\"  # keys\n"
				"CORS_ORIGIN=https://a.example/#x\n"
				"AWS_PROFILE=first\n"
				"AWS_PROFILE=last one \n"
				"AWS_REGION=\n"
				"other-program.key=whatever\n"
				"MAX_FILES=7");

	(void)state;
	assert_int_equal(c->port, 5000);
	assert_string_equal(c->group, "a # b");
	assert_string_equal(c->api_keys, "one,\"two\"\\");
	assert_string_equal(c->cors_origin, "https://a.example/#x");
	assert_string_equal(c->aws_profile, "last one");
	assert_string_equal(c->aws_region, "us-west-2");
	assert_int_equal(c->max_files, 7);
	config_free(c);
}

static void
refuses_malformed_files(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "PORT\n", "line 1: KEY=VALUE expected" },
		{ "\n\n=x\n", "line 3: not a name in front of the =" },
		{ "1A=x\n", "line 1: not a name" },
		{ "A B=x\n", "line 1: not a name" },
		{ "PORT='1\n2'\n", "line 1: the quoted value does not end" },
		{ "PORT=\"1\\\"\n", "line 1: the quoted value does not end" },
		{ "PORT=\"1\\", "line 1: the quoted value does not end" },
		{ "PORT='1' 2\n", "line 1: the quoted value does not end" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_null(load_text(cases[i].text, &e));
		assert_int_equal(e.code, ERROR_INPUT);
		if (strstr(e.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, e.text);
	}
	write_file("PORT=1\0", 7);
	assert_null(config_load(file_path, &e));
	assert_non_null(strstr(e.text, "not a text file"));
	assert_null(config_load("/nonexistent/file", &e));
	assert_string_equal(e.text,
			    "/nonexistent/file: No such file or directory");
	assert_null(config_load("/tmp", &e));
	assert_string_equal(e.text, "/tmp: Is a directory");
}

static void
names_the_setting_and_what_it_takes(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "PORT=0", "PORT takes a number from 1 to 65535, not \"0\"" },
		{ "PORT=70000", "PORT takes" },
		{ "PORT=4040x", "PORT takes" },
		{ "NODE_ENV=staging", "NODE_ENV takes one of development, "
				      "production, test, not \"staging\"" },
		{ "PROBE=maybe", "PROBE takes one of off, on, not" },
		{ "COMPRESSION_LEVEL=10", "COMPRESSION_LEVEL takes a number "
					  "from 1 to 9, not \"10\"" },
		{ "MAX_BODY=none", "MAX_BODY takes a size" },
		{ "MAX_SOURCE_HEADER=1", "from 1KiB to 300KiB" },
		{ "DB_TIMEOUT=0", "DB_TIMEOUT takes a time" },
		{ "MAX_WORKERS=0", "MAX_WORKERS takes a number from 1 to "
				   "100000, or auto, not \"0\"" },
		{ "DATA_LIFETIME=90s", "DATA_LIFETIME takes a time" },
		{ "DATA_LIFETIME=x", "a bare number counting minutes" },
		{ "FS_INTERFACES=s3,ftp", "a comma list of s3, https, file" },
		{ "FS_INTERFACES=,", "a comma list of s3, https, file" },
		{ "ALLOW_PRIVATE_NETWORKS=10.0.0.0/99", "a list of networks" },
		{ "SOURCE_ALLOW=https://a b", "a list, separated by spaces" },
		{ "SOURCE_ALLOW=https://a,https://b", "SOURCE_ALLOW takes a" },
		{ "MANIFEST_ALLOW=https://a:99999/", "MANIFEST_ALLOW takes" },
		{ "AWS_ENDPOINT_URL=ftp://x", "an http:// or https:// URL" },
		{ "AWS_ENDPOINT_URL=http://:80", "AWS_ENDPOINT_URL takes an" },
		{ "TABLE_NAME=123456789_123456789_123456789_123456789_1234567"
		  "89",
		  "up to 48 letters" },
		{ "BASE_PATH=\"a\\nb\"", "BASE_PATH takes text" },
		{ "DB_INTERFACE=mysql", "sqlite, postgres, dynamodb, or auto" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_null(load_text(cases[i].text, &e));
		assert_int_equal(e.code, ERROR_INPUT);
		if (strstr(e.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, e.text);
	}
	assert_null(load_text("API_KEYS=\"top\\nsecret\"", &e));
	assert_null(strstr(e.text, "secret"));
}

static void
prefers_the_environment(void **state)
{
	struct config *c;

	(void)state;
	setenv("PORT", "5001", 1);
	setenv("TABLE_NAME", "", 1);
	setenv("ZIPSTREAM_ENV", "test", 1);
	setenv("NODE_ENV", "production", 1);
	c = load("PORT=5000\nTABLE_NAME=mine\nNODE_ENV=development\n");
	assert_int_equal(c->port, 5001);
	assert_string_equal(c->table_name, "mine");
	assert_int_equal(c->env, ENV_TEST);
	assert_int_equal(c->log_level, LOG_DEBUG);
	config_free(c);
	unsetenv("ZIPSTREAM_ENV");
	c = load("");
	assert_int_equal(c->env, ENV_PRODUCTION);
	assert_int_equal(c->log_format, LOG_JSON);
	config_free(c);
	unsetenv("PORT");
	unsetenv("TABLE_NAME");
	unsetenv("NODE_ENV");
}

static void
works_out_the_store(void **state)
{
	static const struct {
		const char *text;
		int db;
		const char *cnxn;
	} cases[] = {
		{ "STATE_DIR=/x", DB_SQLITE, "/x/zipstream.db" },
		{ "DB_CNXN=/x/a=b.db", DB_SQLITE, "/x/a=b.db" },
		{ "DB_CNXN=:memory:", DB_SQLITE, ":memory:" },
		{ "DB_CNXN=postgres://h/d", DB_POSTGRES, "postgres://h/d" },
		{ "DB_CNXN=postgresql://", DB_POSTGRES, "postgresql://" },
		{ "DB_CNXN=host = h dbname=d", DB_POSTGRES,
		  "host = h dbname=d" },
		{ "DB_INTERFACE=postgres", DB_POSTGRES, "" },
		{ "DB_INTERFACE=dynamodb", DB_DYNAMODB, "" },
		{ "DB_INTERFACE=sqlite\nDB_CNXN=/x/postgres://", DB_SQLITE,
		  "/x/postgres://" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *c = load(cases[i].text);

		assert_int_equal(c->db_interface, cases[i].db);
		assert_string_equal(c->db_cnxn, cases[i].cnxn);
		config_free(c);
	}
}

static void
starts_relative_paths_where_they_were_found(void **state)
{
	struct config *c;
	char expected[4200], here[4096];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	setenv("CA_FILE", "ca.pem", 1);
	c = load("FILE_ROOT=files\nDB_CNXN=a.db\n");
	snprintf(expected, sizeof(expected), "%s/files", folder);
	assert_string_equal(c->file_root, expected);
	snprintf(expected, sizeof(expected), "%s/a.db", folder);
	assert_string_equal(c->db_cnxn, expected);
	snprintf(expected, sizeof(expected), "%s/ca.pem", here);
	assert_string_equal(c->ca_file, expected);
	config_free(c);
	unsetenv("CA_FILE");
}

static void
turns_file_sources_off_without_a_root(void **state)
{
	struct config *c = load("FS_INTERFACES=https, file");

	(void)state;
	assert_int_equal(c->fs_interfaces, FS_HTTPS);
	config_free(c);
	c = load("FS_INTERFACES=file\nFILE_ROOT=/srv");
	assert_int_equal(c->fs_interfaces, FS_FILE);
	config_free(c);
}

static void
takes_none_and_auto(void **state)
{
	struct config *c = load("CORS_ORIGIN=none\nMETRICS_ALLOW=none\n"
				"MAX_REQUESTS=none\nWORKER_MEMORY=1GiB\n"
				"PURGE_INTERVAL=none\nMAX_WORKERS=1\n"
				"BASE_PATH=auto\nCHUNKED_BY_US=auto\n");

	(void)state;
	assert_string_equal(c->cors_origin, "");
	assert_string_equal(c->metrics_allow, "");
	assert_string_equal(c->base_path, "");
	assert_int_equal(c->max_requests, 0);
	assert_int_equal(c->purge_interval_s, 0);
	assert_int_equal(c->worker_memory, 1 << 30);
	assert_int_equal(c->max_workers, 1);
	assert_int_equal(c->min_spare_workers, 1);
	assert_int_equal(c->chunked_by_us, SWITCH_AUTO);
	config_free(c);
}

static void
warns_of_near_misses(void **state)
{
	char text[4096];
	int saved = dup(STDERR_FILENO), fd[2];
	struct config *c;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	log_init(LOG_WARN, LOG_TEXT);
	dup2(fd[1], STDERR_FILENO);
	c = load("MAX_FILE=1\nmax_body=1\nSORUCE_ALLOW=\nPORTT=1\n"
		 "TABLE_NAMES=x\nZIPSTREAM_ENV=test\nPATH=/bin\n");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	close(fd[0]);
	text[n > 0 ? n : 0] = '\0';
	assert_non_null(strstr(text, "MAX_FILE is not a setting; is "
				     "MAX_FILES meant?"));
	assert_non_null(strstr(text, "is MAX_BODY meant?"));
	assert_non_null(strstr(text, "is SOURCE_ALLOW meant?"));
	assert_non_null(strstr(text, "is PORT meant?"));
	assert_non_null(strstr(text, "is TABLE_NAME meant?"));
	assert_null(strstr(text, "ENV"));
	assert_null(strstr(text, "PATH"));
	config_free(c);
}

static void
masks_secrets(void **state)
{
	static const char *const cnxns[] = {
		"postgres://u:s3cret@h/d",
		"postgres://u:s3cr/s3cret@h/d",
		"postgres://h/d?password=s3cret&sslmode=require",
		"host=h password=s3cret user=u",
		"host=h password = 's3cret\\' s3cret' user=u",
		"host=h sslpassword=s3cret",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cnxns); i++) {
		struct config *c;
		char *out;

		snprintf(text, sizeof(text),
			 "DB_CNXN=%s\nAPI_KEYS=s3cret\n"
			 "AWS_SECRET_ACCESS_KEY=s3cret\n"
			 "AWS_SESSION_TOKEN=s3cret\n"
			 "SOURCE_PROXY=http://u:s3cret@proxy\n",
			 cnxns[i]);
		c = load(text);
		out = printed(c);
		assert_null(strstr(out, "s3cr"));
		assert_non_null(strstr(out, "API_KEYS=***\n"));
		assert_non_null(strstr(out, "u:***@proxy\n"));
		free(out);
		config_free(c);
	}
}

/* What is printed is a valid file that says the same. */
static void
prints_what_it_reads(void **state)
{
	struct config *c = load("MAX_BODY=100000\nDB_TIMEOUT=1500ms\n"
				"RUN_GROUP=\"it's \\\"so\\\"\"\n"
				"SOURCE_ALLOW=https://a/ s3://b\n"
				"FS_INTERFACES=file,s3\nFILE_ROOT=/srv\n"
				"DATA_LIFETIME=90\nMIN_SPARE_WORKERS=1\n");
	char *first = printed(c), *second;

	(void)state;
	assert_non_null(strstr(first, "DB_TIMEOUT=1500ms\n"));
	assert_non_null(strstr(first, "DATA_LIFETIME=90min\n"));
	assert_non_null(strstr(first, "FS_INTERFACES=s3,file\n"));
	assert_non_null(strstr(first, "SOURCE_ALLOW='https://a/ s3://b'\n"));
	assert_non_null(strstr(first, "MAX_BUNDLE_BYTES=none\n"));
	config_free(c);
	c = load(first);
	second = printed(c);
	assert_string_equal(first, second);
	free(first);
	free(second);
	config_free(c);
}

static void
sample_file_is_up_to_date(void **state)
{
	char *sample = printed(NULL);
	struct buf b;

	(void)state;
	read_whole(sample_path, &b);
	if (strcmp(buf_str(&b), sample) != 0)
		fail_msg("make it anew: build/tests/test_config --sample > %s",
			 sample_path);
	buf_free(&b);
	free(sample);
}

/* Every default of the sample is what the program takes by itself. */
static void
sample_file_holds_the_defaults(void **state)
{
	char *sample = printed(NULL), *set, *first, *second;
	struct config *c = load("");

	(void)state;
	first = printed(c);
	config_free(c);
	set = sample;
	while ((set = strstr(set, "\n#")) != NULL)
		if (*(set += 2) >= 'A' && *set <= 'Z')
			set[-1] = ' ';
	c = load(sample);
	second = printed(c);
	assert_string_equal(first, second);
	config_free(c);
	free(first);
	free(second);
	free(sample);
}

/* Each "#NAME=value" of the sample, in order, as ".It Ev NAME", with a
 * ".Dl value" line that gives the default before the next item. */
static void
manual_page_knows_every_setting(void **state)
{
	char *sample = printed(NULL), *rest = sample, *row;
	const char *at;
	struct buf manual;
	size_t count = 0;

	(void)state;
	read_whole(manual_path, &manual);
	at = buf_str(&manual);
	while ((row = strsep(&rest, "\n")) != NULL) {
		char item[512];
		char *equals = strchr(row, '=');

		if (row[0] != '#' || row[1] < 'A' || row[1] > 'Z')
			continue;
		count++;
		*equals = '\0';
		snprintf(item, sizeof(item), "\n.It Ev %s\n", row + 1);
		at = strstr(at, item);
		if (at == NULL)
			fail_msg("%s is not in %s, or not in this order",
				 row + 1, manual_path);
		snprintf(item, sizeof(item), "\nDefault:\n.Ql %s .\n",
			 equals[1] != '\0' ? equals + 1 : "(empty)");
		at = strstr(at, "\nDefault:\n");
		if (at == NULL || strncmp(at, item, strlen(item)) != 0)
			fail_msg("%s: the manual gives another default",
				 row + 1);
	}
	for (at = buf_str(&manual); (at = strstr(at, "\n.It Ev ")) != NULL;
	     at++)
		count--;
	assert_int_equal(count, 0);
	buf_free(&manual);
	free(sample);
}

static void
names_words_both_ways(void **state)
{
	(void)state;
	assert_int_equal(compression_from_name("store"), COMPRESSION_STORE);
	assert_int_equal(compression_from_name("zstd"), -1);
	assert_int_equal(compression_from_name(""), -1);
	assert_string_equal(compression_name(COMPRESSION_DEFLATE), "deflate");
	assert_string_equal(compression_name(COMPRESSION_DEFAULT), "");
	assert_int_equal(on_error_from_name("report"), ON_ERROR_REPORT);
	assert_string_equal(on_error_name(ON_ERROR_ABORT), "abort");
}

static int
prepare(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(file_path, sizeof(file_path), "%s/conf", folder);
	return 0;
}

static int
clean_up(void **state)
{
	(void)state;
	unlink(file_path);
	return rmdir(folder);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_sizes),
		cmocka_unit_test(parses_durations),
		cmocka_unit_test(has_safe_defaults),
		cmocka_unit_test(reads_the_grammar_of_the_file),
		cmocka_unit_test(refuses_malformed_files),
		cmocka_unit_test(names_the_setting_and_what_it_takes),
		cmocka_unit_test(prefers_the_environment),
		cmocka_unit_test(works_out_the_store),
		cmocka_unit_test(starts_relative_paths_where_they_were_found),
		cmocka_unit_test(turns_file_sources_off_without_a_root),
		cmocka_unit_test(takes_none_and_auto),
		cmocka_unit_test(warns_of_near_misses),
		cmocka_unit_test(masks_secrets),
		cmocka_unit_test(prints_what_it_reads),
		cmocka_unit_test(sample_file_is_up_to_date),
		cmocka_unit_test(sample_file_holds_the_defaults),
		cmocka_unit_test(manual_page_knows_every_setting),
		cmocka_unit_test(names_words_both_ways),
	};

	/* The caller's own settings are not what is tested. */
	clearenv();
	if (argc == 2 && strcmp(argv[1], "--sample") == 0) {
		config_print_sample(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, prepare, clean_up);
}
