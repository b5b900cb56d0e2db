/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * CGI: one process, one request.
 *
 * A cut is hidden by every web server unless the client knows a length or
 * sees unfinished chunks (CHUNKED_BY_US); all that can be done here is to
 * leave without finishing, once the server has had the time to take what was
 * written.  SIGTERM says that the client left, as some do with the last byte:
 * so it ends what is still being read, and nothing that is left to be noted.
 */
#include "cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "hangup.h"
#include "inbound.h"
#include "listener.h"

#define LOG_MODULE "cgi"
#include "log.h"
#include "stats.h"

#define CUT_MS 50
#define LINGER_MS 2000 /* for a body that nobody wanted */

struct cgi {
	struct inbound in;
	int64_t body_left; /* -1: unknown, up to the end of file */
	int timeout_ms;
	bool cut;
};

bool
cgi_is(void)
{
	return getenv("GATEWAY_INTERFACE") != NULL &&
	       !listener_is(STDIN_FILENO);
}

/* Waits until a descriptor can be read or written; -1: it never will. */
static int
wait_ready(const struct cgi *c, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int rc = poll(&p, 1, c->timeout_ms);

	if (rc == 0 || (rc == -1 && errno != EINTR))
		return -1;
	return 0;
}

static ssize_t
read_body(void *ctx, void *p, size_t n)
{
	struct cgi *c = ctx;
	ssize_t got;

	/* The server need not close standard input (section 4.2). */
	if (c->body_left != -1 && (int64_t)n > c->body_left)
		n = (size_t)c->body_left;
	if (n == 0)
		return 0;
	while ((got = read(STDIN_FILENO, p, n)) == -1) {
		/* mod_cgid gives one socket for both, so that the flag which
		 * is set on standard output is set here, too. */
		if (errno == EAGAIN && wait_ready(c, STDIN_FILENO, POLLIN) == 0)
			continue;
		if (errno != EINTR)
			return -1;
	}
	if (got > 0 && c->body_left != -1)
		c->body_left -= got;
	return got;
}

static int
write_piece(const struct cgi *c, const char *p, size_t n)
{
	ssize_t sent;

	while (n > 0) {
		sent = write(STDOUT_FILENO, p, n);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			if (wait_ready(c, STDOUT_FILENO, POLLOUT) == -1)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

static int
write_answer(void *ctx, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		if (write_piece(ctx, iov[i].iov_base, iov[i].iov_len) == -1)
			return -1;
	return 0;
}

static int
finish_answer(void *ctx)
{
	(void)ctx;
	return close(STDOUT_FILENO);
}

static void
abort_answer(void *ctx, bool head_sent)
{
	struct timespec t = { .tv_nsec = CUT_MS * 1000000L };
	struct cgi *c = ctx;

	c->cut = true;
	if (head_sent)
		nanosleep(&t, NULL);
	close(STDOUT_FILENO);
}

/* Apache's mod_cgid speaks over one socket: left with bytes unread, it would
 * be reset, and the answer lost. */
static void
drain_body(struct cgi *c)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t end = stats_now_ms() + LINGER_MS;
	char waste[16384];
	int64_t left;

	while (c->body_left > 0 && (left = end - stats_now_ms()) > 0)
		if (poll(&p, 1, (int)left) <= 0 ||
		    read_body(c, waste, sizeof(waste)) <= 0)
			return;
}

static int
open_request(struct cgi *c, const struct config *config, struct arena *a,
	     struct error *e)
{
	static const int client_left[] = { SIGTERM };
	struct inbound *in = &c->in;

	in->vars = inbound_vars(a, environ, &in->var_count);
	if (in->vars == NULL)
		return error_memory(e);
	in->read = read_body;
	in->read_ctx = c;
	in->transport = (struct transport){
		.ctx = c,
		.write = write_answer,
		.finish = finish_answer,
		.abort = abort_answer,
		/* In the place of libfcgi's handler. */
		.watch_fd = hangup_on(client_left, 1, SA_RESTART, e),
		.chunks = inbound_chunks(
			config->chunked_by_us, INBOUND_CGI,
			inbound_var(in->vars, in->var_count, "SERVER_PROTOCOL"),
			inbound_var(in->vars, in->var_count,
				    "SERVER_SOFTWARE")),
	};
	c->body_left = request_length(
		inbound_var(in->vars, in->var_count, "CONTENT_LENGTH"));
	c->timeout_ms = config->client_timeout_ms < INT_MAX
				? (int)config->client_timeout_ms
				: INT_MAX;
	return in->transport.watch_fd == -1 ? -1 : 0;
}

int
cgi_run(const struct config *c)
{
	struct cgi cgi = { 0 };
	struct error e = { 0 };
	struct service *s = NULL;

	if (confine_process(c, &e) == 0)
		s = service_new(c, &e);
	if (s == NULL || open_request(&cgi, c, s->arena, &e) == -1) {
		log_error("cannot serve: %s", e.text);
		service_free(s);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	/* A client that stalls must not hold the process for ever. */
	fcntl(STDOUT_FILENO, F_SETFL,
	      fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
	inbound_answer(&cgi.in, s, service_handle);
	drain_body(&cgi);
	service_free(s);
	return cgi.cut ? 1 : 0;
}
