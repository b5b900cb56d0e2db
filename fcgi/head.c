/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The head of a FastCGI request, checked where it lies. */
#include "head.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "record.h"
#include "stats.h"

#define VERSION 1
#define BEGIN_REQUEST 1
#define BEGIN_BODY 8
#define PARAMS 4
#define AGAIN_MS 2 /* between two looks at a head that is still coming */

/* Where reading stands in the name-value pairs (section 3.4), which run on
 * from one record into the next. */
struct pairs {
	unsigned char lengths[8];
	size_t have; /* bytes of `lengths` */
	size_t skip; /* bytes of name and value still to come */
};

static size_t
length_size(unsigned char first)
{
	return (first & 0x80) != 0 ? 4 : 1;
}

static size_t
length_of(const unsigned char *p)
{
	if ((p[0] & 0x80) == 0)
		return p[0];
	return (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 |
	       (size_t)p[2] << 8 | p[3];
}

/* Are both lengths there?  They then become what is to be skipped. */
static bool
take_lengths(struct pairs *s)
{
	size_t name = length_size(s->lengths[0]);

	if (s->have <= name || s->have < name + length_size(s->lengths[name]))
		return false;
	s->skip = length_of(s->lengths) + length_of(s->lengths + name);
	s->have = 0;
	return true;
}

static int
read_pairs(struct pairs *s, const unsigned char *p, size_t n)
{
	while (n > 0) {
		if (s->skip > 0) {
			size_t take = n < s->skip ? n : s->skip;

			p += take;
			n -= take;
			s->skip -= take;
			continue;
		}
		s->lengths[s->have++] = *p++;
		n--;
		if (take_lengths(s) && s->skip > HEAD_MAX)
			return -1;
	}
	return 0;
}

/* Without padding, which libfcgi would take for the next record. */
static bool
is_begin(const unsigned char *h)
{
	return h[1] == BEGIN_REQUEST && (h[2] != 0 || h[3] != 0) && h[4] == 0 &&
	       h[5] == BEGIN_BODY && h[6] == 0;
}

enum head_state
head_look(const unsigned char *p, size_t n)
{
	struct pairs s = { .have = 0 };
	const unsigned char *begin = p;
	size_t length, whole;

	while (n >= RECORD_HEADER) {
		length = (size_t)p[4] << 8 | p[5];
		whole = RECORD_HEADER + length + p[6];
		if (p[0] != VERSION || p[2] != begin[2] || p[3] != begin[3] ||
		    (p == begin ? !is_begin(p) : p[1] != PARAMS))
			return HEAD_BAD;
		if (p != begin && length == 0)
			return s.have == 0 && s.skip == 0 ? HEAD_WHOLE
							  : HEAD_BAD;
		if (n < whole)
			return HEAD_PARTIAL;
		if (p != begin &&
		    read_pairs(&s, p + RECORD_HEADER, length) == -1)
			return HEAD_BAD;
		p += whole;
		n -= whole;
	}
	return HEAD_PARTIAL;
}

/* Waits a moment for more; false when no more can come. */
static bool
wait_for_more(int fd)
{
	struct timespec t = { .tv_nsec = AGAIN_MS * 1000000L };
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	/* The queue is not empty, so POLLIN would not wait. */
	if (poll(&p, 1, 0) > 0)
		return false;
	nanosleep(&t, NULL);
	return true;
}

int
head_peek(int fd, int timeout_ms)
{
	static unsigned char head[HEAD_MAX];
	int64_t end = stats_now_ms() + timeout_ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	enum head_state state;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return -1;
	/* After the end, once more: for what came just before it. */
	for (bool last = false;;
	     last = !wait_for_more(fd) || stats_now_ms() >= end) {
		n = recv(fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
		if (n <= 0)
			return -1;
		state = head_look(head, (size_t)n);
		if (state != HEAD_PARTIAL || n == sizeof(head) || last)
			return state == HEAD_WHOLE ? 0 : -1;
	}
}
