/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Items: attributes as DynamoDB's JSON, and a bundle as the Node service keeps
 * it, so that its table goes on working: id, secret, filename, expirationDate
 * (the TTL attribute), files as a list of maps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_dynamodb.h"

void
dynamodb_put_s(struct buf *b, const char *name, const char *value)
{
	json_put_string(b, name, strlen(name));
	buf_puts(b, ":{\"S\":");
	json_put_string(b, value, strlen(value));
	buf_puts(b, "}");
}

void
dynamodb_put_n(struct buf *b, const char *name, int64_t value)
{
	json_put_string(b, name, strlen(name));
	buf_printf(b, ":{\"N\":\"%lld\"}", (long long)value);
}

static void
put_file(struct buf *b, const struct file *f)
{
	char crc[9];

	buf_puts(b, "{\"M\":{");
	dynamodb_put_s(b, "dst", f->dst);
	if (f->src != NULL) {
		buf_puts(b, ",");
		dynamodb_put_s(b, "src", f->src);
	}
	if (f->size >= 0) {
		buf_puts(b, ",");
		dynamodb_put_n(b, "size", f->size);
	}
	if (f->mtime != BUNDLE_NO_TIME) {
		buf_puts(b, ",");
		dynamodb_put_n(b, "mtime", f->mtime);
	}
	if (f->has_crc) {
		snprintf(crc, sizeof(crc), "%08x", f->crc);
		buf_puts(b, ",");
		dynamodb_put_s(b, "crc32", crc);
	}
	if (f->compression != COMPRESSION_DEFAULT) {
		buf_puts(b, ",");
		dynamodb_put_s(b, "compression",
			       compression_name(f->compression));
	}
	buf_puts(b, "}}");
}

void
dynamodb_put_files(struct buf *b, const struct file *files, size_t n)
{
	buf_puts(b, "{\"L\":[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_puts(b, ",");
		put_file(b, &files[i]);
	}
	buf_puts(b, "]}");
}

void
dynamodb_put_bundle(struct buf *out, const struct bundle *b)
{
	dynamodb_put_s(out, "id", b->id);
	buf_puts(out, ",");
	dynamodb_put_s(out, "secret", b->secret);
	buf_puts(out, ",");
	dynamodb_put_n(out, "expirationDate", b->expires);
	buf_puts(out, ",");
	dynamodb_put_n(out, "createdDate", b->created);
	buf_puts(out, ",");
	dynamodb_put_s(out, "filename", b->filename);
	if (b->compression != COMPRESSION_DEFAULT) {
		buf_puts(out, ",");
		dynamodb_put_s(out, "compression",
			       compression_name(b->compression));
	}
	if (b->on_error != ON_ERROR_DEFAULT) {
		buf_puts(out, ",");
		dynamodb_put_s(out, "onError", on_error_name(b->on_error));
	}
	buf_puts(out, ",\"files\":");
	dynamodb_put_files(out, b->files, b->count);
}

void
dynamodb_begin(const struct dynamodb *db, struct buf *b)
{
	buf_init(b, DYNAMODB_BODY_MAX);
	buf_puts(b, "{");
	json_put_pair(b, "TableName", db->config->table_name);
}

void
dynamodb_put_key(struct buf *b, const char *id)
{
	buf_puts(b, ",\"Key\":{");
	dynamodb_put_s(b, "id", id);
	buf_puts(b, "}");
}

const char *
dynamodb_get_s(const struct json *item, const char *name)
{
	return json_string(json_get(json_get(item, name), "S"), NULL);
}

int64_t
dynamodb_get_n(const struct json *item, const char *name, int64_t otherwise)
{
	const char *text =
		json_string(json_get(json_get(item, name), "N"), NULL);

	return text[0] != '\0' ? strtoll(text, NULL, 10) : otherwise;
}

const struct json *
dynamodb_get_list(const struct json *item, const char *name)
{
	return json_get(json_get(item, name), "L");
}

/* What no file can have counts as not declared: lengths are summed. */
static int64_t
get_size(const struct json *m)
{
	int64_t size = dynamodb_get_n(m, "size", -1);

	return size >= 0 && size <= BUNDLE_SIZE_MAX ? size : -1;
}

static int
read_file(struct arena *a, const struct json *map, struct file *f)
{
	const struct json *m = json_get(map, "M");
	const char *src = dynamodb_get_s(m, "src"),
		   *dst = dynamodb_get_s(m, "dst");
	const char *crc = dynamodb_get_s(m, "crc32");
	int compression =
		compression_from_name(dynamodb_get_s(m, "compression"));

	facts_clear(&f->facts);
	f->src = src[0] != '\0' ? arena_strdup(a, src) : NULL;
	f->dst = arena_strdup(a, dst);
	f->size = get_size(m);
	f->mtime = dynamodb_get_n(m, "mtime", BUNDLE_NO_TIME);
	f->has_crc = strlen(crc) == 8;
	f->crc = (uint32_t)strtoul(crc, NULL, 16);
	f->compression = compression > 0 ? (uint8_t)compression : 0;
	return f->dst == NULL || (src[0] != '\0' && f->src == NULL) ? -1 : 0;
}

static void
copy_uuid(char out[BUNDLE_UUID], const char *text)
{
	snprintf(out, BUNDLE_UUID, "%s", text);
}

int
dynamodb_get_bundle(const struct dynamodb *db, const struct json *item,
		    struct arena *a, struct bundle *out, struct error *e)
{
	const struct json *list = dynamodb_get_list(item, "files");
	int compression =
		compression_from_name(dynamodb_get_s(item, "compression"));
	int on_error = on_error_from_name(dynamodb_get_s(item, "onError"));

	*out = (struct bundle){ .count = json_length(list) };
	copy_uuid(out->id, dynamodb_get_s(item, "id"));
	copy_uuid(out->secret, dynamodb_get_s(item, "secret"));
	out->created = dynamodb_get_n(item, "createdDate", 0);
	out->expires = dynamodb_get_n(item, "expirationDate", 0);
	out->compression = compression > 0 ? (uint8_t)compression : 0;
	out->on_error = on_error > 0 ? (uint8_t)on_error : 0;
	out->filename = arena_strdup(a, dynamodb_get_s(item, "filename"));
	out->files = arena_array(a, out->count + 1, sizeof(*out->files));
	if (out->filename == NULL || out->files == NULL)
		return error_memory(e);
	for (size_t i = 0; i < out->count; i++) {
		if (read_file(a, json_at(list, i), &out->files[i]) != 0)
			return error_memory(e);
	}
	/* The Node service wrote no such date. */
	return out->created == 0 ? bundle_adopt(db->config, a, out, e) : 0;
}
