/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The scoreboard in Prometheus's text format, version 0.0.4.
 *
 * A process without a scoreboard (CGI, a lone responder) has only what is
 * always there to tell.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "address.h"
#include "stats.h"

#define METRICS_MAX (1 << 20) /* bytes; routes times statuses are few */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#ifndef ZIPSTREAM_VERSION
#define ZIPSTREAM_VERSION "unknown"
#endif

struct metric {
	const char *name;
	const char *help;
	const char *label; /* "" or "kind=\"status\"", without braces */
	enum stats_counter counter;
};

/* Rows of one name stand together: the head is written once. */
static const struct metric counters[] = {
	{ "requests_total", "Requests taken.", "", STAT_REQUESTS },
	{ "refused_total", "Requests that met no idle worker: 503.", "",
	  STAT_REFUSED },
	{ "zips_total", "Zips that were begun, by how they ended.",
	  "end=\"whole\"", STAT_ZIPS_DONE },
	{ "zips_total", "", "end=\"aborted\"", STAT_ZIPS_ABORTED },
	{ "client_aborts_total", "Answers that the client did not wait for.",
	  "", STAT_CLIENT_GONE },
	{ "sent_bytes_total", "Bytes of answers' bodies.", "", STAT_BYTES_OUT },
	{ "source_bytes_total", "Bytes read from sources.", "", STAT_BYTES_IN },
	{ "files_total", "Files that went whole into a zip.", "", STAT_FILES },
	{ "source_errors_total", "Attempts at a source that failed, by kind.",
	  "kind=\"status\"", STAT_SOURCE_ERROR_STATUS },
	{ "source_errors_total", "", "kind=\"connect\"",
	  STAT_SOURCE_ERROR_CONNECT },
	{ "source_errors_total", "", "kind=\"timeout\"",
	  STAT_SOURCE_ERROR_TIMEOUT },
	{ "source_errors_total", "", "kind=\"changed\"",
	  STAT_SOURCE_ERROR_CHANGED },
	{ "source_errors_total", "", "kind=\"refused\"",
	  STAT_SOURCE_ERROR_REFUSED },
	{ "source_retries_total", "Sources asked again before a byte came.", "",
	  STAT_SOURCE_RETRIES },
	{ "source_resumes_total", "Sources read on where they broke off.", "",
	  STAT_SOURCE_RESUMES },
	{ "probes_total", "Sources asked for their size alone.", "",
	  STAT_PROBES },
	{ "workers_started_total", "Workers forked.", "", STAT_SPAWNED },
	{ "workers_died_total", "Workers that crashed or were killed.", "",
	  STAT_DIED },
};

static void
put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP zipstream_%s %s\n# TYPE zipstream_%s %s\n",
		   name, help, name, type);
}

static void
put_gauge(struct buf *out, const char *name, const char *help, double value)
{
	put_head(out, name, "gauge", help);
	buf_printf(out, "zipstream_%s %.15g\n", name, value);
}

static void
put_counters(struct buf *out)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const struct metric *m = &counters[i];

		if (m->help[0] != '\0')
			put_head(out, m->name, "counter", m->help);
		buf_printf(out, "zipstream_%s", m->name);
		if (m->label[0] != '\0')
			buf_printf(out, "{%s}", m->label);
		buf_printf(out, " %" PRId64 "\n", stats_get(m->counter));
	}
}

static const char *
method_of(const struct route *r)
{
	switch (r->methods) {
	case HTTP_POST:
		return "POST";
	case HTTP_PUT:
		return "PUT";
	case HTTP_DELETE:
		return "DELETE";
	default:
		return "GET";
	}
}

/* Answers of one row of the router's table; NULL: of no route. */
static void
put_route(struct buf *out, const struct route *r, int place)
{
	for (int i = 0; i < STATS_STATUSES; i++) {
		int status;
		int64_t n = stats_answers(place, i, &status);

		if (n == 0)
			continue;
		buf_printf(out,
			   "zipstream_responses_total{method=\"%s\","
			   "route=\"%s\",status=\"%d\"} %" PRId64 "\n",
			   r != NULL ? method_of(r) : "",
			   r != NULL ? r->pattern : "none", status, n);
	}
}

static void
put_routes(struct buf *out)
{
	size_t count;
	const struct route *table = router_table(&count);

	put_head(out, "responses_total", "counter",
		 "Answers, by route and status; 0: any other status.");
	put_route(out, NULL, 0);
	for (size_t i = 0; i < count; i++)
		put_route(out, &table[i], (int)i + 1);
}

static void
put_workers(struct buf *out)
{
	static const struct {
		enum stats_state state;
		const char *name;
	} states[] = {
		{ SLOT_STARTING, "starting" }, { SLOT_IDLE, "idle" },
		{ SLOT_READING, "reading" },   { SLOT_BUSY, "busy" },
		{ SLOT_SENDING, "sending" },   { SLOT_LEAVING, "leaving" },
	};
	int64_t count[SLOT_LEAVING + 1] = { 0 }, buffered = 0;

	for (int i = 0; i < stats_slots(); i++) {
		const struct stats_slot *s = stats_slot(i);

		if (s->state >= SLOT_FREE && s->state <= SLOT_LEAVING)
			count[s->state]++;
		buffered += s->buffered;
	}
	put_head(out, "workers", "gauge", "Workers, by what they do.");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		buf_printf(out, "zipstream_workers{state=\"%s\"} %" PRId64 "\n",
			   states[i].name, count[states[i].state]);
	put_gauge(out, "workers_max", "Workers that may run at once.",
		  stats_slots());
	put_gauge(out, "read_ahead_bytes",
		  "Bytes of sources that wait to be written, of all requests.",
		  (double)buffered);
}

static void
put_first_byte(struct buf *out)
{
	int64_t n = 0, upper;

	put_head(out, "first_byte_seconds", "histogram",
		 "From a request to the first byte of its answer.");
	for (int i = 0; i < STATS_BUCKETS; i++) {
		n += stats_first_byte_bucket(i, &upper);
		if (upper == INT64_MAX)
			buf_puts(out, "zipstream_first_byte_seconds_bucket"
				      "{le=\"+Inf\"}");
		else
			buf_printf(out,
				   "zipstream_first_byte_seconds_bucket"
				   "{le=\"%g\"}",
				   (double)upper / 1000);
		buf_printf(out, " %" PRId64 "\n", n);
	}
	buf_printf(out,
		   "zipstream_first_byte_seconds_sum %.15g\n"
		   "zipstream_first_byte_seconds_count %" PRId64 "\n",
		   (double)stats_first_byte_sum_ms() / 1000, n);
}

static void
put_metrics(struct buf *out, const struct config *c)
{
	put_head(out, "build_info", "gauge", "1, and which program it is.");
	buf_puts(out,
		 "zipstream_build_info{version=\"" ZIPSTREAM_VERSION "\"} 1\n");
	put_gauge(out, "uptime_seconds", "Since the pool was started.",
		  (double)stats_age_ms() / 1000);
	put_workers(out);
	put_gauge(out, "read_ahead_limit_bytes",
		  "READ_AHEAD_BYTES: the most for one request.",
		  (double)c->read_ahead_bytes);
	put_counters(out);
	put_routes(out);
	put_first_byte(out);
}

static bool
is_allowed(const struct exchange *x)
{
	char *bad = NULL;
	struct address_list *l =
		address_list_parse(x->config->metrics_allow, &bad);
	bool allowed =
		l != NULL && address_list_has_text(l, x->request->client);

	free(bad);
	address_list_free(l);
	return allowed;
}

int
handle_metrics(struct exchange *x, const struct route_params *p,
	       struct error *e)
{
	struct buf out;

	(void)p;
	if (!is_allowed(x))
		return error_set(e, ERROR_FORBIDDEN,
				 "Not for this address: see METRICS_ALLOW");
	buf_init(&out, METRICS_MAX);
	put_metrics(&out, x->config);
	return response_body(x->response, 200, METRICS_TYPE, &out, e);
}
