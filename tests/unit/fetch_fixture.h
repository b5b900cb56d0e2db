/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A fetch of sources that a scripted origin serves, impatient as tests are. */
#ifndef ZIPSTREAM_FETCH_FIXTURE_H
#define ZIPSTREAM_FETCH_FIXTURE_H

#include "fetch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "origin.h"

#define NAP_US 800000

static struct config config = {
	.fs_interfaces = FS_HTTPS,
	.file_root = "",
	.source_allow = "",
	.allow_private_networks = "127.0.0.0/8,::1",
	.source_proxy = "",
	.ca_file = "",
	.connect_timeout_ms = 2000,
	.first_byte_timeout_ms = 1000,
	.stall_timeout_ms = 600,
	.source_retries = 1,
	.source_resumes = 2,
	.max_redirects = 3,
	.read_ahead_files = 4,
	.read_ahead_bytes = 65536,
	.max_source_header = 65536,
};

static struct origin origin;
static struct transfer_engine *engine;

/* What a sink has seen, held against the pattern. */
struct seen {
	int64_t at;
	bool wrong;
	int64_t stop_at; /* 0: never */
	int naps;	 /* calls that take longer than a stall may */
};

static int
see(void *ctx, const void *p, size_t n)
{
	struct seen *s = ctx;
	const unsigned char *b = p;

	for (size_t k = 0; k < n; k++)
		s->wrong |= b[k] != origin_byte(s->at + (int64_t)k);
	s->at += (int64_t)n;
	if (s->naps-- > 0)
		usleep(NAP_US);
	return s->stop_at != 0 && s->at >= s->stop_at ? -1 : 0;
}

static const char *
source(const char *path)
{
	static char urls[128][64];
	static int turn;
	char *url = urls[turn++ % 128];

	snprintf(url, sizeof(urls[0]), "http://localhost:%d%s", origin.port,
		 path);
	return url;
}

static struct script *
script(const char *path)
{
	for (size_t k = 0; k < origin.count; k++) {
		if (strcmp(origin.scripts[k].path, path) == 0)
			return &origin.scripts[k];
	}
	fail_msg("no script %s", path);
	return NULL;
}

static const struct source_want all = { .last = -1, .validator = "" };

static struct fetch *
begin(int watch_fd)
{
	struct fetch_client client = { .watch_fd = watch_fd };
	struct error e;
	struct fetch *f = fetch_new(&config, engine, &client, &e);

	for (size_t k = 0; k < origin.count; k++)
		origin.scripts[k].requests = 0;
	assert_non_null(f);
	return f;
}

static int
with_origin(struct script *scripts, size_t count)
{
	struct error e;

	origin_start(&origin, scripts, count);
	if (transfer_prepare(&config, &e) != 0)
		return -1;
	engine = transfer_engine_new(&config, &e);
	return engine != NULL ? 0 : -1;
}

static int
without_origin(void **state)
{
	(void)state;
	transfer_engine_free(engine);
	origin_stop(&origin);
	return 0;
}

#endif
