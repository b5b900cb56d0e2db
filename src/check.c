/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Looks at sources before anybody zips them. */
#include "check.h"

#include <inttypes.h>
#include <string.h>

#include "dst.h"
#include "expand.h"
#include "fetch.h"
#include "json.h"
#include "source.h"
#include "stats.h"

#define PATIENCE_MS 8000   /* for a source's first byte, and for all folders */
#define FOLDER_FILES 10000 /* that are counted in one call */
#define FOLDER_TYPE "inode/directory"
#define ANSWER_MAX 8388608 /* bytes; sources of one body, escaped */

/* One source, and what became of it. */
struct checked {
	const char *src; /* "" when it was no text */
	const char *dst; /* the name that it would get; "" none */
	bool good;
	int status;	    /* 0: none */
	const char *reason; /* why it is not good */
	bool folder;
	int64_t size; /* -1 unknown */
	const char *type;
	struct expand_sum sum;	   /* of a folder */
	struct fetch_probe *probe; /* NULL: not asked */
};

/* The name that the source would have in a zip. */
static const char *
default_name(const struct exchange *x, const char *src)
{
	const struct source_ops *ops = source_find(x->config, src, NULL);
	const char *name, *clean = NULL;
	size_t n = 0;

	name = ops != NULL ? ops->name(x->arena, src, &n) : NULL;
	if (name != NULL)
		clean = dst_clean(x->arena, name, n, NULL);
	return clean != NULL ? clean : "";
}

static bool
is_folder(const struct exchange *x, const char *src, const struct json *dst)
{
	size_t n;
	const char *text = json_string(dst, &n);

	return source_has_folder(x->config, src) &&
	       (n == 0 || text[n - 1] == '/');
}

/* Is `file` a source that may be asked? */
static int
admit(struct exchange *x, const struct json *file, struct checked *out,
      struct error *e)
{
	const struct json *src = json_get(file, "src");
	size_t n;
	const char *text = json_string(src, &n);

	*out = (struct checked){ .src = "", .dst = "", .reason = "" };
	if (json_type(src) == JSON_NULL)
		return error_set(e, ERROR_INPUT, "\"src\" is required");
	if (json_type(src) != JSON_STRING || strlen(text) != n)
		return error_set(e, ERROR_INPUT, "\"src\" must be a string");
	out->src = arena_strndup(x->arena, text, n);
	if (out->src == NULL)
		return error_memory(e);
	if (source_check(x->config, x->arena, out->src, e) == -1)
		return -1;
	out->dst = default_name(x, out->src);
	out->folder = is_folder(x, out->src, json_get(file, "dst"));
	return 0;
}

/* Never -1 but for what is our own fault. */
static int
note_reason(struct exchange *x, struct checked *c, const struct error *why,
	    struct error *e)
{
	c->status = why->http_status;
	c->reason = arena_strdup(x->arena, why->text);
	if (why->code == ERROR_INTERNAL || c->reason == NULL)
		return error_memory(e);
	return 0;
}

static int
read_sources(struct exchange *x, const struct json *files, struct checked *list,
	     struct fetch_probe *probes, size_t *asked, struct error *e)
{
	struct error why;

	*asked = 0;
	for (size_t i = 0; i < json_length(files); i++) {
		if (admit(x, json_at(files, i), &list[i], &why) != 0) {
			if (note_reason(x, &list[i], &why, e) != 0)
				return -1;
		} else if (!list[i].folder) {
			list[i].probe = &probes[(*asked)++];
			list[i].probe->src = list[i].src;
		}
	}
	return 0;
}

static void
put_checked(struct buf *out, const struct checked *c)
{
	buf_puts(out, "{");
	json_put_pair(out, "src", c->src);
	buf_puts(out, ",");
	json_put_pair(out, "dst", c->dst);
	if (!c->good) {
		buf_printf(out, ",\"ok\":false,\"status\":%d,", c->status);
		json_put_pair(out, "reason", c->reason);
	} else {
		buf_puts(out, ",\"ok\":true,\"size\":");
		if (c->size >= 0)
			buf_printf(out, "%" PRId64 ",", c->size);
		else
			buf_puts(out, "null,");
		json_put_pair(out, "type", c->type);
		if (c->folder)
			buf_printf(out, ",\"files\":%" PRId64 ",\"more\":%s",
				   c->sum.files,
				   c->sum.more ? "true" : "false");
	}
	buf_puts(out, "}");
}

static int
answer(struct exchange *x, const struct checked *list, size_t n,
       struct error *e)
{
	struct buf json;

	buf_init(&json, ANSWER_MAX + 12 * (size_t)x->config->max_body);
	buf_puts(&json, "{\"files\":[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(&json, i > 0 ? "," : "");
		put_checked(&json, &list[i]);
	}
	buf_puts(&json, "]}");
	return response_body(x->response, 200, "application/json", &json, e);
}

/* Asks all at once, each once. */
static int
look_at_files(struct exchange *x, const struct config *c, struct checked *list,
	      size_t n, struct fetch_probe *probes, size_t asked,
	      struct error *e)
{
	const struct fetch_client client = {
		.watch_fd = x->response->transport->watch_fd
	};

	if (asked > 0 && fetch_probe(c, x->service->engine, &client, x->arena,
				     probes, asked, NULL, e) == -1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct fetch_probe *p = list[i].probe;

		if (p == NULL)
			continue;
		list[i].good = !p->failed;
		list[i].size = p->facts.size;
		list[i].type = p->facts.content_type;
		if (p->failed && note_reason(x, &list[i], p->error, e) != 0)
			return -1;
	}
	return 0;
}

/* One after the other, all within one measure. */
static int
look_at_folders(struct exchange *x, const struct config *c,
		struct checked *list, size_t n, struct error *e)
{
	struct expand_limits limits = { .files = FOLDER_FILES,
					.until_ms =
						stats_now_ms() + PATIENCE_MS };
	struct error why = { .code = ERROR_NONE };

	for (struct checked *f = list; f < list + n; f++) {
		if (!f->folder)
			continue;
		f->good = expand_count(c, x->service->engine, x->arena, f->src,
				       &limits, &f->sum, &why) == 0;
		if (!f->good && note_reason(x, f, &why, e) != 0)
			return -1;
		limits.files -= f->sum.files;
		f->size = f->sum.bytes;
		f->type = FOLDER_TYPE;
	}
	return 0;
}

static int
check(struct exchange *x, const struct json *root, struct error *e)
{
	const struct json *files = json_get(root, "files");
	const struct config c = fetch_brisk(x->config, PATIENCE_MS);
	size_t n = json_length(files), asked;
	struct fetch_probe *probes;
	struct checked *list;

	if (json_type(files) == JSON_NULL)
		return error_set(e, ERROR_INPUT, "\"files\" is required");
	if (json_type(files) != JSON_ARRAY)
		return error_set(e, ERROR_INPUT, "\"files\" must be an array");
	if (n > CHECK_MAX)
		return error_set(e, ERROR_TOO_LARGE,
				 "At most %d sources in one call", CHECK_MAX);
	list = arena_array(x->arena, n, sizeof(*list));
	probes = arena_array(x->arena, n, sizeof(*probes));
	if (n > 0 && (list == NULL || probes == NULL))
		return error_memory(e);
	if (read_sources(x, files, list, probes, &asked, e) == -1 ||
	    look_at_files(x, &c, list, n, probes, asked, e) == -1 ||
	    look_at_folders(x, &c, list, n, e) == -1)
		return -1;
	return answer(x, list, n, e);
}

int
handle_check(struct exchange *x, const struct route_params *p, struct error *e)
{
	struct json *root =
		json_parse(buf_str(&x->document), x->document.len, e);
	int rc;

	(void)p;
	if (root == NULL)
		return -1;
	rc = check(x, root, e);
	json_free(root);
	return rc;
}
