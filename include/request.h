/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What was asked, whichever server and protocol brought it.
 *
 * The process edge collects the CGI variables (RFC 3875) and a body reader;
 * request_init finds the route from them.  Web servers differ and lie in
 * PATH_INFO and SCRIPT_NAME; REQUEST_URI is raw and right everywhere, so the
 * route is REQUEST_URI less the mount point.  All strings live as long as
 * the request's arena.
 */
#ifndef ZIPSTREAM_REQUEST_H
#define ZIPSTREAM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "error.h"
#include "http.h"

/* One CGI variable. */
struct request_var {
	const char *name;
	const char *value;
};

/* The body, read once from its start.  Returns bytes, 0 at the end, -1. */
typedef ssize_t (*request_read_fn)(void *ctx, void *p, size_t n);

struct request {
	struct arena *arena;
	char id[40]; /* for the log and X-Request-Id */
	enum http_method method;
	const char *method_name;
	const char *mount;    /* prefix the service hangs under, "" = / */
	const char *path;     /* decoded route: "/", "/bundle", "/ID/SECRET";
			       * no trailing slash but for "/" itself; a
			       * segment that hides a '/' or NUL stays raw */
	const char *query;    /* raw, "" none */
	const char *protocol; /* "HTTP/1.1" */
	const char *client;   /* address, "" unknown */
	bool https;
	int64_t content_length; /* -1: unknown (chunked): read to the end */
	const char *content_type;
	const struct request_var *vars;
	size_t var_count;
	request_read_fn read;
	void *read_ctx;
};

/* Fills everything but id, read and read_ctx from the variables. */
int request_init(struct request *r, struct arena *a, const struct config *c,
		 const struct request_var *vars, size_t n, struct error *e);

/* CONTENT_LENGTH; -1 when it is absent, empty (nginx, chunked) or no number:
 * the end of the body is then where the server says that it ends. */
int64_t request_length(const char *text);

/* A CGI variable, NULL when absent. */
const char *request_var(const struct request *r, const char *name);
/* A header by its HTTP name ("If-Range"), NULL when absent or empty. */
const char *request_header(const struct request *r, const char *name);
/* One query parameter, decoded; NULL when absent. */
char *request_query(const struct request *r, const char *name);
/* The bearer or X-Api-Key credential; NULL when there is none. */
const char *request_key(const struct request *r);
/* The client's own X-Request-Id becomes the id, if it is a sane token. */
void request_adopt_id(struct request *r);

/*
 * The body as one JSON text, whatever form it came in: JSON itself, or a web
 * form.  The ceiling of `json` should be max + 1.
 *
 * ERROR_MEDIA_TYPE for any other type, before the body is read where the type
 * alone says so; ERROR_TOO_LARGE as soon as Content-Length or the bytes pass
 * `max`; ERROR_INPUT when it ends short of its Content-Length; ERROR_GONE
 * when it cannot be read.
 */
int request_document(struct request *r, int64_t max, struct buf *json,
		     struct error *e);

/* Mount and path, a secret in it replaced by "***", for logs. */
const char *request_masked_path(const struct request *r);

/*
 * The pure heart of request_init: mount and route from the variables; see
 * the table in tests/unit/test_request.c for what each server sends.
 * `uri`, `script_name`, `path_info`, `base` may be "" but not NULL; a base
 * is obeyed, all else is compared and guessed.  -1: no memory.
 */
int request_route(struct arena *a, const char *uri, const char *script_name,
		  const char *path_info, const char *base, const char **mount,
		  const char **path);

#endif
