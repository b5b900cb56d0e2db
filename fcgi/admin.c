/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Looking after the store from outside of a request.
 *
 * All of it runs as RUN_USER: a database file that root creates could not be
 * written by the workers.
 */
#include "admin.h"

#include "confine.h"
#include "service.h"
#include "store.h"

#define LOG_MODULE "admin"
#include "log.h"

static struct service *
open_service(const struct config *c, struct error *e)
{
	if (confine_user(c, e) == -1)
		return NULL;
	return service_new(c, e);
}

static int
fail(const char *what, const struct error *e)
{
	log_error("%s failed: %s%s%s", what, e->text, e->cause[0] ? ": " : "",
		  e->cause);
	return 1;
}

int
admin_init(const struct config *c)
{
	struct error e = { 0 };
	struct service *s = open_service(c, &e);
	int rc = -1;

	if (s != NULL)
		rc = store_init(s->store, &e);
	service_free(s);
	if (rc == -1)
		return fail("init", &e);
	log_info("the tables are ready");
	return 0;
}

int
admin_purge(const struct config *c)
{
	struct error e = { 0 };
	struct service *s = open_service(c, &e);
	int64_t deleted = 0;
	int rc = -1;

	if (s != NULL)
		rc = store_purge(s->store, &deleted, &e);
	service_free(s);
	if (rc == -1)
		return fail("purge", &e);
	log_info("expired bundles deleted: %lld", (long long)deleted);
	return 0;
}

int
admin_import(const struct config *c, const char *table)
{
	struct error e = { 0 };
	struct service *s = open_service(c, &e);
	int64_t count = 0;
	int rc = -1;

	if (s != NULL)
		rc = store_import(s->store, table, &count, &e);
	service_free(s);
	if (rc == -1)
		return fail("import", &e);
	log_info("bundles imported: %lld", (long long)count);
	return 0;
}
