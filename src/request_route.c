/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The route of a request: REQUEST_URI less the mount point.
 *
 * REQUEST_URI is raw and right on every server.  The mount point is what
 * SCRIPT_NAME should be, and often is not: servers put the first segment of
 * the route into it, or all of it, or the name of a script that a rewrite
 * rule chose.  So SCRIPT_NAME is believed only as far as PATH_INFO agrees,
 * and never so far that it swallows the beginning of a route of ours.
 *
 * What cannot be told apart is left to BASE_PATH: a mount point that is named
 * like a route ("/bundle"), and the bare mount point of a script that lies
 * elsewhere.
 */
#include "request.h"

#include <string.h>
#include <strings.h>

#include "bundle.h"

#define ROUTE_TAIL 3 /* segments of the longest route: /:id/:secret/word */

/* The segments of a path, empty ones left out: servers fold "//", too. */
struct segments {
	char **at;
	size_t n;
};

/* How a mount point was found. */
enum belief {
	BELIEF_SURE, /* SCRIPT_NAME and PATH_INFO agree with the URI */
	BELIEF_WEAK  /* a route that is recognised at the end counts more */
};

enum coding { CODED, DECODED };

/* A segment that hides a '/' or NUL stays as it is, and so is no id and no
 * word of ours. */
static char *
take_segment(struct arena *a, const char *p, size_t n, enum coding coding)
{
	size_t len;
	char *text;

	if (coding == DECODED)
		return arena_strndup(a, p, n);
	text = http_decode(a, p, n, false, &len);
	if (text != NULL &&
	    (memchr(text, '/', len) != NULL || memchr(text, '\0', len) != NULL))
		return arena_strndup(a, p, n);
	return text;
}

/* RFC 3986, section 5.2.4: servers take dot segments away, too. */
static void
add_segment(struct segments *s, char *text)
{
	if (strcmp(text, "..") == 0)
		s->n -= s->n > 0;
	else if (strcmp(text, ".") != 0)
		s->at[s->n++] = text;
}

static int
split(struct arena *a, const char *p, size_t n, enum coding coding,
      struct segments *out)
{
	const char *end = p + n, *slash;
	size_t count = 1;
	char *text;

	for (size_t i = 0; i < n; i++)
		count += p[i] == '/';
	out->n = 0;
	out->at = arena_array(a, count, sizeof(*out->at));
	if (out->at == NULL)
		return -1;
	for (; p < end; p = slash + 1) {
		slash = memchr(p, '/', (size_t)(end - p));
		if (slash == NULL)
			slash = end;
		if (slash == p)
			continue;
		text = take_segment(a, p, (size_t)(slash - p), coding);
		if (text == NULL)
			return -1;
		add_segment(out, text);
	}
	return 0;
}

static const char *
join(struct arena *a, const struct segments *s, size_t from, size_t to)
{
	struct buf b;
	char *text;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = from; i < to; i++) {
		buf_putc(&b, '/');
		buf_puts(&b, s->at[i]);
	}
	text = buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
	buf_free(&b);
	return text;
}

static bool
same(char *const *a, char *const *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool
starts_with(const struct segments *s, const struct segments *head)
{
	return head->n <= s->n && same(s->at, head->at, head->n);
}

static bool
ends_with(const struct segments *s, const struct segments *tail)
{
	return tail->n <= s->n &&
	       same(s->at + s->n - tail->n, tail->at, tail->n);
}

/* Has it the shape of a route?  tests/unit/test_router.c holds this against
 * every pattern of the router's table. */
static bool
is_route(char *const *segment, size_t n)
{
	static const char *const words[] = { "bundle", "check", "health-check",
					     "metrics", "openapi.json" };

	if (bundle_is_uuid(segment[0])) {
		if (n > 1 && !bundle_is_uuid(segment[1]))
			return false;
		return n < 3 || strcmp(segment[2], "status") == 0 ||
		       strcmp(segment[2], "export") == 0;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (n == 1 && strcmp(segment[0], words[i]) == 0)
			return true;
	return false;
}

/* Segments at the end that make the longest route; 0: none does. */
static size_t
route_tail(const struct segments *uri)
{
	size_t n = uri->n < ROUTE_TAIL ? uri->n : ROUTE_TAIL;

	while (n > 0 && !is_route(uri->at + uri->n - n, n))
		n--;
	return n;
}

static bool
is_script(const struct segments *s)
{
	const char *dot = s->n > 0 ? strrchr(s->at[s->n - 1], '.') : NULL;

	return dot != NULL &&
	       (strcasecmp(dot, ".fcgi") == 0 || strcasecmp(dot, ".cgi") == 0);
}

/* Segments of the mount point, as SCRIPT_NAME and PATH_INFO have it. */
static size_t
believed_mount(const struct segments *uri, const struct segments *script,
	       const struct segments *info, bool has_info, enum belief *belief)
{
	struct segments folder = *script;

	*belief = BELIEF_SURE;
	if (starts_with(uri, script) && ends_with(uri, info) &&
	    script->n + info->n == uri->n)
		return script->n;
	/* A rewrite rule chose the script, or nginx was given SCRIPT_NAME
	 * twice: what is in PATH_INFO is the route. */
	if (has_info && ends_with(uri, info))
		return uri->n - info->n;
	*belief = BELIEF_WEAK;
	if (starts_with(uri, script))
		return script->n;
	/* Nothing was passed on: the script's folder is the mount point. */
	if (!is_script(script))
		return 0;
	folder.n--;
	return starts_with(uri, &folder) ? folder.n : 0;
}

static size_t
mount_length(const struct segments *uri, const struct segments *script,
	     const struct segments *info, bool has_info)
{
	enum belief belief;
	size_t believed = believed_mount(uri, script, info, has_info, &belief);
	size_t tail = route_tail(uri);

	if (tail == 0)
		return believed;
	/* Never past the beginning of a route. */
	if (belief == BELIEF_WEAK || believed > uri->n - tail)
		return uri->n - tail;
	return believed;
}

/* The path in a request target, RFC 9112 section 3.2: origin form, or the
 * absolute form that a proxy may have passed on. */
static const char *
uri_path(const char *uri, size_t *n)
{
	const char *scheme = strstr(uri, "://");
	const char *end = strchrnul(uri, '?');

	if (*uri != '/' && scheme != NULL && scheme < end) {
		uri = strchrnul(scheme + 3, '/');
		if (uri > end)
			uri = end;
	}
	*n = (size_t)(end - uri);
	return uri;
}

static int
split_target(struct arena *a, const char *uri, const char *script_name,
	     const char *path_info, struct segments *out)
{
	size_t n;

	if (*uri != '\0') {
		uri = uri_path(uri, &n);
		return split(a, uri, n, CODED, out);
	}
	/* A server that gives no REQUEST_URI leaves what it made of it. */
	uri = arena_printf(a, "%s%s", script_name, path_info);
	if (uri == NULL)
		return -1;
	return split(a, uri, strlen(uri), DECODED, out);
}

int
request_route(struct arena *a, const char *uri, const char *script_name,
	      const char *path_info, const char *base, const char **mount,
	      const char **path)
{
	const char *prefix = *base != '\0' ? base : script_name;
	struct segments target, script, info;
	size_t m;

	if (split_target(a, uri, script_name, path_info, &target) == -1 ||
	    split(a, prefix, strlen(prefix), DECODED, &script) == -1 ||
	    split(a, path_info, strlen(path_info), DECODED, &info) == -1)
		return -1;
	if (*base == '\0') {
		m = mount_length(&target, &script, &info, *path_info != '\0');
		*mount = join(a, &target, 0, m);
	} else {
		/* A proxy in front may have taken the base off already. */
		m = starts_with(&target, &script) ? script.n : 0;
		*mount = join(a, &script, 0, script.n);
	}
	*path = m == target.n ? "/" : join(a, &target, m, target.n);
	return *mount == NULL || *path == NULL ? -1 : 0;
}
