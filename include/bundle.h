/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The model: a bundle is a named list of files, JSON in and JSON out.
 *
 * bundle_parse turns a request's document into a bundle whose every field is
 * valid: names are safe and unique, sources are of a kind that the settings
 * allow.  The store fills the same struct.  All memory is the arena's.
 */
#ifndef ZIPSTREAM_BUNDLE_H
#define ZIPSTREAM_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "error.h"

struct json;

#define BUNDLE_UUID 37 /* text form and NUL */
#define BUNDLE_NO_TIME INT64_MIN
/* Of one file: what every reader of JSON takes exactly. */
#define BUNDLE_SIZE_MAX (INT64_C(1) << 53)

/*
 * What a download learned of a file and pinned, so that a later one writes
 * the same bytes.  Everything is optional: "" and -1 mean unknown.
 */
struct facts {
	int64_t size;	/* bytes at the source; -1 unknown */
	int64_t packed; /* bytes in the zip; -1 unknown */
	int64_t mtime;	/* unix seconds; BUNDLE_NO_TIME unknown */
	uint32_t crc;	/* when has_crc */
	bool has_crc;
	const char *validator; /* ETag or Last-Modified, as sent */
	const char *layout;    /* pinned method, plan.c's names; "" free */
	/* CRC-32s of parts of it, as spans.h writes them; "" none */
	const char *checkpoints;
};

struct file {
	const char *src; /* NULL: a directory */
	const char *dst; /* safe and unique; a directory ends in '/' */
	/* as declared by the client: */
	int64_t size;  /* -1: not declared */
	int64_t mtime; /* BUNDLE_NO_TIME: not declared */
	uint32_t crc;  /* when has_crc */
	bool has_crc;
	uint8_t compression; /* enum compression */
	/* as learned by a download: */
	struct facts facts;
};

struct bundle {
	char id[BUNDLE_UUID]; /* "" before it is stored */
	char secret[BUNDLE_UUID];
	int64_t created;      /* unix seconds */
	int64_t expires;      /* unix seconds */
	const char *filename; /* ends in .zip; "" when not given */
	uint8_t compression;  /* enum compression */
	uint8_t on_error;     /* enum on_error */
	struct file *files;
	size_t count;
	/* Not the bundle's own but its request's, see BUNDLE_NEEDS_LIST: */
	const char *manifest; /* where the files are listed; NULL: here */
	const char *to;	      /* where the zip goes; NULL: to the client */
};

/* What a document must have, and what alone counts. */
#define BUNDLE_NEEDS_FILES 1u
#define BUNDLE_NEEDS_NAME 2u
#define BUNDLE_ONLY_FILES 4u /* whatever else there is, is ignored */
#define BUNDLE_NEEDS_LIST 8u /* files or a manifest; `to` counts, too */

/*
 * JSON text -> bundle; messages in the words of the Node service where it
 * had any, others name a file by its index.  A file whose dst ends in '/' goes
 * into that folder under its source's own name.  `taken`, which may be NULL, is
 * a bundle whose names are in use already (PUT appends to it).  -1 with
 * ERROR_INPUT, ERROR_TOO_LARGE.
 */
int bundle_parse(const struct config *c, struct arena *a, const char *text,
		 size_t n, unsigned needs, const struct bundle *taken,
		 struct bundle *out, struct error *e);

/* A string of the document: arena memory, NULL when there is none.  ERROR_INPUT
 * when it is empty or something else. */
int bundle_member(struct arena *a, const struct json *root, const char *name,
		  const char **out, struct error *e);

/*
 * A bundle that another service has stored, with names by other rules or
 * without: they become ours as far as they can, the rest "file N", for a
 * bundle that exists is not refused.  -1 with ERROR_INTERNAL: no memory.
 */
int bundle_adopt(const struct config *c, struct arena *a, struct bundle *b,
		 struct error *e);

/*
 * Form fields -> the same document as JSON text in `json`, for bundle_parse.
 * `type` is the Content-Type: urlencoded or multipart/form-data.
 */
int bundle_form(struct arena *a, const char *type, const char *body, size_t n,
		struct buf *json, struct error *e);

/* The public JSON in pieces, so that a large one is streamed: head (up to
 * and with "files":[), each file (comma included when i > 0), tail. */
void bundle_put_head(struct buf *out, const struct bundle *b);
void bundle_put_file(struct buf *out, const struct file *f, size_t i);
void bundle_put_tail(struct buf *out, const struct bundle *b);

/* "bundle.zip" when the bundle has no name of its own. */
const char *bundle_filename(const struct bundle *b);

/* A random UUIDv4 from the kernel; -1 when the kernel gives none. */
int bundle_uuid(char out[BUNDLE_UUID]);
/* Is it a UUID in text form (36 bytes, hex, lower or upper case)? */
bool bundle_is_uuid(const char *s);

/* A folder to be expanded (expand.h): it has a source, and a dst that ends
 * in '/'. */
bool bundle_is_folder(const struct file *f);

/* onError: report, by its own word or by ON_SOURCE_ERROR: it goes on without
 * the sources that fail. */
bool bundle_reports(const struct config *c, const struct bundle *b);

/* Names as the zip will have them: what was appended at the same time knew
 * nothing of each other.  For an answer, since positions change. */
int bundle_tell_apart(struct arena *a, struct bundle *b, struct error *e);

/* Facts that know nothing. */
void facts_clear(struct facts *f);

#endif
