/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The store: picks the back end and keeps the rules that all of them share. */
#include "store.h"

#include <stdlib.h>
#include <time.h>

#include "http.h"
#include "store_backend.h"

#define PURGE_BATCH 500 /* bundles in one transaction, at most */
#define SECONDS_A_MINUTE 60

struct store {
	const struct config *config;
	const struct store_ops *ops;
	void *self;
};

/* One row for each back end, by DB_INTERFACE. */
static const struct store_ops *const backends[] = {
	[DB_SQLITE] = &store_sqlite,
	[DB_POSTGRES] = &store_postgres,
	[DB_DYNAMODB] = &store_dynamodb,
};

static const struct store_ops *
find_backend(int db)
{
	if (db < 0 || (size_t)db >= sizeof(backends) / sizeof(backends[0]))
		return NULL;
	return backends[db];
}

int
store_absent(struct error *e)
{
	return error_set(e, ERROR_NOT_FOUND, "Bundle not found");
}

int
store_away(struct error *e, const char *cause)
{
	error_set(e, ERROR_UNAVAILABLE, "The store is not available");
	return error_cause(e, "%s", cause);
}

int
store_room(const struct config *c, size_t have, size_t more, struct error *e)
{
	size_t total;

	if (!__builtin_add_overflow(have, more, &total) &&
	    total <= (uint64_t)c->max_files)
		return 0;
	return error_set(e, ERROR_TOO_LARGE,
			 "A bundle may have at most %lld files",
			 (long long)c->max_files);
}

int
store_unlock(const char *given, const char *secret, struct error *e)
{
	if (given == NULL || http_equal_secret(given, secret))
		return 0;
	return store_absent(e);
}

struct store *
store_new(const struct config *c, struct transfer_engine *t, struct error *e)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	s->config = c;
	s->ops = find_backend(c->db_interface);
	if (s->ops == NULL)
		error_set(e, ERROR_INTERNAL, "There is no such store");
	else
		s->self = s->ops->open(c, t, e);
	if (s->self == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	s->ops->close(s->self);
	free(s);
}

void
store_release(struct store *s)
{
	s->ops->release(s->self);
}

int
store_init(struct store *s, struct error *e)
{
	return s->ops->init(s->self, e);
}

int
store_import(struct store *s, const char *table, int64_t *count,
	     struct error *e)
{
	*count = 0;
	if (s->ops->import == NULL)
		return error_set(e, ERROR_INPUT,
				 "There is nothing to import into %s",
				 s->ops->name);
	return s->ops->import(s->self, table, count, e);
}

int
store_create(struct store *s, struct bundle *b, struct error *e)
{
	const struct config *c = s->config;

	if (store_room(c, 0, b->count, e) == -1)
		return -1;
	if (bundle_uuid(b->id) == -1 || bundle_uuid(b->secret) == -1)
		return error_set(e, ERROR_INTERNAL,
				 "The kernel gives no random bytes");
	b->created = time(NULL);
	b->expires = b->created + c->data_lifetime_min * SECONDS_A_MINUTE;
	return s->ops->create(s->self, b, e);
}

/* What is no UUID is nobody's id, and never reaches a database. */
static int
check_id(const char *id, const char *secret, struct error *e)
{
	if (bundle_is_uuid(id) && (secret == NULL || bundle_is_uuid(secret)))
		return 0;
	return store_absent(e);
}

int
store_read(struct store *s, const char *id, const char *secret, struct arena *a,
	   struct bundle *out, struct error *e)
{
	if (check_id(id, secret, e) == -1)
		return -1;
	return s->ops->read(s->self, id, secret, a, out, e);
}

int
store_append(struct store *s, const char *id, const char *secret,
	     const struct file *files, size_t n, struct error *e)
{
	if (check_id(id, secret, e) == -1)
		return -1;
	return s->ops->append(s->self, id, secret, files, n, e);
}

int
store_remove(struct store *s, const char *id, const char *secret,
	     struct error *e)
{
	if (check_id(id, secret, e) == -1)
		return -1;
	return s->ops->remove(s->self, id, secret, e);
}

int
store_remember(struct store *s, const char *id, const struct store_fact *facts,
	       size_t n, struct error *e)
{
	if (n == 0)
		return 0;
	return s->ops->remember(s->self, id, facts, n, e);
}

int
store_note(struct store *s, const char *id, const char *record, struct error *e)
{
	return s->ops->note(s->self, id, record, e);
}

int
store_notes(struct store *s, const char *id, const char *secret,
	    struct arena *a, struct store_notes *out, struct error *e)
{
	*out = (struct store_notes){ 0 };
	if (check_id(id, secret, e) == -1)
		return -1;
	return s->ops->notes(s->self, id, secret, a, out, e);
}

int
store_purge(struct store *s, int64_t *deleted, struct error *e)
{
	int64_t now = time(NULL), batch;

	*deleted = 0;
	do {
		batch = 0;
		if (s->ops->purge(s->self, now, PURGE_BATCH, &batch, e) == -1)
			return -1;
		*deleted += batch;
	} while (batch > 0);
	return 0;
}
