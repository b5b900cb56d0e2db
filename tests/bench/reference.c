/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the work costs without a service around it, in CPU seconds.
 *
 *	reference crc FILE BYTES	CRC-32 of the file, repeated to BYTES
 *	reference zlib LEVEL FILE BYTES
 *	reference igzip LEVEL FILE BYTES
 *
 * Prints one JSON object: seconds of CPU and bytes that came out.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <isa-l.h>
#include <zlib.h>

#define BLOCK 65536

static unsigned char out[2 * BLOCK];

static int64_t
run_crc(const unsigned char *p, size_t n, int64_t bytes)
{
	uint32_t crc = 0;

	for (int64_t at = 0; at < bytes; at += BLOCK)
		crc = crc32_gzip_refl(crc, p + (size_t)at % n, BLOCK);
	return (int64_t)(crc & 0) + bytes;
}

static int64_t
run_zlib(int level, unsigned char *p, size_t n, int64_t bytes)
{
	z_stream z = { 0 };
	int64_t made = 0;

	deflateInit2(&z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	for (int64_t at = 0; at < bytes; at += BLOCK) {
		z.next_in = p + (size_t)at % n;
		z.avail_in = BLOCK;
		z.next_out = out;
		z.avail_out = sizeof(out);
		deflate(&z, at + BLOCK < bytes ? Z_NO_FLUSH : Z_FINISH);
		made += (int64_t)(sizeof(out) - z.avail_out);
	}
	deflateEnd(&z);
	return made;
}

static int64_t
run_igzip(int level, unsigned char *p, size_t n, int64_t bytes)
{
	struct isal_zstream z;
	int64_t made = 0;

	isal_deflate_init(&z);
	z.level = (uint32_t)level;
	z.level_buf_size = ISAL_DEF_LVL3_DEFAULT;
	z.level_buf = malloc(z.level_buf_size);
	for (int64_t at = 0; at < bytes; at += BLOCK) {
		z.next_in = p + (size_t)at % n;
		z.avail_in = BLOCK;
		z.next_out = out;
		z.avail_out = sizeof(out);
		z.end_of_stream = at + BLOCK >= bytes;
		isal_deflate(&z);
		made += (int64_t)(sizeof(out) - z.avail_out);
	}
	free(z.level_buf);
	return made;
}

/* The file, cut to whole blocks. */
static unsigned char *
load(const char *path, size_t *n)
{
	unsigned char *p = malloc(64 << 20);
	FILE *f = fopen(path, "r");

	*n = p != NULL && f != NULL ? fread(p, BLOCK, 1024, f) * BLOCK : 0;
	if (*n == 0) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return p;
}

int
main(int argc, char **argv)
{
	int crc = argc == 4 && strcmp(argv[1], "crc") == 0;
	unsigned char *p;
	int64_t made;
	clock_t began;
	size_t n;

	if (!crc && argc != 5) {
		fputs("usage: reference crc FILE BYTES\n"
		      "       reference zlib|igzip LEVEL FILE BYTES\n",
		      stderr);
		return 2;
	}
	p = load(argv[argc - 2], &n);
	began = clock();
	if (crc)
		made = run_crc(p, n, atoll(argv[3]));
	else if (strcmp(argv[1], "zlib") == 0)
		made = run_zlib(atoi(argv[2]), p, n, atoll(argv[4]));
	else
		made = run_igzip(atoi(argv[2]), p, n, atoll(argv[4]));
	printf("{\"cpu\": %.4f, \"bytes\": %lld}\n",
	       (double)(clock() - began) / CLOCKS_PER_SEC, (long long)made);
	free(p);
	return 0;
}
