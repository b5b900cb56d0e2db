/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is answered: a head in CGI form (RFC 3875, section 6), gathered with
 * the first body bytes into one write, then the body, then its end.
 *
 * Nothing leaves before RESPONSE_GATHER bytes have come together or somebody
 * flushes: until then response_restart can still make another answer of it.
 */
#include "response.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "response"
#include "http.h"
#include "json.h"
#include "log.h"
#include "stats.h"

#define HEAD_MAX 32768	  /* bytes; a Content-Disposition takes up to 4 KiB */
#define ERROR_BODY 8192	  /* two texts of ERROR_TEXT_MAX, all escaped */
#define RETRY_AFTER "2"	  /* seconds; what is away is soon back */
#define PIECES_MAX 6	  /* status, head, chunk size, gathered, data, end */
#define STATUS_LINE 64	  /* bytes; the longest is about 50 */
#define CHUNK_SIZE_MAX 20 /* bytes of "%zx\r\n" */

enum position { IN_MIDDLE, AT_END };

int
response_init(struct response *r, struct transport *t, bool head_only)
{
	*r = (struct response){ .transport = t,
				.status = 200,
				.head_only = head_only,
				.length = -1 };
	buf_init(&r->head, HEAD_MAX);
	buf_puts(&r->head, "");
	return buf_failed(&r->head) ? -1 : 0;
}

void
response_fini(struct response *r)
{
	buf_free(&r->head);
	free(r->gather);
	r->gather = NULL;
}

void
response_status(struct response *r, int status)
{
	r->status = status;
}

void
response_header(struct response *r, const char *name, const char *fmt, ...)
{
	char value[HEAD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	/* A value must not begin another header: RFC 9110, section 5.5. */
	for (char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	buf_printf(&r->head, "%s: %s\r\n", name, value);
}

void
response_length(struct response *r, int64_t length)
{
	r->length = length;
}

void
response_keep(struct response *r)
{
	r->kept = r->head.len;
}

void
response_restart(struct response *r)
{
	if (r->head_sent)
		return;
	if (buf_failed(&r->head)) {
		buf_reset(&r->head);
		r->kept = 0;
	}
	r->head.len = r->kept;
	r->status = 200;
	r->length = -1;
	r->sent = 0;
	r->gathered = 0;
}

/* RFC 9110, sections 9.3.2, 15.3.5 and 15.4.5. */
static bool
is_bodyless(const struct response *r)
{
	return r->head_only || r->status == 204 || r->status == 304;
}

/* Completes the head and puts it into `out`; returns the pieces. */
static int
put_head(struct response *r, char line[STATUS_LINE], struct iovec *out)
{
	bool framed = !is_bodyless(r) && r->length < 0;
	int n = snprintf(line, STATUS_LINE, "Status: %d %s\r\n", r->status,
			 http_reason(r->status));

	if (r->length >= 0 && r->status != 204 && r->status != 304)
		buf_printf(&r->head, "Content-Length: %lld\r\n",
			   (long long)r->length);
	r->transport->sized = r->length >= 0;
	r->chunked = framed && r->transport->chunks;
	if (r->chunked)
		buf_puts(&r->head, "Transfer-Encoding: chunked\r\n");
	buf_puts(&r->head, "\r\n");
	out[0] = (struct iovec){ line, (size_t)n };
	out[1] = (struct iovec){ r->head.data, r->head.len };
	return 2;
}

static void
count_sent(struct response *r, size_t n)
{
	struct stats_slot *slot = stats_mine();

	if (n > 0 && r->first_byte_ms == 0)
		r->first_byte_ms = stats_now_ms();
	r->gathered = 0;
	r->sent += (int64_t)n;
	stats_add(STAT_BYTES_OUT, (int64_t)n);
	if (slot != NULL)
		slot->bytes = r->sent;
}

/* Body bytes into `out`: what was gathered, then n bytes at p. */
static int
put_body(const struct response *r, const void *p, size_t n, struct iovec *out)
{
	int used = 0;

	if (r->gathered > 0)
		out[used++] = (struct iovec){ r->gather, r->gathered };
	if (n > 0)
		out[used++] = (struct iovec){ (void *)(uintptr_t)p, n };
	return used;
}

/* One write of all there is: head, gathered bytes, and n more at p. */
static int
transmit(struct response *r, const void *p, size_t n, enum position where)
{
	static char crlf[] = "\r\n", last[] = "0\r\n\r\n",
		    both[] = "\r\n0\r\n\r\n";
	char line[STATUS_LINE], size[CHUNK_SIZE_MAX];
	struct iovec iov[PIECES_MAX];
	size_t total = r->gathered + n;
	int used = 0;
	char *end;

	if (!r->head_sent)
		used = put_head(r, line, iov);
	if (buf_failed(&r->head)) {
		log_error("an answer's head is larger than %d bytes", HEAD_MAX);
		return -1;
	}
	if (r->chunked && total > 0) {
		iov[used++] =
			(struct iovec){ size,
					(size_t)snprintf(size, sizeof(size),
							 "%zx\r\n", total) };
	}
	used += put_body(r, p, n, iov + used);
	if (r->chunked && (total > 0 || where == AT_END)) {
		end = where != AT_END ? crlf : total > 0 ? both : last;
		iov[used++] = (struct iovec){ end, strlen(end) };
	}
	r->head_sent = true;
	if (used > 0 &&
	    r->transport->write(r->transport->ctx, iov, used) == -1) {
		r->gone = true;
		return -1;
	}
	count_sent(r, total);
	return 0;
}

/* Copies what fits; returns how much that was. */
static size_t
gather(struct response *r, const void *p, size_t n)
{
	size_t room = RESPONSE_GATHER - r->gathered;
	size_t take = n < room ? n : room;

	if (r->gather == NULL)
		r->gather = malloc(RESPONSE_GATHER);
	if (r->gather == NULL)
		return 0;
	memcpy(r->gather + r->gathered, p, take);
	r->gathered += take;
	return take;
}

/* Whole gathers go out, each one record, the first ending what was gathered;
 * the rest is kept. */
static int
pass_on(struct response *r, const char *p, size_t n)
{
	size_t take;

	while (r->gathered + n >= RESPONSE_GATHER) {
		take = RESPONSE_GATHER - r->gathered;
		if (transmit(r, p, take, IN_MIDDLE) == -1)
			return -1;
		p += take;
		n -= take;
	}
	if (gather(r, p, n) == n)
		return 0;
	return transmit(r, p, n, IN_MIDDLE);
}

int
response_write(struct response *r, const void *p, size_t n)
{
	int64_t end = r->sent + (int64_t)(r->gathered + n);

	if (r->ended || r->gone)
		return -1;
	if (n == 0)
		return 0;
	if (is_bodyless(r)) {
		r->sent += (int64_t)n;
		return 0;
	}
	if (r->length >= 0 && end > r->length) {
		log_error("an answer is longer than its declared %lld bytes",
			  (long long)r->length);
		return -1;
	}
	return pass_on(r, p, n);
}

int
response_flush(struct response *r)
{
	if (r->ended || r->gone)
		return -1;
	if (r->head_sent && r->gathered == 0)
		return 0;
	return transmit(r, NULL, 0, IN_MIDDLE);
}

/* A body that is whole before its head has gone has a known length.  Of a
 * HEAD's only if the handler wrote it. */
static void
find_length(struct response *r)
{
	int64_t all = r->sent + (int64_t)r->gathered;

	if (!r->head_sent && r->length < 0 && (!r->head_only || all > 0))
		r->length = all;
}

int
response_finish(struct response *r)
{
	if (r->ended)
		return -1;
	find_length(r);
	if (!is_bodyless(r) && r->length > r->sent + (int64_t)r->gathered) {
		log_error("an answer is shorter than its declared %lld bytes",
			  (long long)r->length);
		response_abort(r);
		return -1;
	}
	if (r->gone || transmit(r, NULL, 0, AT_END) == -1) {
		response_abort(r);
		return -1;
	}
	r->ended = true;
	if (r->transport->finish(r->transport->ctx) == -1) {
		r->gone = true;
		return -1;
	}
	return 0;
}

/* What was gathered is dropped: it might be the very end of the body. */
void
response_abort(struct response *r)
{
	if (r->ended)
		return;
	r->ended = true;
	r->aborted = true;
	r->transport->abort(r->transport->ctx, r->head_sent);
}

int
response_text(struct response *r, int status, const char *type,
	      const char *body, size_t n)
{
	response_status(r, status);
	response_header(r, "Content-Type", "%s", type);
	response_header(r, "X-Content-Type-Options", "nosniff");
	response_length(r, (int64_t)n);
	if (response_write(r, body, n) == -1) {
		response_abort(r);
		return -1;
	}
	return response_finish(r);
}

int
response_body(struct response *r, int status, const char *type,
	      struct buf *body, struct error *e)
{
	int rc = 0;

	if (buf_failed(body)) {
		rc = error_memory(e);
	} else {
		response_header(r, "Cache-Control", "no-store");
		response_text(r, status, type, buf_str(body), body->len);
	}
	buf_free(body);
	return rc;
}

int
response_error(struct response *r, const struct error *e)
{
	int status = error_status(e->code), rc;
	struct buf json;

	if (e->code == ERROR_GONE) {
		response_abort(r);
		return -1;
	}
	buf_init(&json, ERROR_BODY);
	buf_puts(&json, "{");
	json_put_pair(&json, "message", e->text);
	if (r->details && status >= 500 && e->cause[0] != '\0') {
		buf_puts(&json, ",");
		json_put_pair(&json, "detail", e->cause);
	}
	buf_puts(&json, "}");
	if (status == 503)
		response_header(r, "Retry-After", RETRY_AFTER);
	response_header(r, "Cache-Control", "no-store");
	rc = response_text(r, status, "application/json", buf_str(&json),
			   json.len);
	buf_free(&json);
	return rc;
}
