/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The model: small things of a bundle, and its public JSON.
 *
 * Reading a document is bundle_parse.c's, reading a form bundle_form.c's.
 */
#include "bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "dst.h"
#include "json.h"

#define DEFAULT_NAME "bundle.zip"

const char *
bundle_filename(const struct bundle *b)
{
	if (b->filename == NULL || *b->filename == '\0')
		return DEFAULT_NAME;
	return b->filename;
}

bool
bundle_reports(const struct config *c, const struct bundle *b)
{
	int on_error = b->on_error != ON_ERROR_DEFAULT
			       ? b->on_error
			       : (int)c->on_source_error;

	return on_error == ON_ERROR_REPORT;
}

bool
bundle_is_folder(const struct file *f)
{
	size_t n = strlen(f->dst);

	return f->src != NULL && n > 0 && f->dst[n - 1] == '/';
}

int
bundle_tell_apart(struct arena *a, struct bundle *b, struct error *e)
{
	struct dst_set *names = dst_set_new(a, b->count);
	size_t kept = 0;

	if (names == NULL)
		return error_memory(e);
	for (size_t i = 0; i < b->count; i++) {
		struct file f = b->files[i];

		e->code = ERROR_NONE;
		if (!bundle_is_folder(&f))
			f.dst = dst_set_take(names, f.dst,
					     f.src != NULL ? f.src : "", e);
		if (f.dst == NULL && e->code == ERROR_INTERNAL)
			return -1;
		/* Too long for a number: the download will say so. */
		if (f.dst == NULL && e->code != ERROR_NONE)
			f.dst = b->files[i].dst;
		if (f.dst != NULL)
			b->files[kept++] = f;
	}
	b->count = kept;
	return 0;
}

void
facts_clear(struct facts *f)
{
	*f = (struct facts){ .size = -1,
			     .packed = -1,
			     .mtime = BUNDLE_NO_TIME,
			     .validator = "",
			     .layout = "",
			     .checkpoints = "" };
}

int
bundle_uuid(char out[BUNDLE_UUID])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char b[16];
	ssize_t n;

	do
		n = getrandom(b, sizeof(b), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(b))
		return -1;
	/* RFC 9562, section 5.4: version 4, variant 10. */
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[b[i] >> 4];
		*out++ = hex[b[i] & 15];
	}
	*out = '\0';
	return 0;
}

bool
bundle_is_uuid(const char *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	for (int i = 0; i < BUNDLE_UUID - 1; i++) {
		if (s[i] == '\0')
			return false;
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (strchr(hex, s[i]) == NULL) {
			return false;
		}
	}
	return s[BUNDLE_UUID - 1] == '\0';
}

/* ,"key":"value" */
static void
put_member(struct buf *out, const char *key, const char *value)
{
	buf_putc(out, ',');
	json_put_pair(out, key, value);
}

void
bundle_put_head(struct buf *out, const struct bundle *b)
{
	buf_putc(out, '{');
	json_put_pair(out, "id", b->id);
	put_member(out, "secret", b->secret);
	buf_printf(out, ",\"expirationDate\":%" PRId64, b->expires);
	put_member(out, "filename", bundle_filename(b));
	if (b->compression != COMPRESSION_DEFAULT)
		put_member(out, "compression",
			   compression_name(b->compression));
	if (b->on_error != ON_ERROR_DEFAULT)
		put_member(out, "onError", on_error_name(b->on_error));
	buf_puts(out, ",\"files\":[");
}

void
bundle_put_file(struct buf *out, const struct file *f, size_t i)
{
	buf_puts(out, i > 0 ? ",{" : "{");
	if (f->src != NULL) {
		json_put_pair(out, "src", f->src);
		buf_putc(out, ',');
	}
	json_put_pair(out, "dst", f->dst);
	if (f->size >= 0)
		buf_printf(out, ",\"size\":%" PRId64, f->size);
	if (f->has_crc)
		buf_printf(out, ",\"crc32\":\"%08" PRIx32 "\"", f->crc);
	if (f->mtime != BUNDLE_NO_TIME)
		buf_printf(out, ",\"mtime\":%" PRId64, f->mtime);
	if (f->compression != COMPRESSION_DEFAULT)
		put_member(out, "compression",
			   compression_name(f->compression));
	buf_putc(out, '}');
}

void
bundle_put_tail(struct buf *out, const struct bundle *b)
{
	(void)b;
	buf_puts(out, "]}");
}
