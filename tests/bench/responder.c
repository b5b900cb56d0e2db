/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The least that a FastCGI responder can do with the bytes of a file that is
 * elsewhere: receive, CRC-32, send.  No zip, no time-outs, no windows.
 *
 *	responder SOCKET PORT PATH BYTES
 *
 * Answers each request at SOCKET with the BYTES of http://127.0.0.1:PORT/PATH
 * and prints the CPU seconds that they took, a line each.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <isa-l.h>

#define CONTENT 65528 /* of a record, a multiple of 8 */
#define STDOUT 6
#define END_REQUEST 3

static unsigned char content[CONTENT];

static void
check(long rc, const char *what)
{
	if (rc != -1)
		return;
	perror(what);
	exit(1);
}

static int
listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	check(bind(fd, (struct sockaddr *)&a, sizeof(a)), path);
	check(listen(fd, 16), path);
	return fd;
}

static int
ask(int port, const char *path)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(connect(fd, (struct sockaddr *)&a, sizeof(a)), "connect");
	dprintf(fd, "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	return fd;
}

/* Reads the head; what comes behind it is moved to the front. */
static size_t
skip_head(int fd)
{
	const unsigned char *end;
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, content + n, CONTENT - n, 0)) > 0) {
		n += (size_t)got;
		end = memmem(content, n, "\r\n\r\n", 4);
		if (end == NULL)
			continue;
		n -= (size_t)(end + 4 - content);
		memmove(content, end + 4, n);
		return n;
	}
	fputs("responder: no answer\n", stderr);
	exit(1);
}

static void
send_record(int fd, int type, const void *p, size_t n)
{
	unsigned char padding = (unsigned char)(-n & 7);
	unsigned char header[8] = { 1,
				    (unsigned char)type,
				    0,
				    1,
				    (unsigned char)(n >> 8),
				    (unsigned char)n,
				    padding,
				    0 };
	struct iovec iov[] = { { header, 8 },
			       { (void *)(uintptr_t)p, n },
			       { (char[8]){ 0 }, padding } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };
	ssize_t sent;

	for (size_t left = 8 + n + padding; left > 0; left -= (size_t)sent) {
		sent = sendmsg(fd, &m, MSG_NOSIGNAL);
		check(sent, "sendmsg");
		for (size_t i = 0, gone = (size_t)sent; i < 3; i++) {
			size_t k =
				gone < iov[i].iov_len ? gone : iov[i].iov_len;

			iov[i].iov_base = (char *)iov[i].iov_base + k;
			iov[i].iov_len -= k;
			gone -= k;
		}
	}
}

static void
answer(int fd, int port, const char *path, int64_t bytes)
{
	static const char head[] = "Status: 200\r\nContent-Type: a/b\r\n\r\n";
	int from = ask(port, path);
	size_t n = skip_head(from);
	uint32_t crc = crc32_gzip_refl(0, content, n);
	ssize_t got = 0;

	send_record(fd, STDOUT, head, sizeof(head) - 1);
	for (;;) {
		if (n == CONTENT || (int64_t)n == bytes) {
			send_record(fd, STDOUT, content, n);
			bytes -= (int64_t)n;
			n = 0;
		}
		if (bytes <= 0)
			break;
		got = recv(from, content + n, CONTENT - n, 0);
		check(got > 0 ? 0 : -1, "recv");
		crc = crc32_gzip_refl(crc, content + n, (uint64_t)got);
		n += (size_t)got;
	}
	close(from);
	send_record(fd, STDOUT, "", 0);
	send_record(fd, END_REQUEST, (char[8]){ 0 }, 8);
}

/* The request is not looked at; unread, it would reset the connection. */
static void
drain(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 200) > 0 &&
	       recv(fd, content, sizeof(content), 0) > 0)
		;
}

int
main(int argc, char **argv)
{
	int at, fd;

	if (argc != 5) {
		fputs("usage: responder SOCKET PORT PATH BYTES\n", stderr);
		return 2;
	}
	at = listen_at(argv[1]);
	while ((fd = accept(at, NULL, NULL)) != -1) {
		clock_t began = clock();

		answer(fd, atoi(argv[2]), argv[3], atoll(argv[4]));
		printf("%.4f\n", (double)(clock() - began) / CLOCKS_PER_SEC);
		fflush(stdout);
		shutdown(fd, SHUT_WR);
		drain(fd);
		close(fd);
	}
	return 1;
}
