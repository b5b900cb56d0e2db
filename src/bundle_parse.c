/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A client's JSON document -> a bundle whose every field is valid.
 *
 * The files are read one at a time, so that the document's tree never stands
 * in memory.  What the original service said about a bad field is said in
 * the same words here, for its clients compare them; other messages name the
 * file by its index.
 */
#include "bundle.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dst.h"
#include "http.h"
#include "json.h"
#include "source.h"
#include "url.h"

#define FILENAME_MAX_BYTES 255 /* what file systems take */
#define EXTENSION ".zip"
#define MTIME_LAST INT64_C(253402300799) /* the end of the year 9999 */

/* What reading the files needs at hand. */
struct parser {
	const struct config *config;
	struct arena *arena;
	struct arena *scratch; /* emptied after each file */
	struct dst_set *names;
	struct bundle *bundle;
	size_t index; /* of the file in the document */
	struct error *e;
};

static int
bad_field(struct parser *p, const char *field, const char *what)
{
	return error_set(p->e, ERROR_INPUT, "\"files[%zu].%s\" %s", p->index,
			 field, what);
}

static bool
is_absent(const struct json *v)
{
	return json_type(v) == JSON_NULL;
}

static bool
has_control(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return true;
	}
	return false;
}

/* Sets f->src, NULL when there is none. */
static int
parse_src(struct parser *p, const struct json *v, struct file *f)
{
	const char *src;
	size_t n;

	if (is_absent(v))
		return 0;
	if (json_type(v) != JSON_STRING)
		return error_set(p->e, ERROR_INPUT, "\"src\" must be a string");
	src = json_string(v, &n);
	if (n == 0)
		return 0;
	if (has_control(src, n))
		return bad_field(p, "src",
				 "must not contain control characters");
	if (n > URL_MAX)
		return bad_field(p, "src", "is too long");
	if (source_check(p->config, p->scratch, src, p->e) != 0)
		return -1;
	f->src = arena_strndup(p->arena, src, n);
	return f->src != NULL ? 0 : error_memory(p->e);
}

/* The name that `src` itself suggests, in scratch memory. */
static const char *
suggested_name(struct parser *p, const char *src, size_t *len)
{
	const struct source_ops *ops = source_find(p->config, src, p->e);
	const char *name;
	char *with_index;

	if (ops == NULL)
		return NULL;
	name = ops->name(p->scratch, src, len);
	if (name == NULL) {
		error_memory(p->e);
		return NULL;
	}
	if (*len > 0 && name[*len - 1] != '/')
		return name;
	/* A file must not become a folder.  Web servers answer such a path
	 * with the folder's index; elsewhere there is nothing to fetch. */
	if (strncasecmp(ops->scheme, "http", 4) != 0) {
		bad_field(p, "src", "must not end in '/'");
		return NULL;
	}
	with_index = arena_alloc(p->scratch, *len + sizeof("index.html"));
	if (with_index == NULL) {
		error_memory(p->e);
		return NULL;
	}
	memcpy(with_index, name, *len);
	memcpy(with_index + *len, "index.html", sizeof("index.html"));
	*len += strlen("index.html");
	return with_index;
}

/* "folder/" for a file with a source: the source's own last name in it. */
static const char *
name_in_folder(struct parser *p, const char *folder, const char *src)
{
	size_t n, len = strlen(folder);
	const char *name = suggested_name(p, src, &n), *last;
	char *whole;

	if (name == NULL)
		return NULL;
	last = memrchr(name, '/', n);
	if (last != NULL) {
		n -= (size_t)(last + 1 - name);
		name = last + 1;
	}
	whole = arena_alloc(p->scratch, len + n + 1);
	if (whole == NULL) {
		error_memory(p->e);
		return NULL;
	}
	memcpy(whole, folder, len);
	memcpy(whole + len, name, n);
	return dst_clean(p->arena, whole, len + n, p->e);
}

static bool
is_folder(const char *dst)
{
	return *dst != '\0' && dst[strlen(dst) - 1] == '/';
}

/* Is a folder meant, to be expanded at each download? */
static bool
means_folder(struct parser *p, const char *src, const char *dst, size_t n)
{
	return source_has_folder(p->config, src) &&
	       (n == 0 || dst[n - 1] == '/' || dst[n - 1] == '\\');
}

/* The folder's dst: as given, else the source's own; "/" is the top. */
static const char *
folder_name(struct parser *p, const char *src, const char *dst, size_t n)
{
	const struct source_ops *ops = source_find(p->config, src, p->e);

	if (n == 1 && *dst == '/')
		return "/";
	if (n == 0) {
		dst = ops->name(p->scratch, src, &n);
		if (dst == NULL) {
			error_memory(p->e);
			return NULL;
		}
		n -= n > 0 && dst[n - 1] == '*';
	}
	if (n == 0) {
		bad_field(p, "dst", "is required: the source has no name");
		return NULL;
	}
	return dst_clean(p->arena, dst, n, p->e);
}

/* Says which file a message of dst_clean is about; other errors stay. */
static int
name_error(struct parser *p)
{
	char what[ERROR_TEXT_MAX];

	if (p->e->code != ERROR_INPUT || p->e->text[0] == '"')
		return -1;
	memcpy(what, p->e->text, sizeof(what));
	return bad_field(p, "dst", what);
}

/* Sets f->dst, safe but perhaps not yet unique, from what was given, if n is
 * not 0. */
static int
set_dst(struct parser *p, const char *dst, size_t n, struct file *f)
{
	if (f->src != NULL && means_folder(p, f->src, dst, n)) {
		f->dst = folder_name(p, f->src, dst, n);
		return f->dst != NULL ? 0 : name_error(p);
	}
	if (n == 0 && f->src != NULL)
		dst = suggested_name(p, f->src, &n);
	else if (n == 0)
		return error_set(p->e, ERROR_INPUT, "\"src\" is required");
	/* Not what it was: a stored bundle has a name already. */
	f->dst = dst != NULL ? dst_clean(p->arena, dst, n, p->e) : NULL;
	if (f->dst != NULL && f->src != NULL && is_folder(f->dst))
		f->dst = name_in_folder(p, f->dst, f->src);
	if (f->dst == NULL)
		return name_error(p);
	/* "a\" and "a\." become "a/". */
	if (f->src != NULL && is_folder(f->dst))
		return bad_field(p, "dst",
				 "is required: the source has no name");
	if (f->src == NULL && !is_folder(f->dst))
		return error_set(p->e, ERROR_INPUT, "\"src\" is required");
	return 0;
}

static int
parse_dst(struct parser *p, const struct json *v, struct file *f)
{
	const char *dst;
	size_t n;

	if (!is_absent(v) && json_type(v) != JSON_STRING)
		return bad_field(p, "dst", "must be a string");
	dst = json_string(v, &n);
	return set_dst(p, dst, n, f);
}

static int
parse_crc32(const struct json *v, struct file *f)
{
	size_t n;
	const char *hex = json_string(v, &n);

	if (n != 8 || strspn(hex, "0123456789abcdefABCDEF") != 8)
		return -1;
	f->crc = (uint32_t)strtoul(hex, NULL, 16);
	f->has_crc = true;
	return 0;
}

/* Python's st_mtime and JavaScript's Date.now() / 1000 have a fraction. */
static int
parse_mtime(const struct json *v, struct file *f)
{
	size_t n;
	const char *text = json_string(v, &n);

	if (!json_floor(v, &f->mtime))
		f->mtime = strlen(text) == n ? http_rfc3339_parse(text) : -1;
	return f->mtime >= 0 && f->mtime <= MTIME_LAST ? 0 : -1;
}

/* What the client declares beyond src and dst. */
static int
parse_declared(struct parser *p, const struct json *o, struct file *f)
{
	const struct json *size = json_get(o, "size");
	const struct json *crc32 = json_get(o, "crc32");
	const struct json *mtime = json_get(o, "mtime");
	const struct json *compression = json_get(o, "compression");

	if (!is_absent(size) && (!json_integer(size, &f->size) || f->size < 0 ||
				 f->size > BUNDLE_SIZE_MAX))
		return bad_field(p, "size", "must be a whole number of bytes");
	if (!is_absent(crc32) && parse_crc32(crc32, f) != 0)
		return bad_field(p, "crc32",
				 "must be a string of 8 hex digits");
	if (!is_absent(mtime) && parse_mtime(mtime, f) != 0)
		return bad_field(p, "mtime",
				 "must be unix seconds or an RFC 3339 date");
	if (!is_absent(compression)) {
		int value =
			compression_from_name(json_string(compression, NULL));

		if (value < COMPRESSION_AUTO)
			return bad_field(p, "compression",
					 "must be store, deflate or auto");
		f->compression = (uint8_t)value;
	}
	return 0;
}

static int
parse_file(struct parser *p, const struct json *o)
{
	struct file *f = &p->bundle->files[p->bundle->count];

	if (json_type(o) != JSON_OBJECT)
		return error_set(p->e, ERROR_INPUT,
				 "\"files[%zu]\" must be an object", p->index);
	f->size = -1;
	f->mtime = BUNDLE_NO_TIME;
	facts_clear(&f->facts);
	if (parse_src(p, json_get(o, "src"), f) != 0 ||
	    parse_dst(p, json_get(o, "dst"), f) != 0 ||
	    parse_declared(p, o, f) != 0)
		return -1;
	/* Names in a folder are told apart when they are known. */
	if (!bundle_is_folder(f))
		f->dst = dst_set_take(p->names, f->dst, f->src, p->e);
	if (f->dst == NULL && p->e->code != ERROR_NONE)
		return name_error(p);
	/* The same file twice: the slot is used again. */
	if (f->dst == NULL)
		*f = (struct file){ 0 };
	else
		p->bundle->count++;
	return 0;
}

/* Names taken before: what is appended must differ from them. */
static int
take_names(struct parser *p, const struct bundle *taken)
{
	for (size_t i = 0; taken != NULL && i < taken->count; i++) {
		if (bundle_is_folder(&taken->files[i]))
			continue;
		dst_set_take(p->names, taken->files[i].dst, taken->files[i].src,
			     p->e);
		if (p->e->code != ERROR_NONE)
			return -1;
	}
	return 0;
}

static int
read_files(struct parser *p, struct json_cut *cut)
{
	struct json *element;
	int rc = 0;

	while (rc == 0 && (element = json_next(cut, p->e)) != NULL) {
		rc = parse_file(p, element);
		json_free(element);
		arena_reset(p->scratch);
		p->index++;
	}
	return rc == 0 && p->e->code != ERROR_NONE ? -1 : rc;
}

static int
parse_files(struct parser *p, const struct bundle *taken, struct json_cut *cut)
{
	size_t before = taken != NULL ? taken->count : 0;
	size_t most = (size_t)p->config->max_files;
	int rc = -1;

	if (before > most || cut->count > most - before)
		return error_set(p->e, ERROR_TOO_LARGE, "More than %zu files",
				 most);
	p->bundle->files =
		arena_array(p->arena, cut->count, sizeof(struct file));
	p->names = dst_set_new(p->arena, before + cut->count);
	p->scratch = arena_new(0);
	if (p->bundle->files == NULL || p->names == NULL || p->scratch == NULL)
		error_memory(p->e);
	else if (take_names(p, taken) == 0)
		rc = read_files(p, cut);
	arena_free(p->scratch);
	return rc;
}

/* Without separators and control characters, at most n bytes of whole
 * characters; `out` has room for them. */
static size_t
safe_filename(char *out, const char *s, size_t n)
{
	size_t len = 0, most = FILENAME_MAX_BYTES - strlen(EXTENSION);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		/* C1 controls are two bytes in UTF-8. */
		bool c1 = c == 0xC2 && (unsigned char)s[i + 1] < 0xA0;

		i += c1 ? 1 : 0;
		if (c >= ' ' && c != 0x7f && c != '/' && c != '\\' && !c1)
			out[len++] = s[i];
	}
	if (len >= strlen(EXTENSION) &&
	    strncasecmp(out + len - strlen(EXTENSION), EXTENSION,
			strlen(EXTENSION)) == 0)
		len -= strlen(EXTENSION);
	if (len > most) {
		for (len = most; ((unsigned char)out[len] & 0xC0) == 0x80;)
			len--;
	}
	return len;
}

/* Sets the bundle's filename, "" when nothing of the given one is left. */
static int
set_filename(struct parser *p, const char *given, size_t n)
{
	char *name = arena_alloc(p->arena, n + sizeof(EXTENSION));

	p->bundle->filename = "";
	if (name == NULL)
		return error_memory(p->e);
	n = safe_filename(name, given, n);
	if (n > 0) {
		memcpy(name + n, EXTENSION, sizeof(EXTENSION));
		p->bundle->filename = name;
	}
	return 0;
}

static int
parse_filename(struct parser *p, const struct json *v, unsigned needs)
{
	const char *given;
	size_t n;

	if (!is_absent(v) && json_type(v) != JSON_STRING)
		return error_set(p->e, ERROR_INPUT,
				 "\"filename\" must be a string");
	given = json_string(v, &n);
	if (set_filename(p, given, n) != 0)
		return -1;
	if (p->bundle->filename[0] == '\0' && (needs & BUNDLE_NEEDS_NAME) != 0)
		return error_set(p->e, ERROR_INPUT, "\"filename\" is required");
	return 0;
}

/* compression and onError. */
static int
parse_defaults(struct parser *p, const struct json *root)
{
	const struct json *compression = json_get(root, "compression");
	const struct json *on_error = json_get(root, "onError");
	int value;

	if (!is_absent(compression)) {
		value = compression_from_name(json_string(compression, NULL));
		if (value < COMPRESSION_AUTO)
			return error_set(p->e, ERROR_INPUT,
					 "\"compression\" must be store, "
					 "deflate or auto");
		p->bundle->compression = (uint8_t)value;
	}
	if (!is_absent(on_error)) {
		value = on_error_from_name(json_string(on_error, NULL));
		if (value < ON_ERROR_ABORT)
			return error_set(p->e, ERROR_INPUT,
					 "\"onError\" must be abort or "
					 "report");
		p->bundle->on_error = (uint8_t)value;
	}
	return 0;
}

int
bundle_member(struct arena *a, const struct json *root, const char *name,
	      const char **out, struct error *e)
{
	const struct json *v = json_get(root, name);
	const char *text;
	size_t n;

	*out = NULL;
	if (is_absent(v))
		return 0;
	text = json_string(v, &n);
	if (json_type(v) != JSON_STRING)
		return error_set(e, ERROR_INPUT, "\"%s\" must be a string",
				 name);
	if (n == 0)
		return error_set(e, ERROR_INPUT, "\"%s\" must not be empty",
				 name);
	if (has_control(text, n))
		return error_set(e, ERROR_INPUT,
				 "\"%s\" must not contain control characters",
				 name);
	*out = arena_strndup(a, text, n);
	return *out != NULL ? 0 : error_memory(e);
}

/* manifest and to; `count` files are in the document itself. */
static int
parse_request(struct parser *p, const struct json *root, size_t count)
{
	struct bundle *b = p->bundle;

	if (bundle_member(p->arena, root, "manifest", &b->manifest, p->e) ||
	    bundle_member(p->arena, root, "to", &b->to, p->e))
		return -1;
	if (b->manifest != NULL && count > 0)
		return error_set(p->e, ERROR_INPUT,
				 "\"manifest\" and \"files\" exclude each "
				 "other");
	return 0;
}

static int
parse_root(struct parser *p, const struct json *root, unsigned needs,
	   size_t count)
{
	const struct json *files = json_get(root, "files");
	unsigned wanted = BUNDLE_NEEDS_FILES | BUNDLE_NEEDS_LIST;

	if (json_type(root) != JSON_OBJECT)
		return error_set(p->e, ERROR_INPUT,
				 "The document must be a JSON object");
	p->bundle->filename = "";
	if ((needs & BUNDLE_ONLY_FILES) == 0 &&
	    (parse_filename(p, json_get(root, "filename"), needs) != 0 ||
	     parse_defaults(p, root) != 0))
		return -1;
	if ((needs & BUNDLE_NEEDS_LIST) != 0 &&
	    parse_request(p, root, count) != 0)
		return -1;
	if (is_absent(files) && p->bundle->manifest == NULL &&
	    (needs & wanted) != 0)
		return error_set(p->e, ERROR_INPUT, "\"files\" is required");
	if (!is_absent(files) && json_type(files) != JSON_ARRAY)
		return error_set(p->e, ERROR_INPUT,
				 "\"files\" must be an array");
	return 0;
}

int
bundle_parse(const struct config *c, struct arena *a, const char *text,
	     size_t n, unsigned needs, const struct bundle *taken,
	     struct bundle *out, struct error *e)
{
	struct parser p = { .config = c, .arena = a, .bundle = out };
	struct error unseen = { .code = ERROR_NONE };
	struct json_cut cut;
	struct json *root;
	int rc;

	*out = (struct bundle){ 0 };
	p.e = e != NULL ? e : &unseen;
	root = json_parse_cut(text, n, "files", &cut, p.e);
	if (root == NULL)
		return -1;
	rc = parse_root(&p, root, needs, cut.count);
	json_free(root);
	return rc == 0 ? parse_files(&p, taken, &cut) : -1;
}

int
bundle_adopt(const struct config *c, struct arena *a, struct bundle *b,
	     struct error *e)
{
	struct error unseen = { .code = ERROR_NONE };
	struct parser p = {
		.config = c, .arena = a, .scratch = a, .bundle = b, .e = &unseen
	};

	if (set_filename(&p, b->filename, strlen(b->filename)) != 0)
		return error_memory(e);
	for (size_t i = 0; i < b->count; i++) {
		struct file *f = &b->files[i];
		const char *given = f->dst;

		f->dst = NULL;
		if (set_dst(&p, given, strlen(given), f) != 0)
			f->dst = arena_printf(a, "file %zu%s", i + 1,
					      f->src != NULL ? "" : "/");
		if (f->dst == NULL)
			return error_memory(e);
	}
	return 0;
}
