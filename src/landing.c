/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The landing page of a bundle.
 *
 * What comes from a bundle goes into the page through page_put_text alone; of
 * a source it tells nothing but how large it is, and that it cannot be had.
 */
#include "landing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "expand.h"
#include "fetch.h"
#include "http.h"
#include "page.h"
#include "stats.h"

#include "web_landing_html.h"

#define ROWS_MAX 1000	    /* files that are listed, and asked for */
#define PAGE_MAX (16 << 20) /* bytes; names have 64 KiB at most */
#define ROWS_BEGIN "{{#files}}"
#define ROWS_END "{{/files}}"
#define TEXT_MAX 160
/* Somebody waits: for all files together, for one of them, for all folders. */
#define FILES_MS 2000
#define FILE_MS 1000
#define FOLDERS_MS 1000
#define FOLDER_FILES 10000 /* that are counted */

/* A file of the bundle, and what could be learned of it. */
struct row {
	const struct file *file;
	struct fetch_probe *probe; /* NULL: not asked */
	int64_t size;		   /* -1 unknown */
	bool lost;		   /* its source will not give it */
	bool counted;		   /* a folder: how much is in it */
	struct expand_sum sum;
};

struct landing {
	struct exchange *x;
	const struct bundle *bundle;
	struct row *rows;
	size_t n;
};

/* Of all files. */
struct total {
	int64_t files, folders, lost;
	int64_t bytes;
	bool more_files, more_bytes; /* than are known */
};

bool
landing_wanted(const struct exchange *x)
{
	return x->config->landing_page &&
	       http_accepts_html(request_header(x->request, "Accept")) &&
	       request_query(x->request, "download") == NULL;
}

/* What is known without a question. */
static int64_t
size_of(const struct file *f)
{
	if (f->src == NULL)
		return 0;
	if (bundle_is_folder(f))
		return -1;
	return f->size >= 0 ? f->size : f->facts.size;
}

/* A passing fault, or none but its slowness, is no reason to say so. */
static bool
is_lost(const struct error *e)
{
	int status = e->http_status;

	return status == 401 || status == 403 || status == 404 || status == 410;
}

static int
ask_files(struct landing *l, const struct config *c, struct error *e)
{
	const struct fetch_client client = {
		.watch_fd = l->x->response->transport->watch_fd
	};
	struct fetch_probe *probes =
		arena_array(l->x->arena, l->n + 1, sizeof(*probes));
	size_t asked = 0;

	if (probes == NULL)
		return error_memory(e);
	for (struct row *r = l->rows; r < l->rows + l->n; r++) {
		if (r->size >= 0 || bundle_is_folder(r->file))
			continue;
		r->probe = &probes[asked++];
		r->probe->src = r->file->src;
	}
	if (asked > 0 &&
	    fetch_glance(c, l->x->service->engine, &client, l->x->arena, probes,
			 asked, FILES_MS, e) != 0)
		return -1;
	for (struct row *r = l->rows; r < l->rows + l->n; r++) {
		if (r->probe == NULL)
			continue;
		r->lost = r->probe->failed && is_lost(r->probe->error);
		r->size = r->probe->failed ? -1 : r->probe->facts.size;
	}
	return 0;
}

static void
count_folders(struct landing *l, const struct config *c)
{
	struct expand_limits limits = { .files = FOLDER_FILES,
					.until_ms =
						stats_now_ms() + FOLDERS_MS };
	struct error why = { .code = ERROR_NONE };

	for (struct row *r = l->rows; r < l->rows + l->n; r++) {
		if (!bundle_is_folder(r->file))
			continue;
		r->counted =
			expand_count(c, l->x->service->engine, l->x->arena,
				     r->file->src, &limits, &r->sum, &why) == 0;
		r->lost = !r->counted && is_lost(&why);
		/* There was no time for it. */
		r->counted &= !r->sum.more || r->sum.files > 0;
		limits.files -= r->sum.files;
	}
}

static int
look(struct landing *l, struct error *e)
{
	const struct config c = fetch_brisk(l->x->config, FILE_MS);

	l->n = l->bundle->count < ROWS_MAX ? l->bundle->count : ROWS_MAX;
	l->rows = arena_array(l->x->arena, l->n + 1, sizeof(*l->rows));
	if (l->rows == NULL)
		return error_memory(e);
	for (size_t i = 0; i < l->n; i++) {
		l->rows[i].file = &l->bundle->files[i];
		l->rows[i].size = size_of(l->rows[i].file);
	}
	if (ask_files(l, &c, e) != 0)
		return -1;
	count_folders(l, &c);
	return 0;
}

/* Sums */

static void
add_bytes(struct total *t, int64_t bytes)
{
	if (bytes < 0)
		t->more_bytes = true;
	else if (__builtin_add_overflow(t->bytes, bytes, &t->bytes))
		t->bytes = INT64_MAX;
}

static void
add_row(struct total *t, const struct row *r)
{
	if (r->counted) {
		t->files += r->sum.files;
		t->more_files |= r->sum.more;
		t->more_bytes |= r->sum.more;
		add_bytes(t, r->sum.bytes);
		return;
	}
	if (bundle_is_folder(r->file))
		t->folders++;
	else
		t->files += r->file->src != NULL;
	t->lost += r->lost;
	if (!r->lost)
		add_bytes(t, r->size);
}

static struct total
add_up(const struct landing *l)
{
	struct total t = { .files = 0 };

	for (size_t i = 0; i < l->bundle->count; i++) {
		const struct file *f = &l->bundle->files[i];
		const struct row unseen = { .file = f, .size = size_of(f) };

		add_row(&t, i < l->n ? &l->rows[i] : &unseen);
	}
	return t;
}

/* Texts */

static void
put_count(struct buf *out, int64_t n, const char *word)
{
	buf_printf(out, "%" PRId64 " %s%s", n, word, n == 1 ? "" : "s");
}

/* "12 files and 1 folder, at least 3.4 MB, 1 cannot be reached" */
static void
put_summary(struct buf *out, const struct total *t)
{
	char size[16];

	buf_puts(out, t->more_files ? "at least " : "");
	if (t->files > 0 || t->folders == 0)
		put_count(out, t->files, "file");
	if (t->files > 0 && t->folders > 0)
		buf_puts(out, " and ");
	if (t->folders > 0)
		put_count(out, t->folders, "folder");
	page_size(t->bytes, size);
	if (t->more_bytes && t->bytes == 0)
		buf_puts(out, ", size not known");
	else if (t->bytes > 0 || t->lost == 0)
		buf_printf(out, ", %s%s",
			   t->more_bytes && !t->more_files ? "at least " : "",
			   size);
	if (t->lost > 0)
		buf_printf(out, ", %" PRId64 " cannot be reached", t->lost);
}

/* "3.4 MB"; of a folder "12 files, 3.4 MB" */
static void
put_size(struct buf *out, const struct row *r)
{
	char size[16];

	page_size(r->counted ? r->sum.bytes : r->size, size);
	if (r->lost) {
		buf_puts(out, "cannot be reached");
	} else if (r->file->src == NULL || (r->counted && r->sum.files == 0)) {
		buf_puts(out, "empty folder");
	} else if (r->counted) {
		buf_puts(out, r->sum.more ? "at least " : "");
		put_count(out, r->sum.files, "file");
		buf_printf(out, ", %s", size);
	} else {
		buf_puts(out, bundle_is_folder(r->file) ? "folder, " : "");
		buf_puts(out, *size != '\0' ? size : "size not known");
	}
}

static void
put_row(struct buf *out, const char *template, size_t n, const struct row *r)
{
	struct buf size;

	buf_init(&size, TEXT_MAX);
	put_size(&size, r);
	page_fill(out, template, n,
		  (struct page_value[]){ { "path", r->file->dst },
					 { "size", buf_str(&size) } },
		  2);
	buf_free(&size);
}

/* "Mon, 30 Nov 2026 22:26:13 GMT", less what nobody reads */
static void
format_time(int64_t when, char out[32])
{
	char date[32];

	http_date_format(when, date, sizeof(date));
	snprintf(out, 32, "%.11s, %.5s GMT", date + 5, date + 17);
}

static void
put_page(struct buf *out, const struct landing *l, const char *summary)
{
	static const char *const html = web_landing_html;
	const char *row = strstr(html, ROWS_BEGIN) + strlen(ROWS_BEGIN);
	const char *end = strstr(row, ROWS_END);
	const char *tail = end + strlen(ROWS_END);
	char more[48] = "", until[32];
	const struct page_value values[] = {
		{ "name", bundle_filename(l->bundle) },
		{ "summary", summary },
		{ "more", more },
		{ "until", until },
	};
	const size_t count = sizeof(values) / sizeof(values[0]);

	if (l->bundle->count > l->n)
		snprintf(more, sizeof(more), "and %zu more",
			 l->bundle->count - l->n);
	format_time(l->bundle->expires, until);
	page_fill(out, html, (size_t)(row - html) - strlen(ROWS_BEGIN), values,
		  count);
	for (size_t i = 0; i < l->n; i++)
		put_row(out, row, (size_t)(end - row), &l->rows[i]);
	page_fill(out, tail, strlen(tail), values, count);
}

int
landing_show(struct exchange *x, const struct bundle *b, struct error *e)
{
	struct landing l = { .x = x, .bundle = b };
	struct buf page, summary;
	struct total t;

	if (look(&l, e) != 0)
		return -1;
	t = add_up(&l);
	buf_init(&summary, TEXT_MAX);
	put_summary(&summary, &t);
	buf_init(&page, PAGE_MAX);
	put_page(&page, &l, buf_str(&summary));
	buf_free(&summary);
	page_headers(x->response, web_landing_html, "; form-action 'none'");
	return response_body(x->response, 200, "text/html; charset=utf-8",
			     &page, e);
}
