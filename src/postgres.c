/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A connection to PostgreSQL; the only user of libpq.
 *
 * Every call is asynchronous and every wait has an end: the time-out after
 * the server's last sign of life (only the look-up of its name is libpq's own
 * and has the resolver's).  All work is done in transactions, which also
 * carry the time-out to the server, and nothing is kept in a session, so that
 * PgBouncer may pool transactions: statements are unnamed, settings end with
 * the transaction.  A connection that failed is not used again.
 */
#include "postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "store_backend.h"

#include <libpq-fe.h>

/* SQLSTATEs and classes of them that time or an operator may heal: the
 * connection, the transaction, the server's means or settings. */
static const char *const passing[] = {
	"08", "25", "28", "3D", "40", "53", "55", "57", "58", "42P01", "42703",
};

/* What may be a list, an element for each host. */
static const char *const listed[] = { "host", "hostaddr", "port" };
#define LISTED (sizeof(listed) / sizeof(listed[0]))

struct postgres {
	const char *cnxn;
	char *lists[LISTED]; /* NULL: not given */
	unsigned hosts;
	unsigned first; /* the one that is tried first */
	int64_t timeout_ms;
	int64_t patience_ms; /* for one answer of the server */
	int64_t deadline;
	PGconn *conn; /* NULL: none */
};

void
postgres_hang_up(struct postgres *p)
{
	PQfinish(p->conn);
	p->conn = NULL;
}

static void
renew(struct postgres *p, int64_t ms)
{
	p->deadline = stats_now_ms() + ms;
}

static int
lost(struct postgres *p, struct error *e)
{
	const char *why = PQerrorMessage(p->conn);
	/* A value of DB_CNXN is quoted where it is invalid: with a '/' in the
	 * password, that is the password's beginning. */
	const char *end = strncmp(why, "invalid ", 8) == 0 ? "\n\"" : "\n";

	store_away(e, "");
	error_cause(e, "PostgreSQL: %.*s", (int)strcspn(why, end), why);
	postgres_hang_up(p);
	return -1;
}

static int
timed_out(struct postgres *p, struct error *e)
{
	postgres_hang_up(p);
	return store_away(e, "PostgreSQL did not answer in time");
}

/* What may help whoever reads the log. */
static const char *
advice(const char *state, bool heals)
{
	if (strcmp(state, "42P07") == 0)
		return " (is it the Node service's? Then set another "
		       "TABLE_NAME, run `zipstream init`, and `zipstream "
		       "import` with the old name: see docs/migration.md)";
	if (heals && strncmp(state, "42", 2) == 0)
		return " (has `zipstream init` been run?)";
	return "";
}

/*
 * The server's own words, less what they might quote: a DETAIL shows whole
 * rows, secrets included.
 */
static int
refused(struct postgres *p, const PGresult *r, struct error *e)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *why = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	size_t i, n = sizeof(passing) / sizeof(passing[0]);

	if (state == NULL || PQstatus(p->conn) == CONNECTION_BAD)
		return lost(p, e);
	for (i = 0; i < n; i++)
		if (strncmp(state, passing[i], strlen(passing[i])) == 0)
			break;
	if (i < n)
		store_away(e, "");
	else
		error_set(e, ERROR_INTERNAL, "The store failed");
	error_cause(e, "PostgreSQL, %s: %s%s", state, why == NULL ? "" : why,
		    advice(state, i < n));
	if (i < n)
		postgres_hang_up(p);
	return -1;
}

/* False: the time is up. */
static bool
wait_for(struct postgres *p, short events)
{
	struct pollfd fd = { .fd = PQsocket(p->conn), .events = events };
	int64_t left;
	int n;

	do {
		left = p->deadline - stats_now_ms();
		n = left <= 0 ? 0 : poll(&fd, 1, (int)left);
	} while (n == -1 && errno == EINTR);
	return n > 0;
}

/* Sends what is queued; the server may talk in between. */
static int
flush(struct postgres *p, struct error *e)
{
	int unsent;

	while ((unsent = PQflush(p->conn)) == 1) {
		if (!wait_for(p, POLLIN | POLLOUT))
			return timed_out(p, e);
		if (!PQconsumeInput(p->conn))
			return lost(p, e);
	}
	return unsent == 0 ? 0 : lost(p, e);
}

/* The next result, or NULL: *failed says whether for want of more. */
static PGresult *
next_result(struct postgres *p, int *failed, struct error *e)
{
	*failed = 0;
	while (PQisBusy(p->conn)) {
		if (!wait_for(p, POLLIN))
			*failed = timed_out(p, e);
		else if (!PQconsumeInput(p->conn))
			*failed = lost(p, e);
		if (*failed)
			return NULL;
	}
	return PQgetResult(p->conn);
}

static bool
is_good(const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The last result of what was sent, or the first bad one; NULL: it failed,
 * and the error says how. */
static PGresult *
receive(struct postgres *p, int sent, struct error *e)
{
	PGresult *kept = NULL, *r;
	int failed;

	if (!sent) {
		lost(p, e);
		return NULL;
	}
	if (flush(p, e) == -1)
		return NULL;
	while ((r = next_result(p, &failed, e)) != NULL) {
		if (kept != NULL && !is_good(kept)) {
			PQclear(r);
			continue;
		}
		PQclear(kept);
		kept = r;
	}
	if (!failed && is_good(kept)) {
		renew(p, p->patience_ms);
		return kept;
	}
	if (!failed)
		refused(p, kept, e);
	PQclear(kept);
	return NULL;
}

static int
dropped(PGresult *r)
{
	PQclear(r);
	return r == NULL ? -1 : 0;
}

int
postgres_run_text(struct postgres *p, const char *text, struct error *e)
{
	return dropped(receive(p, PQsendQuery(p->conn, text), e));
}

struct pg_result *
postgres_query(struct postgres *p, const char *text,
	       const struct postgres_params *v, struct error *e)
{
	int sent = PQsendQueryParams(p->conn, text, v->count, NULL, v->values,
				     NULL, NULL, 0);

	return receive(p, sent, e);
}

int
postgres_run(struct postgres *p, const char *text,
	     const struct postgres_params *v, struct error *e)
{
	return dropped(postgres_query(p, text, v, e));
}

void
postgres_end(struct pg_result *r)
{
	PQclear(r);
}

int
postgres_rows(const struct pg_result *r)
{
	return PQntuples(r);
}

int64_t
postgres_changed(struct pg_result *r)
{
	return strtoll(PQcmdTuples(r), NULL, 10);
}

void
postgres_add_text(struct postgres_params *v, const char *text)
{
	v->values[v->count++] = text;
}

void
postgres_add_int(struct postgres_params *v, int64_t n)
{
	char *number = v->numbers[v->count];

	snprintf(number, sizeof(v->numbers[0]), "%lld", (long long)n);
	postgres_add_text(v, number);
}

void
postgres_put_text(struct buf *array, const char *text)
{
	size_t n;

	buf_putc(array, array->len == 0 ? '{' : ',');
	if (text == NULL) {
		buf_puts(array, "NULL");
		return;
	}
	buf_putc(array, '"');
	while (*text != '\0') {
		n = strcspn(text, "\"\\");
		buf_put(array, text, n);
		text += n;
		if (*text == '\0')
			break;
		buf_putc(array, '\\');
		buf_putc(array, *text++);
	}
	buf_putc(array, '"');
}

void
postgres_put_int(struct buf *array, bool known, int64_t n)
{
	buf_putc(array, array->len == 0 ? '{' : ',');
	if (known)
		buf_printf(array, "%lld", (long long)n);
	else
		buf_puts(array, "NULL");
}

const char *
postgres_cell(struct postgres_reader *r)
{
	int column = r->column++;

	if (PQgetisnull(r->result, r->row, column))
		return NULL;
	return PQgetvalue(r->result, r->row, column);
}

const char *
postgres_text(struct postgres_reader *r, const char *absent)
{
	const char *text = postgres_cell(r);
	char *copy;

	if (text == NULL || r->arena == NULL)
		return absent;
	copy = arena_strdup(r->arena, text);
	if (copy == NULL)
		r->failed = true;
	return copy;
}

int64_t
postgres_int(struct postgres_reader *r, int64_t absent)
{
	const char *text = postgres_cell(r);

	return text == NULL ? absent : strtoll(text, NULL, 10);
}

/* Notices ("already exists, skipping") are nobody's business. */
static void
ignore_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* "a,b,c" from its element number `first` on: "b,c,a". */
static char *
rotated(const char *list, unsigned first)
{
	const char *rest = list;
	struct buf out;

	for (; first > 0 && rest != NULL; first--) {
		rest = strchr(rest, ',');
		rest += rest != NULL;
	}
	buf_init(&out, SIZE_MAX / 2);
	if (rest == NULL || rest == list)
		buf_puts(&out, list);
	else
		buf_printf(&out, "%s,%.*s", rest, (int)(rest - list - 1), list);
	if (!buf_failed(&out))
		return out.data;
	buf_free(&out);
	return NULL;
}

static PGconn *
begin_connect(const struct postgres *p)
{
	/* What stands behind "dbname" overrides what is in it. */
	const char *keys[3 + LISTED + 1] = { "dbname", "client_encoding",
					     "fallback_application_name" };
	const char *values[3 + LISTED + 1] = { p->cnxn, "UTF8", "zipstream" };
	char *lists[LISTED] = { NULL };
	PGconn *conn = NULL;
	size_t i, n = 3;

	for (i = 0; i < LISTED; i++) {
		if (p->lists[i] == NULL)
			continue;
		lists[i] = rotated(p->lists[i], p->first);
		if (lists[i] == NULL)
			goto out;
		keys[n] = listed[i];
		values[n++] = lists[i];
	}
	conn = PQconnectStartParams(keys, values, 1);
out:
	for (i = 0; i < LISTED; i++)
		free(lists[i]);
	return conn;
}

/* PQconnectPoll's rule: wait as it last said, beginning with "writing". */
static int
try_connect(struct postgres *p, struct error *e)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	p->conn = begin_connect(p);
	if (p->conn == NULL)
		return error_memory(e);
	if (PQstatus(p->conn) == CONNECTION_BAD)
		return lost(p, e);
	PQsetNoticeProcessor(p->conn, ignore_notice, NULL);
	while (state != PGRES_POLLING_OK) {
		if (!wait_for(p, state == PGRES_POLLING_READING ? POLLIN
								: POLLOUT))
			return timed_out(p, e);
		state = PQconnectPoll(p->conn);
		if (state == PGRES_POLLING_FAILED)
			return lost(p, e);
	}
	PQsetnonblocking(p->conn, 1);
	return 0;
}

/*
 * libpq's own time-out, after which it goes on to the next host, does not
 * work with PQconnectPoll: a machine that is silent would be waited for to the
 * end.  So each host may use up a part of the time, and then another one goes
 * first, also when this process connects again.
 */
static int
connect_server(struct postgres *p, struct error *e)
{
	int64_t end = p->deadline, now;
	unsigned left = p->hosts;
	int failed;

	do {
		now = stats_now_ms();
		p->deadline = now + (end - now) / left;
		failed = try_connect(p, e);
		if (failed && left > 1 && stats_now_ms() >= p->deadline)
			p->first = (p->first + 1) % p->hosts;
		else
			left = 1;
	} while (--left > 0);
	p->deadline = end;
	return failed;
}

/* Between transactions a server says nothing but good-bye. */
static bool
is_stale(const struct postgres *p)
{
	struct pollfd fd = { .fd = PQsocket(p->conn), .events = POLLIN };

	return PQstatus(p->conn) != CONNECTION_OK || poll(&fd, 1, 0) != 0;
}

static int
start(struct postgres *p, struct error *e)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "BEGIN ISOLATION LEVEL READ COMMITTED; "
		 "SET LOCAL statement_timeout = %lld",
		 (long long)p->patience_ms);
	return postgres_run_text(p, text, e);
}

/* Begins a transaction on the kept connection, or on a new one: as long as
 * nothing but BEGIN was sent, a second attempt is safe. */
int
postgres_begin(struct postgres *p, struct error *e)
{
	bool fresh;

	renew(p, p->timeout_ms);
	if (p->conn != NULL && is_stale(p))
		postgres_hang_up(p);
	fresh = p->conn == NULL;
	if (fresh && connect_server(p, e) == -1)
		return -1;
	if (start(p, e) == 0)
		return 0;
	if (fresh || p->conn != NULL || connect_server(p, e) == -1)
		return -1;
	return start(p, e);
}

/* Commits what went well, undoes what did not. */
int
postgres_finish(struct postgres *p, int failed, struct error *e)
{
	if (failed == 0)
		return postgres_run_text(p, "COMMIT", e);
	if (p->conn != NULL)
		postgres_run_text(p, "ROLLBACK", NULL);
	return failed;
}

/*
 * libpq quotes what it cannot parse, and an '@' in a password makes the rest
 * of it the host's name: neither may reach a log.
 */
static int
check_cnxn(const PQconninfoOption *options, struct error *e)
{
	const PQconninfoOption *o;
	bool good = options != NULL;

	for (o = options; good && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "host") == 0 && o->val != NULL &&
		    *o->val != '/' && *o->val != '@')
			good = strchr(o->val, '@') == NULL;
	if (good)
		return 0;
	return error_set(e, ERROR_INTERNAL,
			 "DB_CNXN is no PostgreSQL URI or connection string");
}

/* Keeps the lists of hosts, if there are several. */
static int
take_hosts(struct postgres *p, const PQconninfoOption *o)
{
	unsigned n;

	p->hosts = 1;
	for (; o->keyword != NULL; o++)
		for (size_t i = 0; i < LISTED && o->val != NULL; i++) {
			if (strcmp(o->keyword, listed[i]) != 0 ||
			    strchr(o->val, ',') == NULL)
				continue;
			p->lists[i] = strdup(o->val);
			if (p->lists[i] == NULL)
				return -1;
			n = 1;
			for (const char *c = o->val; *c != '\0'; c++)
				n += *c == ',';
			p->hosts = n > p->hosts ? n : p->hosts;
		}
	return 0;
}

struct postgres *
postgres_new(const char *cnxn, int64_t timeout_ms, struct error *e)
{
	PQconninfoOption *options = PQconninfoParse(cnxn, NULL);
	struct postgres *p = NULL;

	if (check_cnxn(options, e) == -1)
		goto out;
	p = calloc(1, sizeof(*p));
	if (p == NULL || take_hosts(p, options) == -1) {
		postgres_free(p);
		p = NULL;
		error_memory(e);
		goto out;
	}
	p->cnxn = cnxn;
	p->timeout_ms = timeout_ms;
	p->patience_ms = timeout_ms;
out:
	PQconninfoFree(options);
	return p;
}

void
postgres_free(struct postgres *p)
{
	if (p == NULL)
		return;
	postgres_hang_up(p);
	for (size_t i = 0; i < LISTED; i++)
		free(p->lists[i]);
	free(p);
}

void
postgres_patience(struct postgres *p, int64_t ms)
{
	p->patience_ms = ms;
}
