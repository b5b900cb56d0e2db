/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One error vocabulary for the whole program.
 *
 * A function that can fail takes a `struct error *` as its last argument and
 * returns -1 after filling it (error_set does both).  `text` is for the
 * client and never holds a secret or a path of this machine; `cause` is for
 * the log.  The code decides the HTTP status; nothing else does.
 */
#ifndef ZIPSTREAM_ERROR_H
#define ZIPSTREAM_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_MAX 512

enum error_code {
	ERROR_NONE,
	ERROR_INPUT,	    /* 400: what the client sent is wrong */
	ERROR_AUTH,	    /* 401: a key is needed */
	ERROR_FORBIDDEN,    /* 403: the settings forbid it */
	ERROR_NOT_FOUND,    /* 404 */
	ERROR_METHOD,	    /* 405 */
	ERROR_PRECONDITION, /* 412: If-Match and its kin */
	ERROR_TOO_LARGE,    /* 413: over one of the limits */
	ERROR_MEDIA_TYPE,   /* 415 */
	ERROR_RANGE,	    /* 416 */
	ERROR_INTERNAL,	    /* 500: our own fault, memory included */
	ERROR_SOURCE,	    /* 502: a source failed */
	ERROR_CHANGED,	    /* 502: it is no longer what was remembered */
	ERROR_UNAVAILABLE,  /* 503: the store or a worker is not to be had */
	ERROR_GONE,	    /* the client has left: no answer is possible */
	ERROR_CODE_COUNT
};

struct error {
	enum error_code code;
	int http_status;	    /* of a failed source; 0: none */
	char text[ERROR_TEXT_MAX];  /* for the client */
	char cause[ERROR_TEXT_MAX]; /* for the log; may be empty */
};

/* Fills `e` (which may be NULL) and returns -1.  Long texts are cut. */
int error_set(struct error *e, enum error_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds what only the log may know; returns -1. */
int error_cause(struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ERROR_INTERNAL "Out of memory"; returns -1. */
int error_memory(struct error *e);

/* Is it the fault of a source: ERROR_SOURCE or ERROR_CHANGED? */
bool error_of_source(const struct error *e);

/* The HTTP status of a code: 200 for ERROR_NONE, 499 for ERROR_GONE. */
int error_status(enum error_code code);

#endif
