/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Any bytes as the records that a web server sends: the gateway reads a
 * request or none, its body ends, and the answer is whole records.
 */
#include "../../fcgi/gateway.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fastcgi.h>

#include "log.h"

#define INPUT_MAX 65536 /* what the socket takes without a reader */
#define BODY_MAX 65536

const char *__lsan_default_suppressions(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct config config = { .base_path = "",
				      .max_body = BODY_MAX,
				      .client_timeout_ms = 1000 };
static struct gateway *gateway;

/* libfcgi forgets 48 bytes for each malformed management record within a
 * body, which no web server sends. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libfcgi";
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error e;

	(void)argc;
	(void)argv;
	log_init(LOG_ERROR, LOG_TEXT);
	gateway = gateway_new(&config, INBOUND_FASTCGI);
	return gateway != NULL && gateway_prepare(&e) == 0 ? 0 : -1;
}

static void
answer(struct service *s, struct request *r, struct response *resp)
{
	struct error e = { 0 };
	struct buf document;

	(void)s;
	buf_init(&document, BODY_MAX + 1);
	if (request_document(r, BODY_MAX, &document, &e) == 0)
		response_text(resp, 200, "text/plain", request_masked_path(r),
			      strlen(request_masked_path(r)));
	else if (e.code == ERROR_GONE)
		response_finish(resp);
	else
		response_error(resp, &e);
	buf_free(&document);
}

/* What the peer got: records one after another, each of them whole. */
static void
check_records(int fd)
{
	static unsigned char got[1 << 20];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	size_t at = 0, len = n > 0 ? (size_t)n : 0;

	while (at + FCGI_HEADER_LEN <= len) {
		const unsigned char *h = got + at;

		if (h[0] != FCGI_VERSION_1)
			abort();
		at += FCGI_HEADER_LEN + (size_t)(h[4] << 8 | h[5]) + h[6];
	}
	if (at != len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(4 << 20);
	struct service service = { .config = &config, .arena = a };
	struct inbound *in;
	int ends[2];

	if (a == NULL || n > INPUT_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == -1)
		goto out;
	if (send(ends[0], data, n, MSG_DONTWAIT) != (ssize_t)n) {
		close(ends[0]);
		close(ends[1]);
		goto out;
	}
	shutdown(ends[0], SHUT_WR);
	in = gateway_open(gateway, ends[1], a);
	if (in != NULL) {
		inbound_answer(in, &service, answer);
		gateway_close(gateway);
	}
	check_records(ends[0]);
	close(ends[0]);
out:
	arena_free(a);
	return 0;
}
