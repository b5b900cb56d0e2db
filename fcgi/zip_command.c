/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `zipstream zip`: a manifest, a plan, a file.
 *
 * Ctrl-C hangs a pipe up that the sources' loop watches like a client: the
 * run ends in good order and can be gone on with (-C).
 */
#include "zip_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deliver.h"
#include "expand.h"
#include "hangup.h"
#include "partial.h"
#include "progress.h"
#include "stats.h"
#include "survey.h"
#include "transfer.h"

#define LOG_MODULE "zip"
#include "log.h"

#define NOTE_MS 2000 /* between notes for a later run */
/* Sources that changed since they were noted; then it is a failure. */
#define FRESH_STARTS 2

enum { EXIT_WELL, EXIT_FAILED, EXIT_USAGE };

struct zip {
	const struct config *config;
	const struct zip_options *options;
	struct arena *arena;
	struct transfer_engine *engine;
	struct buf manifest;
	struct bundle bundle;
	struct partial partial;
	struct progress progress;
	struct delivery_failure *missing;
	struct plan *plan;
	struct delivery delivery;
	int64_t noted_ms;
	int disk_error; /* errno; 0: none */
	int alive;	/* hangs up when a signal says so */
};

static void
say(const char *what, const char *detail)
{
	fprintf(stderr, "zipstream: %s%s\n", what, detail);
}

/* The manifest */

static int
read_stream(struct buf *out, FILE *f, int64_t max, struct error *e)
{
	char piece[16384];
	size_t n;

	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 &&
	       !buf_failed(out) && (int64_t)out->len <= max)
		buf_put(out, piece, n);
	if (ferror(f))
		return error_set(e, ERROR_INPUT, "Cannot read the manifest: %s",
				 strerror(errno));
	if (buf_failed(out) || (int64_t)out->len > max)
		return error_set(e, ERROR_TOO_LARGE,
				 "The manifest is larger than MAX_BODY");
	return 0;
}

static int
read_manifest(struct zip *z, struct error *e)
{
	const char *path = z->options->manifest;
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdin : fopen(path, "re");
	int rc;

	if (f == NULL)
		return error_set(e, ERROR_INPUT, "Cannot read %.200s: %s", path,
				 strerror(errno));
	rc = read_stream(&z->manifest, f, z->config->max_body, e);
	if (!standard)
		fclose(f);
	if (rc == -1)
		return -1;
	return bundle_parse(z->config, z->arena, buf_str(&z->manifest),
			    z->manifest.len, BUNDLE_NEEDS_FILES, NULL,
			    &z->bundle, e);
}

/* The way of the bytes */

static int
write_zip(void *ctx, const void *p, size_t n)
{
	struct zip *z = ctx;

	if (partial_write(&z->partial, p, n) == -1) {
		z->disk_error = errno;
		return -1;
	}
	z->progress.bytes += (int64_t)n;
	progress_step(&z->progress);
	return 0;
}

static int
show_waiting(void *ctx)
{
	struct zip *z = ctx;

	progress_step(&z->progress);
	return 0;
}

static void
note_file(void *ctx, const struct plan_entry *p)
{
	struct zip *z = ctx;

	(void)p;
	z->progress.files_done = z->delivery.files_done;
	progress_step(&z->progress);
	if (stats_now_ms() - z->noted_ms < NOTE_MS)
		return;
	z->noted_ms = stats_now_ms();
	partial_note(&z->partial, z->plan);
}

/* What folders hold is known to this run alone: a later one begins anew. */
static int
expand(struct zip *z, struct error *e)
{
	if (!expand_needed(&z->bundle))
		return 0;
	if (expand_bundle(z->config, z->engine, z->arena, &z->bundle,
			  &z->missing, e) == 0)
		return partial_keep(&z->partial, 0, e);
	z->delivery.failures = z->missing;
	return -1;
}

static int
begin_delivery(struct zip *z, struct error *e)
{
	const struct fetch_client client = { .ctx = z,
					     .idle = show_waiting,
					     .watch_fd = z->alive };

	z->plan = plan_new(z->arena, z->config, &z->bundle, e);
	if (z->plan == NULL)
		return -1;
	delivery_init(&z->delivery, z->arena, z->config, z->engine, z->plan,
		      &client, write_zip, z);
	z->delivery.progress = note_file;
	z->delivery.missing = z->missing;
	z->progress.files_total = (int64_t)delivery_files(&z->delivery);
	return 0;
}

/* What was learned binds no more. */
static void
forget_facts(struct zip *z)
{
	for (size_t i = 0; i < z->bundle.count; i++)
		facts_clear(&z->bundle.files[i].facts);
}

/* On from what an earlier run has left, or from the first byte. */
static int
deliver(struct zip *z, struct error *e)
{
	bool fresh = z->partial.have == 0;
	int64_t kept;

	z->progress.bytes = z->progress.kept = 0;
	if (survey_run(&z->delivery, true, fresh, e) != 0)
		return -1;
	z->progress.total = z->plan->total;
	partial_note(&z->partial, z->plan);
	if (fresh)
		return deliver_whole(&z->delivery, e);
	kept = deliver_kept(&z->delivery, z->partial.have);
	if (partial_keep(&z->partial, kept, e) == -1)
		return -1;
	z->progress.bytes = z->progress.kept = kept;
	return deliver_rest(&z->delivery, kept, e);
}

/* A source that is no longer what an earlier run saw: all begins anew. */
static int
deliver_anew(struct zip *z, struct error *e)
{
	int rc = -1;

	for (int i = 0; i <= FRESH_STARTS; i++) {
		if (begin_delivery(z, e) != 0)
			return -1;
		/* What was left out of a report is not known any more. */
		if (z->delivery.report && partial_keep(&z->partial, 0, e) != 0)
			return -1;
		rc = deliver(z, e);
		if (rc == 0 || e->code != ERROR_CHANGED ||
		    strcmp(z->partial.path, "-") == 0)
			break;
		delivery_fini(&z->delivery);
		forget_facts(z);
		if (partial_keep(&z->partial, 0, e) != 0)
			return -1;
	}
	return rc;
}

/* What there is to say in the end */

static void
list_failures(struct zip *z)
{
	struct delivery_failure *f = z->delivery.failures;

	for (; f != NULL; f = f->next) {
		const char *label = source_label(z->arena, f->file->src);

		fprintf(stderr, "zipstream: %s: %s\n",
			label != NULL ? label : "", f->reason);
	}
}

static void
say_failure(struct zip *z, const struct error *e)
{
	bool stopped = e->code == ERROR_GONE;

	if (stopped && z->disk_error != 0)
		say("Cannot write the zip: ", strerror(z->disk_error));
	else if (stopped)
		say("stopped", "");
	else if (z->delivery.failures == NULL || !error_of_source(e))
		say(e->text, "");
	if (z->partial.part[0] != '\0' && z->delivery.at > 0)
		say("what is there can be gone on with: zip -C; it is in ",
		    z->partial.part);
}

static int
finish(struct zip *z, int rc, struct error *e)
{
	if (rc == 0)
		rc = partial_commit(&z->partial, e);
	else if (z->plan != NULL && !z->delivery.report)
		partial_note(&z->partial, z->plan);
	progress_end(&z->progress);
	list_failures(z);
	if (rc != 0)
		say_failure(z, e);
	delivery_fini(&z->delivery);
	return rc;
}

static int
check_usage(const struct zip_options *o)
{
	bool standard = o->output != NULL && strcmp(o->output, "-") == 0;
	struct error e;

	if (o->output != NULL && partial_check(o->output, &e) == -1) {
		say(e.text, "");
		return EXIT_USAGE;
	}

	if (standard && o->resume) {
		say("-C needs a file to go on with", "");
		return EXIT_USAGE;
	}
	if (standard && isatty(STDOUT_FILENO)) {
		say("a zip is not for a terminal: use -o FILE", "");
		return EXIT_USAGE;
	}
	if (strcmp(o->manifest, "-") == 0 && isatty(STDIN_FILENO)) {
		say("zip needs a manifest: MANIFEST.json, or on standard input",
		    "");
		return EXIT_USAGE;
	}
	return EXIT_WELL;
}

/* A second one kills. */
static int
watch_signals(struct zip *z, struct error *e)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	z->alive = hangup_on(ends, sizeof(ends) / sizeof(ends[0]),
			     (int)SA_RESETHAND, e);
	return z->alive == -1 ? -1 : 0;
}

static int
run(struct zip *z, struct error *e)
{
	const char *path = z->options->output;

	if (watch_signals(z, e) == -1 || read_manifest(z, e) == -1)
		goto fail;
	if (path == NULL)
		path = bundle_filename(&z->bundle);
	if (partial_check(path, e) == -1 ||
	    partial_open(&z->partial, path, buf_str(&z->manifest),
			 z->manifest.len, z->options->resume, z->arena,
			 &z->bundle, e) == -1)
		goto fail;
	buf_free(&z->manifest);
	if (expand(z, e) == -1)
		goto fail;
	progress_begin(&z->progress, path, z->options->quiet);
	return finish(z, deliver_anew(z, e), e);
fail:
	list_failures(z);
	say_failure(z, e);
	return -1;
}

int
zip_command(const struct config *c, const struct zip_options *o)
{
	struct zip z = { .config = c, .options = o };
	struct error e = { 0 };
	int rc = check_usage(o);

	if (rc != EXIT_WELL)
		return rc;
	rc = EXIT_FAILED;
	/* The terminal is the progress line's. */
	if (c->log_level < LOG_DEBUG)
		log_init(LOG_ERROR, (enum log_format)c->log_format);
	buf_init(&z.manifest, (size_t)c->max_body + 16384);
	z.arena = arena_new(0);
	z.engine = transfer_engine_new(c, &e);
	if (z.arena == NULL || z.engine == NULL)
		say("cannot start: ", e.text);
	else if (run(&z, &e) == 0)
		rc = EXIT_WELL;
	partial_close(&z.partial);
	buf_free(&z.manifest);
	if (z.engine != NULL)
		transfer_engine_free(z.engine);
	arena_free(z.arena);
	return rc;
}
