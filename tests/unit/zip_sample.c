/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Writes a sample archive of every layout that the service writes, for
 * foreign readers to judge: zip_sample SAMPLE FILE.  On standard output comes
 * what the archive holds, "CRC-32 size name" for each entry.  Long runs of
 * zeros become holes in the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec.h"
#include "zip.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GIB (INT64_C(1) << 30)
#define BUF_MAX (64 << 20)
#define MTIME 1700000000

enum layout {
	STORED,	  /* size and CRC known: no descriptor */
	PACKED,	  /* deflated before its header goes out */
	DEFLATED, /* descriptor */
	LEVEL0	  /* descriptor, stored blocks */
};

struct sample {
	int fd;
	struct buf out;
	struct buf central;
	uint64_t count;
	int64_t at; /* bytes written, holes included */
};

static const unsigned char zeros[1 << 20];

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
put(struct sample *s, const void *p, size_t n)
{
	const char *c = p;

	for (ssize_t done; n > 0; c += done, n -= (size_t)done) {
		done = write(s->fd, c, n);
		if (done <= 0)
			fail("write");
		s->at += done;
	}
}

static void
flush(struct sample *s)
{
	if (buf_failed(&s->out) || buf_failed(&s->central))
		fail("buf");
	put(s, s->out.data, s->out.len);
	buf_reset(&s->out);
}

static int
sink(void *ctx, const void *p, size_t n)
{
	const unsigned char *c = p;
	struct sample *s = ctx;

	if (c < zeros || c >= zeros + sizeof(zeros)) {
		put(s, p, n);
		return 0;
	}
	s->at += (int64_t)n;
	return lseek(s->fd, s->at, SEEK_SET) < 0 ? -1 : 0;
}

static int
sink_buf(void *ctx, const void *p, size_t n)
{
	buf_put(ctx, p, n);
	return 0;
}

/* `p` of n bytes again and again until `size` bytes have gone in. */
static void
pack(enum codec_kind kind, const void *p, size_t n, int64_t size,
     codec_sink_fn to, void *ctx)
{
	struct codec *k = codec_open(kind, 1, size, to, ctx);
	int64_t left = size;
	int rc = k != NULL ? 0 : -1;

	for (; rc == 0 && left > 0; left -= (int64_t)n) {
		n = left < (int64_t)n ? (size_t)left : n;
		rc = codec_write(k, p, n);
	}
	if (rc != 0 || codec_end(k) != 0)
		fail("codec");
	codec_close(k);
}

static uint32_t
crc_of(const void *p, size_t n, int64_t size)
{
	uint32_t crc = 0;

	for (; size > 0; size -= (int64_t)n) {
		n = size < (int64_t)n ? (size_t)size : n;
		crc = codec_crc32(crc, p, n);
	}
	return crc;
}

static void
add(struct sample *s, enum layout layout, const char *name, const void *p,
    size_t n, int64_t size)
{
	static const enum codec_kind kinds[] = {
		[STORED] = CODEC_STORE,
		[PACKED] = CODEC_DEFLATE,
		[DEFLATED] = CODEC_DEFLATE,
		[LEVEL0] = CODEC_LEVEL0,
	};
	struct zip_entry z = {
		.name = name,
		.name_len = strlen(name),
		.method = layout == STORED ? ZIP_METHOD_STORE
					   : ZIP_METHOD_DEFLATE,
		.descriptor = layout == DEFLATED || layout == LEVEL0,
		.large = size >= 4 * GIB,
		.crc = crc_of(p, n, size),
		.size = size,
		.packed = size,
		.mtime = MTIME,
		.offset = s->at,
	};
	struct buf packed;
	int64_t start;

	buf_init(&packed, BUF_MAX);
	if (layout == PACKED) {
		pack(kinds[layout], p, n, size, sink_buf, &packed);
		z.packed = (int64_t)packed.len;
	}
	zip_put_local(&s->out, &z);
	flush(s);
	start = s->at;
	if (layout == PACKED)
		put(s, packed.data, packed.len);
	else
		pack(kinds[layout], p, n, size, sink, s);
	z.packed = s->at - start;
	zip_put_descriptor(&s->out, &z);
	flush(s);
	zip_put_central(&s->central, &z);
	s->count++;
	buf_free(&packed);
	printf("%08x %lld %s\n", z.crc, (long long)size, name);
}

static void
add_text(struct sample *s, enum layout layout, const char *name, int64_t size)
{
	static const char text[] = "Ein Satz, der sich gut packen laesst. ";

	add(s, layout, name, text, sizeof(text) - 1, size);
}

static void
add_directory(struct sample *s, const char *name)
{
	add(s, STORED, name, "", 0, 0);
}

static void
add_zeros(struct sample *s, enum layout layout, const char *name, int64_t size)
{
	add(s, layout, name, zeros, sizeof(zeros), size);
}

/* Empty, tiny and long files of one layout, one that does not shrink. */
static void
fill_layout(struct sample *s, int layout)
{
	static unsigned char noise[200000];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (unsigned char)(x >> 24);
	}
	add_text(s, layout, "a.txt", 1);
	add_text(s, layout, "empty.txt", 0);
	add_text(s, layout, "folder/long.txt", 1000003);
	add(s, layout, "noise.bin", noise, sizeof(noise), sizeof(noise));
	add_text(s, layout, "block.txt", 65535);
}

static void
fill_mixed(struct sample *s, int unused)
{
	(void)unused;
	add_directory(s, "folder/");
	add_text(s, STORED, "folder/stored.txt", 100);
	add_text(s, LEVEL0, "folder/level0.txt", 70000);
	add_directory(s, "folder/empty folder/");
	add_text(s, DEFLATED, "deflated.txt", 70000);
	add_text(s, PACKED, "packed.txt", 70000);
	add_text(s, STORED, "last.txt", 10);
}

static void
fill_utf8(struct sample *s, int unused)
{
	(void)unused;
	add_directory(s, "Ordner \xc3\xbc/");
	add_text(s, STORED,
		 "Ordner \xc3\xbc/gr\xc3\xb6\xc3\x9f"
		 "e.txt",
		 100);
	add_text(s, DEFLATED, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.txt", 9999);
	add_text(s, LEVEL0, "\xf0\x9f\x8e\x89.txt", 9999);
	add_text(s, STORED, "plain.txt", 100);
}

static void
fill_many(struct sample *s, int count)
{
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%03d/%05d.txt", i / 1000, i);
		add_text(s, i % 3 == 0 ? DEFLATED : STORED, name, i % 40);
	}
}

/* One member over 4 GiB, which pushes the next one's offset there too. */
static void
fill_long_member(struct sample *s, int layout)
{
	add_text(s, STORED, "first.txt", 100);
	add_zeros(s, layout, "long.bin", 4 * GIB + 5);
	add_text(s, DEFLATED, "last.txt", 70000);
}

/* Only an offset needs ZIP64. */
static void
fill_long_archive(struct sample *s, int unused)
{
	(void)unused;
	add_zeros(s, STORED, "one.bin", 2 * GIB + 1);
	add_zeros(s, STORED, "two.bin", 2 * GIB + 1);
	add_text(s, STORED, "stored.txt", 100);
	add_text(s, DEFLATED, "last.txt", 70000);
}

static const struct {
	const char *name;
	void (*fill)(struct sample *s, int arg);
	int arg;
} samples[] = {
	{ "stored", fill_layout, STORED },
	{ "packed", fill_layout, PACKED },
	{ "deflated", fill_layout, DEFLATED },
	{ "level0", fill_layout, LEVEL0 },
	{ "mixed", fill_mixed, 0 },
	{ "utf8", fill_utf8, 0 },
	{ "entries-65534", fill_many, 65534 },
	{ "entries-65535", fill_many, 65535 },
	{ "entries-70000", fill_many, 70000 },
	{ "long-archive", fill_long_archive, 0 },
	{ "long-stored", fill_long_member, STORED },
	{ "long-level0", fill_long_member, LEVEL0 },
	{ "long-deflated", fill_long_member, DEFLATED },
};

static void
finish(struct sample *s)
{
	int64_t offset = s->at, size = (int64_t)s->central.len;

	put(s, s->central.data, s->central.len);
	zip_put_end(&s->out, s->count, offset, size);
	flush(s);
	if (close(s->fd) != 0)
		fail("close");
	buf_free(&s->out);
	buf_free(&s->central);
}

int
main(int argc, char **argv)
{
	struct sample s = { 0 };

	for (size_t i = 0; argc == 3 && i < COUNT(samples); i++) {
		if (strcmp(argv[1], samples[i].name) != 0)
			continue;
		s.fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
		if (s.fd < 0)
			fail(argv[2]);
		buf_init(&s.out, BUF_MAX);
		buf_init(&s.central, BUF_MAX);
		samples[i].fill(&s, samples[i].arg);
		finish(&s);
		return 0;
	}
	fprintf(stderr, "usage: zip_sample SAMPLE FILE\n");
	return 2;
}
