/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Facts as one line of text. */
#include "facts.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS 8

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
