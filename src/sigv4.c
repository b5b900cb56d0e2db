/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* AWS Signature Version 4: canonical request, string to sign, signature. */
#include "sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define PAIRS_MAX (SIGV4_HEADERS_MAX + 8)
#define SCOPE_MAX 128
#define KEY_MAX 256

/* Pairs in canonical order; the strings stay the caller's. */
struct pairs {
	struct sigv4_pair at[PAIRS_MAX];
	size_t n;
};

/* What one signature is made of. */
struct signing {
	const struct sigv4_request *r;
	char date[17]; /* 20130524T000000Z */
	char scope[SCOPE_MAX];
	struct pairs headers;
	struct pairs query;
};

static bool
unreserved(unsigned char c)
{
	return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* A walk over the percent-encoded form of a string, byte by byte, so that
 * nothing has to hold it. */
struct walk {
	const unsigned char *p;
	unsigned pos; /* inside an escape */
};

static int
walk_next(struct walk *w)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c = *w->p;

	if (c == '\0')
		return -1;
	if (unreserved(c)) {
		w->p++;
		return c;
	}
	switch (w->pos++) {
	case 0:
		return '%';
	case 1:
		return hex[c >> 4];
	default:
		w->pos = 0;
		w->p++;
		return hex[c & 15];
	}
}

/* Encoded forms are what AWS sorts by, and '%' sorts before most. */
static int
compare_encoded(const char *a, const char *b)
{
	struct walk x = { .p = (const unsigned char *)a };
	struct walk y = { .p = (const unsigned char *)b };
	int c, d;

	do {
		c = walk_next(&x);
		d = walk_next(&y);
	} while (c == d && c != -1);
	return c - d;
}

static int
compare_names(const struct sigv4_pair *a, const struct sigv4_pair *b,
	      bool headers)
{
	int c;

	if (headers)
		return strcasecmp(a->name, b->name);
	c = compare_encoded(a->name, b->name);
	return c != 0 ? c : compare_encoded(a->value, b->value);
}

/* Insertion keeps it sorted; the lists are short. */
static int
pairs_add(struct pairs *list, const char *name, const char *value, bool headers)
{
	struct sigv4_pair pair = { .name = name, .value = value };
	size_t i = list->n;

	if (list->n == PAIRS_MAX)
		return -1;
	for (; i > 0 && compare_names(&pair, &list->at[i - 1], headers) < 0;
	     i--)
		list->at[i] = list->at[i - 1];
	list->at[i] = pair;
	list->n++;
	return 0;
}

/* Where canonical text goes: a running digest, or a buffer. */
struct sink {
	struct crypto_sha256 *digest;
	struct buf *buf;
};

static void
put(const struct sink *s, const char *p, size_t n)
{
	if (s->digest != NULL)
		crypto_sha256_add(s->digest, p, n);
	else
		buf_put(s->buf, p, n);
}

static void
puts_to(const struct sink *s, const char *text)
{
	put(s, text, strlen(text));
}

static void
put_encoded(const struct sink *s, const char *text)
{
	struct walk w = { .p = (const unsigned char *)text };
	char c;
	int next;

	while ((next = walk_next(&w)) != -1) {
		c = (char)next;
		put(s, &c, 1);
	}
}

/* One path segment, encoded `times` times over. */
static void
put_segment(const struct sink *s, const char *p, size_t n, int times)
{
	char c[2] = { 0 };
	int next;

	for (size_t i = 0; i < n; i++) {
		struct walk w = { .p = (const unsigned char *)c };

		c[0] = p[i];
		while ((next = walk_next(&w)) != -1) {
			char byte = (char)next;

			/* The second encoding turns each '%' into "%25". */
			put(s, &byte, 1);
			if (byte == '%' && times > 1)
				put(s, "25", 2);
		}
	}
}

static void
put_path(const struct sink *s, const char *path, int times)
{
	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		put_segment(s, path, n, times);
		path += n;
		for (; *path == '/'; path++)
			put(s, "/", 1);
	}
}

/* Is the segment that starts at `p` removed later by a ".." (RFC 3986,
 * 5.2.4)?  Counted forward, so that no copy of the path is needed. */
static bool
cancelled(const char *p)
{
	int depth = 1;

	while (*p != '\0') {
		size_t n = strcspn(p, "/");

		p += n;
		while (*p == '/')
			p++;
		n = strcspn(p, "/");
		if (n == 2 && memcmp(p, "..", 2) == 0)
			depth--;
		else if (n > 0 && !(n == 1 && *p == '.'))
			depth++;
		if (depth == 0)
			return true;
	}
	return false;
}

/* Every service but S3: dot segments and empty ones go, and what is left is
 * encoded twice. */
static void
put_normal_path(const struct sink *s, const char *path)
{
	const char *p = path;
	bool any = false;

	while (*p != '\0') {
		size_t n;

		while (*p == '/')
			p++;
		n = strcspn(p, "/");
		if (n > 0 && !(n == 1 && *p == '.') &&
		    !(n == 2 && memcmp(p, "..", 2) == 0) && !cancelled(p)) {
			put(s, "/", 1);
			put_segment(s, p, n, 2);
			any = true;
		}
		p += n;
	}
	if (!any || path[strlen(path) - 1] == '/')
		put(s, "/", 1);
}

static void
put_query(const struct sink *s, const struct pairs *q)
{
	for (size_t i = 0; i < q->n; i++) {
		if (i > 0)
			put(s, "&", 1);
		put_encoded(s, q->at[i].name);
		put(s, "=", 1);
		put_encoded(s, q->at[i].value);
	}
}

static void
put_lower(const struct sink *s, const char *text)
{
	for (; *text != '\0'; text++) {
		char c = (char)tolower((unsigned char)*text);

		put(s, &c, 1);
	}
}

/* Trimmed, and runs of spaces folded into one. */
static void
put_header_value(const struct sink *s, const char *value)
{
	bool space = false, begun = false;

	for (; *value != '\0'; value++) {
		if (*value == ' ' || *value == '\t') {
			space = true;
			continue;
		}
		if (space && begun)
			put(s, " ", 1);
		space = false;
		begun = true;
		put(s, value, 1);
	}
}

/* Is it one more value of the header before it (NULL: there is none)? */
static bool
same_header(const struct sigv4_pair *p, const struct sigv4_pair *before)
{
	return before != NULL && strcasecmp(p->name, before->name) == 0;
}

static void
put_headers(const struct sink *s, const struct pairs *h)
{
	for (size_t i = 0; i < h->n; i++) {
		if (same_header(&h->at[i], i > 0 ? &h->at[i - 1] : NULL)) {
			puts_to(s, ",");
		} else {
			puts_to(s, i > 0 ? "\n" : "");
			put_lower(s, h->at[i].name);
			puts_to(s, ":");
		}
		put_header_value(s, h->at[i].value);
	}
	puts_to(s, "\n");
}

static void
put_signed_headers(const struct sink *s, const struct pairs *h)
{
	for (size_t i = 0; i < h->n; i++) {
		if (same_header(&h->at[i], i > 0 ? &h->at[i - 1] : NULL))
			continue;
		if (i > 0)
			put(s, ";", 1);
		put_lower(s, h->at[i].name);
	}
}

static void
put_canonical(const struct sink *s, const struct signing *g)
{
	puts_to(s, g->r->method);
	puts_to(s, "\n");
	if (strcmp(g->r->service, "s3") == 0)
		put_path(s, g->r->path, 1);
	else
		put_normal_path(s, g->r->path);
	puts_to(s, "\n");
	put_query(s, &g->query);
	puts_to(s, "\n");
	put_headers(s, &g->headers);
	puts_to(s, "\n");
	put_signed_headers(s, &g->headers);
	puts_to(s, "\n");
	puts_to(s, g->r->payload_hash);
}

static void
hmac_text(const void *key, size_t key_len, const char *text,
	  unsigned char out[SHA256_BYTES])
{
	crypto_hmac_sha256(key, key_len, text, strlen(text), out);
}

/* The four-step key of the scope. */
static int
signing_key(const struct signing *g, unsigned char key[SHA256_BYTES])
{
	char start[KEY_MAX], day[9] = { 0 };
	unsigned char a[SHA256_BYTES], b[SHA256_BYTES];
	int n = snprintf(start, sizeof(start), "AWS4%s", g->r->secret_key);

	if (n < 0 || (size_t)n >= sizeof(start))
		return -1;
	memcpy(day, g->date, 8);
	hmac_text(start, (size_t)n, day, a);
	hmac_text(a, sizeof(a), g->r->region, b);
	hmac_text(b, sizeof(b), g->r->service, a);
	hmac_text(a, sizeof(a), "aws4_request", key);
	explicit_bzero(start, sizeof(start));
	explicit_bzero(a, sizeof(a));
	explicit_bzero(b, sizeof(b));
	return 0;
}

static int
signature(const struct signing *g, char hex[SHA256_HEX])
{
	unsigned char sum[SHA256_BYTES], key[SHA256_BYTES];
	char text[64 + SCOPE_MAX + SHA256_HEX];
	struct sink s = { .digest = crypto_sha256_new() };

	if (s.digest == NULL)
		return -1;
	put_canonical(&s, g);
	crypto_sha256_end(s.digest, sum);
	crypto_hex(sum, sizeof(sum), hex);
	snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s\n%s", g->date,
		 g->scope, hex);
	if (signing_key(g, key) != 0)
		return -1;
	hmac_text(key, sizeof(key), text, sum);
	crypto_hex(sum, sizeof(sum), hex);
	explicit_bzero(key, sizeof(key));
	return 0;
}

static int
signing_init(struct signing *g, const struct sigv4_request *r)
{
	time_t t = (time_t)r->now;
	struct tm tm;
	int n;

	*g = (struct signing){ .r = r };
	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(g->date, sizeof(g->date), "%Y%m%dT%H%M%SZ", &tm) != 16)
		return -1;
	n = snprintf(g->scope, sizeof(g->scope), "%.8s/%s/%s/aws4_request",
		     g->date, r->region, r->service);
	if (n < 0 || (size_t)n >= sizeof(g->scope))
		return -1;
	for (size_t i = 0; i < r->query_count; i++) {
		if (pairs_add(&g->query, r->query[i].name, r->query[i].value,
			      false) != 0)
			return -1;
	}
	for (size_t i = 0; i < r->header_count; i++) {
		if (pairs_add(&g->headers, r->headers[i].name,
			      r->headers[i].value, true) != 0)
			return -1;
	}
	return pairs_add(&g->headers, "host", r->host, true);
}

int
sigv4_sign(const struct sigv4_request *r, struct buf *authorization,
	   char date[17])
{
	struct sink s = { .buf = authorization };
	char hex[SHA256_HEX];
	struct signing g;

	if (signing_init(&g, r) != 0 ||
	    pairs_add(&g.headers, "x-amz-date", g.date, true) != 0)
		return -1;
	if (r->token[0] != '\0' &&
	    pairs_add(&g.headers, "x-amz-security-token", r->token, true) != 0)
		return -1;
	if (strcmp(r->service, "s3") == 0 &&
	    pairs_add(&g.headers, "x-amz-content-sha256", r->payload_hash,
		      true) != 0)
		return -1;
	if (signature(&g, hex) != 0)
		return -1;
	buf_printf(authorization,
		   ALGORITHM " Credential=%s/%s, SignedHeaders=", r->access_key,
		   g.scope);
	put_signed_headers(&s, &g.headers);
	buf_printf(authorization, ", Signature=%s", hex);
	memcpy(date, g.date, sizeof(g.date));
	return buf_failed(authorization) ? -1 : 0;
}

int
sigv4_presign(const struct sigv4_request *r, int64_t expires_s,
	      struct buf *query)
{
	struct sink s = { .buf = query };
	char credential[KEY_MAX + SCOPE_MAX], expires[24], hex[SHA256_HEX];
	struct buf signed_headers;
	struct signing g;
	int rc = -1;

	buf_init(&signed_headers, 4096);
	if (signing_init(&g, r) != 0)
		goto out;
	snprintf(credential, sizeof(credential), "%s/%s", r->access_key,
		 g.scope);
	snprintf(expires, sizeof(expires), "%lld", (long long)expires_s);
	put_signed_headers(&(struct sink){ .buf = &signed_headers },
			   &g.headers);
	if (pairs_add(&g.query, "X-Amz-Algorithm", ALGORITHM, false) != 0 ||
	    pairs_add(&g.query, "X-Amz-Credential", credential, false) != 0 ||
	    pairs_add(&g.query, "X-Amz-Date", g.date, false) != 0 ||
	    pairs_add(&g.query, "X-Amz-Expires", expires, false) != 0 ||
	    pairs_add(&g.query, "X-Amz-SignedHeaders", buf_str(&signed_headers),
		      false) != 0 ||
	    (r->token[0] != '\0' &&
	     pairs_add(&g.query, "X-Amz-Security-Token", r->token, false) != 0))
		goto out;
	if (signature(&g, hex) != 0)
		goto out;
	put_query(&s, &g.query);
	buf_printf(query, "&X-Amz-Signature=%s", hex);
	rc = buf_failed(query) || buf_failed(&signed_headers) ? -1 : 0;
out:
	buf_free(&signed_headers);
	return rc;
}

void
sigv4_encode_path(struct buf *out, const char *path)
{
	put_path(&(struct sink){ .buf = out }, path, 1);
}

void
sigv4_encode_query(struct buf *out, const struct sigv4_pair *q, size_t n)
{
	struct pairs sorted = { .n = 0 };

	for (size_t i = 0; i < n; i++) {
		if (pairs_add(&sorted, q[i].name, q[i].value, false) != 0)
			out->failed = true;
	}
	put_query(&(struct sink){ .buf = out }, &sorted);
}
