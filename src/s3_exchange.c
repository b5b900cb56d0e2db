/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One whole call to S3, for listings and uploads. */
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "crypto.h"
#include "s3.h"
#include "stats.h"

#define LOG_MODULE "s3"
#include "log.h"

#define ATTEMPTS 5
#define BACKOFF_FIRST_MS 200 /* doubled each time */

/* What s3_judge looks at, after what the caller wants. */
static const char *const judged[] = { "x-amz-bucket-region", "Date" };
#define JUDGED (sizeof(judged) / sizeof(judged[0]))

struct payload {
	const char *bytes;
	size_t len;
	size_t at;
};

struct values {
	const char *const *names;
	const char **texts;
	size_t count;
};

static size_t
read_payload(void *ctx, void *p, size_t n)
{
	struct payload *from = ctx;

	if (n > from->len - from->at)
		n = from->len - from->at;
	memcpy(p, from->bytes + from->at, n);
	from->at += n;
	return n;
}

static const char *
find_value(const struct transfer_head *h, const char *name)
{
	const struct values *v = h->opaque;

	for (size_t i = 0; i < v->count; i++) {
		if (strcasecmp(v->names[i], name) == 0)
			return v->texts[i];
	}
	return NULL;
}

/* One attempt: 0 a 2xx came, 1 it is worth another, -1 failed. */
static int
attempt(const struct config *c, struct transfer_engine *t, struct arena *a,
	const struct s3_call *what, struct payload *payload,
	const struct s3_answer *answer, struct values *v, struct error *e)
{
	struct transfer_call call = { .method = what->method };
	struct transfer_head head = { .get = find_value, .opaque = v };
	struct transfer_answer got = { .body = answer->body,
				       .want = v->names,
				       .got = v->texts,
				       .want_count = v->count,
				       .arena = a };
	enum source_verdict verdict;

	if (s3_prepare(c, t, a, what, &call, e) != 0)
		return -1;
	/* Some servers want a length of 0 rather than none. */
	if (payload->bytes == NULL && strcmp(what->method, "GET") != 0)
		call.body = "";
	if (payload->bytes != NULL) {
		payload->at = 0;
		call.upload = read_payload;
		call.upload_ctx = payload;
		call.upload_len = (int64_t)payload->len;
	}
	buf_reset(answer->body);
	if (transfer_exchange(t, &call, answer->timeout_ms, &got, e) != 0)
		return 1;
	if (got.status >= 200 && got.status < 300)
		return 0;
	head.status = got.status;
	verdict = s3_judge(c, what->object.bucket, &head, buf_str(answer->body),
			   answer->body->len, e);
	return verdict == SOURCE_FAIL ? -1 : 1;
}

/* How long an attempt may take that begins after a pause; 0: it is too late. */
static int
patience(const struct s3_answer *answer, int64_t pause_ms)
{
	int64_t left = answer->until_ms - stats_now_ms() - pause_ms;

	if (answer->until_ms == 0 || left > answer->timeout_ms)
		return answer->timeout_ms;
	return left > 0 ? (int)left : 0;
}

int
s3_exchange(const struct config *c, struct transfer_engine *t, struct arena *a,
	    const struct s3_call *what, const void *payload, size_t n,
	    const struct s3_answer *answer, struct error *e)
{
	const char *names[S3_WANT_MAX + JUDGED], *texts[S3_WANT_MAX + JUDGED];
	struct values v = { names, texts, answer->want_count + JUDGED };
	struct payload from = { .bytes = payload, .len = n };
	struct s3_call call = *what;
	struct s3_answer timed = *answer;
	unsigned char sum[SHA256_BYTES];
	char hex[SHA256_HEX];
	int rc = 1;

	for (size_t i = 0; i < answer->want_count; i++)
		names[i] = answer->want[i];
	memcpy(names + answer->want_count, judged, sizeof(judged));
	if (payload != NULL) {
		crypto_sha256(payload, n, sum);
		crypto_hex(sum, sizeof(sum), hex);
		call.payload_hash = hex;
	}
	for (int i = 0; rc > 0 && i < ATTEMPTS; i++) {
		int64_t pause = i > 1 ? BACKOFF_FIRST_MS << i : 0;

		timed.timeout_ms = patience(answer, pause);
		if (timed.timeout_ms == 0 && i == 0)
			error_set(e, ERROR_UNAVAILABLE, "timed out");
		if (timed.timeout_ms == 0)
			break;
		usleep((useconds_t)pause * 1000);
		rc = attempt(c, t, a, &call, &from, &timed, &v, e);
		if (rc > 0)
			log_debug("%s again: %s", what->method, e->text);
	}
	for (size_t i = 0; i < answer->want_count; i++)
		answer->got[i] = texts[i];
	if (rc != 0 && e->code == ERROR_UNAVAILABLE)
		e->code = ERROR_SOURCE;
	return rc == 0 ? 0 : -1;
}
