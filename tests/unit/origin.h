/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A scripted origin server in a thread, for the tests of transfer and fetch.
 *
 * A test describes what each path does; the origin counts connections and
 * requests.  Bodies follow a pattern, so that any part of one can be told
 * from any other.
 */
#ifndef ZIPSTREAM_TEST_ORIGIN_H
#define ZIPSTREAM_TEST_ORIGIN_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ORIGIN_CHUNKED = 1,   /* no Content-Length */
	ORIGIN_NO_RANGES = 2, /* answers 200 to a range */
	ORIGIN_NO_VALIDATOR = 4,
	ORIGIN_DATED = 8,      /* Last-Modified instead of an ETag */
	ORIGIN_CHANGES = 16,   /* another ETag with each request */
	ORIGIN_GZIP = 32,      /* says it is compressed */
	ORIGIN_CLOSE = 64,     /* no length: the close ends it */
	ORIGIN_STALL = 128,    /* is silent instead of cutting */
	ORIGIN_BARE_416 = 256, /* without Content-Range */
	ORIGIN_WRONG_PART = 512,
	ORIGIN_BIG_HEAD = 1024,
	ORIGIN_INFORMS = 2048, /* 103 first */
	ORIGIN_PARTIAL = 4096, /* serves at most 100 bytes a range */
	ORIGIN_DRIPS = 8192,   /* 10 bytes at a time, with pauses */
	ORIGIN_LATE = 16384    /* 1.3 s before the head */
};

struct script {
	const char *path;
	int64_t size;
	unsigned flags;
	int status;	/* sent instead, `times` times (-1: always) */
	int64_t cut_at; /* offset where it breaks off; -1: before the head */
	int times;	/* so often */
	int64_t claim;	/* Content-Length says so much more */
	const char *location; /* of a redirect */
	const char *header;   /* one more, with CRLF */
	atomic_int requests;
	char asked[4096]; /* the last request */
};

struct origin {
	int fd;
	int port;
	struct script *scripts;
	size_t count;
	atomic_int connections;
	pthread_t thread;
};

static inline unsigned char
origin_byte(int64_t i)
{
	return (unsigned char)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static bool
origin_send(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		p = (const char *)p + sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Bytes first..last of the pattern; false when the connection broke. */
static bool
origin_send_body(int fd, const struct script *s, int64_t first, int64_t last)
{
	char block[8192], line[32];

	while (first <= last) {
		int64_t n = last - first + 1;

		if (n > (int64_t)sizeof(block))
			n = sizeof(block);
		if ((s->flags & ORIGIN_DRIPS) != 0) {
			n = n < 10 ? n : 10;
			usleep(100000);
		}
		for (int64_t k = 0; k < n; k++)
			block[k] = (char)origin_byte(first + k);
		snprintf(line, sizeof(line), "%llx\r\n", (long long)n);
		if ((s->flags & ORIGIN_CHUNKED) != 0 &&
		    !origin_send(fd, line, strlen(line)))
			return false;
		if (!origin_send(fd, block, (size_t)n))
			return false;
		if ((s->flags & ORIGIN_CHUNKED) != 0 &&
		    !origin_send(fd, "\r\n", 2))
			return false;
		first += n;
	}
	return true;
}

/* The heads that are no plain 200 or 206. */
static bool
origin_send_status(int fd, const struct script *s, int status)
{
	char head[1024];

	snprintf(head, sizeof(head),
		 "HTTP/1.1 %d Scripted\r\n%s%s%s%sContent-Length: 6\r\n\r\n"
		 "excuse",
		 status, s->location != NULL ? "Location: " : "",
		 s->location != NULL ? s->location : "",
		 s->location != NULL ? "\r\n" : "",
		 s->header != NULL ? s->header : "");
	return origin_send(fd, head, strlen(head));
}

static bool
origin_send_unsatisfiable(int fd, const struct script *s)
{
	char head[256], range[64] = "";

	if ((s->flags & ORIGIN_BARE_416) == 0)
		snprintf(range, sizeof(range),
			 "Content-Range: bytes */%lld\r\n", (long long)s->size);
	snprintf(head, sizeof(head),
		 "HTTP/1.1 416 No\r\n%sContent-Length: 0\r\n\r\n", range);
	return origin_send(fd, head, strlen(head));
}

static void
origin_send_head(int fd, const struct script *s, int turn, bool part,
		 int64_t first, int64_t last)
{
	char head[1024];
	static const char informs[] = "HTTP/1.1 103 Wait\r\n"
				      "ETag: \"no\"\r\n\r\n";
	FILE *out = fmemopen(head, sizeof(head), "w");

	if ((s->flags & ORIGIN_INFORMS) != 0)
		origin_send(fd, informs, sizeof(informs) - 1);
	fprintf(out, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n",
		part ? "206 Part" : "200 OK");
	if ((s->flags & ORIGIN_CHUNKED) != 0)
		fputs("Transfer-Encoding: chunked\r\n", out);
	else if ((s->flags & ORIGIN_CLOSE) == 0)
		fprintf(out, "Content-Length: %lld\r\n",
			(long long)(last - first + 1 + s->claim));
	if (part)
		fprintf(out, "Content-Range: bytes %lld-%lld/%lld\r\n",
			(long long)first +
				((s->flags & ORIGIN_WRONG_PART) != 0 ? 1 : 0),
			(long long)last, (long long)s->size);
	if ((s->flags & ORIGIN_CHANGES) != 0)
		fprintf(out, "ETag: \"v%d\"\r\n", turn);
	else if ((s->flags & (ORIGIN_NO_VALIDATOR | ORIGIN_DATED)) == 0)
		fputs("ETag: \"v\"\r\n", out);
	if ((s->flags & (ORIGIN_NO_VALIDATOR)) == 0)
		fputs("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", out);
	if ((s->flags & ORIGIN_GZIP) != 0)
		fputs("Content-Encoding: gzip\r\n", out);
	fputs("\r\n", out);
	fclose(out);
	origin_send(fd, head, strlen(head));
}

/* One answer; false: close the connection. */
static bool
origin_answer(int fd, struct script *s, const char *asked)
{
	int turn = ++s->requests;
	const char *range = strcasestr(asked, "\r\nrange: bytes=");
	long long first = 0, last = s->size - 1, end;
	bool part = range != NULL && (s->flags & ORIGIN_NO_RANGES) == 0;
	bool breaks = s->cut_at != 0 && (s->times < 0 || turn <= s->times);
	char large[128] = "X-Large: ";

	snprintf(s->asked, sizeof(s->asked), "%s", asked);
	if (s->status != 0 && (s->times < 0 || turn <= s->times))
		return origin_send_status(fd, s, s->status);
	if (part) {
		char *dash;

		first = strtoll(range + 15, &dash, 10);
		if (dash[1] >= '0' && dash[1] <= '9')
			last = strtoll(dash + 1, NULL, 10);
		if (first >= s->size)
			return origin_send_unsatisfiable(fd, s);
		if (last >= s->size)
			last = s->size - 1;
		if ((s->flags & ORIGIN_PARTIAL) != 0 && last > first + 99)
			last = first + 99;
	}
	if ((s->flags & ORIGIN_BIG_HEAD) != 0) {
		memset(large + 9, 'x', sizeof(large) - 12);
		memcpy(large + sizeof(large) - 3, "\r\n", 3);
		origin_send(fd, "HTTP/1.1 200 OK\r\n", 17);
		for (int k = 0; k < 1000; k++)
			origin_send(fd, large, sizeof(large) - 1);
		return false;
	}
	if ((s->flags & ORIGIN_LATE) != 0)
		usleep(1300000);
	if (breaks && s->cut_at < 0) {
		if ((s->flags & ORIGIN_STALL) != 0)
			sleep(30);
		return false;
	}
	origin_send_head(fd, s, turn, part, first, last);
	end = breaks && s->cut_at - 1 < last ? s->cut_at - 1 : last;
	if (!origin_send_body(fd, s, first, end))
		return false;
	if (breaks && (s->flags & ORIGIN_STALL) != 0)
		sleep(30);
	if (breaks || s->claim != 0 || (s->flags & ORIGIN_CLOSE) != 0)
		return false;
	return (s->flags & ORIGIN_CHUNKED) == 0 ||
	       origin_send(fd, "0\r\n\r\n", 5);
}

struct origin_connection {
	struct origin *origin;
	int fd;
};

static struct script *
origin_find(struct origin *o, const char *request)
{
	const char *path = strchr(request, ' ');
	size_t n = path != NULL ? strcspn(path + 1, " ") : 0;

	for (size_t k = 0; k < o->count; k++) {
		if (strlen(o->scripts[k].path) == n &&
		    memcmp(o->scripts[k].path, path + 1, n) == 0)
			return &o->scripts[k];
	}
	return NULL;
}

static void *
origin_serve(void *ctx)
{
	struct origin_connection c = *(struct origin_connection *)ctx;
	char request[4096];
	size_t len = 0;
	bool open = true;

	free(ctx);
	while (open) {
		ssize_t n =
			recv(c.fd, request + len, sizeof(request) - 1 - len, 0);
		char *end;

		if (n <= 0)
			break;
		len += (size_t)n;
		request[len] = '\0';
		end = strstr(request, "\r\n\r\n");
		if (end == NULL)
			continue;
		struct script *s = origin_find(c.origin, request);
		static const char lost[] = "HTTP/1.1 404 Not Found\r\n"
					   "Content-Length: 4\r\n\r\nlost";

		open = s != NULL ? origin_answer(c.fd, s, request)
				 : origin_send(c.fd, lost, strlen(lost));
		len = 0;
	}
	close(c.fd);
	return NULL;
}

static void *
origin_accept(void *ctx)
{
	struct origin *o = ctx;
	pthread_t thread;
	int fd;

	while ((fd = accept(o->fd, NULL, NULL)) >= 0) {
		struct origin_connection *c = malloc(sizeof(*c));

		o->connections++;
		*c = (struct origin_connection){ o, fd };
		pthread_create(&thread, NULL, origin_serve, c);
		pthread_detach(thread);
	}
	return NULL;
}

/* On 127.0.0.1, any port. */
static void
origin_start(struct origin *o, struct script *scripts, size_t count)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	o->fd = socket(AF_INET, SOCK_STREAM, 0);
	o->scripts = scripts;
	o->count = count;
	o->connections = 0;
	if (bind(o->fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(o->fd, 128) != 0)
		abort();
	getsockname(o->fd, (struct sockaddr *)&a, &n);
	o->port = ntohs(a.sin_port);
	pthread_create(&o->thread, NULL, origin_accept, o);
}

static void
origin_stop(struct origin *o)
{
	shutdown(o->fd, SHUT_RDWR);
	pthread_join(o->thread, NULL);
	close(o->fd);
}

#endif
