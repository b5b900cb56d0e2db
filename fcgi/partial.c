/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A zip on disk that is not whole yet, and its notes. */
#include "partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facts.h"

#define STATE_VERSION "zipstream-part-1"
#define WRITE_BUFFER 262144

static int
fail(struct error *e, const char *what, const char *path)
{
	return error_set(e, ERROR_INTERNAL, "Cannot %s %s: %s", what, path,
			 strerror(errno));
}

static bool
is_stdout(const struct partial *p)
{
	return strcmp(p->path, "-") == 0;
}

/* "POSITION\tFACTS" */
static void
take_line(struct arena *a, char *line, struct bundle *b)
{
	char *end;
	size_t position = strtoul(line, &end, 10);

	line[strcspn(line, "\n")] = '\0';
	if (*end == '\t' && position < b->count)
		facts_parse(a, end + 1, &b->files[position]);
}

/* True when there are notes, and they are of this manifest. */
static bool
read_notes(const struct partial *p, struct arena *a, struct bundle *b)
{
	FILE *f = fopen(p->state, "re");
	char *line = NULL;
	size_t room = 0;
	bool ours = false;

	if (f == NULL)
		return false;
	if (getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		ours = strncmp(line, STATE_VERSION " ",
			       sizeof(STATE_VERSION)) == 0 &&
		       strcmp(line + sizeof(STATE_VERSION), p->manifest) == 0;
	}
	while (ours && getline(&line, &room, f) > 0)
		take_line(a, line, b);
	free(line);
	fclose(f);
	return ours;
}

/* The file, locked: two runs at a time would write into each other. */
static int
open_part(struct partial *p, struct error *e)
{
	int fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	struct stat st;

	if (fd == -1)
		return fail(e, "write", p->part);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &st) == -1) {
		fail(e, "take", p->part);
		close(fd);
		return -1;
	}
	p->have = st.st_size;
	p->file = fdopen(fd, "r+");
	if (p->file != NULL)
		return 0;
	close(fd);
	return error_memory(e);
}

int
partial_check(const char *path, struct error *e)
{
	size_t n = strlen(path);
	struct stat st;
	bool there;

	if (n == 0)
		return error_set(e, ERROR_INPUT, "The zip's name is empty");
	there = stat(path, &st) == 0;
	if (path[n - 1] == '/' || (there && S_ISDIR(st.st_mode)))
		return error_set(e, ERROR_INPUT,
				 "%.200s is a folder: the zip needs the name "
				 "of a file",
				 path);
	if (there && !S_ISREG(st.st_mode))
		return error_set(e, ERROR_INPUT,
				 "%.200s is no file; -o - writes to standard "
				 "output",
				 path);
	return 0;
}

int
partial_open(struct partial *p, const char *path, const char *manifest,
	     size_t n, bool resume, struct arena *a, struct bundle *b,
	     struct error *e)
{
	unsigned char sum[SHA256_BYTES];

	*p = (struct partial){ .path = path };
	if (is_stdout(p)) {
		p->file = stdout;
		return 0;
	}
	if (snprintf(p->part, PATH_MAX, "%s.part", path) >= PATH_MAX ||
	    snprintf(p->state, PATH_MAX, "%s.part.state", path) >= PATH_MAX)
		return error_set(e, ERROR_INPUT, "Too long a name: %.200s",
				 path);
	crypto_sha256(manifest, n, sum);
	crypto_hex(sum, sizeof(sum), p->manifest);
	if (open_part(p, e) == -1)
		return -1;
	setvbuf(p->file, NULL, _IOFBF, WRITE_BUFFER);
	if (p->have > 0 && resume && read_notes(p, a, b))
		return 0;
	return partial_keep(p, 0, e);
}

int
partial_keep(struct partial *p, int64_t bytes, struct error *e)
{
	if (is_stdout(p))
		return 0;
	if (fflush(p->file) == EOF || ftruncate(fileno(p->file), bytes) == -1 ||
	    fseeko(p->file, bytes, SEEK_SET) == -1)
		return fail(e, "write", p->part);
	p->have = bytes;
	return 0;
}

int
partial_write(struct partial *p, const void *data, size_t n)
{
	return fwrite(data, 1, n, p->file) == n ? 0 : -1;
}

static void
put_notes(FILE *f, const struct partial *p, struct plan *plan)
{
	struct facts facts;
	struct buf line;

	buf_init(&line, 1 << 20);
	fprintf(f, STATE_VERSION " %s\n", p->manifest);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_entry *entry = &plan->entries[i];

		if (entry->file->src == NULL || entry->layout == PLAN_OPEN)
			continue;
		plan_facts(plan, entry, &facts);
		buf_reset(&line);
		buf_printf(&line, "%zu\t", entry->position);
		facts_format(&line, &facts, entry->file->src);
		if (!buf_failed(&line))
			fprintf(f, "%s\n", buf_str(&line));
	}
	buf_free(&line);
}

/* Without notes a later run begins anew: no reason to end this one. */
void
partial_note(struct partial *p, struct plan *plan)
{
	char fresh[PATH_MAX + 8];
	FILE *f;
	bool bad;

	if (is_stdout(p) || fflush(p->file) == EOF)
		return;
	snprintf(fresh, sizeof(fresh), "%s.new", p->state);
	f = fopen(fresh, "we");
	if (f == NULL)
		return;
	put_notes(f, p, plan);
	bad = ferror(f) != 0;
	if ((fclose(f) == EOF) | bad || rename(fresh, p->state) == -1)
		unlink(fresh);
}

int
partial_commit(struct partial *p, struct error *e)
{
	if (is_stdout(p))
		return fflush(stdout) == 0
			       ? 0
			       : fail(e, "write", "standard output");
	if (fflush(p->file) == EOF || fsync(fileno(p->file)) == -1)
		return fail(e, "write", p->part);
	if (rename(p->part, p->path) == -1)
		return fail(e, "name", p->path);
	unlink(p->state);
	fclose(p->file);
	p->file = NULL;
	return 0;
}

void
partial_close(struct partial *p)
{
	struct stat st;

	if (p->file == NULL || is_stdout(p))
		return;
	/* A run that came to nothing leaves nothing. */
	if (fflush(p->file) == 0 && fstat(fileno(p->file), &st) == 0 &&
	    st.st_size == 0) {
		unlink(p->part);
		unlink(p->state);
	}
	fclose(p->file);
	p->file = NULL;
}
