/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What browsers and machines read about the service: the web page, the
 * description of the API.  landing.h has the page of a bundle.
 *
 * The pages are whole in themselves: their policy allows the style and the
 * script inside them, by hash, and nothing from elsewhere.
 */
#ifndef ZIPSTREAM_PAGE_H
#define ZIPSTREAM_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "router.h"

/* What stands for {{name}} in a template. */
struct page_value {
	const char *name;
	const char *text;
};

/* Appends n bytes that mean themselves as text and inside a quoted attribute
 * of HTML; control characters become U+FFFD. */
void page_put_text(struct buf *out, const char *s, size_t n);

/* Appends n bytes of a template, {{name}} replaced by the value's text,
 * escaped; an unknown name by nothing. */
void page_fill(struct buf *out, const char *template, size_t n,
	       const struct page_value *values, size_t count);

/* "1.5 MB", in decimal units as browsers show them; "" when below 0. */
void page_size(int64_t bytes, char out[16]);

/*
 * The Content-Security-Policy of a page: nothing but the elements <style> and
 * <script> that it holds, and what `more` adds ("; img-src data:").
 */
void page_policy(struct buf *out, const char *html, const char *more);

/* The headers of a page: its policy, no Referer. */
void page_headers(struct response *r, const char *html, const char *more);

int page_home(struct exchange *x, const struct route_params *p,
	      struct error *e); /* GET / */
int page_openapi(struct exchange *x, const struct route_params *p,
		 struct error *e); /* GET /openapi.json */

#endif
