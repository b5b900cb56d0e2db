/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any JSON as what DynamoDB has stored: {"Item": a bundle's, "Facts": [items
 * of facts], "Notes": the item of notes}.  What is read is written and read
 * again as the same, its public JSON is JSON, names of the Node service are
 * safe, and a plan of it adds up.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/store_dynamodb.h"
#include "plan.h"

#define OUTPUT_MAX (4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct config config = {
	.fs_interfaces = FS_S3 | FS_HTTPS | FS_FILE,
	.file_root = "/",
	.source_allow = "",
	.allow_private_networks = "",
	.aws_region = "us-west-2",
	.compression = COMPRESSION_AUTO,
	.compression_level = 1,
	.max_files = 1000,
};
static const struct dynamodb db = { .config = &config };

static void
check_name(const struct file *f)
{
	size_t n = strlen(f->dst);

	if (n == 0 || (n > 1 && *f->dst == '/') ||
	    strchr(f->dst, '\\') != NULL || strstr(f->dst, "../") != NULL ||
	    (f->src == NULL && f->dst[n - 1] != '/') ||
	    (bundle_is_folder(f) && !source_has_folder(&config, f->src)))
		abort();
}

static void
check_same_file(const struct file *f, const struct file *g)
{
	if (strcmp(f->src != NULL ? f->src : "",
		   g->src != NULL ? g->src : "") != 0 ||
	    strcmp(f->dst, g->dst) != 0 || f->size != g->size ||
	    f->mtime != g->mtime || f->has_crc != g->has_crc ||
	    (f->has_crc && f->crc != g->crc) ||
	    f->compression != g->compression)
		abort();
}

/* Written as we write it, a bundle is read as the same. */
static void
check_comes_back(struct arena *a, const struct bundle *b)
{
	struct error e;
	struct bundle again;
	struct json *item;
	struct buf text;

	buf_init(&text, OUTPUT_MAX);
	buf_puts(&text, "{");
	dynamodb_put_bundle(&text, b);
	buf_puts(&text, "}");
	item = json_parse(buf_str(&text), text.len, &e);
	if (buf_failed(&text) || item == NULL)
		abort();
	if (dynamodb_get_bundle(&db, item, a, &again, &e) == 0) {
		if (strcmp(b->filename, again.filename) != 0 ||
		    b->created != again.created ||
		    b->expires != again.expires ||
		    b->compression != again.compression ||
		    b->on_error != again.on_error || b->count != again.count)
			abort();
		for (size_t i = 0; i < b->count; i++)
			check_same_file(&b->files[i], &again.files[i]);
	}
	json_free(item);
	buf_free(&text);
}

static void
check_public(const struct bundle *b)
{
	struct json *doc;
	struct buf text;

	buf_init(&text, OUTPUT_MAX);
	bundle_put_head(&text, b);
	for (size_t i = 0; i < b->count; i++)
		bundle_put_file(&text, &b->files[i], i);
	bundle_put_tail(&text, b);
	doc = json_parse(buf_str(&text), text.len, NULL);
	if (buf_failed(&text) || doc == NULL)
		abort();
	json_free(doc);
	buf_free(&text);
}

/* What was remembered, however odd, never makes lengths that cannot be. */
static void
check_plan(struct arena *a, const struct bundle *b)
{
	struct error e;
	struct plan *plan = plan_new(a, &config, b, &e);
	int64_t at = 0;

	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_entry *p = &plan->entries[i];

		plan_choose(p, NULL, 0, false);
		if ((p->layout == PLAN_DIRECTORY) != (p->file->src == NULL) ||
		    (p->layout == PLAN_STORED && p->packed != p->size))
			abort();
	}
	if (plan_measure(plan, &e) != 0 || plan->total < 0)
		return;
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].offset != at)
			abort();
		at += plan_span(&plan->entries[i]);
	}
	if (plan->central_offset != at || plan->total <= at)
		abort();
}

static void
check(struct arena *a, const struct json *doc)
{
	const struct json *facts = json_get(doc, "Facts");
	struct store_notes notes = { 0 };
	struct bundle b;
	struct error e;

	dynamodb_take_notes(json_get(doc, "Notes"), a, &notes, &e);
	if (notes.count > STORE_NOTES)
		abort();
	if (dynamodb_get_bundle(&db, json_get(doc, "Item"), a, &b, &e) != 0)
		return;
	for (size_t i = 0; b.created == 0 && i < b.count; i++)
		check_name(&b.files[i]);
	check_comes_back(a, &b);
	check_public(&b);
	for (size_t i = 0; i < json_length(facts); i++)
		dynamodb_take_facts(json_at(facts, i), a, &b);
	check_plan(a, &b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(64 << 20);
	struct json *doc = json_parse((const char *)data, n, NULL);

	if (a != NULL && doc != NULL)
		check(a, doc);
	json_free(doc);
	arena_free(a);
	return 0;
}
