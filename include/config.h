/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The settings: one table in config.c (name, type, bounds, default, unit,
 * reloadable, one sentence) from which parsing, `zipstream config`, the
 * manual page and the sample file are made or checked.
 *
 * Call order: config_load once in the parent before any fork; the result is
 * read-only afterwards and shared copy-on-write.  SIGHUP loads a second one;
 * if that fails the first stays in force.  The environment wins over the
 * file.  Strings belong to the config; absent strings are "" and never NULL.
 */
#ifndef ZIPSTREAM_CONFIG_H
#define ZIPSTREAM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"

enum config_env { ENV_DEVELOPMENT, ENV_PRODUCTION, ENV_TEST };
enum config_db { DB_AUTO, DB_SQLITE, DB_POSTGRES, DB_DYNAMODB };
enum config_switch { SWITCH_AUTO, SWITCH_ON, SWITCH_OFF };
/* How an entry is packed; COMPRESSION_DEFAULT: as the level above says. */
enum compression {
	COMPRESSION_DEFAULT,
	COMPRESSION_AUTO,
	COMPRESSION_STORE,
	COMPRESSION_DEFLATE
};
enum on_error { ON_ERROR_DEFAULT, ON_ERROR_ABORT, ON_ERROR_REPORT };

/* Bits of FS_INTERFACES. */
#define FS_S3 1u
#define FS_HTTPS 2u
#define FS_FILE 4u

struct config {
	/* the service */
	int env; /* enum config_env */
	int64_t port;
	const char *state_dir;
	const char *base_path; /* mount prefix, "" = found by itself */
	const char *cors_origin;
	const char *api_keys;	    /* comma list */
	int log_level;		    /* enum log_level */
	int log_format;		    /* enum log_format */
	int landing_page;	    /* bool */
	const char *metrics_allow;  /* CIDRs */
	const char *manifest_allow; /* as source_allow; "" = off */
	const char *export_allow;   /* buckets; "" = off */

	/* the store */
	int db_interface; /* never DB_AUTO after config_load */
	const char *db_cnxn;
	const char *table_name;
	int64_t db_timeout_ms;
	int64_t data_lifetime_min;
	int64_t purge_interval_s; /* 0: off */

	/* AWS */
	const char *aws_region;
	const char *aws_access_key_id;
	const char *aws_secret_access_key;
	const char *aws_session_token;
	const char *aws_profile;
	const char *aws_shared_credentials_file;
	const char *aws_container_credentials_relative_uri;
	const char *aws_container_credentials_full_uri;
	const char *aws_container_authorization_token;
	const char *aws_container_authorization_token_file;
	const char *aws_ec2_metadata_service_endpoint;
	int aws_ec2_metadata_disabled; /* bool */
	const char *aws_endpoint_url;
	const char *aws_endpoint_url_s3;
	const char *aws_endpoint_url_dynamodb;
	int s3_path_style; /* bool: force path style */

	/* the sources */
	unsigned fs_interfaces; /* FS_* */
	const char *file_root;	/* "" = file: is off */
	const char *source_allow;
	const char *allow_private_networks; /* CIDRs */
	const char *source_proxy;	    /* "" = none */
	const char *ca_file;		    /* "" = the system's */
	int on_source_error;		    /* enum on_error */
	int64_t connect_timeout_ms;
	int64_t first_byte_timeout_ms;
	int64_t stall_timeout_ms;
	int64_t settle_timeout_ms;
	int64_t source_retries; /* before the first byte */
	int64_t source_resumes; /* after it, reset by progress */
	int64_t max_redirects;
	int64_t read_ahead_files; /* transfers in flight */
	int64_t read_ahead_bytes; /* buffered for one request */

	/* the zip */
	int compression;	   /* enum compression */
	int64_t compression_level; /* 1..9 */
	int probe;		   /* bool: ask for sizes up front */

	/* limits */
	int64_t max_body;
	int64_t max_files;
	int64_t max_bundle_bytes;  /* 0: none */
	int64_t max_source_header; /* bytes of a source's headers */
	int64_t client_timeout_ms; /* a client may stall so long */
	int64_t worker_memory;	   /* RLIMIT_AS, bytes; 0: none */
	int chunked_by_us;	   /* enum config_switch */

	/* the pool */
	int64_t min_spare_workers;
	int64_t max_workers;	 /* never auto after config_load */
	int64_t max_requests;	 /* 0: no recycling */
	int64_t busy_wait_ms;	 /* all busy for so long: 503 */
	int64_t drain_timeout_s; /* SIGTERM: 0 = as long as it takes */
	const char *user;	 /* "" = stay */
	const char *group;
};

/*
 * Reads the environment and `file` (NULL: `.env` in the working directory,
 * else beside the program, else none).  NULL with `e` filled, naming the
 * setting and what it takes, when a value is invalid.
 */
struct config *config_load(const char *file, struct error *e);
void config_free(struct config *c);

/* Prints NAME=value lines in table order, secrets masked. */
void config_print(const struct config *c, FILE *out);

/* One row of the table as text, for man page and sample checks. */
void config_print_sample(FILE *out);

/* Names: "store" <-> COMPRESSION_STORE and so on; -1 when unknown. */
int compression_from_name(const char *name);
const char *compression_name(enum compression c);
int on_error_from_name(const char *name);
const char *on_error_name(enum on_error o);

/* The default layout of addresses, sizes and durations is parsed here:
 * "16 MiB", "30s", "7200"; -1 when it is none.  `unit` is what a bare number
 * counts: 1 for bytes, 1 for ms, 1000 for s where the setting is in ms. */
int64_t config_parse_size(const char *text);
int64_t config_parse_duration_ms(const char *text, int64_t unit_ms);

#endif
