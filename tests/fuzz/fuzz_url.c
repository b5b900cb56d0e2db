/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any text as a URL and as a Location: the canonical form parses to itself,
 * holds nothing that another parser could read otherwise, and no dot segment.
 */
#include "url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(struct arena *a, const struct url *u)
{
	char *text = url_format(a, u);
	struct url again;
	struct error e;

	if (text == NULL)
		return;
	if (strpbrk(text, " \t\r\n\\\"<>") != NULL ||
	    strpbrk(u->host, "@/?#%") != NULL || *u->host == '\0' ||
	    *u->path != '/' || strstr(u->path, "/../") != NULL)
		abort();
	if (strlen(text) > URL_MAX)
		return;
	if (url_parse(a, text, &again, &e) != 0 ||
	    strcmp(url_format(a, &again), text) != 0)
		abort();
	url_host_is_address(u->host);
	if (!url_allowed(text, u) && u->query == NULL &&
	    strstr(u->path, "%") == NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct url base = { .scheme = "https",
					 .host = "h",
					 .port = 8443,
					 .path = "/a/b/c",
					 .query = "q" };
	struct arena *a = arena_new(4 << 20);
	char *text = arena_strndup(a, (const char *)data, n);
	struct url u;
	struct error e;

	if (text != NULL && url_parse(a, text, &u, &e) == 0)
		check(a, &u);
	if (text != NULL && url_resolve(a, &base, text, &u, &e) == 0)
		check(a, &u);
	if (text != NULL) {
		url_allowed(text, &base);
		url_allowed_s3(text, "bucket", "some/key");
	}
	arena_free(a);
	return 0;
}
