/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A page of ListObjectsV2.
 *
 * Elements are found by their names: what S3 writes has no comments, CDATA or
 * attributes where we look, and a page of something else lacks the elements.
 */
#include "s3_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "http.h"

/* A stretch of the text; NULL: not found. */
struct span {
	const char *at;
	size_t n;
};

/* The content of the first <name> in `in`, and what follows it. */
static struct span
element(struct span in, const char *name, struct span *rest)
{
	char tag[40];
	int len = snprintf(tag, sizeof(tag), "<%s>", name);
	const char *start, *end;

	start = memmem(in.at, in.n, tag, (size_t)len);
	if (start == NULL)
		return (struct span){ NULL, 0 };
	start += len;
	len = snprintf(tag, sizeof(tag), "</%s>", name);
	end = memmem(start, (size_t)(in.at + in.n - start), tag, (size_t)len);
	if (end == NULL)
		return (struct span){ NULL, 0 };
	if (rest != NULL) {
		rest->at = end + len;
		rest->n = (size_t)(in.at + in.n - rest->at);
	}
	return (struct span){ start, (size_t)(end - start) };
}

/* The five entities of XML; a token is base64 or the like. */
static char *
unescape(struct arena *a, struct span s)
{
	static const struct {
		const char *name;
		char c;
	} entities[] = { { "&amp;", '&' },
			 { "&lt;", '<' },
			 { "&gt;", '>' },
			 { "&quot;", '"' },
			 { "&apos;", '\'' } };
	char *out = arena_strndup(a, s.at, s.n), *to = out;

	for (const char *p = out; p != NULL && *p != '\0';) {
		size_t len = 1;

		*to = *p;
		for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]);
		     i++) {
			size_t n = strlen(entities[i].name);

			if (strncmp(p, entities[i].name, n) == 0) {
				*to = entities[i].c;
				len = n;
			}
		}
		p += len;
		to++;
	}
	if (out != NULL)
		*to = '\0';
	return out;
}

static int
malformed(struct error *e)
{
	return error_set(e, ERROR_SOURCE, "answered with no S3 listing");
}

static int
read_object(struct arena *a, struct span object, struct s3_listed *o,
	    struct error *e)
{
	struct span key = element(object, "Key", NULL);
	struct span size = element(object, "Size", NULL);
	struct span time = element(object, "LastModified", NULL);
	char text[40];
	size_t len;

	if (key.at == NULL || size.at == NULL)
		return malformed(e);
	o->key = http_decode(a, key.at, key.n, true, &len);
	if (o->key == NULL)
		return error_memory(e);
	o->size = strtoll(size.at, NULL, 10);
	if (memchr(o->key, '\0', len) != NULL || o->size < 0)
		return malformed(e);
	snprintf(text, sizeof(text), "%.*s", (int)time.n,
		 time.at != NULL ? time.at : "");
	o->mtime = http_rfc3339_parse(text);
	if (o->mtime < 0)
		o->mtime = BUNDLE_NO_TIME;
	return 0;
}

int
s3_list_read(struct arena *a, const char *text, size_t n, s3_listed_fn fn,
	     void *ctx, const char **token, struct error *e)
{
	struct span all = { text, n }, rest = all, object, more, next;
	struct s3_listed o;

	if (memmem(text, n, "<ListBucketResult", 17) == NULL)
		return malformed(e);
	while ((object = element(rest, "Contents", &rest)).at != NULL) {
		if (read_object(a, object, &o, e) != 0 || fn(ctx, &o, e) != 0)
			return -1;
	}
	*token = NULL;
	more = element(all, "IsTruncated", NULL);
	if (more.n != 4 || memcmp(more.at, "true", 4) != 0)
		return 0;
	next = element(all, "NextContinuationToken", NULL);
	if (next.at == NULL)
		return malformed(e);
	*token = unescape(a, next);
	return *token != NULL ? 0 : error_memory(e);
}
