/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An object that grows in S3 while its bytes are made: a multipart upload.
 *
 *	s3_upload_begin
 *	s3_upload_write, _copy ...   in the object's order
 *	s3_upload_finish             the object is there, or
 *	s3_upload_abort              nothing is, and the parts are gone
 *	s3_upload_free
 *
 * Bytes are gathered into a part at a time.  Parts begin small and grow, so
 * that the 10,000 which S3 takes are enough for any zip: 8 MiB up to 10 GiB
 * of zip, twice that up to 30 GiB, and so on.  A process that is killed
 * leaves its parts behind: a lifecycle rule of the bucket removes them.
 */
#ifndef ZIPSTREAM_S3_UPLOAD_H
#define ZIPSTREAM_S3_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "error.h"
#include "s3.h"
#include "transfer.h"

#define S3_PART_MIN (INT64_C(5) << 20) /* of all parts but the last */
#define S3_PART_MAX (INT64_C(5) << 30)
#define S3_PARTS_MAX 10000

struct s3_upload;

/* Strings of `to` outlive the upload.  NULL with ERROR_SOURCE,
 * ERROR_INTERNAL. */
struct s3_upload *
s3_upload_begin(const struct config *c, struct transfer_engine *t,
		const struct s3_object *to, const char *content_type,
		struct error *e);
/* Before the first byte: the object's size, where it is known. */
void s3_upload_expect(struct s3_upload *u, int64_t total);
int
s3_upload_write(struct s3_upload *u, const void *p, size_t n, struct error *e);
/* All `size` bytes of another object of the same endpoint, S3_PART_MIN at
 * least, which S3 itself copies but for those that fill a part up: at most
 * twice as many.  `etag` "": whichever version is there. */
int s3_upload_copy(struct s3_upload *u, const struct s3_object *from,
		   const char *etag, int64_t size, struct error *e);
int s3_upload_finish(struct s3_upload *u, struct error *e);
/* After a failure, also one of finish; says in the log when it fails. */
void s3_upload_abort(struct s3_upload *u);
void s3_upload_free(struct s3_upload *u);

/* The size of part `number` (from 1) of an object of `total` bytes, -1
 * unknown. */
int64_t s3_upload_part_size(int number, int64_t total);

#endif
