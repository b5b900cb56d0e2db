/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * FastCGI records as bytes, and gathered pieces cut into them.
 *
 * Pure: no I/O.  Only what an answer needs is here; the request's records are
 * read by libfcgi.  FastCGI specification 1.0, sections 3.3 and 5.
 */
#ifndef ZIPSTREAM_RECORD_H
#define ZIPSTREAM_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RECORD_HEADER 8
#define RECORD_CONTENT 65528 /* the most that is a multiple of 8 */
#define RECORD_END 24	     /* empty STDOUT, END_REQUEST */
#define RECORD_PIECES 16     /* iovecs that one record takes at most */

#define RECORD_STDOUT 6
/* No such type exists: every web server takes the answer for broken. */
#define RECORD_INVALID 77

/* A position in gathered pieces. */
struct record_cursor {
	const struct iovec *iov;
	int n;
	size_t at; /* bytes of iov[0] taken already */
};

void record_header(unsigned char out[RECORD_HEADER], int type, int id,
		   size_t length, size_t padding);

/* The regular end of an answer, application status 0. */
void record_end(unsigned char out[RECORD_END], int id);

/*
 * Takes the next record's worth of pieces: fills `out` with header, content
 * and padding, and returns how many entries it used; 0 when nothing is left.
 * `header` must live as long as `out` does.
 */
int record_next(struct record_cursor *c, int id,
		unsigned char header[RECORD_HEADER],
		struct iovec out[RECORD_PIECES]);

/* Drops the first `sent` bytes of the n pieces; returns how many are left
 * and moves *iov to the first of them. */
int record_advance(struct iovec **iov, int n, size_t sent);

#endif
