/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Loads the settings: environment over file over default, then works out
 * what was left to `auto`.  The table is in config_table.c, the grammar of
 * values in config_value.c, of the file in config_file.c.
 */
#include "config_table.h"
#include "sql.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define INSTALLED_STATE "/var/lib/zipstream"
#define WORKER_BYTES (INT64_C(2) << 20) /* a busy one, with https */
#define WORKERS_MOST 1000
#define WORKERS_FEWEST 4

/* The config is the first member, so that config_free finds the arena. */
struct loaded {
	struct config config;
	struct config_file file;
	struct arena *arena;
};

static const char *
environment(const char *name)
{
	const char *text = name != NULL ? getenv(name) : NULL;

	return text != NULL && *text != '\0' ? text : NULL;
}

/* An empty value counts as none at all. */
static const char *
from_file(const struct config_file *f, const char *name)
{
	const char *text = name != NULL ? config_file_get(f, name) : NULL;

	return text != NULL && *text != '\0' ? text : NULL;
}

static struct setting_value
find_value(const struct setting *s, const struct config_file *f)
{
	struct setting_value v = { .text = environment(s->alias) };

	if (v.text == NULL)
		v.text = environment(s->name);
	if (v.text != NULL)
		return v;
	v.base = f->folder;
	v.text = from_file(f, s->alias);
	if (v.text == NULL)
		v.text = from_file(f, s->name);
	if (v.text == NULL)
		v = (struct setting_value){ .text = s->value };
	return v;
}

/* Says what the setting takes; the value of a secret is not repeated. */
static int
refuse(const struct setting *s, const char *text, struct error *e)
{
	struct buf takes;

	buf_init(&takes, ERROR_TEXT_MAX);
	setting_takes(s, &takes);
	/* Before an '@' may stand a password. */
	if (s->flags & SETTING_SECRET || strchr(text, '@') != NULL)
		error_set(e, ERROR_INPUT, "%s takes %s", s->name,
			  buf_str(&takes));
	else
		error_set(e, ERROR_INPUT, "%s takes %s, not \"%.80s\"", s->name,
			  buf_str(&takes), text);
	buf_free(&takes);
	return -1;
}

static int
parse_all(struct loaded *l, struct error *e)
{
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *s = &setting_table[i];
		struct setting_value v = find_value(s, &l->file);
		/* The defaults are valid by test; "" is one of them. */
		int rc = setting_parse(s, &v, &l->config, l->arena);

		if (rc != 0)
			return rc > 0 ? refuse(s, v.text, e) : error_memory(e);
	}
	return 0;
}

/* `build` in a checkout, or a folder below it, is not a place for state. */
static const char *
beside_program(struct arena *a)
{
	const char *folder = config_program_folder(a), *name, *end;

	if (folder == NULL)
		return NULL;
	end = folder + strlen(folder);
	for (int up = 0; up < 3; up++) {
		name = memrchr(folder, '/', (size_t)(end - folder));
		if (name == NULL)
			break;
		if (end - name == 6 && strncmp(name, "/build", 6) == 0)
			return arena_printf(a, "%.*s/var", (int)(name - folder),
					    folder);
		end = name;
	}
	if (access(INSTALLED_STATE, W_OK) == 0)
		return INSTALLED_STATE;
	return arena_printf(a, "%s/var", folder);
}

/* Does it begin like "host=..."?  A path has a slash or a dot there. */
static bool
is_conninfo(const char *text)
{
	size_t n = 0;

	while (isalpha((unsigned char)text[n]) || text[n] == '_')
		n++;
	return n > 0 && text[n + strspn(text + n, " ")] == '=';
}

static bool
is_postgres(const char *cnxn)
{
	return strncmp(cnxn, "postgres://", 11) == 0 ||
	       strncmp(cnxn, "postgresql://", 13) == 0 || is_conninfo(cnxn);
}

/* The SQLite file: a relative path starts where its setting was found. */
static int
resolve_sqlite(struct loaded *l, struct error *e)
{
	struct config *c = &l->config;
	bool from_env = environment("DB_CNXN") != NULL;

	if (*c->db_cnxn == '\0')
		c->db_cnxn =
			arena_printf(l->arena, "%s/zipstream.db", c->state_dir);
	else if (strcmp(c->db_cnxn, ":memory:") != 0 &&
		 strncmp(c->db_cnxn, "file:", 5) != 0)
		c->db_cnxn = config_absolute(
			l->arena, from_env ? NULL : l->file.folder, c->db_cnxn);
	return c->db_cnxn != NULL ? 0 : error_memory(e);
}

/* What the kernel says can be had without swapping; 0: unknown. */
static int64_t
memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	long long kib = 0;
	char line[128];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib * 1024;
}

static void
resolve_pool(struct config *c)
{
	if (c->max_workers == CONFIG_AUTO) {
		c->max_workers = memory_available() / WORKER_BYTES;
		if (c->max_workers > WORKERS_MOST)
			c->max_workers = WORKERS_MOST;
		if (c->max_workers < WORKERS_FEWEST)
			c->max_workers = WORKERS_FEWEST;
	}
	if (c->min_spare_workers > c->max_workers)
		c->min_spare_workers = c->max_workers;
}

/* What is a name depends on the store that it is used in. */
static int
check_table_name(const struct config *c, struct error *e)
{
	static const char dynamodb[] = "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_.-";
	const char *name = c->table_name;

	if (c->db_interface == DB_DYNAMODB
		    ? strlen(name) >= 3 && name[strspn(name, dynamodb)] == '\0'
		    : sql_table_valid(name, c->db_interface == DB_POSTGRES))
		return 0;
	return error_set(e, ERROR_INPUT,
			 "TABLE_NAME: '%.80s' is no table's name; it takes %s",
			 name,
			 c->db_interface == DB_DYNAMODB
				 ? "3 to 255 letters, digits and _.-"
				 : "up to 48 letters, digits, _ and -");
}

static int
resolve(struct loaded *l, struct error *e)
{
	struct config *c = &l->config;

	if (c->log_level == CONFIG_AUTO)
		c->log_level = c->env == ENV_TEST ? LOG_DEBUG : LOG_INFO;
	if (c->log_format == CONFIG_AUTO)
		c->log_format = c->env == ENV_PRODUCTION ? LOG_JSON : LOG_TEXT;
	if (c->db_interface == CONFIG_AUTO)
		c->db_interface =
			is_postgres(c->db_cnxn) ? DB_POSTGRES : DB_SQLITE;
	if (check_table_name(c, e) != 0)
		return -1;
	if (*c->file_root == '\0')
		c->fs_interfaces &= ~FS_FILE;
	resolve_pool(c);
	if (*c->state_dir == '\0')
		c->state_dir = beside_program(l->arena);
	if (c->state_dir == NULL)
		return error_memory(e);
	return c->db_interface == DB_SQLITE ? resolve_sqlite(l, e) : 0;
}

struct config *
config_load(const char *file, struct error *e)
{
	struct arena *a = arena_new(0);
	struct loaded *l = NULL;

	if (a != NULL)
		l = arena_alloc(a, sizeof(*l));
	if (l == NULL) {
		error_memory(e);
		goto out;
	}
	l->arena = a;
	if (config_file_read(file, &l->file, a, e) < 0)
		goto out;
	if (parse_all(l, e) < 0 || resolve(l, e) < 0)
		goto out;
	config_file_warn(&l->file);
	return &l->config;
out:
	arena_free(a);
	return NULL;
}

void
config_free(struct config *c)
{
	if (c != NULL)
		arena_free(((struct loaded *)c)->arena);
}

int
compression_from_name(const char *name)
{
	return setting_word_value(compression_words, name);
}

const char *
compression_name(enum compression c)
{
	return setting_word_name(compression_words, (int)c);
}

int
on_error_from_name(const char *name)
{
	return setting_word_value(on_error_words, name);
}

const char *
on_error_name(enum on_error o)
{
	return setting_word_name(on_error_words, (int)o);
}
