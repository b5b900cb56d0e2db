/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The zip format's records, byte by byte.
 *
 * Section numbers are those of PKWARE's APPNOTE 6.3.x.  This file knows how
 * a record looks and when ZIP64 is due; it neither packs data nor keeps any
 * state between two records.
 */
#include "zip.h"

#include <time.h>

#define SIGNATURE_LOCAL 0x04034b50
#define SIGNATURE_DESCRIPTOR 0x08074b50
#define SIGNATURE_CENTRAL 0x02014b50
#define SIGNATURE_END 0x06054b50
#define SIGNATURE_END64 0x06064b50
#define SIGNATURE_LOCATOR 0x07064b50

#define LOCAL_FIXED 30
#define CENTRAL_FIXED 46
#define END_FIXED 22
#define END64_FIXED 56
#define LOCATOR_FIXED 20

/* A field that holds this says "look in the ZIP64 extra", so that a value
 * equal to it needs the extra too (4.4.1.4). */
#define FULL16 UINT64_C(0xFFFF)
#define FULL32 UINT64_C(0xFFFFFFFF)

#define VERSION_STORE 10   /* 4.4.3.2 */
#define VERSION_DEFLATE 20 /* also for directories */
#define VERSION_ZIP64 45
#define MADE_BY (3 << 8 | 30) /* unix, so that modes count (4.4.2) */

#define FLAG_DESCRIPTOR 0x0008
#define FLAG_UTF8 0x0800

#define EXTRA_HEAD 4
#define EXTRA_ZIP64 0x0001
#define EXTRA_TIMES 0x5455 /* "UT", Info-ZIP's extended timestamp */
#define EXTRA_TIMES_DATA 5
#define EXTRA_TIMES_MTIME 1 /* only this time is present */

#define MODE_FILE 0100644
#define MODE_DIRECTORY 040755
#define DOS_DIRECTORY 0x10

/* What DOS can tell: 1980-01-01 00:00:00 to 2107-12-31 23:59:59. */
#define DOS_FIRST INT64_C(315532800)
#define DOS_LAST INT64_C(4354819199)

static bool
is_full(int64_t value)
{
	return value >= (int64_t)FULL32;
}

static uint64_t
clamp32(int64_t value)
{
	return is_full(value) ? FULL32 : (uint64_t)value;
}

bool
zip_is_directory(const struct zip_entry *z)
{
	return z->name_len > 0 && z->name[z->name_len - 1] == '/';
}

/* Both sizes go to the extra, or neither (4.5.3).  It also makes the
 * descriptor 8 bytes wide: readers take the width from this extra alone. */
static bool
local_is_zip64(const struct zip_entry *z)
{
	return (z->descriptor && z->large) || is_full(z->size) ||
	       is_full(z->packed);
}

/* Data bytes of the directory's ZIP64 extra: only the fields that overflow,
 * since readers refuse one that is longer than its use. */
static size_t
central_zip64_data(const struct zip_entry *z)
{
	return 8 * ((size_t)is_full(z->size) + (size_t)is_full(z->packed) +
		    (size_t)is_full(z->offset));
}

static bool
has_times(const struct zip_entry *z)
{
	return z->mtime >= INT32_MIN && z->mtime <= INT32_MAX;
}

static size_t
times_size(const struct zip_entry *z)
{
	return has_times(z) ? EXTRA_HEAD + EXTRA_TIMES_DATA : 0;
}

static size_t
local_extra_size(const struct zip_entry *z)
{
	return (local_is_zip64(z) ? EXTRA_HEAD + 16 : 0) + times_size(z);
}

static size_t
central_extra_size(const struct zip_entry *z)
{
	size_t zip64 = central_zip64_data(z);

	return (zip64 > 0 ? EXTRA_HEAD + zip64 : 0) + times_size(z);
}

size_t
zip_local_size(const struct zip_entry *z)
{
	return LOCAL_FIXED + z->name_len + local_extra_size(z);
}

size_t
zip_descriptor_size(const struct zip_entry *z)
{
	if (!z->descriptor)
		return 0;
	return local_is_zip64(z) ? 24 : 16;
}

size_t
zip_central_size(const struct zip_entry *z)
{
	return CENTRAL_FIXED + z->name_len + central_extra_size(z);
}

static bool
end_is_zip64(uint64_t count, int64_t offset, int64_t size)
{
	return count >= FULL16 || is_full(offset) || is_full(size);
}

size_t
zip_end_size(uint64_t count, int64_t offset, int64_t size)
{
	return END_FIXED + (end_is_zip64(count, offset, size)
				    ? END64_FIXED + LOCATOR_FIXED
				    : 0);
}

/* The same in both headers of an entry: 7-Zip warns when they differ. */
static unsigned
version_needed(const struct zip_entry *z)
{
	if (local_is_zip64(z) || central_zip64_data(z) > 0)
		return VERSION_ZIP64;
	if (z->method == ZIP_METHOD_DEFLATE || zip_is_directory(z))
		return VERSION_DEFLATE;
	return VERSION_STORE;
}

/* Bit 11 beside a plain ASCII name would only upset old readers. */
static unsigned
flags(const struct zip_entry *z)
{
	unsigned bits = z->descriptor ? FLAG_DESCRIPTOR : 0;

	for (size_t i = 0; i < z->name_len; i++)
		if ((unsigned char)z->name[i] >= 0x80)
			return bits | FLAG_UTF8;
	return bits;
}

/* DOS time in the low half, date in the high one (4.4.6).  In UTC, though
 * DOS means local time: the same bytes must come out on every machine. */
static uint32_t
dos_time(int64_t mtime)
{
	time_t t = mtime < DOS_FIRST  ? DOS_FIRST
		   : mtime > DOS_LAST ? DOS_LAST
				      : mtime;
	struct tm tm;

	gmtime_r(&t, &tm);
	return (uint32_t)(tm.tm_year - 80) << 25 |
	       (uint32_t)(tm.tm_mon + 1) << 21 | (uint32_t)tm.tm_mday << 16 |
	       (uint32_t)tm.tm_hour << 11 | (uint32_t)tm.tm_min << 5 |
	       (uint32_t)tm.tm_sec / 2;
}

/* The fields that both headers share, version needed to time (4.3.7). */
static void
put_common(struct buf *out, const struct zip_entry *z)
{
	buf_put_le(out, version_needed(z), 2);
	buf_put_le(out, flags(z), 2);
	buf_put_le(out, (uint64_t)z->method, 2);
	buf_put_le(out, dos_time(z->mtime), 4);
}

static void
put_times(struct buf *out, const struct zip_entry *z)
{
	if (!has_times(z))
		return;
	buf_put_le(out, EXTRA_TIMES, 2);
	buf_put_le(out, EXTRA_TIMES_DATA, 2);
	buf_put_le(out, EXTRA_TIMES_MTIME, 1);
	buf_put_le(out, (uint64_t)z->mtime, 4);
}

void
zip_put_local(struct buf *out, const struct zip_entry *z)
{
	bool zip64 = local_is_zip64(z);
	/* Under bit 3 the descriptor tells them (4.4.4). */
	uint64_t packed = z->descriptor ? 0 : (uint64_t)z->packed;
	uint64_t size = z->descriptor ? 0 : (uint64_t)z->size;

	buf_put_le(out, SIGNATURE_LOCAL, 4);
	put_common(out, z);
	buf_put_le(out, z->descriptor ? 0 : z->crc, 4);
	buf_put_le(out, zip64 ? FULL32 : packed, 4);
	buf_put_le(out, zip64 ? FULL32 : size, 4);
	buf_put_le(out, z->name_len, 2);
	buf_put_le(out, local_extra_size(z), 2);
	buf_put(out, z->name, z->name_len);
	/* ZIP64 first: Windows 7 looks no further. */
	if (zip64) {
		buf_put_le(out, EXTRA_ZIP64, 2);
		buf_put_le(out, 16, 2);
		buf_put_le(out, size, 8);
		buf_put_le(out, packed, 8);
	}
	put_times(out, z);
}

void
zip_put_descriptor(struct buf *out, const struct zip_entry *z)
{
	unsigned width = local_is_zip64(z) ? 8 : 4;

	if (!z->descriptor)
		return;
	/* Optional (4.3.9.3), but macOS needs it. */
	buf_put_le(out, SIGNATURE_DESCRIPTOR, 4);
	buf_put_le(out, z->crc, 4);
	buf_put_le(out, (uint64_t)z->packed, width);
	buf_put_le(out, (uint64_t)z->size, width);
}

static void
put_central_zip64(struct buf *out, const struct zip_entry *z)
{
	const int64_t values[] = { z->size, z->packed, z->offset };

	if (central_zip64_data(z) == 0)
		return;
	buf_put_le(out, EXTRA_ZIP64, 2);
	buf_put_le(out, central_zip64_data(z), 2);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (is_full(values[i]))
			buf_put_le(out, (uint64_t)values[i], 8);
}

void
zip_put_central(struct buf *out, const struct zip_entry *z)
{
	uint64_t attributes =
		zip_is_directory(z)
			? (uint64_t)MODE_DIRECTORY << 16 | DOS_DIRECTORY
			: (uint64_t)MODE_FILE << 16;

	buf_put_le(out, SIGNATURE_CENTRAL, 4);
	buf_put_le(out, MADE_BY, 2);
	put_common(out, z);
	buf_put_le(out, z->crc, 4);
	buf_put_le(out, clamp32(z->packed), 4);
	buf_put_le(out, clamp32(z->size), 4);
	buf_put_le(out, z->name_len, 2);
	buf_put_le(out, central_extra_size(z), 2);
	buf_put_le(out, 0, 2); /* comment length */
	buf_put_le(out, 0, 2); /* disk */
	buf_put_le(out, 0, 2); /* internal attributes */
	buf_put_le(out, attributes, 4);
	buf_put_le(out, clamp32(z->offset), 4);
	buf_put(out, z->name, z->name_len);
	put_central_zip64(out, z);
	put_times(out, z);
}

/* The ZIP64 end record and its locator (4.3.14, 4.3.15). */
static void
put_end64(struct buf *out, uint64_t count, int64_t offset, int64_t size)
{
	buf_put_le(out, SIGNATURE_END64, 4);
	buf_put_le(out, END64_FIXED - 12, 8); /* without these two fields */
	buf_put_le(out, MADE_BY, 2);
	buf_put_le(out, VERSION_ZIP64, 2);
	buf_put_le(out, 0, 4); /* this disk */
	buf_put_le(out, 0, 4); /* the directory's disk */
	buf_put_le(out, count, 8);
	buf_put_le(out, count, 8);
	buf_put_le(out, (uint64_t)size, 8);
	buf_put_le(out, (uint64_t)offset, 8);

	buf_put_le(out, SIGNATURE_LOCATOR, 4);
	buf_put_le(out, 0, 4); /* the record's disk */
	buf_put_le(out, (uint64_t)(offset + size), 8);
	buf_put_le(out, 1, 4); /* disks in total: unzip and Go refuse 0 */
}

void
zip_put_end(struct buf *out, uint64_t count, int64_t offset, int64_t size)
{
	uint64_t shown = count < FULL16 ? count : FULL16;

	if (end_is_zip64(count, offset, size))
		put_end64(out, count, offset, size);
	buf_put_le(out, SIGNATURE_END, 4);
	buf_put_le(out, 0, 2); /* this disk */
	buf_put_le(out, 0, 2); /* the directory's disk */
	buf_put_le(out, shown, 2);
	buf_put_le(out, shown, 2);
	buf_put_le(out, clamp32(size), 4);
	buf_put_le(out, clamp32(offset), 4);
	buf_put_le(out, 0, 2); /* comment length */
}
