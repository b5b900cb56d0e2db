/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The web page, the description of the API, and what all pages share.
 *
 * The texts are those of web/, embedded at build time.
 */
#include "page.h"

#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "http.h"

#include "web_index_html.h"
#include "web_openapi_json.h"

#define POLICY_MAX 1024
#define TAG_MAX 80

void
page_put_text(struct buf *out, const char *s, size_t n)
{
	for (const char *end = s + n; s < end; s++) {
		switch (*s) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '\'':
			buf_puts(out, "&#39;");
			break;
		default:
			if ((unsigned char)*s < ' ' || *s == 0x7f)
				buf_puts(out, "\xef\xbf\xbd");
			else
				buf_putc(out, *s);
		}
	}
}

static const char *
find_value(const char *name, size_t n, const struct page_value *values,
	   size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(values[i].name) == n &&
		    memcmp(values[i].name, name, n) == 0)
			return values[i].text;
	return "";
}

void
page_fill(struct buf *out, const char *template, size_t n,
	  const struct page_value *values, size_t count)
{
	const char *end = template + n, *open, *close, *text;

	while ((open = memmem(template, (size_t)(end - template), "{{", 2)) !=
	       NULL) {
		close = memmem(open, (size_t)(end - open), "}}", 2);
		if (close == NULL)
			break;
		buf_put(out, template, (size_t)(open - template));
		text = find_value(open + 2, (size_t)(close - open - 2), values,
				  count);
		page_put_text(out, text, strlen(text));
		template = close + 2;
	}
	buf_put(out, template, (size_t)(end - template));
}

void
page_size(int64_t bytes, char out[16])
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB",
					     "TB",    "PB", "EB" };
	double value = (double)bytes;
	size_t unit = 0;

	*out = '\0';
	if (bytes < 0)
		return;
	/* What would be rounded to 1000 is the next unit's. */
	for (; value >= (unit == 0 ? 1000 : 999.5); value /= 1000)
		unit++;
	snprintf(out, 16, unit > 0 && value < 99.95 ? "%.1f %s" : "%.0f %s",
		 value, bytes == 1 ? "byte" : units[unit]);
}

/* Content Security Policy Level 3, section 2.3.1: the hash of what stands
 * between an element's tags. */
static void
put_hash(struct buf *out, const char *directive, const char *html,
	 const char *open, const char *close)
{
	char text[CRYPTO_BASE64(SHA256_BYTES)];
	unsigned char digest[SHA256_BYTES];
	const char *from = strstr(html, open), *to;

	if (from == NULL)
		return;
	from += strlen(open);
	to = strstr(from, close);
	if (to == NULL)
		return;
	crypto_sha256(from, (size_t)(to - from), digest);
	crypto_base64_encode(digest, sizeof(digest), text);
	buf_printf(out, "; %s 'sha256-%s'", directive, text);
}

void
page_policy(struct buf *out, const char *html, const char *more)
{
	buf_puts(out, "default-src 'none'");
	put_hash(out, "style-src", html, "<style>", "</style>");
	put_hash(out, "script-src", html, "<script>", "</script>");
	buf_printf(out,
		   "; img-src data:; base-uri 'none'; "
		   "frame-ancestors 'none'%s",
		   more);
}

void
page_headers(struct response *r, const char *html, const char *more)
{
	struct buf policy;

	buf_init(&policy, POLICY_MAX);
	page_policy(&policy, html, more);
	response_header(r, "Content-Security-Policy", "%s", buf_str(&policy));
	buf_free(&policy);
	response_header(r, "Referrer-Policy", "no-referrer");
}

static void
make_tag(const char *text, size_t n, char tag[TAG_MAX])
{
	unsigned char digest[SHA256_BYTES];
	char hex[SHA256_HEX];

	crypto_sha256(text, n, digest);
	crypto_hex(digest, sizeof(digest), hex);
	snprintf(tag, TAG_MAX, "\"%s\"", hex);
}

/* A text of ours that changes with the program alone. */
static int
answer_fixed(struct exchange *x, const char *type, const char *text, size_t n)
{
	const char *none = request_header(x->request, "If-None-Match");
	struct response *r = x->response;
	char tag[TAG_MAX];

	make_tag(text, n, tag);
	response_header(r, "ETag", "%s", tag);
	response_header(r, "Cache-Control", "no-cache");
	if (none == NULL || !http_etag_match(none, tag, false)) {
		response_text(r, 200, type, text, n);
		return 0;
	}
	response_status(r, 304);
	response_finish(r);
	return 0;
}

int
page_home(struct exchange *x, const struct route_params *p, struct error *e)
{
	(void)p;
	/* RFC 9110, section 12.5.5: one address, two answers. */
	response_header(x->response, "Vary", "Accept");
	if (!http_accepts_html(request_header(x->request, "Accept"))) {
		error_set(e, ERROR_NOT_FOUND, "Not Found");
		response_error(x->response, e);
		return 0;
	}
	page_headers(x->response, web_index_html,
		     "; connect-src 'self'; form-action 'self'; "
		     "frame-src 'self'");
	return answer_fixed(x, "text/html; charset=utf-8", web_index_html,
			    sizeof(web_index_html) - 1);
}

int
page_openapi(struct exchange *x, const struct route_params *p, struct error *e)
{
	(void)p;
	(void)e;
	return answer_fixed(x, "application/json", web_openapi_json,
			    sizeof(web_openapi_json) - 1);
}
