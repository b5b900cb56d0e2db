/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any bytes as a form, and what comes of it as a document: a form without a
 * `json` field always makes JSON, and every name that passes is a safe one.
 * The first byte chooses the type.
 */
#include "bundle.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct config config = {
	.fs_interfaces = FS_S3 | FS_HTTPS,
	.file_root = "",
	.source_allow = "",
	.allow_private_networks = "",
	.aws_region = "us-west-2",
	.max_files = 1000,
};

static void
check_bundle(const struct bundle *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const char *dst = b->files[i].dst;

		if ((*dst == '/' && dst[1] != '\0') || *dst == '\0' ||
		    strchr(dst, '\\') != NULL || strstr(dst, "../") != NULL ||
		    (bundle_is_folder(&b->files[i]) &&
		     !source_has_folder(&config, b->files[i].src)))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const types[] = {
		"application/x-www-form-urlencoded",
		"multipart/form-data; boundary=b",
	};
	const char *body = (const char *)data + 1;
	struct arena *a;
	struct bundle b;
	struct error e;
	struct buf json;

	if (n == 0)
		return 0;
	a = arena_new(64 << 20);
	buf_init(&json, 1 << 20);
	if (bundle_form(a, types[*data & 1], body, n - 1, &json, &e) == 0) {
		if (memmem(body, n - 1, "json", 4) == NULL &&
		    memchr(body, '%', n - 1) == NULL) {
			struct json *v =
				json_parse(buf_str(&json), json.len, &e);

			if (v == NULL)
				abort();
			json_free(v);
		}
		if (bundle_parse(&config, a, buf_str(&json), json.len, 0, NULL,
				 &b, &e) == 0)
			check_bundle(&b);
	}
	if (bundle_parse(&config, a, body, n - 1, 0, NULL, &b, &e) == 0)
		check_bundle(&b);
	buf_free(&json);
	arena_free(a);
	return 0;
}
