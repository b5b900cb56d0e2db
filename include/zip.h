/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The zip format's records, PKWARE APPNOTE 6.3.x, byte by byte into a buf.
 *
 * Pure: no I/O, no state.  The rules that real readers taught are kept here:
 * ZIP64 fields only where a value needs them and only those; descriptors
 * signed, 8-byte sizes only with a local ZIP64 extra; version needed 10, 20
 * or 45; bit 11 only for names that are not ASCII; UT times.
 *
 *	zip_put_local, data, [zip_put_descriptor]   each entry
 *	zip_put_central ...                         each entry, in order
 *	zip_put_end                                 once
 *
 * The *_size functions give the exact lengths without writing.
 */
#ifndef ZIPSTREAM_ZIP_H
#define ZIPSTREAM_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define ZIP_NAME_MAX 65535
#define ZIP_METHOD_STORE 0
#define ZIP_METHOD_DEFLATE 8

/* One entry as the format sees it. */
struct zip_entry {
	const char *name; /* UTF-8; a directory ends in '/' */
	size_t name_len;
	int method;	 /* ZIP_METHOD_* */
	bool descriptor; /* bit 3: CRC and sizes follow the data */
	/* Bit 3 and size unknown when the header goes out: the local header
	 * has no ZIP64 extra unless this says the entry may pass 4 GiB. */
	bool large;
	uint32_t crc;	/* 0 in the local header under bit 3 */
	int64_t size;	/* uncompressed bytes */
	int64_t packed; /* bytes of data in the zip */
	int64_t mtime;	/* unix seconds, UTC */
	int64_t offset; /* of its local header */
};

bool zip_is_directory(const struct zip_entry *z);

size_t zip_local_size(const struct zip_entry *z);
size_t zip_descriptor_size(const struct zip_entry *z); /* 0 without bit 3 */
size_t zip_central_size(const struct zip_entry *z);
size_t zip_end_size(uint64_t count, int64_t offset, int64_t size);

void zip_put_local(struct buf *out, const struct zip_entry *z);
void zip_put_descriptor(struct buf *out, const struct zip_entry *z);
void zip_put_central(struct buf *out, const struct zip_entry *z);
/* `offset` and `size` of the central directory, `count` entries. */
void zip_put_end(struct buf *out, uint64_t count, int64_t offset, int64_t size);

#endif
