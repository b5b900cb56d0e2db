/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* FastCGI records of an answer, as pure functions on memory. */
#include "record.h"

#include <string.h>

#define VERSION 1
#define END_REQUEST 3
#define END_BODY 8

void
record_header(unsigned char out[RECORD_HEADER], int type, int id, size_t length,
	      size_t padding)
{
	out[0] = VERSION;
	out[1] = (unsigned char)type;
	out[2] = (unsigned char)((unsigned)id >> 8);
	out[3] = (unsigned char)id;
	out[4] = (unsigned char)(length >> 8);
	out[5] = (unsigned char)length;
	out[6] = (unsigned char)padding;
	out[7] = 0;
}

void
record_end(unsigned char out[RECORD_END], int id)
{
	memset(out, 0, RECORD_END);
	record_header(out, RECORD_STDOUT, id, 0, 0);
	record_header(out + RECORD_HEADER, END_REQUEST, id, END_BODY, 0);
}

/* Moves the cursor over at most `max` bytes of one piece into `out`. */
static size_t
take_piece(struct record_cursor *c, size_t max, struct iovec *out)
{
	size_t left = c->iov->iov_len - c->at;
	size_t n = left < max ? left : max;

	out->iov_base = (char *)c->iov->iov_base + c->at;
	out->iov_len = n;
	c->at += n;
	if (c->at == c->iov->iov_len) {
		c->iov++;
		c->n--;
		c->at = 0;
	}
	return n;
}

int
record_next(struct record_cursor *c, int id,
	    unsigned char header[RECORD_HEADER],
	    struct iovec out[RECORD_PIECES])
{
	static unsigned char zeros[8];
	size_t length = 0, padding;
	int used = 1;

	while (c->n > 0 && length < RECORD_CONTENT &&
	       used < RECORD_PIECES - 1) {
		length += take_piece(c, RECORD_CONTENT - length, &out[used]);
		if (out[used].iov_len > 0)
			used++;
	}
	if (length == 0)
		return 0; /* an empty STDOUT record would end the answer */
	padding = -length & 7;
	record_header(header, RECORD_STDOUT, id, length, padding);
	out[0].iov_base = header;
	out[0].iov_len = RECORD_HEADER;
	if (padding > 0) {
		out[used].iov_base = zeros;
		out[used++].iov_len = padding;
	}
	return used;
}

int
record_advance(struct iovec **iov, int n, size_t sent)
{
	while (n > 0 && sent >= (*iov)->iov_len) {
		sent -= (*iov)->iov_len;
		(*iov)++;
		n--;
	}
	if (n > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + sent;
		(*iov)->iov_len -= sent;
	}
	return n;
}
