/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where bundles live.  One table of operations, one row for each back end;
 * adding a store is one file and one row in store.c.
 *
 * Call order: store_new (in a worker, after the fork; opens nothing),
 * operations, store_free.  Connections are opened lazily, checked, reopened
 * once.  store_release gives back whatever must not be held while bytes
 * stream; every operation may follow it.  An expired bundle is as absent as
 * an unknown one to every operation but purge.
 *
 * Errors: ERROR_NOT_FOUND (unknown id, wrong secret, expired: all the same),
 * ERROR_TOO_LARGE, ERROR_UNAVAILABLE (away, busy beyond DB_TIMEOUT, disk
 * full), ERROR_INTERNAL.
 */
#ifndef ZIPSTREAM_STORE_H
#define ZIPSTREAM_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bundle.h"
#include "config.h"
#include "error.h"

struct store;
struct transfer_engine;

/* What a download learned of the file at `position`, for remember. */
struct store_fact {
	size_t position; /* in bundle order, from 0 */
	const char *src; /* unchanged since it was read, or it is dropped */
	struct facts facts;
	/* The checkpoints that were read and are part of those in facts: what
	 * others have added since is kept.  NULL: none. */
	const char *known;
};

/* The last downloads of a bundle, as store_note was told of them. */
#define STORE_NOTES 10
struct store_notes {
	size_t files; /* that the bundle has now */
	size_t count;
	const char *records[STORE_NOTES]; /* the newest first */
};

/* One back end.  `self` is what open returned. */
struct store_ops {
	const char *name;
	void *(*open)(const struct config *c, struct transfer_engine *t,
		      struct error *e);
	void (*close)(void *self);
	void (*release)(void *self);
	/* Creates or upgrades the tables; safe to run again. */
	int (*init)(void *self, struct error *e);
	/* Copies the Node service's table; NULL: not this store's. */
	int (*import)(void *self, const char *table, int64_t *count,
		      struct error *e);
	int (*create)(void *self, const struct bundle *b, struct error *e);
	/* secret NULL: by id alone (a download).  Files come in order. */
	int (*read)(void *self, const char *id, const char *secret,
		    struct arena *a, struct bundle *out, struct error *e);
	/* Atomic; checks max_files against the whole. */
	int (*append)(void *self, const char *id, const char *secret,
		      const struct file *files, size_t n, struct error *e);
	int (*remove)(void *self, const char *id, const char *secret,
		      struct error *e);
	/* One statement for the batch; absent bundles are no error.  Who has
	 * read less of the same version of a file takes nothing away. */
	int (*remember)(void *self, const char *id,
			const struct store_fact *facts, size_t n,
			struct error *e);
	/* Keeps the record, and the last STORE_NOTES of them. */
	int (*note)(void *self, const char *id, const char *record,
		    struct error *e);
	int (*notes)(void *self, const char *id, const char *secret,
		     struct arena *a, struct store_notes *out, struct error *e);
	/* Deletes at most `limit` expired bundles; *deleted says how many. */
	int (*purge)(void *self, int64_t now, int limit, int64_t *deleted,
		     struct error *e);
};

struct store *
store_new(const struct config *c, struct transfer_engine *t, struct error *e);
void store_free(struct store *s);
void store_release(struct store *s);

int store_init(struct store *s, struct error *e);
int store_import(struct store *s, const char *table, int64_t *count,
		 struct error *e);
/* Sets id, secret, created and expires. */
int store_create(struct store *s, struct bundle *b, struct error *e);
int store_read(struct store *s, const char *id, const char *secret,
	       struct arena *a, struct bundle *out, struct error *e);
/* The caller makes `files` unique against what it read; a name that another
 * append took in between stays in the list twice, and the zip tells the two
 * apart (plan_new). */
int store_append(struct store *s, const char *id, const char *secret,
		 const struct file *files, size_t n, struct error *e);
int store_remove(struct store *s, const char *id, const char *secret,
		 struct error *e);
int store_remember(struct store *s, const char *id,
		   const struct store_fact *facts, size_t n, struct error *e);
/* A download has ended; `record` is a text that the store does not read.
 * ERROR_NOT_FOUND when the bundle has gone meanwhile. */
int store_note(struct store *s, const char *id, const char *record,
	       struct error *e);
int store_notes(struct store *s, const char *id, const char *secret,
		struct arena *a, struct store_notes *out, struct error *e);
/* All that has expired, in batches. */
int store_purge(struct store *s, int64_t *deleted, struct error *e);

#endif
