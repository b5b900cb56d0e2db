/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Kinds of source, one table by URL scheme.
 *
 * A kind either turns a `src` into an HTTP request, signed at the moment it
 * is sent (prepare), or opens a local descriptor (open).  Adding a source is
 * one file with a struct source_ops and one row in source.c.
 */
#ifndef ZIPSTREAM_SOURCE_H
#define ZIPSTREAM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "config.h"
#include "error.h"
#include "transfer.h"
#include "url.h"

/* What a source said about itself. */
struct source_facts {
	int64_t size;  /* of the whole object; -1 unknown */
	int64_t mtime; /* unix seconds; BUNDLE_NO_TIME */
	uint32_t crc;  /* full-object CRC-32, when has_crc */
	bool has_crc;
	bool ranges;		  /* it serves them */
	const char *validator;	  /* strong ETag, else Last-Modified; "" */
	const char *content_type; /* "" unknown */
};

/* A part of a source, and under which condition. */
struct source_want {
	int64_t first;	       /* 0: from the start */
	int64_t last;	       /* inclusive; -1: to the end */
	bool ranged;	       /* send Range even for the whole */
	const char *validator; /* it must still be this; "" any */
	bool recalled;	       /* its size was learned, not declared */
	bool facts_only;       /* no bytes are wanted: a kind may send HEAD */
};

/* Something in a folder. */
struct source_child {
	const char *src;  /* NULL: an empty folder */
	const char *name; /* below the folder; a folder's ends in '/' */
	int64_t size;	  /* -1 unknown */
	int64_t mtime;	  /* BUNDLE_NO_TIME unknown */
};

/* A folder to be listed, and who wants to know. */
struct source_folder {
	const struct config *config;
	struct transfer_engine *engine;
	struct arena *arena;
	const char *src;  /* ends in '/' */
	bool deep;	  /* folders in it, too */
	int64_t until_ms; /* the end of all waiting, of stats_now_ms; 0: none */
	/* Called in order of name; its strings are arena memory.  -1 stops */
	int (*found)(void *ctx, const struct source_child *child,
		     struct error *e);
	void *ctx;
};

/* What to do about an answer that is no 200 or 206. */
enum source_verdict {
	SOURCE_FAIL,  /* for good; `e` says why */
	SOURCE_RETRY, /* later, the same way */
	SOURCE_AGAIN  /* at once: state has changed (region learned) */
};

struct source_ops {
	const char *scheme; /* "https" */
	unsigned interface; /* FS_* bit it belongs to */
	/* Is `src` well formed and allowed?  At creation and again at each
	 * download, for settings change.  ERROR_INPUT. */
	int (*check)(const struct config *c, struct arena *a, const char *src,
		     struct error *e);
	/* The default dst: path of src, decoded; not yet dst_clean'ed. */
	const char *(*name)(struct arena *a, const char *src, size_t *len);
	/* Network kinds: fills method, url and headers of `call`. */
	int (*prepare)(const struct config *c, struct transfer_engine *t,
		       struct arena *a, const char *src,
		       const struct source_want *want,
		       struct transfer_call *call, struct error *e);
	/* Network kinds, may be NULL: judges an error answer.  `body` is the
	 * first KiB of it. */
	enum source_verdict (*judge)(const struct config *c, const char *src,
				     const struct transfer_head *head,
				     const char *body, size_t n,
				     struct error *e);
	/* Network kinds, may be NULL: adds facts only this kind knows. */
	void (*learn)(const struct transfer_head *head,
		      struct source_facts *facts);
	bool follows; /* redirects are followed (checked each time) */
	/* Kinds with folders, else NULL: tells found() of all that is there.
	 * ERROR_SOURCE when there is no such folder. */
	int (*expand)(const struct source_folder *folder, struct error *e);
	/* Local kinds: an open descriptor at `first`, facts filled. */
	int (*open)(const struct config *c, struct arena *a, const char *src,
		    struct source_facts *facts, struct error *e);
};

/* Is FILE_ROOT a folder, if files are allowed?  ERROR_INPUT. */
int source_file_prepare(const struct config *c, struct error *e);

/* The row of a src; NULL with ERROR_INPUT "Protocol 'x' not supported."
 * when unknown or switched off by FS_INTERFACES. */
const struct source_ops *
source_find(const struct config *c, const char *src, struct error *e);

/* Would `src` be a folder, with a dst that ends in '/'? */
bool source_has_folder(const struct config *c, const char *src);

/* source_find and check in one. */
int source_check(const struct config *c, struct arena *a, const char *src,
		 struct error *e);

/* For messages and logs: without query, credentials or signature. */
const char *source_label(struct arena *a, const char *src);

extern const struct source_ops source_http;
extern const struct source_ops source_https;
extern const struct source_ops source_file;
extern const struct source_ops source_s3;

#endif
