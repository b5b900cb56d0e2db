/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * zip: the records' bytes, written out by hand from APPNOTE, and their sizes
 * on both sides of every ZIP64 border.  Whether real readers agree is asked
 * by tests/service/test_zip_readers.py.
 */
#include "zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FULL INT64_C(0xFFFFFFFF)
/* 2001-09-09 01:46:40 UTC: DOS date 0x2b29, time 0x0dd4. */
#define BILLION 1000000000
#define DOS_BILLION "\xd4\x0d\x29\x2b"
#define UT_BILLION "UT\x05\x00\x01\x00\xca\x9a\x3b"

static void
assert_bytes(const struct buf *b, const char *want, size_t n)
{
	assert_false(buf_failed(b));
	assert_int_equal(b->len, n);
	assert_memory_equal(b->data, want, n);
}
/* The literal's bytes without its NUL. */
#define assert_record(b, literal) assert_bytes(b, literal, sizeof(literal) - 1)

static uint64_t
number_at(const struct buf *b, size_t at, unsigned bytes)
{
	uint64_t value = 0;

	assert_true(at + bytes <= b->len);
	while (bytes-- > 0)
		value = value << 8 | (unsigned char)b->data[at + bytes];
	return value;
}

static struct zip_entry
entry(const char *name)
{
	return (struct zip_entry){
		.name = name,
		.name_len = strlen(name),
		.method = ZIP_METHOD_STORE,
		.crc = 0x352441c2,
		.size = 3,
		.packed = 3,
		.mtime = BILLION,
		.offset = 7,
	};
}

static void
test_stored(void **state)
{
	struct zip_entry z = entry("a");
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	zip_put_local(&b, &z);
	assert_record(&b, "PK\x03\x04\x0a\x00\x00\x00\x00\x00" DOS_BILLION
			  "\xc2\x41\x24\x35\x03\x00\x00\x00\x03\x00\x00\x00"
			  "\x01\x00\x09\x00"
			  "a" UT_BILLION);
	assert_int_equal(zip_local_size(&z), b.len);
	buf_reset(&b);
	zip_put_descriptor(&b, &z);
	assert_int_equal(b.len, 0);
	assert_int_equal(zip_descriptor_size(&z), 0);
	zip_put_central(&b, &z);
	assert_record(&b,
		      "PK\x01\x02\x1e\x03\x0a\x00\x00\x00\x00\x00" DOS_BILLION
		      "\xc2\x41\x24\x35\x03\x00\x00\x00\x03\x00\x00\x00"
		      "\x01\x00\x09\x00\x00\x00\x00\x00\x00\x00"
		      "\x00\x00\xa4\x81\x07\x00\x00\x00"
		      "a" UT_BILLION);
	assert_int_equal(zip_central_size(&z), b.len);
	buf_free(&b);
}

static void
test_deflated_descriptor(void **state)
{
	struct zip_entry z = entry("\xc3\xa9");
	struct buf b;

	(void)state;
	z.method = ZIP_METHOD_DEFLATE;
	z.descriptor = true;
	z.size = 0x01020304;
	buf_init(&b, 1000);
	zip_put_local(&b, &z);
	assert_record(&b, "PK\x03\x04\x14\x00\x08\x08\x08\x00" DOS_BILLION
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			  "\x02\x00\x09\x00\xc3\xa9" UT_BILLION);
	buf_reset(&b);
	zip_put_descriptor(&b, &z);
	assert_record(&b, "PK\x07\x08\xc2\x41\x24\x35\x03\x00\x00\x00"
			  "\x04\x03\x02\x01");
	assert_int_equal(zip_descriptor_size(&z), b.len);
	buf_free(&b);
}

static void
test_large_descriptor(void **state)
{
	struct zip_entry z = entry("a");
	struct buf b;

	(void)state;
	z.method = ZIP_METHOD_DEFLATE;
	z.descriptor = z.large = true;
	buf_init(&b, 1000);
	zip_put_local(&b, &z);
	assert_record(&b, "PK\x03\x04\x2d\x00\x08\x00\x08\x00" DOS_BILLION
			  "\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
			  "\x01\x00\x1d\x00"
			  "a\x01\x00\x10\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00" UT_BILLION);
	buf_reset(&b);
	zip_put_descriptor(&b, &z);
	assert_record(&b, "PK\x07\x08\xc2\x41\x24\x35"
			  "\x03\x00\x00\x00\x00\x00\x00\x00"
			  "\x03\x00\x00\x00\x00\x00\x00\x00");
	/* It turned out small: the directory has no ZIP64 fields, but the
	 * same version. */
	buf_reset(&b);
	zip_put_central(&b, &z);
	assert_int_equal(number_at(&b, 6, 2), 45);
	assert_int_equal(number_at(&b, 30, 2), 9);
	assert_int_equal(number_at(&b, 20, 4), 3);
	buf_free(&b);
}

static void
test_directory(void **state)
{
	struct zip_entry z = entry("d/");
	struct buf b;

	(void)state;
	z.crc = 0;
	z.size = z.packed = 0;
	assert_true(zip_is_directory(&z));
	buf_init(&b, 1000);
	zip_put_central(&b, &z);
	assert_int_equal(number_at(&b, 6, 2), 20);
	assert_int_equal(number_at(&b, 38, 4), 040755u << 16 | 0x10);
	buf_free(&b);
	z = entry("d/x");
	assert_false(zip_is_directory(&z));
	z.name_len = 0;
	assert_false(zip_is_directory(&z));
}

/* The bytes of both ZIP64 extras on each side of the border. */
static void
test_zip64_borders(void **state)
{
	static const struct {
		int64_t size, packed, offset;
		bool descriptor;
		size_t local, central; /* of the ZIP64 extra */
	} rows[] = {
		{ FULL - 1, FULL - 1, FULL - 1, false, 0, 0 },
		{ FULL, FULL, 0, false, 20, 20 },
		{ FULL + 1, FULL + 1, 0, false, 20, 20 },
		{ FULL - 1, FULL, 0, true, 20, 12 },
		{ FULL, FULL - 1, 0, true, 20, 12 },
		{ 3, 3, FULL - 1, false, 0, 0 },
		{ 3, 3, FULL, false, 0, 12 },
		{ 3, 3, FULL + 1, true, 0, 12 },
		{ FULL, FULL, FULL, true, 20, 28 },
		{ -1, -1, 0, true, 0, 0 },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct zip_entry z = entry("name");
		bool any = rows[i].local + rows[i].central > 0;

		z.descriptor = rows[i].descriptor;
		z.method = z.descriptor ? ZIP_METHOD_DEFLATE : ZIP_METHOD_STORE;
		z.size = rows[i].size;
		z.packed = rows[i].packed;
		z.offset = rows[i].offset;
		buf_reset(&b);
		zip_put_local(&b, &z);
		assert_int_equal(b.len, 30 + 4 + rows[i].local + 9);
		assert_int_equal(zip_local_size(&z), b.len);
		assert_int_equal(number_at(&b, 4, 2), any	     ? 45
						      : z.descriptor ? 20
								     : 10);
		buf_reset(&b);
		zip_put_descriptor(&b, &z);
		assert_int_equal(b.len, !z.descriptor	? 0
					: rows[i].local ? 24
							: 16);
		assert_int_equal(zip_descriptor_size(&z), b.len);
		if (z.size < 0)
			continue; /* never in the directory */
		buf_reset(&b);
		zip_put_central(&b, &z);
		assert_int_equal(b.len, 46 + 4 + rows[i].central + 9);
		assert_int_equal(zip_central_size(&z), b.len);
		assert_int_equal(number_at(&b, 6, 2), any	     ? 45
						      : z.descriptor ? 20
								     : 10);
	}
	buf_free(&b);
}

static void
test_zip64_values(void **state)
{
	struct zip_entry z = entry("a");
	struct buf b;

	(void)state;
	z.size = FULL + 5;
	z.packed = FULL + 5;
	z.offset = FULL + 9;
	buf_init(&b, 1000);
	zip_put_local(&b, &z);
	assert_int_equal(number_at(&b, 18, 4), FULL);
	assert_int_equal(number_at(&b, 22, 4), FULL);
	assert_int_equal(number_at(&b, 35, 8), z.size);
	assert_int_equal(number_at(&b, 43, 8), z.packed);
	buf_reset(&b);
	z.packed = 77;
	zip_put_central(&b, &z);
	assert_int_equal(number_at(&b, 20, 4), 77);
	assert_int_equal(number_at(&b, 24, 4), FULL);
	assert_int_equal(number_at(&b, 42, 4), FULL);
	assert_int_equal(number_at(&b, 47, 2), 1);
	assert_int_equal(number_at(&b, 49, 2), 16);
	assert_int_equal(number_at(&b, 51, 8), z.size);
	assert_int_equal(number_at(&b, 59, 8), z.offset);
	buf_free(&b);
}

static void
test_times(void **state)
{
	static const struct {
		int64_t mtime;
		uint32_t dos;
		bool ut;
	} rows[] = {
		{ BILLION, 0x2b290dd4, true },
		{ BILLION + 1, 0x2b290dd4, true }, /* DOS counts in twos */
		{ 0, 0x00210000, true },
		{ -1, 0x00210000, true },
		{ 315532799, 0x00210000, true },
		{ 315532800, 0x00210000, true },
		{ 315532802, 0x00210001, true },
		{ 951782400, 0x285d0000, true }, /* 2000-02-29 */
		{ INT32_MAX, 0x743319c3, true },
		{ INT64_C(0x80000000), 0x743319c4, false },
		{ INT32_MIN, 0x00210000, true },
		{ INT32_MIN - INT64_C(1), 0x00210000, false },
		{ INT64_C(4354819199), 0xff9fbf7d, false },
		{ INT64_C(4354819200), 0xff9fbf7d, false },
		{ INT64_MAX, 0xff9fbf7d, false },
		{ INT64_MIN, 0x00210000, false },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct zip_entry z = entry("a");

		z.mtime = rows[i].mtime;
		buf_reset(&b);
		zip_put_local(&b, &z);
		assert_int_equal(number_at(&b, 10, 4), rows[i].dos);
		assert_int_equal(number_at(&b, 28, 2), rows[i].ut ? 9 : 0);
		assert_int_equal(zip_local_size(&z), b.len);
		if (rows[i].ut)
			assert_int_equal((int32_t)number_at(&b, 36, 4),
					 rows[i].mtime);
		buf_reset(&b);
		zip_put_central(&b, &z);
		assert_int_equal(number_at(&b, 12, 4), rows[i].dos);
		assert_int_equal(zip_central_size(&z), b.len);
	}
	buf_free(&b);
}

static void
test_end(void **state)
{
	static const struct {
		uint64_t count;
		int64_t offset, size;
		bool zip64;
	} rows[] = {
		{ 0, 0, 0, false },
		{ 1, 100, 50, false },
		{ 65534, FULL - 1, FULL - 1, false },
		{ 65535, 100, 50, true },
		{ 65536, 100, 50, true },
		{ 1, FULL, 50, true },
		{ 1, 100, FULL, true },
		{ 70000, FULL + 1, FULL + 1, true },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t n = rows[i].count;
		int64_t offset = rows[i].offset, size = rows[i].size;
		size_t e = rows[i].zip64 ? 76 : 0;

		buf_reset(&b);
		zip_put_end(&b, n, offset, size);
		assert_int_equal(b.len, 22 + e);
		assert_int_equal(zip_end_size(n, offset, size), b.len);
		assert_int_equal(number_at(&b, e, 4), 0x06054b50);
		assert_int_equal(number_at(&b, e + 8, 2),
				 n < 65535 ? n : 65535);
		assert_int_equal(number_at(&b, e + 10, 2),
				 n < 65535 ? n : 65535);
		assert_int_equal(number_at(&b, e + 12, 4),
				 size < FULL ? size : FULL);
		assert_int_equal(number_at(&b, e + 16, 4),
				 offset < FULL ? offset : FULL);
		if (!rows[i].zip64)
			continue;
		assert_int_equal(number_at(&b, 0, 4), 0x06064b50);
		assert_int_equal(number_at(&b, 4, 8), 44);
		assert_int_equal(number_at(&b, 14, 2), 45);
		assert_int_equal(number_at(&b, 24, 8), n);
		assert_int_equal(number_at(&b, 32, 8), n);
		assert_int_equal(number_at(&b, 40, 8), size);
		assert_int_equal(number_at(&b, 48, 8), offset);
		assert_int_equal(number_at(&b, 56, 4), 0x07064b50);
		assert_int_equal(number_at(&b, 64, 8), offset + size);
		assert_int_equal(number_at(&b, 72, 4), 1);
	}
	buf_free(&b);
}

static void
test_full_buffer(void **state)
{
	struct zip_entry z = entry("a");
	struct buf b;

	(void)state;
	buf_init(&b, 20);
	zip_put_local(&b, &z);
	assert_true(buf_failed(&b));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored),
		cmocka_unit_test(test_deflated_descriptor),
		cmocka_unit_test(test_large_descriptor),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_zip64_borders),
		cmocka_unit_test(test_zip64_values),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_full_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
