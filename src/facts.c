/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Facts as one line of text. */
#include "facts.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS 8
#define CHECKPOINTS_MAX 10000 /* more are not strung together */

static const char *
text_of(const char *s)
{
	return s != NULL ? s : "";
}

void
facts_format(struct buf *out, const struct facts *f, const char *src)
{
	if (text_of(f->layout)[0] == '\0') {
		buf_puts(out, "-");
		return;
	}
	buf_printf(out, "%lld\t%lld\t%lld\t%s%08x\t%s\t%s\t%s\t%s",
		   (long long)f->size, (long long)f->packed,
		   (long long)f->mtime, f->has_crc ? "" : "-", f->crc,
		   f->layout, text_of(f->validator), text_of(f->checkpoints),
		   src);
}

void
facts_parse(struct arena *a, const char *text, struct file *f)
{
	char *copy = arena_strdup(a, text), *field[FIELDS], *next = copy;
	int n = 0;

	while (copy != NULL && n < FIELDS && next != NULL)
		field[n++] = strsep(&next, "\t");
	if (n != FIELDS || next != NULL || f->src == NULL ||
	    strcmp(field[7], f->src) != 0)
		return;
	f->facts.size = strtoll(field[0], NULL, 10);
	f->facts.packed = strtoll(field[1], NULL, 10);
	f->facts.mtime = strtoll(field[2], NULL, 10);
	f->facts.has_crc = field[3][0] != '-';
	f->facts.crc =
		(uint32_t)strtoul(field[3] + !f->facts.has_crc, NULL, 16);
	f->facts.layout = field[4];
	f->facts.validator = field[5];
	f->facts.checkpoints = field[6];
}

static bool
same_version(const struct facts *f, const struct facts *old)
{
	const char *validator = text_of(f->validator);

	return f->size >= 0 && f->size == old->size && validator[0] != '\0' &&
	       strcmp(validator, text_of(old->validator)) == 0;
}

void
facts_merge(struct arena *a, struct facts *f, const struct facts *old,
	    const char *known)
{
	const char *mine = text_of(f->checkpoints);
	const char *theirs = text_of(old->checkpoints);
	size_t n = strlen(text_of(known));

	if (!same_version(f, old))
		return;
	if (!f->has_crc &&
	    strcmp(text_of(f->layout), text_of(old->layout)) == 0) {
		f->has_crc = old->has_crc;
		f->crc = old->crc;
	}
	if (strlen(theirs) >= CHECKPOINTS_MAX)
		return;
	/* What is not kept for want of memory is read again. */
	mine = strncmp(theirs, text_of(known), n) == 0
		       ? arena_printf(a, "%s%s", mine, theirs + n)
		       : arena_printf(a, "%s%s", theirs, mine);
	if (mine != NULL)
		f->checkpoints = mine;
}
