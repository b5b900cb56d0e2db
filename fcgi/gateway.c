/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * FastCGI: libfcgi reads the request, we write the answer's records.
 *
 * libfcgi is given a connection that we accepted (ipcFd), told to keep it
 * (keepConnection) and, before its storage is freed, told that it has none:
 * so it neither ends the request nor lingers nor closes.  When the request's
 * head is malformed it does close by itself; it then says so in ipcFd.
 *
 * Signals are blocked while a worker serves, but for SIGQUIT: its handler
 * does not return unless a record is being written, and then asks the writer
 * to finish that record, since a cut inside a record is hidden by nginx.
 */
#include "gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fastcgi.h>
#include <fcgiapp.h>

#define LOG_MODULE "gateway"
#include "head.h"
#include "keeper.h"
#include "log.h"
#include "record.h"
#include "stats.h"

#define HELLO_MS 10000 /* a web server connects to ask, not to wait */
#define LINGER_MS 2000 /* for a peer that is still sending its body */
/* For what a slow client has still to take before it can be cut by a signal:
 * nginx reads as its client does, and hides a close without the record. */
#define CUT_MS 55000
#define CUT_LEAST_MS 100
#define TAKEN_MS 50	/* at most between two looks at the send queue */
#define CUT_LOCAL_MS 10 /* after that, on a Unix socket */
/* Of TCP the queue only says what the other kernel has. */
#define CUT_TCP_MS 50

struct gateway {
	FCGX_Request fcgx;
	struct inbound in;
	enum inbound_path path;
	int chunked_by_us; /* enum config_switch */
	bool apache_http2;
	int64_t timeout_ms;
	int fd;
	int keeper_fd; /* -1: none */
	int slot;
	bool lent; /* the keeper has a copy of fd */
	bool local;
	bool stdin_ended;
	bool detached;	      /* the process is for this answer alone */
	int64_t stdin_length; /* declared; -1 unknown */
	int64_t stdin_read;
};

/* The running answer's, for gateway_cut_and_exit. */
static const struct gateway *volatile running;
static volatile sig_atomic_t cut_wanted;
static volatile sig_atomic_t writing;

int
gateway_prepare(struct error *e)
{
	/* libfcgi installs handlers where a signal has its default action:
	 * the pool and the workers install their own afterwards. */
	if (FCGX_Init() != 0)
		return error_set(e, ERROR_INTERNAL,
				 "libfcgi cannot be initialised");
	return 0;
}

struct gateway *
gateway_new(const struct config *c, enum inbound_path path)
{
	struct gateway *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->fd = -1;
	g->keeper_fd = -1;
	g->path = path;
	g->chunked_by_us = c->chunked_by_us;
	g->timeout_ms = c->client_timeout_ms;
	return g;
}

void
gateway_free(struct gateway *g)
{
	free(g);
}

void
gateway_keep(struct gateway *g, int keeper_fd, int slot)
{
	g->keeper_fd = keeper_fd;
	g->slot = slot;
}

static void
sleep_ms(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
			      .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		continue;
}

static void
set_timeout(int fd, int option, int64_t ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t));
}

/* The request's body. */

/* libfcgi sees the end of stdin only by reading on; until it has, the
 * descriptor cannot be watched for a client that leaves. */
static void
look_for_end(struct gateway *g)
{
	int c = FCGX_GetChar(g->fcgx.in);

	if (c != EOF) {
		FCGX_UnGetChar(c, g->fcgx.in);
		return;
	}
	if (FCGX_GetError(g->fcgx.in) != 0)
		return;
	g->stdin_ended = true;
	g->in.transport.watch_fd = g->fd;
}

static ssize_t
read_body(void *ctx, void *p, size_t n)
{
	struct gateway *g = ctx;
	int want = n < 65536 ? (int)n : 65536;
	int got;

	if (g->stdin_ended)
		return 0;
	got = FCGX_GetStr(p, want, g->fcgx.in);
	if (FCGX_GetError(g->fcgx.in) != 0)
		return -1;
	g->stdin_read += got;
	if (got < want || g->stdin_read == g->stdin_length)
		look_for_end(g);
	return got;
}

/* The answer. */

/* Sends all of it.  Called inside `writing`. */
static int
send_all(const struct gateway *g, struct iovec *iov, int n)
{
	struct msghdr m = { 0 };
	ssize_t sent;

	while (n > 0) {
		m.msg_iov = iov;
		m.msg_iovlen = (size_t)n;
		sent = sendmsg(g->fd, &m, MSG_NOSIGNAL);
		if (sent == -1 && errno != EINTR)
			return -1;
		if (sent > 0)
			n = record_advance(&iov, n, (size_t)sent);
	}
	return 0;
}

static int
send_record(const struct gateway *g, struct iovec *iov, int n)
{
	int rc;

	writing = 1;
	rc = send_all(g, iov, n);
	writing = 0;
	if (cut_wanted)
		gateway_cut_and_exit();
	if (rc == -1)
		log_debug("client gone: %s", strerror(errno));
	return rc;
}

/* Where a length is declared, and in our own chunks, any end of ours that
 * comes early is seen. */
static void
lend(struct gateway *g)
{
	if (g->lent || g->keeper_fd == -1 || g->in.transport.sized ||
	    g->in.transport.chunks)
		return;
	keeper_lend(g->keeper_fd, g->slot, g->fd);
	g->lent = true;
}

/* The copy keeps the connection open. */
static void
take_back(struct gateway *g)
{
	if (!g->lent)
		return;
	shutdown(g->fd, SHUT_RDWR);
	keeper_return(g->keeper_fd, g->slot);
	g->lent = false;
}

static int
write_answer(void *ctx, const struct iovec *iov, int n)
{
	struct gateway *g = ctx;
	struct record_cursor c = { .iov = iov, .n = n };
	struct iovec out[RECORD_PIECES];
	unsigned char header[RECORD_HEADER];
	int used;

	lend(g);
	while ((used = record_next(&c, g->fcgx.requestId, header, out)) > 0)
		if (send_record(g, out, used) == -1)
			return -1;
	return 0;
}

static int
finish_answer(void *ctx)
{
	struct gateway *g = ctx;
	unsigned char end[RECORD_END];
	struct iovec iov = { .iov_base = end, .iov_len = sizeof(end) };

	record_end(end, g->fcgx.requestId);
	/* A server that has got all of a declared length may have closed
	 * already: every byte was taken, so the client is not gone. */
	send_record(g, &iov, 1);
	return 0;
}

/* Waits until the peer has taken what was sent, but not beyond `until`.  One
 * that is gone takes nothing, while of TCP the queue stays as it was. */
static void
wait_until_taken(int fd, bool local, int64_t until)
{
	struct pollfd p = { .fd = fd };
	int queued = 0;

	for (int ms = 2; stats_now_ms() < until; ms += ms < TAKEN_MS) {
		if (ioctl(fd, SIOCOUTQ, &queued) == -1 || queued == 0 ||
		    poll(&p, 1, ms) > 0)
			break;
	}
	sleep_ms(local ? CUT_LOCAL_MS : CUT_TCP_MS);
}

/*
 * An end that no web server takes for a regular one: a record of no known
 * type, then the close.  In our own chunks the missing last one says it, and
 * the record is left out.
 *
 * Apache's mod_proxy_fcgi mostly lets a client of HTTP/2 wait for ever after
 * that, and after a close alone.  Short of a declared length, a regular end
 * is seen there, too.
 */
static void
send_cut(const struct gateway *g)
{
	unsigned char record[RECORD_END];
	size_t n = RECORD_HEADER;

	if (g->in.transport.chunks)
		return;
	if (g->apache_http2 && g->in.transport.sized) {
		record_end(record, g->fcgx.requestId);
		n = RECORD_END;
	} else {
		record_header(record, RECORD_INVALID, g->fcgx.requestId, 0, 0);
	}
	while (send(g->fd, record, n, MSG_NOSIGNAL) == -1 && errno == EINTR)
		continue;
}

/* Once everything before it has been taken: lighttpd reports a clean end when
 * data and the cut arrive together. */
static void
abort_answer(void *ctx, bool head_sent)
{
	struct gateway *g = ctx;

	if (head_sent)
		wait_until_taken(g->fd, g->local,
				 stats_now_ms() + g->timeout_ms);
	send_cut(g);
	g->stdin_ended = true; /* no reason to linger */
}

static void
limit_sending(const struct gateway *g, int64_t until)
{
	int64_t left = until - stats_now_ms();

	set_timeout(g->fd, SO_SNDTIMEO,
		    left > CUT_LEAST_MS ? left : CUT_LEAST_MS);
}

void
gateway_cut_and_exit(void)
{
	static int64_t until;
	const struct gateway *g = running;

	if (until == 0)
		until = stats_now_ms() + CUT_MS;
	if (g != NULL)
		limit_sending(g, until);
	if (writing) {
		cut_wanted = 1;
		return;
	}
	if (g != NULL) {
		wait_until_taken(g->fd, false, until);
		limit_sending(g, until);
		send_cut(g);
		shutdown(g->fd, SHUT_RDWR);
	}
	_exit(0);
}

/*
 * mod_fcgid gives the next request to whoever has ended the last, and ends
 * whoever it has had no request for.  One at a time: its limit of processes is
 * then a limit for these, too.
 */
static int
detach_answer(void *ctx)
{
	static pid_t last = -1;
	struct gateway *g = ctx;
	int null;

	if (last > 0 && waitpid(last, NULL, WNOHANG) == 0)
		return -1;
	last = fork();
	if (last > 0)
		g->stdin_ended = true; /* no reason to linger */
	if (last != 0)
		return last > 0 ? 1 : -1;
	setsid();
	g->detached = true;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null != -1)
		dup2(null, STDIN_FILENO);
	return 0;
}

/* The connection. */

/* A close with bytes unread would reset the connection, and the peer might
 * never see the answer. */
static void
linger(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = stats_now_ms() + LINGER_MS;
	char waste[16384];
	int64_t left;

	shutdown(fd, SHUT_WR);
	while ((left = end - stats_now_ms()) > 0)
		if (poll(&p, 1, (int)left) <= 0 ||
		    recv(fd, waste, sizeof(waste), MSG_DONTWAIT) <= 0)
			return;
}

static bool
is_local(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t n = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	       domain == AF_UNIX;
}

/* Lets libfcgi read the head.  -1: there was none; the descriptor is shut. */
static int
read_head(struct gateway *g)
{
	FCGX_InitRequest(&g->fcgx, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	if (head_peek(g->fd, HELLO_MS) == -1)
		return -1;
	g->fcgx.ipcFd = g->fd;
	g->fcgx.keepConnection = 1;
	g->fcgx.detached = 1; /* if it closes, then without lingering */
	set_timeout(g->fd, SO_RCVTIMEO, HELLO_MS);
	if (FCGX_Accept_r(&g->fcgx) != 0) {
		g->fd = g->fcgx.ipcFd;
		return -1;
	}
	/* A head that was cut short is no error to FCGX_Accept_r. */
	if (FCGX_GetError(g->fcgx.in) != 0 || g->fcgx.role != FCGI_RESPONDER)
		return -1;
	return 0;
}

static void
fill_inbound(struct gateway *g)
{
	struct inbound *in = &g->in;
	const char *coding =
		inbound_var(in->vars, in->var_count, "HTTP_TRANSFER_ENCODING");
	const char *method =
		inbound_var(in->vars, in->var_count, "REQUEST_METHOD");
	const char *protocol =
		inbound_var(in->vars, in->var_count, "SERVER_PROTOCOL");
	const char *software =
		inbound_var(in->vars, in->var_count, "SERVER_SOFTWARE");

	in->read = read_body;
	in->read_ctx = g;
	in->transport = (struct transport){
		.ctx = g,
		.write = write_answer,
		.finish = finish_answer,
		.abort = abort_answer,
		.detach = g->path == INBOUND_MOD_FCGID ? detach_answer : NULL,
		.watch_fd = -1,
		.chunks = inbound_chunks(g->chunked_by_us, g->path, protocol,
					 software),
	};
	g->apache_http2 = strncmp(protocol, "HTTP/2", 6) == 0 &&
			  strncasecmp(software, "Apache", 6) == 0;
	g->stdin_read = 0;
	g->stdin_length = request_length(
		inbound_var(in->vars, in->var_count, "CONTENT_LENGTH"));
	/* Chunked uploads come without a length, so only what cannot have a
	 * body is looked at before the handler asks for one. */
	if (g->stdin_length == 0 ||
	    (g->stdin_length == -1 && coding[0] == '\0' && method[0] != 'P'))
		look_for_end(g);
}

struct inbound *
gateway_open(struct gateway *g, int fd, struct arena *a)
{
	g->fd = fd;
	g->stdin_ended = false;
	g->local = is_local(fd);
	if (read_head(g) == -1) {
		log_debug("connection without a request");
		g->stdin_ended = true;
		gateway_close(g);
		return NULL;
	}
	set_timeout(fd, SO_RCVTIMEO, g->timeout_ms);
	set_timeout(fd, SO_SNDTIMEO, g->timeout_ms);
	g->in.vars = inbound_vars(a, g->fcgx.envp, &g->in.var_count);
	if (g->in.vars == NULL) {
		log_error("no memory for a request's variables");
		gateway_close(g);
		return NULL;
	}
	fill_inbound(g);
	running = g;
	return &g->in;
}

void
gateway_close(struct gateway *g)
{
	running = NULL;
	if (g->fd != -1) {
		if (!g->stdin_ended)
			linger(g->fd);
		take_back(g);
		close(g->fd);
	}
	if (g->detached)
		_exit(0);
	g->fd = -1;
	g->fcgx.ipcFd = -1;
	FCGX_Free(&g->fcgx, 0);
}
