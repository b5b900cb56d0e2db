/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the config_*.c files share: the table, values as text, the file.
 *
 * A row of the table is one setting.  Everything else is derived from it:
 * parsing, bounds, `zipstream config`, the sample file, and the check that
 * the manual page is complete.
 */
#ifndef ZIPSTREAM_CONFIG_TABLE_H
#define ZIPSTREAM_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "error.h"

#define CONFIG_AUTO (-1) /* a word or number still to be worked out */

enum setting_type {
	SETTING_TEXT,	  /* const char *; bounds are its length */
	SETTING_PATH,	  /* const char *, made absolute */
	SETTING_URL,	  /* const char *, http or https */
	SETTING_NETWORKS, /* const char *, CIDRs */
	SETTING_SOURCES,  /* const char *, prefixes of sources */
	SETTING_WORD,	  /* int, one of `words` */
	SETTING_SET,	  /* unsigned, any of `words` */
	SETTING_COUNT,	  /* int64_t */
	SETTING_SIZE,	  /* int64_t, bytes */
	SETTING_DURATION  /* int64_t, in units of `unit_ms` */
};

/* Flags. */
#define SETTING_SECRET 1u /* never printed */
#define SETTING_NONE 2u	  /* the word "none" is "" or 0 */
#define SETTING_AUTO 4u	  /* the word "auto" is CONFIG_AUTO */
#define SETTING_FIXED 8u  /* SIGHUP does not change it */

struct setting_word {
	const char *name; /* NULL ends the list */
	int value;
};

/* Falling factors; the last is 1, and a NULL name ends the list. */
struct setting_unit {
	const char *name;
	int64_t factor;
};

struct setting {
	const char *section; /* title, in the first row of each section */
	const char *name;
	const char *alias; /* a second name, which wins; or NULL */
	enum setting_type type;
	unsigned flags;
	size_t offset; /* in struct config */
	int64_t min, max;
	const struct setting_word *words;
	int64_t unit_ms;   /* of the field, SETTING_DURATION */
	int64_t bare_ms;   /* what a bare number counts */
	const char *value; /* default, as it would be written */
	const char *text;  /* one sentence */
};

extern const struct setting setting_table[];
extern const size_t setting_count;

/* Words that other modules use too. */
extern const struct setting_word compression_words[];
extern const struct setting_word on_error_words[];

extern const struct setting_unit setting_size_units[];
extern const struct setting_unit setting_time_units[];

/* Is the field a string? */
bool setting_is_text(const struct setting *s);

/* A value as found: relative paths start at `base`. */
struct setting_value {
	const char *text;
	const char *base; /* NULL: the working directory */
};

/* Sets the field of `c`.  1: that is not what the setting takes; -1: no
 * memory. */
int setting_parse(const struct setting *s, const struct setting_value *v,
		  struct config *c, struct arena *a);
/* The field as it would be written, secrets and passwords masked. */
void setting_format(const struct setting *s, const struct config *c,
		    struct buf *out);
/* "a number from 1 to 9" */
void setting_takes(const struct setting *s, struct buf *out);

/* -1 when there is none. */
int setting_word_value(const struct setting_word *words, const char *name);
const char *setting_word_name(const struct setting_word *words, int value);

/* `path` under `base`, or under the working directory; NULL: no memory. */
const char *
config_absolute(struct arena *a, const char *base, const char *path);

/* KEY=VALUE lines, read whole. */
struct config_pair {
	const char *key;
	const char *value;
	struct config_pair *next;
};

struct config_file {
	const char *folder; /* absolute: where relative paths start */
	struct config_pair *pairs;
};

/*
 * Reads `path`.  -1 with ERROR_INPUT naming file and line.  A file that is
 * absent is empty when `path` is NULL: then it is `.env` in the working
 * directory, else beside the program.
 */
int config_file_read(const char *path, struct config_file *f, struct arena *a,
		     struct error *e);
/* The last value of `key`, NULL when it is absent. */
const char *config_file_get(const struct config_file *f, const char *key);
/* Logs a warning for each key that is nearly one of ours. */
void config_file_warn(const struct config_file *f);

/* Folder of the running program; NULL when there is no memory. */
const char *config_program_folder(struct arena *a);

#endif
