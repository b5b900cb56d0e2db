/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The benchmark's source server: one process, epoll, HTTP/1.1 or HTTPS.
 *
 *	origin PORT [CERTIFICATE KEY]
 *
 *	GET /KIND/BYTES/LATENCY_MS/any/name
 *
 * KIND is `noise`, which does not compress, or `text`, lines of a log; the
 * same address always has the same bytes.  The answer begins LATENCY_MS after
 * the request.  Single ranges and keep-alive work; bodies, HEAD and anything
 * else that no downloader of ours sends do not.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define PATTERN (16 << 20) /* bytes; larger files repeat it */
#define SEND_MAX 262144	   /* bytes in one go, then others have their turn */
#define REQUEST_MAX 4096
#define HEAD_MAX 512
#define EVENTS 256

struct connection {
	int fd;
	SSL *tls;
	bool shaken; /* the TLS handshake is over */
	char in[REQUEST_MAX];
	size_t in_len;
	char head[HEAD_MAX];
	size_t head_len, head_sent;
	const char *content;
	int64_t at, end; /* of the body */
	bool answering;
	int64_t due_ms; /* 0: not delayed */
	struct connection *later;
};

static char *noise, *text;
static SSL_CTX *tls;
static int epoll;
static int listeners[2]; /* IPv4, IPv6 */
/* Delayed answers, by the time when they are due. */
static struct connection *delayed;

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Content */

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void
make_noise(void)
{
	uint64_t x = 88172645463325252, word;

	for (size_t i = 0; i < PATTERN; i += sizeof(word)) {
		word = next_random(&x);
		memcpy(noise + i, &word, sizeof(word));
	}
}

static void
make_text(void)
{
	static const char *const verbs[] = { "GET", "GET", "GET", "POST",
					     "HEAD" };
	static const char *const names[] = { "index.html",   "style.css",
					     "report.pdf",   "api/v1/items",
					     "img/logo.png", "search" };
	uint64_t x = 362436069;
	size_t n = 0;

	while (n < PATTERN) {
		uint64_t r = next_random(&x);

		n += (size_t)snprintf(
			text + n, PATTERN + REQUEST_MAX - n,
			"10.%u.%u.%u - - [23/Nov/2026:%02u:%02u:%02u +0000] "
			"\"%s /%s?id=%u HTTP/1.1\" %u %u \"-\" "
			"\"Mozilla/5.0 (X11; Linux x86_64)\"\n",
			(unsigned)(r >> 8 & 3), (unsigned)(r >> 16 & 31),
			(unsigned)(r >> 24 & 255), (unsigned)(n >> 19) % 24,
			(unsigned)(n >> 13) % 60, (unsigned)(n >> 7) % 60,
			verbs[r % 5], names[r % 6], (unsigned)(r >> 32) % 50000,
			r % 11 == 0 ? 404U : 200U, (unsigned)(r >> 40) % 65536);
	}
}

/* Bytes in and out, plain or TLS: -1 with EAGAIN when it must wait. */

static ssize_t
tls_result(struct connection *c, int n)
{
	int why;

	if (n > 0)
		return n;
	why = SSL_get_error(c->tls, n);
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE
			? EAGAIN
			: EIO;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t
receive(struct connection *c, void *p, size_t n)
{
	if (c->tls != NULL)
		return tls_result(c, SSL_read(c->tls, p, (int)n));
	return recv(c->fd, p, n, 0);
}

static ssize_t
transmit(struct connection *c, const void *p, size_t n, bool more)
{
	if (c->tls != NULL)
		return tls_result(c, SSL_write(c->tls, p, (int)n));
	return send(c->fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

static void
end_connection(struct connection *c)
{
	for (struct connection **p = &delayed; *p != NULL; p = &(*p)->later) {
		if (*p == c) {
			*p = c->later;
			break;
		}
	}
	SSL_free(c->tls);
	close(c->fd);
	free(c);
}

/* Requests */

static void
put_off(struct connection *c, int64_t due_ms)
{
	struct connection **p = &delayed;

	while (*p != NULL && (*p)->due_ms <= due_ms)
		p = &(*p)->later;
	c->due_ms = due_ms;
	c->later = *p;
	*p = c;
}

static void
put_head(struct connection *c, bool ranged, int64_t size)
{
	char range[80] = "";

	if (ranged)
		snprintf(range, sizeof(range),
			 "Content-Range: bytes %lld-%lld/%lld\r\n",
			 (long long)c->at, (long long)c->end - 1,
			 (long long)size);
	c->head_len = (size_t)snprintf(
		c->head, sizeof(c->head),
		"HTTP/1.1 %s\r\nContent-Length: %lld\r\n%s"
		"Content-Type: %s\r\nETag: \"%lld\"\r\n"
		"Last-Modified: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
		"Accept-Ranges: bytes\r\n\r\n",
		ranged ? "206 Partial Content" : "200 OK",
		(long long)(c->end - c->at), range,
		c->content == text ? "text/plain" : "application/octet-stream",
		(long long)size);
	c->head_sent = 0;
}

static void
take_range(struct connection *c, const char *range, int64_t size)
{
	long long first = 0, last = size - 1;

	sscanf(range, "%*[^=]=%lld-%lld", &first, &last);
	c->at = first;
	c->end = last < size ? last + 1 : size;
}

/* The request in c->in, which ends with a NUL. */
static int
answer(struct connection *c)
{
	const char *range = strcasestr(c->in, "\r\nRange: bytes=");
	long long size;
	char kind[8];
	int latency;

	if (sscanf(c->in, "GET /%7[a-z]/%lld/%d/", kind, &size, &latency) != 3)
		return -1;
	c->content = strcmp(kind, "text") == 0 ? text : noise;
	c->at = 0;
	c->end = size;
	if (range != NULL && size > 0)
		take_range(c, range, size);
	put_head(c, range != NULL && size > 0, size);
	c->answering = true;
	if (latency > 0)
		put_off(c, now_ms() + latency);
	return 0;
}

/* One more piece of the answer: 1 sent, 0 must wait, -1 over. */
static int
send_piece(struct connection *c)
{
	size_t n = c->head_len - c->head_sent;
	ssize_t sent;

	if (n > 0) {
		sent = transmit(c, c->head + c->head_sent, n, c->at < c->end);
		if (sent > 0)
			c->head_sent += (size_t)sent;
	} else {
		n = (size_t)(PATTERN - c->at % PATTERN);
		n = n < SEND_MAX ? n : SEND_MAX;
		if ((int64_t)n > c->end - c->at)
			n = (size_t)(c->end - c->at);
		sent = transmit(c, c->content + c->at % PATTERN, n, false);
		if (sent > 0)
			c->at += sent;
	}
	if (sent > 0)
		return 1;
	return sent == -1 && errno == EAGAIN ? 0 : -1;
}

static int
send_answer(struct connection *c)
{
	int rc = 1;

	/* Edge-triggered: until it must wait, or is done. */
	while (c->head_sent < c->head_len || c->at < c->end) {
		rc = send_piece(c);
		if (rc <= 0)
			return rc;
	}
	c->answering = false;
	return 1;
}

/* Answers requests until there is none, or one must wait. */
static int
serve(struct connection *c)
{
	char *end;
	ssize_t n;
	int rc;

	for (;;) {
		if (c->due_ms > 0)
			return 0;
		if (c->answering && (rc = send_answer(c)) <= 0)
			return rc;
		c->in[c->in_len] = '\0';
		end = strstr(c->in, "\r\n\r\n");
		if (end != NULL) {
			end[2] = '\0';
			if (answer(c) == -1)
				return -1;
			c->in_len -= (size_t)(end + 4 - c->in);
			memmove(c->in, end + 4, c->in_len);
			continue;
		}
		n = receive(c, c->in + c->in_len,
			    sizeof(c->in) - 1 - c->in_len);
		if (n <= 0)
			return n == -1 && errno == EAGAIN ? 0 : -1;
		c->in_len += (size_t)n;
	}
}

static void
run(struct connection *c)
{
	int rc = 1;

	if (c->tls != NULL && !c->shaken) {
		rc = (int)tls_result(c, SSL_accept(c->tls));
		c->shaken = rc > 0;
		if (rc <= 0 && errno == EAGAIN)
			return;
	}
	if (rc <= 0 || serve(c) == -1)
		end_connection(c);
}

static void
accept_all(int listener)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	struct connection *c;
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			exit(1);
		c->fd = fd;
		if (tls != NULL) {
			c->tls = SSL_new(tls);
			SSL_set_fd(c->tls, fd);
		}
		ev.data.ptr = c;
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void
run_due(void)
{
	int64_t now = now_ms();
	struct connection *c;

	while (delayed != NULL && delayed->due_ms <= now) {
		c = delayed;
		delayed = c->later;
		c->due_ms = 0;
		run(c);
	}
}

/* -1: the address cannot be listened on. */
static int
open_listener(const struct sockaddr *sa, socklen_t n)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa, n) == -1 || listen(fd, 4096) == -1 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) == -1)
		return -1;
	return fd;
}

/* `localhost` is looked up as both, and a refused one would cost time. */
static int
open_listeners(uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	listeners[0] = open_listener((struct sockaddr *)&four, sizeof(four));
	/* A machine without IPv6 looks up no such address either. */
	listeners[1] = open_listener((struct sockaddr *)&six, sizeof(six));
	return listeners[0];
}

static int
open_tls(const char *certificate, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	return SSL_CTX_use_certificate_file(tls, certificate,
					    SSL_FILETYPE_PEM) == 1 &&
			       SSL_CTX_use_PrivateKey_file(
				       tls, key, SSL_FILETYPE_PEM) == 1
		       ? 0
		       : -1;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct rlimit files;
	int n;

	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	noise = malloc(PATTERN);
	text = malloc(PATTERN + REQUEST_MAX);
	epoll = epoll_create1(0);
	if (noise == NULL || text == NULL || argc < 2 ||
	    open_listeners((uint16_t)atoi(argv[1])) == -1 ||
	    (argc == 4 && open_tls(argv[2], argv[3]) == -1)) {
		fprintf(stderr, "origin PORT [CERTIFICATE KEY]: %s\n",
			strerror(errno));
		return 1;
	}
	make_noise();
	make_text();
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, delayed != NULL ? 1 : -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr != NULL) {
				run(events[i].data.ptr);
				continue;
			}
			accept_all(listeners[0]);
			accept_all(listeners[1]);
		}
		run_due();
	}
}
