/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The benchmark's clients: one process, epoll, HTTP/1.1.
 *
 *	load [options] PORT PATH
 *
 *	-n N	clients (1)
 *	-a N	of which so many come in each second (0: all at once)
 *	-r N	bytes that each reads in a second (0: as fast as they come)
 *	-s N	seconds for which each asks again and again (0: asks once)
 *	-b FILE	POST this JSON instead of GET
 *	-l N	the length, and
 *	-c HEX	the CRC-32 that every body must have
 *
 * Prints one JSON object.  An answer that is no 2xx, has no Content-Length or
 * breaks off has failed; one of another length or CRC-32 is wrong.  A client
 * that reads slowly has the small segments and the small receive buffer that
 * it would have on a distant network; without them the kernel's buffers of
 * the loopback interface would swallow the whole download.
 */
#include <errno.h>
#include <fcntl.h>
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

#include <zlib.h>

#define TICK_MS 20
#define TICKS 25 /* a slow client reads in one of so many */
#define SEGMENT 1448
#define SLOW_BUFFER 16384
#define READ_MAX 262144
#define HEAD_MAX 4096
#define EVENTS 512
#define STALL_MS 60000 /* nothing from anybody for so long: give up */

struct client {
	int fd;
	bool in_body;
	bool slow; /* read by the clock, no longer by epoll */
	size_t head_len;
	char *head;
	int64_t length, got;
	uint32_t crc;
	int64_t began_us, first_us;
};

struct options {
	int clients, arrivals, rate, seconds, port;
	const char *path, *body_file;
	int64_t length;
	int64_t crc; /* -1: any */
};

struct totals {
	int64_t done, failed, wrong, bytes;
	int64_t started, open, peak;
	int64_t *first_us; /* of each answer */
	size_t firsts, room;
	char why[128]; /* the first failure */
};

static struct options opt = { .clients = 1, .length = -1, .crc = -1 };
static struct totals sum;
static struct client *clients;
static char *request;
static size_t request_len;
static int epoll;
static int64_t began_us, heard_us;
static char scratch[READ_MAX];

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
make_request(void)
{
	static char body[65536];
	size_t n = 0;
	FILE *f;

	if (opt.body_file != NULL) {
		f = fopen(opt.body_file, "r");
		n = f != NULL ? fread(body, 1, sizeof(body), f) : 0;
		if (f == NULL || n == 0) {
			perror(opt.body_file);
			exit(2);
		}
		fclose(f);
	}
	request_len = (size_t)asprintf(
		&request,
		"%s %s HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Type: application/json\r\n"
		"Content-Length: %zu\r\n%s\r\n%.*s",
		opt.body_file != NULL ? "POST" : "GET", opt.path, n,
		opt.seconds > 0 ? "" : "Connection: close\r\n", (int)n, body);
}

/* One client's way */

static void
note_first(struct client *c)
{
	c->first_us = now_us();
	if (sum.firsts == sum.room) {
		sum.room = sum.room > 0 ? 2 * sum.room : 16384;
		sum.first_us = reallocarray(sum.first_us, sum.room,
					    sizeof(*sum.first_us));
		if (sum.first_us == NULL)
			exit(2);
	}
	sum.first_us[sum.firsts++] = c->first_us - c->began_us;
}

static void
leave(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	free(c->head);
	c->head = NULL;
	sum.open--;
}

static void
fail(struct client *c, const char *why)
{
	if (sum.failed++ == 0)
		snprintf(sum.why, sizeof(sum.why), "%.*s",
			 (int)strcspn(why, "\r\n\"\\"), why);
	leave(c);
}

static void
ask(struct client *c)
{
	c->in_body = false;
	c->head_len = 0;
	c->got = 0;
	c->crc = 0;
	c->began_us = now_us();
	/* A request fits into any empty socket. */
	if (send(c->fd, request, request_len, MSG_NOSIGNAL) !=
	    (ssize_t)request_len)
		fail(c, strerror(errno));
}

static void
begin(struct client *c)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)opt.port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	int segment = SEGMENT, buffer = SLOW_BUFFER;

	sum.started++;
	sum.open++;
	sum.peak = sum.open > sum.peak ? sum.open : sum.peak;
	c->head = malloc(HEAD_MAX);
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	c->began_us = now_us();
	if (opt.rate > 0) {
		setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment,
			   sizeof(segment));
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &buffer,
			   sizeof(buffer));
	}
	/* On loopback the handshake is over when connect returns. */
	if (c->head == NULL || c->fd == -1 ||
	    connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) == -1) {
		fail(c, strerror(errno));
		return;
	}
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev);
	ask(c);
}

static bool
running(void)
{
	return now_us() - began_us < opt.seconds * INT64_C(1000000);
}

static void
finish(struct client *c)
{
	if ((opt.length >= 0 && c->got != opt.length) ||
	    (opt.crc >= 0 && c->crc != (uint32_t)opt.crc))
		sum.wrong++;
	else
		sum.done++;
	if (running())
		ask(c);
	else
		leave(c);
}

static void
take_body(struct client *c, const char *p, size_t n)
{
	c->got += (int64_t)n;
	sum.bytes += (int64_t)n;
	if (opt.crc >= 0)
		c->crc = (uint32_t)crc32(c->crc, (const Bytef *)p, (uInt)n);
	if (c->got >= c->length)
		finish(c);
}

static void
take_head(struct client *c, const char *p, size_t n)
{
	size_t room = HEAD_MAX - 1 - c->head_len;
	size_t take = n < room ? n : room, rest;
	const char *length;
	char *end;

	if (c->head_len == 0)
		note_first(c);
	memcpy(c->head + c->head_len, p, take);
	c->head_len += take;
	c->head[c->head_len] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (end == NULL) {
		if (take < n)
			fail(c, "too large a head");
		return;
	}
	length = strcasestr(c->head, "\r\nContent-Length: ");
	if (strncmp(c->head, "HTTP/1.1 2", 10) != 0 || length == NULL ||
	    length > end) {
		fail(c, c->head);
		return;
	}
	c->length = strtoll(length + 18, NULL, 10);
	c->in_body = true;
	rest = (size_t)(c->head + c->head_len - (end + 4)) + n - take;
	take_body(c, p + n - rest, rest);
}

/* Reads at most `most` bytes; false: there was nothing. */
static bool
read_some(struct client *c, size_t most)
{
	ssize_t n = recv(c->fd, scratch, most, 0);

	if (n == -1 && errno == EAGAIN)
		return false;
	heard_us = now_us();
	if (n <= 0)
		fail(c, n == 0 ? "broke off" : strerror(errno));
	else if (c->in_body)
		take_body(c, scratch, (size_t)n);
	else
		take_head(c, scratch, (size_t)n);
	return true;
}

/* The loops */

static void
arrive(void)
{
	int64_t due = opt.clients;

	if (opt.arrivals > 0)
		due = (now_us() - began_us) * opt.arrivals / 1000000 + 1;
	while (sum.started < due && sum.started < opt.clients)
		begin(&clients[sum.started]);
}

static size_t
slow_portion(void)
{
	return (size_t)((int64_t)opt.rate * TICK_MS * TICKS / 1000);
}

/* Each slow client has its turn in one tick of TICKS. */
static void
tick_slow(int64_t tick)
{
	size_t portion = slow_portion();

	for (int64_t i = tick % TICKS; i < sum.started; i += TICKS)
		if (clients[i].fd != -1 && clients[i].slow)
			read_some(&clients[i], portion);
}

/* What comes first is read at once, to know when; the rest by the clock. */
static void
take_event(struct client *c)
{
	if (opt.rate == 0) {
		read_some(c, sizeof(scratch));
		return;
	}
	epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->slow = true;
	read_some(c, slow_portion());
}

static void
run(void)
{
	int wait = opt.rate > 0 || opt.arrivals > 0 ? 1 : 1000;
	struct epoll_event events[EVENTS];
	int64_t tick = 0;
	int n;

	while (sum.open > 0 || sum.started < opt.clients) {
		arrive();
		n = epoll_wait(epoll, events, EVENTS, wait);
		for (int i = 0; i < n; i++)
			take_event(events[i].data.ptr);
		if (opt.rate > 0 &&
		    now_us() >= began_us + tick * TICK_MS * 1000)
			tick_slow(tick++);
		if (now_us() - heard_us > STALL_MS * INT64_C(1000))
			return;
	}
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double
first_ms(int percent)
{
	if (sum.firsts == 0)
		return 0;
	return (double)sum.first_us[(sum.firsts - 1) * (size_t)percent / 100] /
	       1000;
}

static void
report(void)
{
	qsort(sum.first_us, sum.firsts, sizeof(*sum.first_us), compare);
	printf("{\"done\": %lld, \"failed\": %lld, \"wrong\": %lld, "
	       "\"unfinished\": %lld, \"why\": \"%s\", \"bytes\": %lld, "
	       "\"peak\": %lld, \"seconds\": %.3f, \"first_ms_p50\": %.2f, "
	       "\"first_ms_p99\": %.2f, \"first_ms_max\": %.2f}\n",
	       (long long)sum.done, (long long)sum.failed, (long long)sum.wrong,
	       (long long)sum.open, sum.why, (long long)sum.bytes,
	       (long long)sum.peak, (double)(now_us() - began_us) / 1e6,
	       first_ms(50), first_ms(99), first_ms(100));
}

static int
parse_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "n:a:r:s:b:l:c:")) != -1) {
		switch (o) {
		case 'n':
			opt.clients = atoi(optarg);
			break;
		case 'a':
			opt.arrivals = atoi(optarg);
			break;
		case 'r':
			opt.rate = atoi(optarg);
			break;
		case 's':
			opt.seconds = atoi(optarg);
			break;
		case 'b':
			opt.body_file = optarg;
			break;
		case 'l':
			opt.length = atoll(optarg);
			break;
		case 'c':
			opt.crc = (int64_t)strtoul(optarg, NULL, 16);
			break;
		default:
			return -1;
		}
	}
	if (argc - optind != 2)
		return -1;
	opt.port = atoi(argv[optind]);
	opt.path = argv[optind + 1];
	return 0;
}

int
main(int argc, char **argv)
{
	struct rlimit files;

	if (parse_options(argc, argv) == -1) {
		fputs("usage: load [-n N] [-a N] [-r N] [-s N] [-b FILE] "
		      "[-l N] [-c HEX] PORT PATH\n",
		      stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	clients = calloc((size_t)opt.clients, sizeof(*clients));
	epoll = epoll_create1(0);
	if (clients == NULL || epoll == -1)
		return 2;
	make_request();
	began_us = heard_us = now_us();
	run();
	report();
	return 0;
}
