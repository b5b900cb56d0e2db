/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any bytes as JSON: what is taken prints as JSON that is taken again, and
 * reading an array element by element gives what reading it whole gives.
 */
#include "json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int
put_member(void *ctx, const char *key, const struct json *v)
{
	(void)v;
	json_put_pair(ctx, key, "");
	return 0;
}

static void
read_value(const struct json *v, struct buf *out)
{
	int64_t whole;
	size_t n;
	const char *s = json_string(v, &n);

	json_put_string(out, s, n);
	json_integer(v, &whole);
	json_each(v, put_member, out);
	for (size_t i = 0; i < json_length(v); i++)
		read_value(json_at(v, i), out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data;
	struct json *root, *element;
	struct json_cut cut;
	struct error e;
	struct buf out;
	size_t count = 0;

	buf_init(&out, 1 << 20);
	root = json_parse(text, n, &e);
	if (root != NULL)
		read_value(root, &out);
	json_free(root);
	root = json_parse_cut(text, n, "f", &cut, &e);
	while (root != NULL && (element = json_next(&cut, &e)) != NULL) {
		count++;
		json_free(element);
	}
	if (root != NULL && (count != cut.count || e.code != ERROR_NONE))
		abort();
	json_free(root);
	buf_reset(&out);
	json_put_string(&out, text, n);
	root = json_parse(buf_str(&out), out.len, &e);
	if (root == NULL)
		abort();
	json_free(root);
	buf_free(&out);
	return 0;
}
