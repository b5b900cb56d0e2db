/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The grammar of HTTP but for dates and ranges: methods, validators, header
 * values, percent-coding.  Pure functions; sections are of RFC 9110.
 */
#include "http.h"

#include <string.h>
#include <strings.h>

/* Of RFC 8187's attr-char, those that are not unreserved anyway. */
#define ATTR_CHARS "!#$&+^`|"

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{ "GET", HTTP_GET },	   { "HEAD", HTTP_HEAD },
	{ "POST", HTTP_POST },	   { "PUT", HTTP_PUT },
	{ "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS },
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 429, "Too Many Requests" },
	{ 499, "Client Closed Request" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
};

enum http_method
http_method_from(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	}
	return HTTP_OTHER;
}

const char *
http_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}

static const char *
skip_ows(const char *p)
{
	return p + strspn(p, " \t");
}

bool
http_etag_weak(const char *etag)
{
	return strncmp(etag, "W/", 2) == 0;
}

/* Section 8.8.3: the length of an entity tag at p, 0 when there is none. */
static size_t
etag_length(const char *p)
{
	const char *s = http_etag_weak(p) ? p + 2 : p;

	if (*s++ != '"')
		return 0;
	while (*s != '"') {
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return 0;
		s++;
	}
	return (size_t)(s + 1 - p);
}

static bool
etag_equal(const char *a, size_t a_len, const char *b, size_t b_len,
	   bool strong)
{
	bool a_weak = *a == 'W', b_weak = *b == 'W';

	if (strong && (a_weak || b_weak))
		return false;
	a += a_weak ? 2 : 0;
	a_len -= a_weak ? 2 : 0;
	b += b_weak ? 2 : 0;
	b_len -= b_weak ? 2 : 0;
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

bool
http_etag_match(const char *list, const char *etag, bool strong)
{
	const char *p = list;
	size_t n, own;

	if (list == NULL || etag == NULL)
		return false;
	own = etag_length(etag);
	p = skip_ows(p);
	if (*p == '*')
		return *skip_ows(p + 1) == '\0';
	while (own > 0 && *p != '\0') {
		n = etag_length(p);
		if (n > 0 && etag_equal(p, n, etag, own, strong))
			return true;
		p = skip_ows(p + n);
		if (*p != ',' && *p != '\0')
			return false;
		p += strspn(p, ", \t");
	}
	return false;
}

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~", c) != NULL);
}

void
http_disposition(struct buf *out, const char *filename)
{
	buf_puts(out, "attachment; filename=\"");
	for (const char *p = filename; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		/* One '_' for each character that is not ASCII; RFC 6266,
		 * appendix D, advises against '\' and '%' as well. */
		if ((c & 0xC0) == 0x80)
			continue;
		if (c < ' ' || c >= 0x7f || strchr("\"\\%", c) != NULL)
			c = '_';
		buf_putc(out, (char)c);
	}
	buf_puts(out, "\"; filename*=UTF-8''");
	http_encode(out, filename, strlen(filename), ATTR_CHARS);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *
http_decode(struct arena *a, const char *s, size_t n, bool form, size_t *len)
{
	char *out = arena_alloc(a, n + 1), *o = out;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '%' && n - i > 2 && hex_value(s[i + 1]) >= 0 &&
		    hex_value(s[i + 2]) >= 0) {
			*o++ = (char)(hex_value(s[i + 1]) * 16 +
				      hex_value(s[i + 2]));
			i += 2;
		} else {
			*o++ = form && s[i] == '+' ? ' ' : s[i];
		}
	}
	*len = (size_t)(o - out);
	return out;
}

void
http_encode(struct buf *out, const char *s, size_t n, const char *keep)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (is_unreserved(c) || (c != '\0' && strchr(keep, c) != NULL))
			buf_putc(out, s[i]);
		else
			buf_put(out, (char[]){ '%', hex[c >> 4], hex[c & 15] },
				3);
	}
}

bool
http_media_is(const char *value, const char *type)
{
	size_t n;

	if (value == NULL)
		return false;
	value = skip_ows(value);
	n = strcspn(value, "; \t");
	return n == strlen(type) && strncasecmp(value, type, n) == 0;
}

/* Copies a parameter's value, token or quoted-string (section 5.6.4), and
 * moves *p behind it.  NULL: no memory. */
static char *
take_value(struct arena *a, const char **p)
{
	const char *s = *p;
	char *out, *o;

	if (*s != '"') {
		size_t n = strcspn(s, "; \t,");

		*p = s + n;
		return arena_strndup(a, s, n);
	}
	out = o = arena_alloc(a, strlen(s) + 1);
	if (out == NULL)
		return NULL;
	for (s++; *s != '"' && *s != '\0'; s++) {
		if (*s == '\\' && s[1] != '\0')
			s++;
		*o++ = *s;
	}
	*p = *s == '"' ? s + 1 : s;
	return out;
}

/* The ';' before the next parameter, past one in quotes. */
static const char *
next_parameter(const char *p)
{
	bool quoted = false;

	for (; *p != '\0' && (quoted || *p != ';'); p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (quoted && *p == '\\' && p[1] != '\0')
			p++;
	}
	return p;
}

char *
http_parameter(struct arena *a, const char *value, const char *name)
{
	size_t n = strlen(name);
	const char *p;

	if (value == NULL)
		return NULL;
	for (p = next_parameter(value); *p == ';'; p = next_parameter(p)) {
		p = skip_ows(p + 1);
		if (strncasecmp(p, name, n) == 0 && p[n] == '=') {
			p += n + 1;
			return take_value(a, &p);
		}
	}
	return NULL;
}

/* The weight (section 12.4.2) of the list element that ends at `end`, in
 * thousandths. */
static int
quality(const char *p, const char *end)
{
	int value = 0, scale = 1000;

	while (p < end && (p = memchr(p, ';', (size_t)(end - p))) != NULL) {
		p = skip_ows(p + 1);
		if (strncasecmp(p, "q=", 2) != 0)
			continue;
		for (p += 2; p < end && scale > 0; p++) {
			if (*p == '.')
				continue;
			if (*p < '0' || *p > '9')
				break;
			value += (*p - '0') * scale;
			scale /= 10;
		}
		return value;
	}
	return 1000;
}

bool
http_accepts_html(const char *accept)
{
	bool best_is_html = false;
	int best = 0;

	for (const char *p = accept; p != NULL && *p != '\0';) {
		const char *end = p + strcspn(p, ",");
		size_t n;
		int q;

		p = skip_ows(p);
		n = strcspn(p, ",; \t");
		q = quality(p, end);
		/* A wildcard names nothing; among equals the first counts. */
		if (q > best && memchr(p, '*', n) == NULL) {
			best = q;
			best_is_html = n == strlen("text/html") &&
				       strncasecmp(p, "text/html", n) == 0;
		}
		p = *end == ',' ? end + 1 : end;
	}
	return best_is_html;
}

bool
http_equal_secret(const char *a, const char *b)
{
	size_t n = strlen(a);
	volatile unsigned char difference = 0;

	if (n != strlen(b))
		return false;
	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}
