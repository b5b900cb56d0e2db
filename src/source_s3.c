/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * s3://bucket/key as a source.
 *
 * The key is literal: '?', '#', '%', '+', "//" and ".." belong to it.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto.h"
#include "s3.h"
#include "s3_list.h"
#include "source.h"
#include "url.h"

#define LIST_MS 30000	   /* for a page, at the most */
#define PAGE_MAX (8 << 20) /* 1000 keys of 1 KiB, escaped */
#define BARREN_MAX 100	   /* pages in a row with no object: only folders */

static int
check(const struct config *c, struct arena *a, const char *src, struct error *e)
{
	struct s3_object o;

	if (s3_parse(a, src, &o, e) != 0)
		return -1;
	/* "s3://bucket/" can be meant as a folder. */
	if (o.key[0] == '\0' && src[strlen(src) - 1] != '/')
		return error_set(e, ERROR_INPUT, "No S3 key in '%.80s'", src);
	if (!url_allowed_s3(c->source_allow, o.bucket, o.key))
		return error_set(e, ERROR_INPUT, "Source not allowed: '%.80s'",
				 src);
	return 0;
}

static const char *
name(struct arena *a, const char *src, size_t *len)
{
	struct s3_object o;
	struct error e;

	if (s3_parse(a, src, &o, &e) != 0)
		return NULL;
	*len = strlen(o.key);
	return o.key;
}

static int
prepare(const struct config *c, struct transfer_engine *t, struct arena *a,
	const char *src, const struct source_want *want,
	struct transfer_call *call, struct error *e)
{
	static const struct sigv4_pair checksum = { "x-amz-checksum-mode",
						    "ENABLED" };
	struct s3_call what = { .method = want->facts_only ? "HEAD" : "GET",
				.headers = &checksum,
				.header_count = 1 };

	if (s3_parse(a, src, &what.object, e) != 0)
		return -1;
	if (what.object.key[0] == '\0')
		return error_set(e, ERROR_SOURCE, "is a bucket, not an object");
	if (s3_prepare(c, t, a, &what, call, e) != 0)
		return -1;
	if (want->facts_only)
		return 0;
	if (want->ranged || want->first > 0 || want->last >= 0)
		s3_add_header(call, "Range",
			      want->last >= 0
				      ? arena_printf(a, "bytes=%lld-%lld",
						     (long long)want->first,
						     (long long)want->last)
				      : arena_printf(a, "bytes=%lld-",
						     (long long)want->first));
	if (want->validator != NULL && want->validator[0] == '"')
		s3_add_header(call, "If-Match", want->validator);
	return 0;
}

static enum source_verdict
judge(const struct config *c, const char *src, const struct transfer_head *head,
      const char *body, size_t n, struct error *e)
{
	char bucket[S3_BUCKET_MAX + 1];
	const char *start = src + strlen("s3://");

	snprintf(bucket, sizeof(bucket), "%.*s", (int)strcspn(start, "/"),
		 start);
	return s3_judge(c, bucket, head, body, n, e);
}

/* A full-object CRC-32; a multipart upload's composite one is another sum
 * (it ends in "-N"), and a part's says nothing of the whole. */
static void
learn(const struct transfer_head *head, struct source_facts *facts)
{
	const char *sum = head->get(head, "x-amz-checksum-crc32");
	const char *type = head->get(head, "x-amz-checksum-type");
	unsigned char b[4];

	if (sum == NULL || head->status != 200 || strchr(sum, '-') != NULL ||
	    (type != NULL && strcasecmp(type, "FULL_OBJECT") != 0) ||
	    crypto_base64_decode(sum, b, sizeof(b)) != 4)
		return;
	facts->crc = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
		     (uint32_t)b[2] << 8 | b[3];
	facts->has_crc = true;
}

struct listing {
	const struct source_folder *folder;
	struct s3_object prefix;
	size_t found;
};

/* The folder's own marker says nothing; those below it are folders. */
static int
take_listed(void *ctx, const struct s3_listed *o, struct error *e)
{
	struct listing *l = ctx;
	const struct source_folder *f = l->folder;
	size_t before = strlen(l->prefix.key), n = strlen(o->key);
	struct source_child child = { .name = o->key + before,
				      .size = o->size,
				      .mtime = o->mtime };

	if (n < before || memcmp(o->key, l->prefix.key, before) != 0)
		return error_set(e, ERROR_SOURCE,
				 "was listed with other keys than asked for");
	l->found++;
	if (n == before)
		return 0;
	if (o->key[n - 1] != '/') {
		child.src = arena_printf(f->arena, "s3://%s/%s",
					 l->prefix.bucket, o->key);
		if (child.src == NULL)
			return error_memory(e);
	}
	return f->found(f->ctx, &child, e);
}

/* One page; *token is that of the next, NULL at the end. */
static int
list_page(struct listing *l, struct buf *page, const char **token,
	  struct error *e)
{
	const struct source_folder *f = l->folder;
	struct sigv4_pair query[5] = { { "list-type", "2" },
				       { "encoding-type", "url" },
				       { "prefix", l->prefix.key } };
	struct s3_call what = { .method = "GET",
				.object = { .bucket = l->prefix.bucket,
					    .key = "" },
				.query = query,
				.query_count = 3 };
	struct s3_answer answer = { .timeout_ms =
					    f->config->first_byte_timeout_ms,
				    .until_ms = f->until_ms,
				    .body = page };

	if (answer.timeout_ms > LIST_MS)
		answer.timeout_ms = LIST_MS;

	if (!f->deep)
		query[what.query_count++] =
			(struct sigv4_pair){ "delimiter", "/" };
	if (*token != NULL)
		query[what.query_count++] =
			(struct sigv4_pair){ "continuation-token", *token };
	if (s3_exchange(f->config, f->engine, f->arena, &what, NULL, 0, &answer,
			e) != 0)
		return -1;
	return s3_list_read(f->arena, buf_str(page), page->len, take_listed, l,
			    token, e);
}

static int
expand(const struct source_folder *f, struct error *e)
{
	struct listing l = { .folder = f };
	const char *token = NULL;
	int rc = 0, barren = 0;
	struct buf page;
	size_t found;

	if (s3_parse(f->arena, f->src, &l.prefix, e) != 0)
		return -1;
	buf_init(&page, PAGE_MAX);
	do {
		found = l.found;
		rc = list_page(&l, &page, &token, e);
		barren = l.found > found ? 0 : barren + 1;
		/* MAX_FILES bounds the others. */
		if (rc == 0 && token != NULL && barren == BARREN_MAX)
			rc = error_set(e, ERROR_SOURCE,
				       "has too many folders in it");
	} while (rc == 0 && token != NULL);
	buf_free(&page);
	/* S3 knows no folders: one without anything is most likely a slip. */
	if (rc == 0 && l.found == 0) {
		rc = error_set(e, ERROR_SOURCE, "404 has nothing in it");
		e->http_status = 404;
	}
	return rc;
}

const struct source_ops source_s3 = {
	.scheme = "s3",
	.interface = FS_S3,
	.check = check,
	.name = name,
	.prepare = prepare,
	.judge = judge,
	.learn = learn,
	.expand = expand,
};
