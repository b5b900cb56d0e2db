/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* 206: one range as it is, several as multipart/byteranges (RFC 9110, 14.6).
 */
#include <string.h>

#include "crypto.h"
#include "download.h"
#include "http.h"
#include "stats.h"

#define BOUNDARY_BYTES 16
#define PART_TYPE "application/zip"

static int64_t
range_length(const struct http_range *r)
{
	return r->last - r->first + 1;
}

static char *
part_head(struct download *dl, const char *boundary, const struct http_range *r)
{
	return arena_printf(dl->x->arena,
			    "\r\n--%s\r\nContent-Type: " PART_TYPE
			    "\r\nContent-Range: bytes %lld-%lld/%lld\r\n\r\n",
			    boundary, (long long)r->first, (long long)r->last,
			    (long long)dl->plan->total);
}

static int
send_one(struct download *dl, const struct http_range *r, struct error *e)
{
	download_head(dl, 206, PART_TYPE);
	response_header(dl->x->response, "Content-Range",
			"bytes %lld-%lld/%lld", (long long)r->first,
			(long long)r->last, (long long)dl->plan->total);
	response_length(dl->x->response, range_length(r));
	return deliver_range(&dl->delivery, r->first, r->last, e);
}

static int
send_several(struct download *dl, const struct http_range *ranges, int n,
	     struct error *e)
{
	struct response *out = dl->x->response;
	unsigned char random[BOUNDARY_BYTES];
	char boundary[2 * BOUNDARY_BYTES + 1];
	char *heads[HTTP_RANGES_MAX], *tail;
	int64_t length = 0;

	if (crypto_random(random, sizeof(random)) != 0)
		return error_set(e, ERROR_INTERNAL, "No random bytes");
	crypto_hex(random, sizeof(random), boundary);
	tail = arena_printf(dl->x->arena, "\r\n--%s--\r\n", boundary);
	for (int i = 0; i < n; i++) {
		heads[i] = part_head(dl, boundary, &ranges[i]);
		if (heads[i] == NULL || tail == NULL)
			return error_memory(e);
		length += (int64_t)strlen(heads[i]) + range_length(&ranges[i]);
	}
	download_head(dl, 206,
		      arena_printf(dl->x->arena,
				   "multipart/byteranges; boundary=%s",
				   boundary));
	response_length(out, length + (int64_t)strlen(tail));
	for (int i = 0; i < n; i++) {
		if (response_write(out, heads[i], strlen(heads[i])) != 0)
			return error_set(e, ERROR_GONE, "client gone");
		if (deliver_range(&dl->delivery, ranges[i].first,
				  ranges[i].last, e) != 0)
			return -1;
	}
	if (response_write(out, tail, strlen(tail)) != 0)
		return error_set(e, ERROR_GONE, "client gone");
	return 0;
}

int
download_ranges(struct download *dl, const struct http_range *ranges, int count,
		struct error *e)
{
	int rc;

	stats_state(SLOT_SENDING);
	rc = count == 1 ? send_one(dl, ranges, e)
			: send_several(dl, ranges, count, e);
	if (rc != 0)
		return -1;
	response_finish(dl->x->response);
	return 0;
}
