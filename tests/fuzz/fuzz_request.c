/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any lines as CGI variables: a route is found or there is no memory, it has
 * the promised form, and a secret in it never reaches the log.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "bundle.h"

#define VARS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct config config = { .base_path = "" };
static const struct config based = { .base_path = "/zip" };

/* "NAME=value" lines, cut in place. */
static size_t
read_vars(char *text, struct request_var *vars)
{
	size_t count = 0;
	char *line, *equals;

	while (text != NULL && count < VARS) {
		line = strsep(&text, "\n");
		equals = strchr(line, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		vars[count].name = line;
		vars[count++].value = equals + 1;
	}
	return count;
}

/* Of two ids, wherever they stand, the log has one. */
static void
check_masked(const struct request *r)
{
	int ids = 0;

	for (const char *p = request_masked_path(r);
	     strlen(p) >= BUNDLE_UUID - 1; p++) {
		char id[BUNDLE_UUID] = "";

		memcpy(id, p, BUNDLE_UUID - 1);
		if (!bundle_is_uuid(id))
			continue;
		if (++ids > 1)
			abort();
		p += BUNDLE_UUID - 2;
	}
}

static void
check(struct request *r)
{
	size_t n = strlen(r->path);

	if (*r->path != '/' || (n > 1 && r->path[n - 1] == '/') ||
	    (*r->mount != '\0' && *r->mount != '/'))
		abort();
	check_masked(r);
	request_query(r, "compression");
	request_header(r, "If-Range");
	request_key(r);
	request_adopt_id(r);
	if (strpbrk(r->id, "\r\n \"") != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1 << 20);
	char *text = arena_strndup(a, (const char *)data, n);
	struct request_var vars[VARS];
	struct request r = { 0 };
	struct error e = { 0 };
	size_t count;

	if (text != NULL) {
		count = read_vars(text, vars);
		if (request_init(&r, a, n % 4 == 0 ? &based : &config, vars,
				 count, &e) == 0)
			check(&r);
		else if (e.code == ERROR_NONE)
			abort();
	}
	arena_free(a);
	return 0;
}
