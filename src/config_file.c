/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The settings file: KEY=VALUE lines.
 *
 *	# a comment                 (also after a blank behind a bare value)
 *	export KEY=bare value
 *	KEY='as it stands'
 *	KEY="with \n, \t, \" and \\"
 *
 * Such a file is often shared with other programs, so keys that are not ours
 * are passed over; one that is nearly ours is worth a warning.
 */
#include "config_table.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LOG_MODULE "config"
#include "log.h"

#define FILE_MAX 1048576
#define KEY_MAX 128

/* Where reading stands, for messages. */
struct reader {
	struct config_file *file;
	struct arena *arena;
	const char *path;
	int line;
	struct error *e;
};

const char *
config_program_folder(struct arena *a)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n <= 0)
		return config_absolute(a, NULL, "");
	path[n] = '\0';
	slash = strrchr(path, '/');
	*(slash > path ? slash : slash + 1) = '\0';
	return arena_strdup(a, path);
}

static int
malformed(const struct reader *r, const char *what)
{
	return error_set(r->e, ERROR_INPUT, "%s, line %d: %s", r->path, r->line,
			 what);
}

/* The character that `\c` stands for. */
static char
unescape(char c)
{
	return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
}

/* A quoted value in place; NULL when it does not end on its line. */
static char *
unquote(char *p)
{
	char quote = *p, *to = p, *from = p + 1;

	while (*from != quote) {
		bool escaped = *from == '\\' && quote == '"';

		from += escaped ? 1 : 0;
		if (*from == '\0')
			return NULL;
		*to++ = escaped ? unescape(*from) : *from;
		from++;
	}
	*to = '\0';
	from += 1 + strspn(from + 1, " \t");
	return *from == '\0' || *from == '#' ? p : NULL;
}

/* A bare value in place: up to a comment, blanks at its end cut. */
static char *
trim(char *p)
{
	char *end = p;

	for (char *q = p; *q != '\0'; q++) {
		bool blank = *q == ' ' || *q == '\t';

		if (*q == '#' && (q == p || q[-1] == ' ' || q[-1] == '\t'))
			break;
		if (!blank)
			end = q + 1;
	}
	*end = '\0';
	return p;
}

static bool
is_key(const char *p)
{
	size_t n = 0;

	if (!isalpha((unsigned char)*p) && *p != '_')
		return false;
	while (isalnum((unsigned char)p[n]) || strchr("_.-", p[n]) != NULL)
		if (p[n++] == '\0')
			return n <= KEY_MAX;
	return false;
}

static int
read_line(struct reader *r, char *p)
{
	struct config_pair *pair;
	char *equals, *value;

	p += strspn(p, " \t");
	if (*p == '\0' || *p == '#')
		return 0;
	if (strncmp(p, "export ", 7) == 0)
		p += 7 + strspn(p + 7, " \t");
	equals = strchr(p, '=');
	if (equals == NULL)
		return malformed(r, "KEY=VALUE expected");
	*equals = '\0';
	if (!is_key(trim(p)))
		return malformed(r, "not a name in front of the =");
	value = equals + 1 + strspn(equals + 1, " \t");
	value = *value == '\'' || *value == '"' ? unquote(value) : trim(value);
	if (value == NULL)
		return malformed(r, "the quoted value does not end");
	pair = arena_alloc(r->arena, sizeof(*pair));
	if (pair == NULL)
		return error_memory(r->e);
	*pair = (struct config_pair){ p, value, r->file->pairs };
	r->file->pairs = pair;
	return 0;
}

/* The text is cut into lines in place and stays in the arena. */
static int
read_lines(struct reader *r, char *text)
{
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text != NULL) {
		char *p = strsep(&text, "\n");
		size_t n = strlen(p);

		r->line++;
		if (n > 0 && p[n - 1] == '\r')
			p[n - 1] = '\0';
		if (read_line(r, p) < 0)
			return -1;
	}
	return 0;
}

/* The whole file as one string; NULL with r->e filled. */
static char *
read_text(struct reader *r, int fd)
{
	char block[4096], *text = NULL;
	struct buf b;
	ssize_t n;

	buf_init(&b, FILE_MAX);
	while ((n = read(fd, block, sizeof(block))) > 0 && !buf_failed(&b))
		buf_put(&b, block, (size_t)n);
	if (n < 0)
		error_set(r->e, ERROR_INPUT, "%s: %s", r->path,
			  strerror(errno));
	else if (buf_failed(&b))
		error_set(r->e, ERROR_TOO_LARGE,
			  "%s: larger than 1 MiB, or than memory", r->path);
	else if (memchr(buf_str(&b), '\0', b.len) != NULL)
		error_set(r->e, ERROR_INPUT, "%s: not a text file", r->path);
	else if ((text = arena_strdup(r->arena, buf_str(&b))) == NULL)
		error_memory(r->e);
	buf_free(&b);
	return text;
}

/* Opens `path`, or the first default there is (*path is then set to it);
 * -1 when there is none. */
static int
open_file(const char **path, struct arena *a)
{
	const char *folder;
	int fd;

	if (*path != NULL)
		return open(*path, O_RDONLY | O_CLOEXEC);
	*path = ".env";
	fd = open(*path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	folder = config_program_folder(a);
	if (folder != NULL)
		*path = arena_printf(a, "%s/.env", folder);
	return *path != NULL ? open(*path, O_RDONLY | O_CLOEXEC) : -1;
}

/* Where relative paths of the file start. */
static const char *
folder_of(struct arena *a, const char *path)
{
	const char *whole = config_absolute(a, NULL, path);

	if (whole == NULL)
		return NULL;
	return arena_strndup(a, whole, (size_t)(strrchr(whole, '/') - whole));
}

int
config_file_read(const char *path, struct config_file *f, struct arena *a,
		 struct error *e)
{
	struct reader r = { .file = f, .arena = a, .e = e };
	bool optional = path == NULL;
	char *text;
	int fd = open_file(&path, a);

	*f = (struct config_file){ .pairs = NULL };
	if (fd < 0 && optional && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_set(e, ERROR_INPUT, "%s: %s", path,
				 strerror(errno));
	r.path = path;
	f->folder = folder_of(a, path);
	text = f->folder != NULL ? read_text(&r, fd) : NULL;
	close(fd);
	if (f->folder == NULL)
		return error_memory(e);
	return text != NULL ? read_lines(&r, text) : -1;
}

const char *
config_file_get(const struct config_file *f, const char *key)
{
	for (const struct config_pair *p = f->pairs; p != NULL; p = p->next)
		if (strcmp(p->key, key) == 0)
			return p->value;
	return NULL;
}

/* One letter put in, left out, changed, or two neighbours swapped; or the
 * same but for upper and lower case. */
static bool
is_near(const char *a, const char *b)
{
	size_t same = 0, rest_a, rest_b;

	if (strcasecmp(a, b) == 0)
		return true;
	while (a[same] != '\0' && a[same] == b[same])
		same++;
	a += same;
	b += same;
	rest_a = strlen(a);
	rest_b = strlen(b);
	if (rest_a == rest_b + 1)
		return strcmp(a + 1, b) == 0;
	if (rest_b == rest_a + 1)
		return strcmp(a, b + 1) == 0;
	if (rest_a != rest_b)
		return false;
	if (strcmp(a + 1, b + 1) == 0)
		return true;
	return a[0] == b[1] && a[1] == b[0] && strcmp(a + 2, b + 2) == 0;
}

static bool
is_ours(const char *key, const struct setting *s)
{
	return strcmp(key, s->name) == 0 ||
	       (s->alias != NULL && strcmp(key, s->alias) == 0);
}

/* The setting that `key` nearly is; NULL when it is one, or none. */
static const char *
near_miss(const char *key)
{
	const char *near = NULL;

	for (size_t i = 0; i < setting_count; i++) {
		if (is_ours(key, &setting_table[i]))
			return NULL;
		if (is_near(key, setting_table[i].name))
			near = setting_table[i].name;
	}
	return near;
}

void
config_file_warn(const struct config_file *f)
{
	for (const struct config_pair *p = f->pairs; p != NULL; p = p->next) {
		const char *near = near_miss(p->key);

		if (near != NULL)
			log_warn("%s is not a setting; is %s meant?", p->key,
				 near);
	}
}
