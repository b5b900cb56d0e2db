/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * file:///path under FILE_ROOT as a source.
 *
 * The kernel keeps the path below the root (openat2, RESOLVE_BENEATH):
 * neither "..", nor links, nor a race between a check and the open leads out.
 * Only regular files are read; a FIFO or device is never waited for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bundle.h"
#include "http.h"
#include "source.h"

#define DEPTH_MAX 100 /* folders in folders */

static int
open_root(const char *root)
{
	return open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int
source_file_prepare(const struct config *c, struct error *e)
{
	int fd;

	if ((c->fs_interfaces & FS_FILE) == 0)
		return 0;
	fd = open_root(c->file_root);
	if (fd == -1)
		return error_set(e, ERROR_INPUT, "FILE_ROOT: %.200s: %s",
				 c->file_root, strerror(errno));
	close(fd);
	return 0;
}

/* The decoded path without its leading '/'; NULL with ERROR_INPUT. */
static const char *
path_of(struct arena *a, const char *src, size_t *len, struct error *e)
{
	const char *p = src + strlen("file://");
	const char *path;

	if (strncasecmp(p, "localhost/", 10) == 0)
		p += strlen("localhost");
	if (*p != '/') {
		error_set(e, ERROR_INPUT,
			  "A file source is file:///path, without a host");
		return NULL;
	}
	p += strspn(p, "/");
	if (p[strcspn(p, "?#")] != '\0') {
		error_set(e, ERROR_INPUT, "Not the path of a file: '%.200s'",
			  src);
		return NULL;
	}
	path = http_decode(a, p, strlen(p), false, len);
	if (path == NULL) {
		error_memory(e);
		return NULL;
	}
	if (memchr(path, '\0', *len) != NULL) {
		error_set(e, ERROR_INPUT, "A path must not contain NUL");
		return NULL;
	}
	return path;
}

static int
check(const struct config *c, struct arena *a, const char *src, struct error *e)
{
	const char *path;
	size_t len;

	if (c->file_root[0] == '\0')
		return error_set(e, ERROR_INPUT,
				 "Protocol 'file' not supported.");
	path = path_of(a, src, &len, e);
	if (path == NULL)
		return -1;
	if (!url_allowed_file(c->source_allow, path))
		return error_set(e, ERROR_INPUT, "Source not allowed: '%.200s'",
				 src);
	return 0;
}

static const char *
name(struct arena *a, const char *src, size_t *len)
{
	struct error e;

	return path_of(a, src, len, &e);
}

/* The descriptor of a path below the root, or -1 with errno. */
static int
open_beneath(const char *root, const char *path, unsigned flags)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int dir = open_root(root);
	int fd, saved;

	if (dir < 0)
		return -1;
	/* EAGAIN: a rename elsewhere raced with ".."; openat2(2) says retry. */
	do {
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN);
	saved = errno;
	close(dir);
	errno = saved;
	return fd;
}

static int
refuse(int saved, struct error *e)
{
	int status = 0;

	if (saved == ENOENT || saved == ENOTDIR || saved == ENAMETOOLONG) {
		error_set(e, ERROR_SOURCE, "no such file");
		status = 404;
	} else if (saved == EACCES || saved == EPERM || saved == EXDEV ||
		   saved == ELOOP) {
		error_set(e, ERROR_SOURCE, "not allowed");
		status = 403;
	} else {
		error_set(e, ERROR_SOURCE, "cannot be opened");
	}
	if (e != NULL)
		e->http_status = status;
	return error_cause(e, "open: %s", strerror(saved));
}

static int
open_file(const struct config *c, struct arena *a, const char *src,
	  struct source_facts *facts, struct error *e)
{
	size_t len;
	const char *path = path_of(a, src, &len, e);
	struct stat st;
	int fd;

	if (path == NULL)
		return -1;
	fd = open_beneath(c->file_root, path, 0);
	if (fd < 0)
		return refuse(errno, e);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return error_set(e, ERROR_SOURCE, "not a regular file");
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*facts = (struct source_facts){
		.size = st.st_size,
		.mtime = st.st_mtim.tv_sec,
		.ranges = true,
		.validator = arena_printf(a, "\"%llx%09lx-%llx-%llx\"",
					  (unsigned long long)st.st_mtim.tv_sec,
					  (unsigned long)st.st_mtim.tv_nsec,
					  (unsigned long long)st.st_size,
					  (unsigned long long)st.st_ino),
		.content_type = "",
	};
	if (facts->validator == NULL) {
		close(fd);
		return error_memory(e);
	}
	return fd;
}

/* The names in a folder; those of folders end in '/'. */
struct names {
	char **at; /* malloc'ed, as are the names */
	size_t n, room;
};

static void
names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->at[i]);
	free(names->at);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
names_add(struct names *names, const char *name, const char *end)
{
	size_t room = names->room > 0 ? 2 * names->room : 64;
	char **grown;

	if (names->n == names->room) {
		grown = reallocarray(names->at, room, sizeof(*grown));
		if (grown == NULL)
			return -1;
		names->at = grown;
		names->room = room;
	}
	if (asprintf(&names->at[names->n], "%s%s", name, end) == -1)
		return -1;
	names->n++;
	return 0;
}

/* Links are not followed: they could lead in circles, or twice to one. */
static int
names_read(struct names *names, DIR *dir, int64_t most, struct error *e)
{
	const struct dirent *d;
	struct stat st;

	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0 ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
			continue;
		if ((int64_t)names->n >= most)
			return error_set(e, ERROR_TOO_LARGE,
					 "More than %lld files in a folder",
					 (long long)most);
		if (names_add(names, d->d_name,
			      S_ISDIR(st.st_mode) ? "/" : "") != 0)
			return error_memory(e);
	}
	if (names->n > 0)
		qsort(names->at, names->n, sizeof(*names->at), compare_names);
	return 0;
}

static int
list_names(const struct source_folder *f, const char *path, struct names *names,
	   struct error *e)
{
	int fd = open_beneath(f->config->file_root, *path != '\0' ? path : ".",
			      O_DIRECTORY);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int rc;

	if (fd < 0)
		return refuse(errno, e);
	if (dir == NULL) {
		close(fd);
		return error_memory(e);
	}
	rc = names_read(names, dir, f->config->max_files, e);
	closedir(dir);
	return rc;
}

/* `path` is that of something below the root. */
static int
found_child(const struct source_folder *f, const char *path, const char *name,
	    bool folder, struct error *e)
{
	struct source_child child = { .name = name,
				      .size = folder ? 0 : -1,
				      .mtime = BUNDLE_NO_TIME };
	struct buf src;

	if (folder)
		return f->found(f->ctx, &child, e);
	buf_init(&src, URL_MAX);
	buf_puts(&src, "file:///");
	http_encode(&src, path, strlen(path), "/");
	child.src =
		buf_failed(&src) ? NULL : arena_strdup(f->arena, buf_str(&src));
	buf_free(&src);
	if (child.src == NULL)
		return error_set(e, ERROR_SOURCE, "has too long a path in it");
	return f->found(f->ctx, &child, e);
}

/* `path` is the folder's below the root, `below` its name in the one that
 * was asked for; both end in '/' or are empty. */
static int
walk(const struct source_folder *f, const char *path, const char *below,
     int depth, struct error *e)
{
	struct names names = { NULL, 0, 0 };
	int rc = -1;

	if (depth > DEPTH_MAX)
		return error_set(e, ERROR_SOURCE, "is nested too deeply");
	if (list_names(f, path, &names, e) != 0)
		goto out;
	if (names.n == 0 && found_child(f, path, below, true, e) != 0)
		goto out;
	for (size_t i = 0; i < names.n; i++) {
		const char *last = names.at[i];
		bool folder = last[strlen(last) - 1] == '/';
		char *inner = arena_printf(f->arena, "%s%s", path, last);
		char *name = arena_printf(f->arena, "%s%s", below, last);

		if (inner == NULL || name == NULL) {
			error_memory(e);
			goto out;
		}
		if (folder && !f->deep)
			continue;
		if (folder ? walk(f, inner, name, depth + 1, e)
			   : found_child(f, inner, name, false, e))
			goto out;
	}
	rc = 0;
out:
	names_free(&names);
	return rc;
}

static int
expand(const struct source_folder *f, struct error *e)
{
	size_t len;
	const char *path = path_of(f->arena, f->src, &len, e);

	return path != NULL ? walk(f, path, "", 0, e) : -1;
}

const struct source_ops source_file = {
	.scheme = "file",
	.interface = FS_FILE,
	.check = check,
	.name = name,
	.open = open_file,
	.expand = expand,
};
