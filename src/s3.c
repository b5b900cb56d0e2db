/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Amazon S3's REST interface: addresses, signed calls, error documents.
 *
 * Requests are signed when they are sent.  What a bucket's server teaches
 * (its region, its clock) is kept for the life of the process.
 */
#include "s3.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "credentials.h"
#include "crypto.h"
#include "http.h"
#include "url.h"

#define EMPTY_SHA256                                                           \
	"e3b0c44298fc1c149afbf4c8996fb924"                                     \
	"27ae41e4649b934ca495991b7852b855"
#define KEY_MAX 1024   /* bytes of an object key, by S3's own rule */
#define REGIONS_MAX 64 /* buckets whose region is remembered */
#define REGION_MAX 32  /* bytes of its name, and NUL */

/* What was learned of buckets; a small ring, oldest out first. */
static struct {
	char bucket[S3_BUCKET_MAX + 1];
	char region[REGION_MAX];
} regions[REGIONS_MAX];
static unsigned regions_next;
static int64_t clock_skew;

static bool
bucket_char(unsigned char c)
{
	return isalnum(c) || c == '.' || c == '-' || c == '_';
}

int
s3_parse(struct arena *a, const char *src, struct s3_object *o, struct error *e)
{
	const char *bucket = src + strlen("s3://");
	size_t n = strcspn(bucket, "/");

	if (n < 3 || n > S3_BUCKET_MAX)
		return error_set(e, ERROR_INPUT, "Invalid S3 bucket in '%.80s'",
				 src);
	for (size_t i = 0; i < n; i++) {
		if (!bucket_char((unsigned char)bucket[i]))
			return error_set(e, ERROR_INPUT,
					 "Invalid S3 bucket in '%.80s'", src);
	}
	o->bucket = arena_strndup(a, bucket, n);
	o->key = bucket[n] == '/' ? bucket + n + 1 : "";
	if (o->bucket == NULL)
		return error_memory(e);
	if (strlen(o->key) > KEY_MAX)
		return error_set(e, ERROR_INPUT,
				 "S3 keys have at most %d bytes", KEY_MAX);
	return 0;
}

static const char *
region_of(const struct config *c, const char *bucket)
{
	for (unsigned i = 0; i < REGIONS_MAX; i++) {
		if (strcmp(regions[i].bucket, bucket) == 0)
			return regions[i].region;
	}
	return c->aws_region;
}

static void
region_learn(const char *bucket, const char *region)
{
	unsigned at = regions_next;

	for (unsigned i = 0; i < REGIONS_MAX; i++) {
		if (strcmp(regions[i].bucket, bucket) == 0)
			at = i;
	}
	if (at == regions_next)
		regions_next = (regions_next + 1) % REGIONS_MAX;
	snprintf(regions[at].bucket, sizeof(regions[at].bucket), "%s", bucket);
	snprintf(regions[at].region, sizeof(regions[at].region), "%s", region);
}

/* May the bucket's name stand in a host name under the wildcard
 * certificate?  Dots would need one certificate more. */
static bool
is_dns_label(const char *bucket)
{
	size_t n = strlen(bucket);

	if (n > 63 || bucket[0] == '-' || bucket[n - 1] == '-')
		return false;
	for (; *bucket != '\0'; bucket++) {
		if (!islower((unsigned char)*bucket) &&
		    !isdigit((unsigned char)*bucket) && *bucket != '-')
			return false;
	}
	return true;
}

/* The operator's own server, perhaps below a path; what is signed must be what
 * libcurl sends. */
static int
custom_endpoint(struct arena *a, const char *text, const char **base,
		const char **host, const char **prefix)
{
	struct url u;
	size_t n;

	if (url_parse(a, text, &u, NULL) != 0)
		return -1;
	*host = url_authority(a, &u);
	for (n = strlen(u.path); n > 0 && u.path[n - 1] == '/'; n--)
		continue;
	*prefix = http_decode(a, u.path, n, false, &n);
	if (*host == NULL || *prefix == NULL)
		return -1;
	*base = arena_printf(a, "%s://%s", u.scheme, *host);
	return *base != NULL ? 0 : -1;
}

/* Scheme and host of the endpoint; `path` is what stands before the key. */
static int
endpoint(const struct config *c, struct arena *a, const struct s3_object *o,
	 const char *region, const char **base, const char **host,
	 const char **path)
{
	const char *custom = c->aws_endpoint_url_s3[0] != '\0'
				     ? c->aws_endpoint_url_s3
				     : c->aws_endpoint_url;
	bool by_path = custom[0] != '\0' || c->s3_path_style ||
		       !is_dns_label(o->bucket);
	const char *suffix = strncmp(region, "cn-", 3) == 0 ? ".cn" : "";
	const char *prefix = "";

	if (custom[0] != '\0') {
		if (custom_endpoint(a, custom, base, host, &prefix) != 0)
			return -1;
	} else {
		*host = by_path ? arena_printf(a, "s3.%s.amazonaws.com%s",
					       region, suffix)
				: arena_printf(a, "%s.s3.%s.amazonaws.com%s",
					       o->bucket, region, suffix);
		*base = arena_printf(a, "https://%s", *host);
	}
	*path = by_path ? arena_printf(a, "%s/%s/", prefix, o->bucket) : "/";
	return *base != NULL && *host != NULL && *path != NULL ? 0 : -1;
}

void
s3_add_header(struct transfer_call *call, const char *header, const char *value)
{
	if (call->header_count < TRANSFER_HEADERS)
		call->headers[call->header_count++] =
			(struct transfer_header){ header, value };
}

/* Signs the call; without credentials it goes out unsigned. */
static int
sign(struct arena *a, const struct s3_call *what, struct sigv4_request *r,
     struct transfer_call *call, struct error *e)
{
	struct buf auth;
	char date[17];
	int rc = -1;

	buf_init(&auth, 8192);
	r->headers = what->headers;
	r->header_count = what->header_count;
	r->query = what->query;
	r->query_count = what->query_count;
	r->payload_hash =
		what->payload_hash != NULL ? what->payload_hash : EMPTY_SHA256;
	r->service = "s3";
	r->now = (int64_t)time(NULL) + clock_skew;
	if (sigv4_sign(r, &auth, date) != 0) {
		error_set(e, ERROR_INTERNAL, "The S3 request was not signed");
		goto out;
	}
	s3_add_header(call, "Authorization", arena_strdup(a, buf_str(&auth)));
	s3_add_header(call, "x-amz-date", arena_strdup(a, date));
	s3_add_header(call, "x-amz-content-sha256", r->payload_hash);
	if (r->token[0] != '\0')
		s3_add_header(call, "x-amz-security-token", r->token);
	rc = 0;
out:
	buf_free(&auth);
	return rc;
}

int
s3_prepare(const struct config *c, struct transfer_engine *t, struct arena *a,
	   const struct s3_call *what, struct transfer_call *call,
	   struct error *e)
{
	const char *region = region_of(c, what->object.bucket);
	struct credentials *keys = arena_alloc(a, sizeof(*keys));
	struct sigv4_request r = { .method = what->method, .region = region };
	const char *base, *before;
	struct buf url;
	int found, rc = -1;

	buf_init(&url, 16384);
	if (keys == NULL ||
	    endpoint(c, a, &what->object, region, &base, &r.host, &before) != 0)
		return error_set(e, ERROR_INTERNAL,
				 "S3's address cannot be used");
	found = credentials_get(c, t, keys, e);
	if (found < 0)
		goto out;
	r.path = arena_printf(a, "%s%s", before, what->object.key);
	r.access_key = keys->access_key;
	r.secret_key = keys->secret_key;
	r.token = keys->token;
	if (r.path == NULL) {
		error_memory(e);
		goto out;
	}
	call->method = what->method;
	call->trusted = true;
	if (found > 0 && sign(a, what, &r, call, e) != 0)
		goto out;
	for (size_t i = 0; i < what->header_count; i++)
		s3_add_header(call, what->headers[i].name,
			      what->headers[i].value);
	buf_puts(&url, base);
	sigv4_encode_path(&url, r.path);
	if (what->query_count > 0) {
		buf_puts(&url, "?");
		sigv4_encode_query(&url, what->query, what->query_count);
	}
	call->url = arena_strdup(a, buf_str(&url));
	rc = call->url != NULL && !buf_failed(&url) ? 0 : error_memory(e);
out:
	buf_free(&url);
	return rc;
}

/* The text of <Code> in an S3 error document. */
void
s3_error_code(const char *body, size_t n, char *out, size_t size)
{
	const char *p = memmem(body, n, "<Code>", 6);
	const char *end = body + n;
	size_t len = 0;

	out[0] = '\0';
	if (p == NULL)
		return;
	for (p += 6; p < end && *p != '<' && len + 1 < size; p++) {
		if (isalnum((unsigned char)*p))
			out[len++] = *p;
	}
	out[len] = '\0';
}

/* The server's clock is right by definition: it decides. */
static bool
learn_clock(const struct transfer_head *head)
{
	const char *date = head->get(head, "Date");
	int64_t theirs = date != NULL ? http_date_parse(date) : -1;

	if (theirs < 0)
		return false;
	clock_skew = theirs - (int64_t)time(NULL);
	return true;
}

/* It becomes a part of a host's name, to which signed requests go. */
static bool
is_region(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < REGION_MAX && text[n] == '\0';
}

/* Does the answer send us to another region?  400 also has other reasons,
 * 403 nearly always has; to a HEAD neither gives one. */
static bool
learn_region(const struct config *c, const char *bucket,
	     const struct transfer_head *head, const char *code)
{
	const char *region = head->get(head, "x-amz-bucket-region");
	bool other, told;

	if (region == NULL || head->status < 301 || head->status > 403 ||
	    !is_region(region))
		return false;
	other = strcmp(region, region_of(c, bucket)) != 0;
	/* Requests that were in flight when it was learned are told, too. */
	told = head->status == 301 || head->status == 307 ||
	       (head->status == 400 &&
		(code[0] == '\0' ||
		 strcmp(code, "AuthorizationHeaderMalformed") == 0));
	if (other)
		region_learn(bucket, region);
	return other || told;
}

enum source_verdict
s3_judge(const struct config *c, const char *bucket,
	 const struct transfer_head *head, const char *body, size_t n,
	 struct error *e)
{
	char code[64];

	s3_error_code(body, n, code, sizeof(code));
	error_set(e, ERROR_SOURCE, "%d %s", head->status,
		  code[0] != '\0' ? code : http_reason(head->status));
	e->http_status = head->status;
	if (learn_region(c, bucket, head, code))
		return SOURCE_AGAIN;
	if (strcmp(code, "RequestTimeTooSkewed") == 0)
		return learn_clock(head) ? SOURCE_AGAIN : SOURCE_FAIL;
	if (strcmp(code, "ExpiredToken") == 0)
		credentials_forget();
	if (head->status >= 500 || head->status == 429 ||
	    strcmp(code, "ExpiredToken") == 0 || strcmp(code, "SlowDown") == 0)
		return SOURCE_RETRY;
	return SOURCE_FAIL;
}
