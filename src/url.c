/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * URLs of sources: strict parsing, resolving, canonical form, allow-list.
 *
 * Where parsers are known to disagree ('\', '@', dot segments in disguise,
 * characters that IDNA turns into others) the URL is refused or brought into
 * the one form in which they agree.  Sections are of RFC 3986.
 */
#include "url.h"

#include <string.h>
#include <strings.h>

#include "dst.h"
#include "http.h"

#define HOST_MAX 255 /* bytes; RFC 1035 allows 253 and the final dot */
#define LABEL_MAX 63 /* of an ASCII label */
#define PORT_MAX 65535

static bool
is_alpha(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hex(unsigned char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_one_of(unsigned char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* ASCII only; arena memory or NULL. */
static char *
lower_copy(struct arena *a, const char *s, size_t n)
{
	char *out = arena_strndup(a, s, n);

	for (size_t i = 0; out != NULL && i < n; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
	}
	return out;
}

/* Section 3.1: the length of the scheme in front of a ':'; 0: none. */
static size_t
scheme_length(const char *text)
{
	size_t n = 0;

	if (!is_alpha((unsigned char)text[0]))
		return 0;
	while (is_alpha((unsigned char)text[n]) ||
	       is_digit((unsigned char)text[n]) ||
	       is_one_of((unsigned char)text[n], "+-."))
		n++;
	return text[n] == ':' ? n : 0;
}

const char *
url_scheme(struct arena *a, const char *text)
{
	size_t n = scheme_length(text);

	if (n == 0 || strncmp(text + n, "://", 3) != 0)
		return NULL;
	return lower_copy(a, text, n);
}

static int
bad(struct error *e, const char *what)
{
	return error_set(e, ERROR_INPUT, "Invalid URL: %s", what);
}

static int
parse_port(const char *s, size_t n, struct url *u, struct error *e)
{
	int own = strcmp(u->scheme, "https") == 0 ? 443 : 80;
	int port = 0;

	u->port = -1;
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit((unsigned char)s[i]) || port > PORT_MAX)
			return bad(e, "the port is no number");
		port = port * 10 + (s[i] - '0');
	}
	if (port < 1 || port > PORT_MAX)
		return bad(e, "the port is out of range");
	u->port = port == own ? -1 : port;
	return 0;
}

/* A label at s up to a '.' or the end; 0 when it is none. */
static size_t
label_length(const char *s)
{
	size_t n = 0;
	bool ascii = true;

	for (; s[n] != '\0' && s[n] != '.'; n++) {
		unsigned char c = (unsigned char)s[n];

		if (c >= 0x80)
			ascii = false;
		else if (!is_alpha(c) && !is_digit(c) && !is_one_of(c, "-_"))
			return 0;
	}
	return ascii && n > LABEL_MAX ? 0 : n;
}

/* U+3002 is a dot to IDNA (UTS 46) though NFKC leaves it alone. */
static bool
is_stable_name(const char *host)
{
	size_t n = strlen(host);

	return dst_is_utf8(host, n) && dst_is_nfkc(host, n) &&
	       strstr(host, "\xe3\x80\x82") == NULL;
}

/* Labels between dots, with an optional dot at the end. */
static bool
is_host_name(const char *host)
{
	size_t n;

	if (strlen(host) > HOST_MAX || !is_stable_name(host))
		return false;
	do {
		n = label_length(host);
		if (n == 0)
			return false;
		host += n;
		host += *host == '.' ? 1 : 0;
	} while (*host != '\0');
	return true;
}

/* "[...]": of the characters of an IPv6 address, without a zone. */
static bool
is_bracketed(const char *host)
{
	size_t n = strlen(host);

	if (n < 4 || host[0] != '[' || host[n - 1] != ']')
		return false;
	for (size_t i = 1; i < n - 1; i++) {
		if (!is_hex((unsigned char)host[i]) &&
		    !is_one_of((unsigned char)host[i], ":."))
			return false;
	}
	return true;
}

/* Section 3.2: host and port of n bytes. */
static int
parse_authority(struct arena *a, const char *s, size_t n, struct url *u,
		struct error *e)
{
	const char *colon;
	size_t host = n;

	if (memchr(s, '@', n) != NULL)
		return bad(e, "it must not hold a user or a password");
	colon = memrchr(s, ':', n);
	if (colon != NULL &&
	    memchr(colon, ']', n - (size_t)(colon - s)) != NULL)
		colon = NULL; /* inside the brackets */
	if (colon != NULL)
		host = (size_t)(colon - s);
	u->host = lower_copy(a, s, host);
	if (u->host == NULL)
		return error_memory(e);
	if (!is_host_name(u->host) && !is_bracketed(u->host))
		return bad(e, host == 0 ? "there is no host"
					: "the host is no valid name");
	if (colon == NULL)
		return parse_port("", 0, u, e);
	return parse_port(colon + 1, n - host - 1, u, e);
}

/* Copies n bytes with all but unreserved, sub-delims and `more` escaped; an
 * escape that is one already stays (section 2.4). */
static char *
escape(struct arena *a, const char *s, size_t n, const char *more)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = arena_array(a, n + 1, 3), *o = out;

	for (size_t i = 0; out != NULL && i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		bool escaped = c == '%' && n - i > 2 &&
			       is_hex((unsigned char)s[i + 1]) &&
			       is_hex((unsigned char)s[i + 2]);

		if (is_alpha(c) || is_digit(c) || escaped ||
		    is_one_of(c, "-._~!$&'()*+,;=") || is_one_of(c, more)) {
			*o++ = s[i];
			continue;
		}
		*o++ = '%';
		*o++ = hex[c >> 4];
		*o++ = hex[c & 15];
	}
	return out;
}

/* How many dots the segment of n bytes consists of, where "%2e" is one
 * (section 6.2.2.2); 0 when it holds anything else. */
static int
dots(const char *s, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; count++) {
		if (s[i] == '.')
			i++;
		else if (n - i > 2 && strncasecmp(s + i, "%2e", 3) == 0)
			i += 3;
		else
			return 0;
	}
	return count;
}

/* Section 5.2.4, in place. */
static void
remove_dot_segments(char *path)
{
	char *out = path;
	const char *in = path;

	while (*in == '/') {
		size_t n = strcspn(in + 1, "/");
		int d = dots(in + 1, n);
		const char *next = in + 1 + n;

		if (d == 2) {
			while (out > path && *--out != '/')
				continue;
		} else if (d != 1) {
			memmove(out, in, n + 1);
			out += n + 1;
		}
		if ((d == 1 || d == 2) && *next == '\0')
			*out++ = '/';
		in = next;
	}
	*out = '\0';
}

/* What follows the authority: path, query; a fragment is dropped. */
static int
parse_rest(struct arena *a, const char *s, struct url *u, struct error *e)
{
	size_t n = strcspn(s, "?#");
	const char *query = s[n] == '?' ? s + n + 1 : NULL;
	char *path = n == 0 ? arena_strdup(a, "/") : escape(a, s, n, "/:@");

	if (path == NULL)
		return error_memory(e);
	remove_dot_segments(path);
	u->path = path;
	u->query = NULL;
	if (query == NULL)
		return 0;
	u->query = escape(a, query, strcspn(query, "#"), "/:@?");
	return u->query != NULL ? 0 : error_memory(e);
}

int
url_parse(struct arena *a, const char *text, struct url *u, struct error *e)
{
	const char *authority;
	size_t n;

	if (strlen(text) > URL_MAX)
		return bad(e, "it is too long");
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return bad(e, "it must not hold control characters");
	}
	u->scheme = url_scheme(a, text);
	if (u->scheme == NULL)
		return arena_failed(a) ? error_memory(e)
				       : bad(e, "there is no protocol");
	if (strcmp(u->scheme, "http") != 0 && strcmp(u->scheme, "https") != 0)
		return error_set(e, ERROR_INPUT,
				 "Protocol '%.32s' not supported.", u->scheme);
	authority = text + strlen(u->scheme) + 3;
	n = strcspn(authority, "/?#");
	if (parse_authority(a, authority, n, u, e) != 0)
		return -1;
	return parse_rest(a, authority + n, u, e);
}

/* Section 5.2.3: the base's path up to its last '/'. */
static int
directory_length(const struct url *base)
{
	return (int)(strrchr(base->path, '/') + 1 - base->path);
}

int
url_resolve(struct arena *a, const struct url *base, const char *location,
	    struct url *u, struct error *e)
{
	struct url root = *base;
	const char *prefix;
	char *whole;

	if (scheme_length(location) > 0)
		return url_parse(a, location, u, e);
	root.path = "";
	root.query = NULL;
	prefix = url_format(a, &root);
	if (prefix == NULL)
		return error_memory(e);
	if (strncmp(location, "//", 2) == 0)
		whole = arena_printf(a, "%s:%s", base->scheme, location);
	else if (*location == '/')
		whole = arena_printf(a, "%s%s", prefix, location);
	else if (*location == '?')
		whole = arena_printf(a, "%s%s%s", prefix, base->path, location);
	else if (*location == '\0' || *location == '#')
		whole = url_format(a, base);
	else
		whole = arena_printf(a, "%s%.*s%s", prefix,
				     directory_length(base), base->path,
				     location);
	return whole != NULL ? url_parse(a, whole, u, e) : error_memory(e);
}

const char *
url_authority(struct arena *a, const struct url *u)
{
	return u->port < 0 ? u->host
			   : arena_printf(a, "%s:%d", u->host, u->port);
}

char *
url_format(struct arena *a, const struct url *u)
{
	const char *mark = u->query != NULL ? "?" : "";
	const char *query = u->query != NULL ? u->query : "";
	const char *authority = url_authority(a, u);

	if (authority == NULL)
		return NULL;
	return arena_printf(a, "%s://%s%s%s%s", u->scheme, authority, u->path,
			    mark, query);
}

/*
 * As the WHATWG's URL standard has it: a name whose last label is a number,
 * decimal or "0x" and hex digits, is an IPv4 address in some spelling or
 * nothing at all.  No top-level domain is a number.
 */
bool
url_host_is_address(const char *host)
{
	size_t n = strlen(host), start;

	if (strchr(host, ':') != NULL || *host == '[' || !is_stable_name(host))
		return true;
	if (n > 0 && host[n - 1] == '.')
		n--;
	for (start = n; start > 0 && host[start - 1] != '.'; start--)
		continue;
	if (start == n)
		return false;
	if (n - start >= 2 && strncasecmp(host + start, "0x", 2) == 0) {
		for (start += 2; start < n; start++) {
			if (!is_hex((unsigned char)host[start]))
				return false;
		}
		return true;
	}
	for (; start < n; start++) {
		if (!is_digit((unsigned char)host[start]))
			return false;
	}
	return true;
}

/* Does `path` lie under `prefix`, which ends at a segment? */
static bool
is_under(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(path, prefix, n) != 0)
		return false;
	return n == 0 || prefix[n - 1] == '/' || path[n] == '\0' ||
	       path[n] == '/';
}

/* Would a server that takes "%2f" or "%5c" for a separator climb up here? */
static bool
climbs(const char *path)
{
	const char *segment = path;

	for (const char *p = path;; p++) {
		bool coded = strncasecmp(p, "%2f", 3) == 0 ||
			     strncasecmp(p, "%5c", 3) == 0;

		if (*p != '\0' && *p != '/' && !coded)
			continue;
		if (dots(segment, (size_t)(p - segment)) == 2)
			return true;
		if (*p == '\0')
			return false;
		segment = p + (coded ? 3 : 1);
	}
}

/* The next word at *list, copied; NULL at the end. */
static char *
next_word(struct arena *a, const char **list)
{
	const char *start = *list + strspn(*list, " \t");
	size_t n = strcspn(start, " \t");

	*list = start + n;
	return n > 0 ? arena_strndup(a, start, n) : NULL;
}

/* Is the URL `subject` one of the pattern's? */
static bool
covers_url(struct arena *a, const char *pattern, const void *subject)
{
	const struct url *u = subject;
	struct url p;

	/* A pattern that is no URL allows nothing. */
	if (url_parse(a, pattern, &p, NULL) != 0)
		return false;
	return strcmp(p.scheme, u->scheme) == 0 &&
	       strcmp(p.host, u->host) == 0 && p.port == u->port &&
	       p.query == NULL && is_under(u->path, p.path) &&
	       (strcmp(p.path, "/") == 0 || !climbs(u->path));
}

/* Is the path `subject` one of the pattern's? */
static bool
covers_path(struct arena *a, const char *pattern, const void *subject)
{
	const char *prefix;
	size_t n;

	if (strncasecmp(pattern, "file:///", 8) != 0)
		return false;
	pattern += 8;
	prefix = http_decode(a, pattern, strlen(pattern), false, &n);
	return prefix != NULL && is_under(subject, prefix) &&
	       (n == 0 || !climbs(subject));
}

/* Is it a pattern that could never cover anything? */
static bool
covers_nothing(struct arena *a, const char *pattern, const void *subject)
{
	struct url p;

	(void)subject;
	if (strncasecmp(pattern, "s3://", 5) == 0)
		return strcspn(pattern + 5, "/") == 0;
	if (strncasecmp(pattern, "file:///", 8) == 0)
		return false;
	return url_parse(a, pattern, &p, NULL) != 0 || p.query != NULL ||
	       url_host_is_address(p.host);
}

/* Does it hold of one of the list's patterns? */
static bool
any_pattern(const char *list,
	    bool (*holds)(struct arena *a, const char *pattern,
			  const void *subject),
	    const void *subject)
{
	struct arena *scratch = arena_new(0);
	const char *pattern;
	bool found = false;

	while (scratch != NULL && !found &&
	       (pattern = next_word(scratch, &list)) != NULL)
		found = holds(scratch, pattern, subject);
	arena_free(scratch);
	return found;
}

bool
url_allowed(const char *list, const struct url *u)
{
	return *list == '\0' || any_pattern(list, covers_url, u);
}

bool
url_allowed_file(const char *list, const char *path)
{
	return *list == '\0' || any_pattern(list, covers_path, path);
}

bool
url_patterns_valid(const char *list)
{
	return !any_pattern(list, covers_nothing, NULL);
}

bool
url_allowed_s3(const char *list, const char *bucket, const char *key)
{
	size_t bucket_len = strlen(bucket), key_len = strlen(key);

	if (*list == '\0')
		return true;
	while (*(list += strspn(list, " \t")) != '\0') {
		const char *p = list;
		size_t n = strcspn(p, " \t");

		list += n;
		if (n < 5 + bucket_len || strncasecmp(p, "s3://", 5) != 0 ||
		    memcmp(p + 5, bucket, bucket_len) != 0)
			continue;
		p += 5 + bucket_len;
		n -= 5 + bucket_len;
		if (n <= 1 && (n == 0 || *p == '/'))
			return true;
		if (*p++ != '/' || --n > key_len || memcmp(p, key, n) != 0)
			continue;
		if (p[n - 1] == '/' || key[n] == '/' || key[n] == '\0')
			return true;
	}
	return false;
}
