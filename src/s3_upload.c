/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A multipart upload to S3, part by part.
 *
 * Every part but the last has 5 MiB at least, also those that come to stand
 * before a copy: the copy's first bytes are read to fill it up.
 */
#include "s3_upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define LOG_MODULE "upload"
#include "log.h"

#define MIB (INT64_C(1) << 20)
#define PART_FIRST (8 * MIB)
#define PART_STEP 1250	     /* parts of one size; then twice it */
#define CALL_MS 60000	     /* begin, abort */
#define PART_MS (15 * 60000) /* a part, a copy, the end */
#define ETAG_MAX 80
#define SMALL_ANSWER 65536

struct s3_upload {
	const struct config *config;
	struct transfer_engine *engine;
	struct arena *arena; /* of one call */
	struct s3_object to;
	char *id;
	int64_t total;
	struct buf part; /* bytes that wait for a part's size */
	int count;	 /* parts that are there */
	char (*etags)[ETAG_MAX];
};

int64_t
s3_upload_part_size(int number, int64_t total)
{
	int64_t size = PART_FIRST << ((number - 1) / PART_STEP);
	/* A known size needs no growth: some parts to spare for copies. */
	int64_t even = total / (S3_PARTS_MAX - 1000) / MIB * MIB + MIB;

	if (total >= 0)
		return even > PART_FIRST ? even : PART_FIRST;
	return size;
}

/* A call whose answer is small; the arena is emptied before each. */
static int
call(struct s3_upload *u, const struct s3_call *what, const void *payload,
     size_t n, struct buf *body, const char *want, const char **got,
     int timeout_ms, struct error *e)
{
	struct s3_answer answer = { .timeout_ms = timeout_ms,
				    .body = body,
				    .want = &want,
				    .got = got,
				    .want_count = want != NULL };

	return s3_exchange(u->config, u->engine, u->arena, what, payload, n,
			   &answer, e);
}

/* The text of an element; "" when there is none. */
static char *
text_of(struct arena *a, const struct buf *xml, const char *name)
{
	char tag[40];
	int len = snprintf(tag, sizeof(tag), "<%s>", name);
	const char *start = strstr(buf_str(xml), tag);

	if (start == NULL)
		return arena_strdup(a, "");
	return arena_strndup(a, start + len, strcspn(start + len, "<"));
}

static int
create(struct s3_upload *u, const char *content_type, struct error *e)
{
	const struct sigv4_pair query = { "uploads", "" };
	const struct sigv4_pair type = { "content-type", content_type };
	const struct s3_call what = { .method = "POST",
				      .object = u->to,
				      .query = &query,
				      .query_count = 1,
				      .headers = &type,
				      .header_count = 1 };
	const char *id;
	struct buf body;
	int rc;

	buf_init(&body, SMALL_ANSWER);
	rc = call(u, &what, NULL, 0, &body, NULL, NULL, CALL_MS, e);
	if (rc == 0) {
		id = text_of(u->arena, &body, "UploadId");
		u->id = id != NULL && *id != '\0' ? strdup(id) : NULL;
		if (u->id == NULL)
			rc = error_set(e, ERROR_SOURCE,
				       "S3 began no multipart upload");
	}
	buf_free(&body);
	return rc;
}

struct s3_upload *
s3_upload_begin(const struct config *c, struct transfer_engine *t,
		const struct s3_object *to, const char *content_type,
		struct error *e)
{
	struct s3_upload *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		error_memory(e);
		return NULL;
	}
	u->config = c;
	u->engine = t;
	u->to = *to;
	u->total = -1;
	u->arena = arena_new(0);
	u->etags = calloc(S3_PARTS_MAX, sizeof(*u->etags));
	buf_init(&u->part, (size_t)S3_PART_MAX);
	if (u->arena == NULL || u->etags == NULL)
		error_memory(e);
	else if (create(u, content_type, e) == 0)
		return u;
	s3_upload_free(u);
	return NULL;
}

void
s3_upload_expect(struct s3_upload *u, int64_t total)
{
	u->total = total;
}

void
s3_upload_free(struct s3_upload *u)
{
	if (u == NULL)
		return;
	arena_free(u->arena);
	buf_free(&u->part);
	free(u->etags);
	free(u->id);
	free(u);
}

/* One more part: the payload, or, with extra headers, a copy. */
static int
put_part(struct s3_upload *u, const struct sigv4_pair *headers, size_t count,
	 const void *payload, size_t n, struct buf *body, const char **etag,
	 struct error *e)
{
	char number[12];
	const struct sigv4_pair query[] = { { "partNumber", number },
					    { "uploadId", u->id } };
	const struct s3_call what = { .method = "PUT",
				      .object = u->to,
				      .query = query,
				      .query_count = 2,
				      .headers = headers,
				      .header_count = count };

	if (u->count == S3_PARTS_MAX)
		return error_set(e, ERROR_TOO_LARGE,
				 "The zip needs more parts than S3 takes");
	snprintf(number, sizeof(number), "%d", u->count + 1);
	arena_reset(u->arena);
	return call(u, &what, payload, n, body, "ETag", etag, PART_MS, e);
}

static int
keep_etag(struct s3_upload *u, const char *etag, struct error *e)
{
	if (etag == NULL || *etag == '\0' || strlen(etag) >= ETAG_MAX)
		return error_set(e, ERROR_SOURCE, "S3 named no ETag of a part");
	memcpy(u->etags[u->count++], etag, strlen(etag) + 1);
	return 0;
}

/* What has been gathered becomes a part. */
static int
flush(struct s3_upload *u, struct error *e)
{
	const char *etag = NULL;
	struct buf body;
	int rc;

	buf_init(&body, SMALL_ANSWER);
	rc = put_part(u, NULL, 0, u->part.data, u->part.len, &body, &etag, e);
	if (rc == 0)
		rc = keep_etag(u, etag, e);
	buf_reset(&u->part);
	buf_free(&body);
	return rc;
}

int
s3_upload_write(struct s3_upload *u, const void *p, size_t n, struct error *e)
{
	const char *bytes = p;
	size_t size, take;

	while (n > 0) {
		size = (size_t)s3_upload_part_size(u->count + 1, u->total);
		take = size > u->part.len ? size - u->part.len : 0;
		if (take > n)
			take = n;
		buf_put(&u->part, bytes, take);
		if (buf_failed(&u->part))
			return error_memory(e);
		bytes += take;
		n -= take;
		if (u->part.len >= size && flush(u, e) != 0)
			return -1;
	}
	return 0;
}

/* Copying. */

/* Bytes 0..n-1 of the object, for the part that waits. */
static int
top_up(struct s3_upload *u, const struct s3_object *from, const char *etag,
       int64_t n, struct error *e)
{
	char range[40];
	const struct sigv4_pair headers[] = { { "range", range },
					      { "if-match", etag } };
	const struct s3_call what = { .method = "GET",
				      .object = *from,
				      .headers = headers,
				      .header_count = *etag != '\0' ? 2 : 1 };
	struct buf body;
	int rc;

	snprintf(range, sizeof(range), "bytes=0-%lld", (long long)n - 1);
	buf_init(&body, (size_t)n);
	arena_reset(u->arena);
	rc = call(u, &what, NULL, 0, &body, NULL, NULL, PART_MS, e);
	if (rc == 0 && (int64_t)body.len != n)
		rc = error_set(e, ERROR_SOURCE, "is shorter than it was");
	if (rc == 0)
		buf_put(&u->part, body.data, body.len);
	buf_free(&body);
	return rc == 0 && buf_failed(&u->part) ? error_memory(e) : rc;
}

static int
copy_part(struct s3_upload *u, const char *source, const char *etag,
	  int64_t first, int64_t n, struct error *e)
{
	char range[64];
	const struct sigv4_pair headers[] = {
		{ "x-amz-copy-source", source },
		{ "x-amz-copy-source-range", range },
		{ "x-amz-copy-source-if-match", etag },
	};
	const char *unused = NULL;
	struct buf body;
	int rc;

	snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)first,
		 (long long)(first + n - 1));
	buf_init(&body, SMALL_ANSWER);
	rc = put_part(u, headers, *etag != '\0' ? 3 : 2, NULL, 0, &body,
		      &unused, e);
	/* Its ETag is in the body: the head went out before S3 began. */
	if (rc == 0)
		rc = keep_etag(u, text_of(u->arena, &body, "ETag"), e);
	buf_free(&body);
	return rc;
}

/* "/bucket/key", escaped; malloc'ed. */
static char *
copy_source(const struct s3_object *from)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_printf(&b, "/%s/", from->bucket);
	http_encode(&b, from->key, strlen(from->key), "/");
	return buf_failed(&b) ? NULL : b.data;
}

/* How much of `left` bytes the next copy takes: what remains after it must
 * be a part, too. */
static int64_t
copy_size(int64_t left)
{
	if (left <= S3_PART_MAX)
		return left;
	return left - S3_PART_MAX >= S3_PART_MIN ? S3_PART_MAX
						 : S3_PART_MAX - S3_PART_MIN;
}

int
s3_upload_copy(struct s3_upload *u, const struct s3_object *from,
	       const char *etag, int64_t size, struct error *e)
{
	int64_t at = 0, n;
	char *source = copy_source(from);
	int rc = 0;

	if (source == NULL)
		return error_memory(e);
	if (u->part.len > 0 && (int64_t)u->part.len < S3_PART_MIN) {
		at = S3_PART_MIN - (int64_t)u->part.len;
		/* Less than a part would be left: it all comes here. */
		if (size - at < S3_PART_MIN)
			at = size;
		rc = top_up(u, from, etag, at, e);
	}
	if (rc == 0 && u->part.len > 0 && at < size)
		rc = flush(u, e);
	while (rc == 0 && at < size) {
		n = copy_size(size - at);
		rc = copy_part(u, source, etag, at, n, e);
		at += n;
	}
	free(source);
	return rc;
}

/* The end. */

static void
put_document(struct buf *out, const struct s3_upload *u)
{
	buf_puts(out, "<CompleteMultipartUpload>");
	for (int i = 0; i < u->count; i++) {
		const char *etag = u->etags[i];

		buf_printf(out, "<Part><PartNumber>%d</PartNumber><ETag>",
			   i + 1);
		for (; *etag != '\0'; etag++) {
			if (*etag == '"')
				buf_puts(out, "&quot;");
			else
				buf_putc(out, *etag);
		}
		buf_puts(out, "</ETag></Part>");
	}
	buf_puts(out, "</CompleteMultipartUpload>");
}

/* S3 may find out that it fails after it has said 200. */
static int
judge_end(const struct buf *answer, struct error *e)
{
	char code[64];

	s3_error_code(buf_str(answer), answer->len, code, sizeof(code));
	if (strstr(buf_str(answer), "<Error>") == NULL)
		return 0;
	return error_set(e, ERROR_SOURCE, "S3 could not join the parts: %s",
			 code);
}

int
s3_upload_finish(struct s3_upload *u, struct error *e)
{
	const struct sigv4_pair query = { "uploadId", u->id };
	const struct s3_call what = { .method = "POST",
				      .object = u->to,
				      .query = &query,
				      .query_count = 1 };
	struct buf document, answer;
	int rc;

	if (u->part.len > 0 && flush(u, e) != 0)
		return -1;
	buf_init(&document, 4 << 20);
	buf_init(&answer, SMALL_ANSWER);
	put_document(&document, u);
	arena_reset(u->arena);
	rc = buf_failed(&document) ? error_memory(e)
				   : call(u, &what, document.data, document.len,
					  &answer, NULL, NULL, PART_MS, e);
	if (rc == 0)
		rc = judge_end(&answer, e);
	buf_free(&document);
	buf_free(&answer);
	return rc;
}

void
s3_upload_abort(struct s3_upload *u)
{
	const struct sigv4_pair query = { "uploadId", u->id };
	const struct s3_call what = { .method = "DELETE",
				      .object = u->to,
				      .query = &query,
				      .query_count = 1 };
	struct error e = { .code = ERROR_NONE };
	struct buf answer;

	buf_init(&answer, SMALL_ANSWER);
	arena_reset(u->arena);
	if (call(u, &what, NULL, 0, &answer, NULL, NULL, CALL_MS, &e) != 0)
		log_warn("an upload to %s/%s could not be aborted: %s",
			 u->to.bucket, u->to.key, e.text);
	buf_free(&answer);
}
