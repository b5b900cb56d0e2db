/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names inside the zip: no two the same, and no file a folder too. */
#include "dst_internal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A request's body could hold millions of folders; no honest one does. */
#define FOLDERS_MAX 1000000
#define SET_FIRST 64
#define EXTENSION_MAX 32 /* bytes with the dot; a longer one is none */
#define NUMBER_MAX 16	 /* bytes of " (4294967295)" and NUL */

/*
 * The set of taken names holds no names, only two 61-bit polynomial hashes
 * of each folded one, with bases drawn from the kernel.  Two names of a
 * request then meet by chance with a probability under 2^-40, and nobody who
 * does not know the bases can choose two that do.  Hashing left to right
 * gives the hash of every folder on the way.
 */
#define PRIME ((UINT64_C(1) << 61) - 1)
#define SYMBOL 7
#define SPREAD UINT64_C(0x9E3779B97F4A7C15) /* 2^64 by the golden ratio */

struct key {
	uint64_t h[2];
};

/* What an entry that is no file has for an owner. */
static const char a_folder[] = "";	  /* only something's folder */
static const char a_listed_folder[] = ""; /* an entry of the zip as well */

struct taken {
	struct key key;
	const char *owner; /* a src, or one of the marks; NULL: free slot */
	uint32_t next;	   /* the number to try for the next file; 0: 2 */
	uint32_t alias;	   /* the number that its folder has; 0: none yet */
};

struct dst_set {
	struct arena *arena;
	struct taken *slots; /* open addressing, `cap` is a power of two */
	size_t cap;
	size_t used;
	size_t folders;
	char *line; /* for a name whose folders are renamed */
	uint64_t base[2];
};

static char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The text in symbols of seven bytes and their number, so that no two texts
 * give the same symbols. */
static void
key_feed(const struct dst_set *set, struct key *k, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i += SYMBOL) {
		size_t len = n - i < SYMBOL ? n - i : SYMBOL;
		uint64_t symbol = (uint64_t)len << 56;

		for (size_t j = 0; j < len; j++)
			symbol |= (uint64_t)(unsigned char)s[i + j] << (8 * j);
		for (int j = 0; j < 2; j++) {
			unsigned __int128 m =
				(unsigned __int128)k->h[j] * set->base[j];
			uint64_t sum = ((uint64_t)m & PRIME) +
				       (uint64_t)(m >> 61) + symbol;

			k->h[j] = (sum & PRIME) + (sum >> 61);
		}
	}
}

/* Case folding keeps to one segment, for nothing composes with a '/'. */
static int
key_fold(const struct dst_set *set, struct key *k, const char *s, size_t n)
{
	char lower[8 * SYMBOL], *form;
	size_t len;

	if (dst_ascii_span(s, n) == n) {
		for (size_t i = 0; i < n; i += len) {
			for (len = 0; len < sizeof(lower) && i + len < n; len++)
				lower[len] = ascii_lower(s[i + len]);
			key_feed(set, k, lower, len);
		}
		return 0;
	}
	form = dst_fold(s, n, &len);
	if (form == NULL)
		return -1;
	key_feed(set, k, form, len);
	free(form);
	return 0;
}

/* The slot of the key, or the free one where it belongs. */
static struct taken *
slot_of(const struct dst_set *set, const struct key *k)
{
	size_t i = (k->h[0] * SPREAD >> 32) & (set->cap - 1);

	while (set->slots[i].owner != NULL &&
	       (set->slots[i].key.h[0] != k->h[0] ||
		set->slots[i].key.h[1] != k->h[1]))
		i = (i + 1) & (set->cap - 1);
	return &set->slots[i];
}

static struct taken *
find(const struct dst_set *set, const struct key *k)
{
	struct taken *t = slot_of(set, k);

	return t->owner != NULL ? t : NULL;
}

static int
grow(struct dst_set *set)
{
	struct dst_set bigger = *set;

	bigger.cap *= 2;
	bigger.slots =
		arena_array(set->arena, bigger.cap, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return -1;
	for (size_t i = 0; i < set->cap; i++) {
		if (set->slots[i].owner != NULL)
			*slot_of(&bigger, &set->slots[i].key) = set->slots[i];
	}
	*set = bigger;
	return 0;
}

/* Pointers into the set do not survive it. */
static int
insert(struct dst_set *set, const struct key *k, const char *owner)
{
	if (set->used >= set->cap / 4 * 3 && grow(set) != 0)
		return -1;
	*slot_of(set, k) = (struct taken){ .key = *k, .owner = owner };
	set->used++;
	return 0;
}

static bool
is_folder(const struct taken *t)
{
	return t->owner == a_folder || t->owner == a_listed_folder;
}

static bool
is_file_of(const struct taken *t, const char *owner)
{
	return !is_folder(t) && strcmp(t->owner, owner) == 0;
}

struct dst_set *
dst_set_new(struct arena *a, size_t expected)
{
	struct dst_set *set = arena_alloc(a, sizeof(*set));

	if (set == NULL ||
	    getrandom(set->base, sizeof(set->base), 0) != sizeof(set->base))
		return NULL;
	set->base[0] = set->base[0] % (PRIME - 2) + 2;
	set->base[1] = set->base[1] % (PRIME - 2) + 2;
	set->arena = a;
	set->cap = SET_FIRST;
	while (set->cap < expected && set->cap <= SIZE_MAX / 4)
		set->cap *= 2;
	set->cap *= 2;
	set->slots = arena_array(a, set->cap, sizeof(*set->slots));
	return set->slots != NULL ? set : NULL;
}

/*
 * Writes a segment with a number to `out` (room for DST_SEGMENT_MAX): before
 * the extension, which starts at `stem`.  What has no room is cut off the stem,
 * at a character.  Returns the length.
 */
static size_t
number_segment(char *out, const char *s, size_t n, size_t stem, uint32_t number)
{
	char text[NUMBER_MAX];
	size_t extra = (size_t)snprintf(text, sizeof(text), " (%u)", number);
	size_t keep = stem;

	if (n + extra > DST_SEGMENT_MAX) {
		size_t over = n + extra - DST_SEGMENT_MAX;

		keep = stem > over ? stem - over : 0;
		while (keep > 0 && ((unsigned char)s[keep] & 0xC0) == 0x80)
			keep--;
	}
	memcpy(out, s, keep);
	memcpy(out + keep, text, extra);
	memcpy(out + keep + extra, s + stem, n - stem);
	return keep + extra + n - stem;
}

/* `name` with the n bytes at `at` replaced. */
static const char *
replace(struct dst_set *set, const char *name, size_t at, size_t n,
	const char *by, size_t by_len, struct error *e)
{
	char *out = arena_printf(set->arena, "%.*s%.*s%s", (int)at, name,
				 (int)by_len, by, name + at + n);

	if (out == NULL)
		error_memory(e);
	else if (strlen(out) > DST_NAME_MAX) {
		error_set(e, ERROR_INPUT, "must not be longer than %d bytes",
			  DST_NAME_MAX);
		out = NULL;
	}
	return out;
}

/* How far a name has been taken. */
struct place {
	size_t at;	   /* of the segment that comes next */
	struct key parent; /* of all before it, with the '/' */
	struct key folder; /* the same without; of no use while `at` is 0 */
};

/*
 * A file `t` has the name of the folder of n bytes at `p`: every name below
 * that folder goes to "folder (2)", or the next number that no file has.
 */
static struct taken *
alias_folder(struct dst_set *set, struct taken *t, const char *s, size_t n,
	     struct place *p, char *segment, size_t *len, struct error *e)
{
	uint32_t number = t->alias != 0 ? t->alias : 2;
	struct taken *other;

	for (;; number++) {
		*len = number_segment(segment, s, n, n, number);
		p->folder = p->parent;
		if (key_fold(set, &p->folder, segment, *len) != 0) {
			*len = 0;
			error_memory(e);
			return NULL;
		}
		other = find(set, &p->folder);
		if (other == NULL || is_folder(other))
			break;
	}
	t->alias = number;
	return other;
}

static int
take_folder(struct dst_set *set, const struct key *k, struct error *e)
{
	if (set->folders == FOLDERS_MAX)
		return error_set(e, ERROR_TOO_LARGE,
				 "The files are in more than %d folders",
				 FOLDERS_MAX);
	set->folders++;
	return insert(set, k, a_folder) == 0 ? 0 : error_memory(e);
}

/* Adds n bytes to the line, of which `at` are written. */
static int
append(struct dst_set *set, size_t *at, const char *s, size_t n,
       struct error *e)
{
	if (n > DST_NAME_MAX - *at)
		return error_set(e, ERROR_INPUT,
				 "must not be longer than %d bytes",
				 DST_NAME_MAX);
	memcpy(set->line + *at, s, n);
	*at += n;
	return 0;
}

/* One folder of n bytes at `s`: takes it and writes it to the line. */
static int
step_down(struct dst_set *set, const char *s, size_t n, struct place *p,
	  bool *renamed, struct error *e)
{
	char segment[DST_SEGMENT_MAX];
	struct taken *t;

	p->folder = p->parent;
	if (key_fold(set, &p->folder, s, n) != 0)
		return error_memory(e);
	t = find(set, &p->folder);
	if (t != NULL && !is_folder(t)) {
		t = alias_folder(set, t, s, n, p, segment, &n, e);
		if (n == 0)
			return -1;
		s = segment;
		*renamed = true;
	}
	if (t == NULL && take_folder(set, &p->folder, e) != 0)
		return -1;
	p->parent = p->folder;
	key_feed(set, &p->parent, "/", 1);
	return append(set, &p->at, s, n, e) == 0
		       ? append(set, &p->at, "/", 1, e)
		       : -1;
}

/*
 * Takes the folders of `name`; *p then leads on to its last segment.
 * Returns the name, changed where a folder had to be.
 */
static const char *
take_folders(struct dst_set *set, const char *name, struct place *p,
	     struct error *e)
{
	const char *s = name, *slash;
	bool renamed = false;
	size_t end;

	if (set->line == NULL)
		set->line = arena_alloc(set->arena, DST_NAME_MAX + 1);
	if (set->line == NULL) {
		error_memory(e);
		return NULL;
	}
	for (; (slash = strchr(s, '/')) != NULL; s = slash + 1) {
		if (step_down(set, s, (size_t)(slash - s), p, &renamed, e) != 0)
			return NULL;
	}
	if (!renamed)
		return name;
	end = p->at;
	if (append(set, &end, s, strlen(s), e) != 0)
		return NULL;
	name = arena_strndup(set->arena, set->line, end);
	if (name == NULL)
		error_memory(e);
	return name;
}

/* Where the extension of a file name starts; its end when it has none. */
static size_t
stem_length(const char *s, size_t n)
{
	const char *dot = memrchr(s, '.', n);

	if (dot == NULL || dot == s || s + n - dot > EXTENSION_MAX)
		return n;
	return (size_t)(dot - s);
}

/*
 * `name` is taken by `t`, of another owner or a folder.  What was renamed is
 * remembered by name and owner, so that it is known when it comes again.
 */
static const char *
take_numbered(struct dst_set *set, struct taken *t, const char *name,
	      const struct place *p, const char *owner, struct error *e)
{
	const char *s = name + p->at;
	size_t n = strlen(s), len;
	char segment[DST_SEGMENT_MAX];
	struct key pair = t->key, k;
	struct taken *other;

	key_feed(set, &pair, "", 1);
	key_feed(set, &pair, owner, strlen(owner));
	if (find(set, &pair) != NULL)
		return NULL;
	if (t->next == 0)
		t->next = 2;
	do {
		len = number_segment(segment, s, n, stem_length(s, n),
				     t->next++);
		k = p->parent;
		if (key_fold(set, &k, segment, len) != 0) {
			error_memory(e);
			return NULL;
		}
		other = find(set, &k);
		if (other != NULL && is_file_of(other, owner))
			return NULL;
	} while (other != NULL);
	if (insert(set, &k, owner) != 0 || insert(set, &pair, owner) != 0) {
		error_memory(e);
		return NULL;
	}
	return replace(set, name, p->at, n, segment, len, e);
}

const char *
dst_set_take(struct dst_set *set, const char *name, const char *owner,
	     struct error *e)
{
	struct place p = { 0 };
	struct taken *t;
	struct key k;

	if (e != NULL)
		e->code = ERROR_NONE;
	name = take_folders(set, name, &p, e);
	if (name == NULL)
		return NULL;
	if (name[p.at] == '\0') {
		t = find(set, &p.folder);
		if (t == NULL || t->owner == a_listed_folder)
			return NULL;
		t->owner = a_listed_folder;
		return name;
	}
	k = p.parent;
	if (key_fold(set, &k, name + p.at, strlen(name + p.at)) != 0) {
		error_memory(e);
		return NULL;
	}
	t = find(set, &k);
	if (t != NULL && is_file_of(t, owner))
		return NULL;
	if (t != NULL)
		return take_numbered(set, t, name, &p, owner, e);
	if (insert(set, &k, owner) != 0) {
		error_memory(e);
		return NULL;
	}
	return name;
}
