/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A request as the process edge holds it, whichever protocol brought it:
 * FastCGI (gateway) and CGI (cgi) fill one, inbound_answer gives it to the
 * service.
 */
#ifndef ZIPSTREAM_INBOUND_H
#define ZIPSTREAM_INBOUND_H

#include <stdbool.h>
#include <stddef.h>

#include "request.h"
#include "response.h"
#include "service.h"

struct inbound {
	const struct request_var *vars;
	size_t var_count;
	request_read_fn read;
	void *read_ctx;
	struct transport transport;
};

/* service_handle or service_refuse. */
typedef void (*inbound_answer_fn)(struct service *s, struct request *r,
				  struct response *resp);

/* Answers it whole; the transport has been finished or aborted after it. */
void
inbound_answer(struct inbound *in, struct service *s, inbound_answer_fn answer);

/*
 * "NAME=value" strings, NULL-terminated, as variables in arena memory; the
 * strings themselves are copied.  NULL: no memory.
 */
const struct request_var *
inbound_vars(struct arena *a, char *const *envp, size_t *count);

/* A variable's value, "" when absent. */
const char *
inbound_var(const struct request_var *vars, size_t n, const char *name);

/* How the program has been reached. */
enum inbound_path {
	INBOUND_FASTCGI,   /* by a pool's socket */
	INBOUND_MOD_FCGID, /* as a process that Apache itself has started */
	INBOUND_CGI
};

/*
 * CHUNKED_BY_US: may an answer without a length be framed in HTTP chunks by
 * us?  Never for HTTP/1.0 and HTTP/2, which have no chunks.  `auto` does it
 * where it is known that the server passes them on as they are: mod_fcgid,
 * and CGI under lighttpd.  nginx, mod_proxy_fcgi and Apache's CGI would
 * frame the chunks once more.
 */
bool inbound_chunks(int setting, enum inbound_path path, const char *protocol,
		    const char *software);

#endif
