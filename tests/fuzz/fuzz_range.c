/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any text as the headers that http.c reads: ranges lie within the whole and
 * do not touch; a date that is read prints as the date it is.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

#define TOTAL 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_ranges(const char *text)
{
	struct http_range r[HTTP_RANGES_MAX];
	int n = http_ranges(text, TOTAL, r, HTTP_RANGES_MAX);

	for (int i = 0; i < n; i++) {
		if (r[i].first < 0 || r[i].last < r[i].first ||
		    r[i].last >= TOTAL)
			abort();
		for (int j = 0; j < i; j++) {
			if (r[i].first <= r[j].last + 1 &&
			    r[j].first <= r[i].last + 1)
				abort();
		}
	}
}

static void
check_dates(const char *text)
{
	int64_t t = http_date_parse(text);
	char out[30];

	http_rfc3339_parse(text);
	if (t < 0)
		return;
	http_date_format(t, out, sizeof(out));
	if (http_date_parse(out) != t)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1 << 20);
	char *text = arena_strndup(a, (const char *)data, n);
	int64_t first, last, total;
	struct buf out;
	size_t len;

	if (text == NULL)
		goto out;
	check_ranges(text);
	check_dates(text);
	if (http_content_range(text, &first, &last, &total) == 0 &&
	    (first < 0 || last < first || (total >= 0 && last >= total)))
		abort();
	http_content_range_total(text);
	http_etag_match(text, "\"a\"", true);
	http_etag_match("\"a\", W/\"b\"", text, false);
	http_parameter(a, text, "boundary");
	http_accepts_html(text);
	http_media_is(text, "text/html");
	http_decode(a, text, strlen(text), true, &len);
	buf_init(&out, 1 << 20);
	http_disposition(&out, text);
	if (strpbrk(buf_str(&out), "\r\n") != NULL)
		abort();
	buf_free(&out);
out:
	arena_free(a);
	return 0;
}
