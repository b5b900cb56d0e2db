/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* DynamoDB's JSON protocol: one signed call, its retries, its errors. */
#include "dynamodb.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "credentials.h"
#include "crypto.h"
#include "sigv4.h"
#include "stats.h"
#include "url.h"

#define LOG_MODULE "dynamodb"
#include "log.h"

#define ANSWER_MAX (17 << 20) /* a BatchGetItem answers with 16 MB at most */
#define BACKOFF_MS 50
#define BACKOFF_MAX_MS 2000
#define EXPIRED "ExpiredToken"
#define CONTENT_TYPE "application/x-amz-json-1.0"

static const struct {
	const char *name;
	enum dynamodb_end end;
	bool again;
} errors[] = {
	{ "ConditionalCheckFailedException", DYNAMODB_CONDITION, false },
	{ "ResourceInUseException", DYNAMODB_IN_USE, false },
	{ "ResourceNotFoundException", DYNAMODB_NO_TABLE, false },
	{ "ValidationException", DYNAMODB_INVALID, false },
	{ "ProvisionedThroughputExceededException", DYNAMODB_OK, true },
	{ "ThrottlingException", DYNAMODB_OK, true },
	{ "RequestLimitExceeded", DYNAMODB_OK, true },
	{ "LimitExceededException", DYNAMODB_OK, true },
	{ "InternalServerError", DYNAMODB_OK, true },
	{ "InternalFailure", DYNAMODB_OK, true },
	{ "ServiceUnavailable", DYNAMODB_OK, true },
	{ "TransactionConflictException", DYNAMODB_OK, true },
	{ "ExpiredTokenException", DYNAMODB_OK, true },
};

enum dynamodb_end
dynamodb_error(const char *text, size_t n, char *name, size_t name_size,
	       bool *again)
{
	struct json *doc = json_parse(text, n, NULL);
	const char *type = json_string(json_get(doc, "__type"), NULL);
	const char *message = json_string(json_get(doc, "message"), NULL);
	const char *hash = strrchr(type, '#');
	enum dynamodb_end end = DYNAMODB_OK;

	if (message[0] == '\0')
		message = json_string(json_get(doc, "Message"), NULL);
	if (hash != NULL)
		type = hash + 1;
	*again = false;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		if (strcmp(type, errors[i].name) == 0) {
			end = errors[i].end;
			*again = errors[i].again;
		}
	}
	if (end == DYNAMODB_INVALID &&
	    (strcasestr(message, "item size") != NULL))
		end = DYNAMODB_TOO_LARGE;
	snprintf(name, name_size, "%s%s%s", type, message[0] ? ": " : "",
		 message);
	json_free(doc);
	return end;
}

/* "https://dynamodb.us-west-2.amazonaws.com", or the operator's own. */
static int
endpoint(const struct config *c, struct arena *a, struct url *u)
{
	const char *custom = c->aws_endpoint_url_dynamodb[0] != '\0'
				     ? c->aws_endpoint_url_dynamodb
				     : c->aws_endpoint_url;
	const char *suffix = strncmp(c->aws_region, "cn-", 3) == 0 ? ".cn" : "";

	if (custom[0] == '\0')
		custom = arena_printf(a, "https://dynamodb.%s.amazonaws.com%s",
				      c->aws_region, suffix);
	return custom == NULL ? -1 : url_parse(a, custom, u, NULL);
}

/* Without the slashes at its end, but for one. */
static const char *
endpoint_path(struct arena *a, const struct url *u)
{
	size_t n = strlen(u->path);

	while (n > 0 && u->path[n - 1] == '/')
		n--;
	return arena_printf(a, "%.*s/", (int)n, u->path);
}

static int
load_keys(const struct dynamodb *db, struct credentials *keys, struct error *e)
{
	int found = credentials_get(db->config, db->engine, keys, e);

	if (found == 0)
		error_set(e, ERROR_UNAVAILABLE, "The store is not available");
	return found > 0 ? 0 : error_cause(e, "DynamoDB needs AWS credentials");
}

/* What Authorization says for this moment, which goes to `date`; NULL: no
 * memory. */
static const char *
authorize(struct arena *a, struct sigv4_request r, const struct buf *body,
	  char date[17])
{
	unsigned char sum[SHA256_BYTES];
	char hash[SHA256_HEX];
	const char *value = NULL;
	struct buf auth;

	crypto_sha256(body->data, body->len, sum);
	crypto_hex(sum, sizeof(sum), hash);
	r.payload_hash = hash;
	r.now = (int64_t)time(NULL);
	buf_init(&auth, 8192);
	if (sigv4_sign(&r, &auth, date) == 0)
		value = arena_strdup(a, buf_str(&auth));
	buf_free(&auth);
	return value;
}

/* A retry is signed anew. */
static int
prepare(const struct dynamodb *db, struct arena *a, const char *operation,
	const struct buf *body, struct transfer_call *call, struct error *e)
{
	struct credentials *keys = arena_alloc(a, sizeof(*keys));
	char *date = arena_alloc(a, 17);
	const char *auth,
		*target = arena_printf(a, "DynamoDB_20120810.%s", operation);
	struct sigv4_pair headers[] = { { "content-type", CONTENT_TYPE },
					{ "x-amz-target", target } };
	struct sigv4_request r = { .method = "POST",
				   .headers = headers,
				   .header_count = 2,
				   .region = db->config->aws_region,
				   .service = "dynamodb" };
	struct url u;

	if (endpoint(db->config, a, &u) != 0)
		return dynamodb_away(e, "its address cannot be used");
	/* What is signed must be what libcurl sends. */
	r.host = url_authority(a, &u);
	r.path = endpoint_path(a, &u);
	if (keys == NULL || r.host == NULL || r.path == NULL || date == NULL ||
	    target == NULL)
		return error_memory(e);
	if (load_keys(db, keys, e) != 0)
		return -1;
	r.access_key = keys->access_key;
	r.secret_key = keys->secret_key;
	r.token = keys->token;
	auth = authorize(a, r, body, date);
	*call = (struct transfer_call){
		.method = "POST",
		.url = arena_printf(a, "%s://%s%s", u.scheme, r.host, r.path),
		.body = body->data,
		.body_len = body->len,
		.trusted = true,
		.headers = { { "Content-Type", CONTENT_TYPE },
			     { "X-Amz-Target", target },
			     { "X-Amz-Date", date },
			     { "Authorization", auth },
			     { "X-Amz-Security-Token", keys->token } },
		.header_count = keys->token[0] != '\0' ? 5 : 4,
	};
	return call->url != NULL && auth != NULL ? 0 : error_memory(e);
}

void
dynamodb_pause(unsigned attempt)
{
	unsigned limit = BACKOFF_MS << (attempt < 6 ? attempt : 6);
	unsigned ms = 0;
	struct timespec ts;

	if (limit > BACKOFF_MAX_MS)
		limit = BACKOFF_MAX_MS;
	crypto_random(&ms, sizeof(ms));
	ms %= limit + 1;
	ts = (struct timespec){ .tv_sec = ms / 1000,
				.tv_nsec = (long)(ms % 1000) * 1000000 };
	nanosleep(&ts, NULL);
}

int
dynamodb_away(struct error *e, const char *reason)
{
	char cause[ERROR_TEXT_MAX];

	/* `reason` may be the text that is about to be replaced. */
	snprintf(cause, sizeof(cause), "%s", reason);
	error_set(e, ERROR_UNAVAILABLE, "The store is not available");
	return error_cause(e, "DynamoDB: %s", cause);
}

int
dynamodb_refusal(enum dynamodb_end end, struct error *e)
{
	if (end == DYNAMODB_TOO_LARGE)
		return error_set(e, ERROR_TOO_LARGE,
				 "The bundle passes DynamoDB's 400 KB");
	return dynamodb_away(e, end == DYNAMODB_NO_TABLE
					? "the table is missing: run init"
					: "it refused the request");
}

/* 1: try again; 0: *end and *answer are set; -1: failed for good.  `doubt`,
 * which may be NULL, is set when what is to be tried again may have been
 * carried out. */
static int
attempt(const struct dynamodb *db, const char *operation,
	const struct buf *body, int timeout_ms, enum dynamodb_end *end,
	bool *doubt, struct json **answer, struct error *e)
{
	struct arena *a = arena_new(0);
	struct transfer_call call;
	struct buf text;
	struct transfer_answer got = { .body = &text };
	char name[256];
	int rc = -1;
	bool again;

	buf_init(&text, ANSWER_MAX);
	if (a == NULL || prepare(db, a, operation, body, &call, e) != 0)
		goto out;
	call.once = doubt != NULL;
	rc = 1;
	if (transfer_exchange(db->engine, &call, timeout_ms, &got, e) != 0) {
		dynamodb_away(e, e->text);
		goto out;
	}
	rc = 0;
	if (got.status == 200) {
		*end = DYNAMODB_OK;
		if (answer != NULL) {
			*answer = json_parse_lax(buf_str(&text), text.len, e);
			rc = *answer != NULL ? 0 : dynamodb_away(e, "no JSON");
		}
		goto out;
	}
	*end = dynamodb_error(buf_str(&text), text.len, name, sizeof(name),
			      &again);
	if (strncmp(name, EXPIRED, strlen(EXPIRED)) == 0)
		credentials_forget();
	if (*end == DYNAMODB_OK) {
		rc = again || got.status >= 500 ? 1 : -1;
		dynamodb_away(e, name);
	}
out:
	if (rc == 1 && doubt != NULL && (got.status < 300 || got.status >= 500))
		*doubt = true;
	buf_free(&text);
	arena_free(a);
	return rc;
}

static int
call_until(const struct dynamodb *db, const char *operation,
	   const struct buf *body, enum dynamodb_end *end, bool *doubt,
	   struct json **answer, struct error *e)
{
	int64_t deadline = stats_now_ms() + db->config->db_timeout_ms;

	dynamodb_away(e, "no time to ask");
	if (buf_failed(body))
		return error_memory(e);
	for (unsigned tries = 0;; tries++) {
		int64_t left = deadline - stats_now_ms();
		int rc;

		if (left <= 0)
			return -1;
		rc = attempt(db, operation, body, (int)left, end, doubt, answer,
			     e);
		if (rc <= 0)
			return rc;
		log_debug("%s is tried again: %s", operation, e->cause);
		dynamodb_pause(tries);
	}
}

int
dynamodb_call(const struct dynamodb *db, const char *operation,
	      const struct buf *body, enum dynamodb_end *end,
	      struct json **answer, struct error *e)
{
	return call_until(db, operation, body, end, NULL, answer, e);
}

int
dynamodb_call_told(const struct dynamodb *db, const char *operation,
		   const struct buf *body, enum dynamodb_end *end, bool *doubt,
		   struct json **answer, struct error *e)
{
	*doubt = false;
	return call_until(db, operation, body, end, doubt, answer, e);
}
