/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What every answer that is a zip, or a part of one, says of it. */
#include <time.h>

#include "download.h"
#include "http.h"

static int64_t
newest(const struct plan *plan)
{
	int64_t t = plan->bundle->created, now = time(NULL);

	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].mtime != BUNDLE_NO_TIME &&
		    plan->entries[i].mtime > t)
			t = plan->entries[i].mtime;
	}
	/* RFC 9110, section 8.8.2.1: not later than the answer. */
	return t < now ? t : now;
}

bool
download_nameable(const struct download *dl)
{
	return dl->plan->total >= 0 && dl->plan->resumable &&
	       !dl->delivery.report;
}

/* Says whether parts may be asked for.  Not in the whole that somebody gets who
 * asked for a part under a condition that failed: lighttpd sees a date match
 * that proves nothing, and would cut the part out of another zip by itself. */
static const char *
accepted(const struct download *dl, int status)
{
	const struct request *q = dl->x->request;
	bool refused = status == 200 && q->method == HTTP_GET &&
		       request_header(q, "Range") != NULL;

	return download_nameable(dl) && dl->stored && !refused ? "bytes"
							       : "none";
}

void
download_head(struct download *dl, int status, const char *type)
{
	struct response *r = dl->x->response;
	struct buf name;
	char date[32];

	response_status(r, status);
	response_header(r, "Content-Type", "%s", type);
	buf_init(&name, 4096);
	http_disposition(&name, bundle_filename(dl->bundle));
	response_header(r, "Content-Disposition", "%s", buf_str(&name));
	buf_free(&name);
	response_header(r, "Cache-Control", DOWNLOAD_CACHE_CONTROL);
	response_header(r, "X-Accel-Buffering", "no");
	response_header(r, "X-Content-Type-Options", "nosniff");
	response_header(r, "Accept-Ranges", "%s", accepted(dl, status));
	if (!download_nameable(dl))
		return;
	response_header(r, "ETag", "%s", dl->plan->etag);
	http_date_format(newest(dl->plan), date, sizeof(date));
	response_header(r, "Last-Modified", "%s", date);
}
