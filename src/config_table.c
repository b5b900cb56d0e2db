/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of settings, in the order of the manual page. */
#include "config_table.h"

#include "log.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

static const struct setting_word env_words[] = {
	{ "development", ENV_DEVELOPMENT },
	{ "production", ENV_PRODUCTION },
	{ "test", ENV_TEST },
	{ NULL, 0 },
};

static const struct setting_word level_words[] = {
	{ "error", LOG_ERROR }, { "warn", LOG_WARN }, { "info", LOG_INFO },
	{ "debug", LOG_DEBUG }, { NULL, 0 },
};

static const struct setting_word format_words[] = {
	{ "text", LOG_TEXT },
	{ "json", LOG_JSON },
	{ NULL, 0 },
};

/* The first name of a value is the one that is printed. */
static const struct setting_word bool_words[] = {
	{ "off", 0 }, { "on", 1 }, { "false", 0 }, { "true", 1 }, { "no", 0 },
	{ "yes", 1 }, { "0", 0 },  { "1", 1 },	   { NULL, 0 },
};

static const struct setting_word db_words[] = {
	{ "sqlite", DB_SQLITE },
	{ "postgres", DB_POSTGRES },
	{ "dynamodb", DB_DYNAMODB },
	{ NULL, 0 },
};

static const struct setting_word fs_words[] = {
	{ "s3", FS_S3 },
	{ "https", FS_HTTPS },
	{ "file", FS_FILE },
	{ NULL, 0 },
};

static const struct setting_word switch_words[] = {
	{ "auto", SWITCH_AUTO },
	{ "on", SWITCH_ON },
	{ "off", SWITCH_OFF },
	{ NULL, 0 },
};

const struct setting_word compression_words[] = {
	{ "auto", COMPRESSION_AUTO },
	{ "store", COMPRESSION_STORE },
	{ "deflate", COMPRESSION_DEFLATE },
	{ NULL, 0 },
};

const struct setting_word on_error_words[] = {
	{ "abort", ON_ERROR_ABORT },
	{ "report", ON_ERROR_REPORT },
	{ NULL, 0 },
};

/* The shapes that rows have; `field` is one of struct config. */
#define FIELD(field) .offset = offsetof(struct config, field)
#define TEXT(field, longest) .type = SETTING_TEXT, FIELD(field), .max = longest
#define PATH(field) .type = SETTING_PATH, FIELD(field), .max = 4000
#define URL(field) .type = SETTING_URL, FIELD(field), .max = 2048
#define NETWORKS(field) .type = SETTING_NETWORKS, FIELD(field), .max = 65536
#define SOURCES(field) .type = SETTING_SOURCES, FIELD(field), .max = 65536
#define WORD(field, list) .type = SETTING_WORD, FIELD(field), .words = list
#define SWITCH(field) WORD(field, bool_words)
#define SET(field, list) .type = SETTING_SET, FIELD(field), .words = list
#define COUNT(field, low, high)                                                \
	.type = SETTING_COUNT, FIELD(field), .min = low, .max = high
#define SIZE(field, low, high)                                                 \
	.type = SETTING_SIZE, FIELD(field), .min = low, .max = high
#define DURATION(field, unit, bare, low, high)                                 \
	.type = SETTING_DURATION, FIELD(field), .min = low, .max = high,       \
	.unit_ms = unit, .bare_ms = bare
/* A time-out: kept in milliseconds, a bare number counts seconds. */
#define TIMEOUT(field, high) DURATION(field, 1, SECOND, 1, high)

const struct setting setting_table[] = {
	{ .section = "The service",
	  .name = "NODE_ENV",
	  .alias = "ZIPSTREAM_ENV",
	  WORD(env, env_words),
	  .value = "development",
	  .text = "Production answers tersely and logs JSON; the others "
		  "explain themselves in answers and log text." },
	{ .name = "PORT",
	  COUNT(port, 1, 65535),
	  .flags = SETTING_FIXED,
	  .value = "4040",
	  .text = "The HTTP port of make run and of the container." },
	{ .name = "STATE_DIR",
	  PATH(state_dir),
	  .flags = SETTING_AUTO | SETTING_FIXED,
	  .value = "auto",
	  .text = "The folder for the SQLite file, the scoreboards of pools "
		  "and "
		  "what make run needs; auto is var beside the build folder, "
		  "else /var/lib/zipstream where it can be written, else var "
		  "beside the program." },
	{ .name = "BASE_PATH",
	  TEXT(base_path, 4096),
	  .flags = SETTING_AUTO,
	  .value = "auto",
	  .text = "The path that the service is mounted at, such as /zip; auto "
		  "finds it from what the web server says." },
	{ .name = "CORS_ORIGIN",
	  TEXT(cors_origin, 4096),
	  .flags = SETTING_NONE,
	  .value = "*",
	  .text = "The value of Access-Control-Allow-Origin." },
	{ .name = "API_KEYS",
	  TEXT(api_keys, 4096),
	  .flags = SETTING_NONE | SETTING_SECRET,
	  .value = "none",
	  .text = "A comma list of keys; when set, making a zip or a bundle "
		  "and /check need one of them." },
	{ .name = "LOG_LEVEL",
	  WORD(log_level, level_words),
	  .flags = SETTING_AUTO,
	  .value = "auto",
	  .text = "The least urgent lines that are logged; auto is debug when "
		  "NODE_ENV is test, else info." },
	{ .name = "LOG_FORMAT",
	  WORD(log_format, format_words),
	  .flags = SETTING_AUTO,
	  .value = "auto",
	  .text = "How lines are logged; auto is json when NODE_ENV is "
		  "production, else text." },
	{ .name = "LANDING_PAGE",
	  SWITCH(landing_page),
	  .value = "off",
	  .text = "Show a browser a page with the bundle's files before the "
		  "download; sizes that nobody has told are asked for, within "
		  "three seconds." },
	{ .name = "METRICS_ALLOW",
	  NETWORKS(metrics_allow),
	  .flags = SETTING_NONE,
	  .value = "127.0.0.0/8,::1/128",
	  .text = "The networks that may read /metrics; behind a proxy it is "
		  "the proxy's address that counts." },
	{ .name = "MANIFEST_ALLOW",
	  SOURCES(manifest_allow),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "Where a list of files may be read from; s3 and file need "
		  "FS_INTERFACES, too, and file is below FILE_ROOT." },
	{ .name = "EXPORT_ALLOW",
	  TEXT(export_allow, 4096),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "A comma list of the buckets that a zip may be written to." },

	{ .section = "The store",
	  .name = "DB_INTERFACE",
	  WORD(db_interface, db_words),
	  .flags = SETTING_AUTO,
	  .value = "auto",
	  .text = "The database; auto is postgres when DB_CNXN is a PostgreSQL "
		  "URI or connection string, else sqlite." },
	{ .name = "DB_CNXN",
	  TEXT(db_cnxn, 4096),
	  .flags = SETTING_AUTO,
	  .value = "auto",
	  .text = "A PostgreSQL URI or connection string, or the path of the "
		  "SQLite file; auto is zipstream.db in STATE_DIR for sqlite, "
		  "libpq's own defaults for postgres." },
	{ .name = "TABLE_NAME",
	  TEXT(table_name, 255),
	  .min = 1,
	  .value = "bundles",
	  .text = "The table of bundles; other tables' names are made from "
		  "it." },
	{ .name = "DB_TIMEOUT",
	  TIMEOUT(db_timeout_ms, 10 * MINUTE),
	  .value = "5s",
	  .text = "How long the database may take before the answer is 503." },
	{ .name = "DATA_LIFETIME",
	  DURATION(data_lifetime_min, MINUTE, MINUTE, MINUTE, 100 * YEAR),
	  .value = "7d",
	  .text = "How long a bundle lives." },
	{ .name = "PURGE_INTERVAL",
	  DURATION(purge_interval_s, SECOND, SECOND, 0, YEAR),
	  .flags = SETTING_NONE,
	  .value = "1h",
	  .text = "How often the pool deletes what has expired." },

	{ .section = "AWS",
	  .name = "AWS_REGION",
	  TEXT(aws_region, 64),
	  .min = 1,
	  .value = "us-west-2",
	  .text = "The region of S3 and DynamoDB." },
	{ .name = "AWS_ACCESS_KEY_ID",
	  TEXT(aws_access_key_id, 4096),
	  .value = "",
	  .text = "The access key, first of the places where credentials are "
		  "looked for." },
	{ .name = "AWS_SECRET_ACCESS_KEY",
	  TEXT(aws_secret_access_key, 4096),
	  .flags = SETTING_SECRET,
	  .value = "",
	  .text = "The secret that belongs to AWS_ACCESS_KEY_ID." },
	{ .name = "AWS_SESSION_TOKEN",
	  TEXT(aws_session_token, 65536),
	  .flags = SETTING_SECRET,
	  .value = "",
	  .text = "The token of temporary credentials." },
	{ .name = "AWS_PROFILE",
	  TEXT(aws_profile, 4096),
	  .value = "default",
	  .text = "The profile in the shared credentials file." },
	{ .name = "AWS_SHARED_CREDENTIALS_FILE",
	  PATH(aws_shared_credentials_file),
	  .value = "",
	  .text = "The shared credentials file; empty is ~/.aws/credentials." },
	{ .name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	  TEXT(aws_container_credentials_relative_uri, 4096),
	  .value = "",
	  .text = "The path of the container's credentials at "
		  "169.254.170.2." },
	{ .name = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	  URL(aws_container_credentials_full_uri),
	  .value = "",
	  .text = "The address of the container's credentials: https, or "
		  "this machine, or an agent of ECS or EKS." },
	{ .name = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	  TEXT(aws_container_authorization_token, 4096),
	  .flags = SETTING_SECRET,
	  .value = "",
	  .text = "What is sent as Authorization to that address." },
	{ .name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	  PATH(aws_container_authorization_token_file),
	  .value = "",
	  .text = "A file with that text, read each time; it goes first." },
	{ .name = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
	  URL(aws_ec2_metadata_service_endpoint),
	  .value = "http://169.254.169.254",
	  .text = "The metadata service of the machine." },
	{ .name = "AWS_EC2_METADATA_DISABLED",
	  SWITCH(aws_ec2_metadata_disabled),
	  .value = "off",
	  .text = "Do not ask the metadata service for credentials." },
	{ .name = "AWS_ENDPOINT_URL",
	  URL(aws_endpoint_url),
	  .value = "",
	  .text = "Another server in place of AWS, for every service." },
	{ .name = "AWS_ENDPOINT_URL_S3",
	  URL(aws_endpoint_url_s3),
	  .value = "",
	  .text = "The same for S3 alone." },
	{ .name = "AWS_ENDPOINT_URL_DYNAMODB",
	  URL(aws_endpoint_url_dynamodb),
	  .value = "",
	  .text = "The same for DynamoDB alone." },
	{ .name = "S3_PATH_STYLE",
	  SWITCH(s3_path_style),
	  .value = "off",
	  .text = "Put the bucket into the path in every case, not only for "
		  "buckets with dots and for other servers than AWS." },

	{ .section = "The sources",
	  .name = "FS_INTERFACES",
	  SET(fs_interfaces, fs_words),
	  .value = "s3,https",
	  .text = "The kinds of source that bundles may name; https covers "
		  "http." },
	{ .name = "FILE_ROOT",
	  PATH(file_root),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "The only folder that file:///path sources may come from; "
		  "none turns them off." },
	{ .name = "SOURCE_ALLOW",
	  SOURCES(source_allow),
	  .value = "",
	  .text = "The only sources that are allowed; empty allows all." },
	{ .name = "ALLOW_PRIVATE_NETWORKS",
	  NETWORKS(allow_private_networks),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "Loopback, private and link-local networks that sources may "
		  "live in." },
	{ .name = "SOURCE_PROXY",
	  URL(source_proxy),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "The HTTP proxy for sources; the usual proxy variables are "
		  "not read." },
	{ .name = "CA_FILE",
	  PATH(ca_file),
	  .value = "",
	  .text = "The CA certificates for sources; empty is the system's "
		  "bundle." },
	{ .name = "ON_SOURCE_ERROR",
	  WORD(on_source_error, on_error_words),
	  .value = "abort",
	  .text = "Break the zip off when a source fails, or leave the file "
		  "out and report it in the zip." },
	{ .name = "CONNECT_TIMEOUT",
	  TIMEOUT(connect_timeout_ms, HOUR),
	  .value = "10s",
	  .text = "How long connecting to a source may take." },
	{ .name = "FIRST_BYTE_TIMEOUT",
	  TIMEOUT(first_byte_timeout_ms, HOUR),
	  .value = "60s",
	  .text = "How long a source may take to begin its answer." },
	{ .name = "STALL_TIMEOUT",
	  TIMEOUT(stall_timeout_ms, DAY),
	  .value = "60s",
	  .text = "How long a source may be silent in the middle." },
	{ .name = "SETTLE_TIMEOUT",
	  TIMEOUT(settle_timeout_ms, HOUR),
	  .value = "1s",
	  .text = "How long the other sources of the first window may take to "
		  "fail before the answer begins: a dead one is a 502 then." },
	{ .name = "SOURCE_RETRIES",
	  COUNT(source_retries, 0, 100),
	  .value = "3",
	  .text = "How often a source is tried again before its first byte." },
	{ .name = "SOURCE_RESUMES",
	  COUNT(source_resumes, 0, 100),
	  .value = "5",
	  .text = "How often a broken source is resumed without progress." },
	{ .name = "MAX_REDIRECTS",
	  COUNT(max_redirects, 0, 50),
	  .value = "5",
	  .text = "How many redirects of a source are followed." },
	{ .name = "READ_AHEAD_FILES",
	  COUNT(read_ahead_files, 1, 256),
	  .value = "16",
	  .text = "How many sources of one request are read at a time." },
	{ .name = "READ_AHEAD_BYTES",
	  SIZE(read_ahead_bytes, 256 * KIB, GIB),
	  .value = "4MiB",
	  .text = "How much of them is held in memory." },

	{ .section = "The zip",
	  .name = "COMPRESSION",
	  WORD(compression, compression_words),
	  .value = "auto",
	  .text = "Deflate what gets smaller by it, nothing, or everything." },
	{ .name = "COMPRESSION_LEVEL",
	  COUNT(compression_level, 1, 9),
	  .value = "1",
	  .text = "How hard to deflate; 1 to 3 use igzip where it is built "
		  "in." },
	{ .name = "PROBE",
	  SWITCH(probe),
	  .value = "on",
	  .text = "Ask the sources for their sizes first, where that makes the "
		  "zip's length known." },

	{ .section = "Limits",
	  .name = "MAX_BODY",
	  SIZE(max_body, 1, 16 * GIB),
	  .value = "16MiB",
	  .text = "The largest body of a request." },
	{ .name = "MAX_FILES",
	  COUNT(max_files, 1, 10000000),
	  .value = "100000",
	  .text = "The most files in a bundle." },
	{ .name = "MAX_BUNDLE_BYTES",
	  SIZE(max_bundle_bytes, 0, INT64_C(1048576) * TIB),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "The most bytes that a zip may have." },
	{ .name = "MAX_SOURCE_HEADER",
	  SIZE(max_source_header, KIB, 300 * KIB),
	  .value = "64KiB",
	  .text = "The most bytes of headers that a source may send." },
	{ .name = "CLIENT_TIMEOUT",
	  TIMEOUT(client_timeout_ms, 30 * DAY),
	  .value = "2h",
	  .text = "How long a client may take nothing of its download." },
	{ .name = "WORKER_MEMORY",
	  SIZE(worker_memory, 0, TIB),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "The address space of a worker; too little of it fails "
		  "requests." },
	{ .name = "CHUNKED_BY_US",
	  WORD(chunked_by_us, switch_words),
	  .value = "auto",
	  .text = "Frame a zip of unknown length in HTTP chunks ourselves, so "
		  "that a cut is seen behind mod_fcgid; auto does it only when "
		  "mod_fcgid, or lighttpd as CGI, has started the program for "
		  "an HTTP/1.1 request." },

	{ .section = "The pool",
	  .name = "MIN_SPARE_WORKERS",
	  COUNT(min_spare_workers, 1, 10000),
	  .value = "2",
	  .text = "The idle workers that are kept ready." },
	{ .name = "MAX_WORKERS",
	  COUNT(max_workers, 1, 100000),
	  .flags = SETTING_AUTO | SETTING_FIXED,
	  .value = "auto",
	  .text = "The most workers; auto is what the free memory allows at "
		  "2 MiB each, at most 1000." },
	{ .name = "MAX_REQUESTS",
	  COUNT(max_requests, 0, INT64_C(1000000000000)),
	  .flags = SETTING_NONE,
	  .value = "10000",
	  .text = "The requests after which a worker is replaced." },
	{ .name = "BUSY_WAIT",
	  DURATION(busy_wait_ms, 1, SECOND, 0, HOUR),
	  .value = "1s",
	  .text = "How long every worker may be busy before the answer is "
		  "503." },
	{ .name = "DRAIN_TIMEOUT",
	  DURATION(drain_timeout_s, SECOND, SECOND, 0, 30 * DAY),
	  .flags = SETTING_NONE,
	  .value = "none",
	  .text = "How long downloads may go on after SIGTERM; none is as "
		  "long as they take." },
	{ .name = "RUN_USER",
	  TEXT(user, 256),
	  .flags = SETTING_FIXED,
	  .value = "",
	  .text = "The user that workers become when the pool is started by "
		  "root." },
	{ .name = "RUN_GROUP",
	  TEXT(group, 256),
	  .flags = SETTING_FIXED,
	  .value = "",
	  .text = "The group that workers become; empty is the user's own." },
};

const size_t setting_count = sizeof(setting_table) / sizeof(setting_table[0]);
