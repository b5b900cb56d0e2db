/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any lines as names: what comes out is safe, is its own safe form, and is
 * unique in its set without regard to case.
 */
#include "dst.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAMES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_safe(struct arena *a, const char *name)
{
	struct error e = { 0 };
	const char *again;

	if (*name == '/' || *name == '\0' || !dst_is_utf8(name, strlen(name)) ||
	    strpbrk(name, "\\<>:\"|?*") != NULL || strstr(name, "//") != NULL ||
	    strstr(name, "./") != NULL)
		abort();
	again = dst_clean(a, name, strlen(name), &e);
	if (again != NULL ? strcmp(again, name) != 0 : e.code == ERROR_INPUT)
		abort();
}

static void
check_unique(const char *const *taken, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++) {
		if (strcasecmp(taken[i], taken[count - 1]) == 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(4 << 20);
	struct dst_set *set = dst_set_new(a, 0);
	const char *taken[NAMES];
	const char *p = (const char *)data, *end = p + n;
	size_t count = 0;

	while (set != NULL && p < end && count < NAMES) {
		const char *line = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((line != NULL ? line : end) - p);
		struct error e = { 0 };
		const char *name = dst_clean(a, p, len, &e);
		bool folder = name != NULL && name[strlen(name) - 1] == '/';

		if (name != NULL) {
			check_safe(a, name);
			name = dst_set_take(set, name,
					    folder	   ? NULL
					    : len % 2 == 0 ? "x"
							   : "y",
					    &e);
		}
		if (name != NULL) {
			check_safe(a, name);
			taken[count++] = name;
			check_unique(taken, count);
		}
		p += len + 1;
	}
	arena_free(a);
	return 0;
}
