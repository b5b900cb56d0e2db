/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From variables and a transport to the service's request and response. */
#include "inbound.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define LOG_MODULE "inbound"
#include "log.h"
#include "stats.h"

static void
make_id(char *out, size_t size)
{
	uint64_t bits = 0;

	/* An id is for finding lines in a log: not worth an error. */
	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		bits = (uint64_t)stats_now_ms();
	snprintf(out, size, "%016llx", (unsigned long long)bits);
}

void
inbound_answer(struct inbound *in, struct service *s, inbound_answer_fn answer)
{
	struct stats_slot *slot = stats_mine();
	struct request r = { 0 };
	struct response resp;
	struct error e = { 0 };
	int rc;

	rc = request_init(&r, s->arena, s->config, in->vars, in->var_count, &e);
	make_id(r.id, sizeof(r.id));
	r.read = in->read;
	r.read_ctx = in->read_ctx;
	log_request(r.id);
	if (slot != NULL)
		memcpy(slot->request_id, r.id, sizeof(r.id));
	if (response_init(&resp, &in->transport,
			  rc == 0 && r.method == HTTP_HEAD) == -1) {
		log_error("no memory for an answer");
		in->transport.abort(in->transport.ctx, false);
	} else {
		if (rc == 0)
			answer(s, &r, &resp);
		else
			response_error(&resp, &e);
		response_fini(&resp);
	}
	log_request(NULL);
}

const struct request_var *
inbound_vars(struct arena *a, char *const *envp, size_t *count)
{
	struct request_var *vars;
	char *copy, *equals;
	size_t n = 0;

	while (envp[n] != NULL)
		n++;
	vars = arena_array(a, n + 1, sizeof(*vars));
	if (vars == NULL)
		return NULL;
	*count = 0;
	for (size_t i = 0; i < n; i++) {
		copy = arena_strdup(a, envp[i]);
		if (copy == NULL)
			return NULL;
		equals = strchr(copy, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		vars[*count].name = copy;
		vars[(*count)++].value = equals + 1;
	}
	return vars;
}

const char *
inbound_var(const struct request_var *vars, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(vars[i].name, name) == 0)
			return vars[i].value;
	return "";
}

bool
inbound_chunks(int setting, enum inbound_path path, const char *protocol,
	       const char *software)
{
	if (strcmp(protocol, "HTTP/1.1") != 0)
		return false;
	if (setting != SWITCH_AUTO)
		return setting == SWITCH_ON;
	if (path == INBOUND_CGI)
		return strncasecmp(software, "lighttpd", 8) == 0;
	return path == INBOUND_MOD_FCGID &&
	       strncasecmp(software, "Apache", 6) == 0;
}
