/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Table names in SQL texts: checked, quoted and put in. */
#include "sql.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

/* An index lives in its table's schema and must not name it again. */
static const struct placeholder {
	const char *mark;
	const char *suffix;
	bool qualified;
} placeholders[] = {
	{ "{table}", "", true },
	{ "{files}", "_files", true },
	{ "{notes}", "_notes", true },
	{ "{schema}", "_schema", true },
	{ "{index}", "_expires_at", false },
};

static bool
identifier_valid(const char *s, size_t n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789_-";

	return n > 0 && n <= SQL_TABLE_MAX && strspn(s, letters) >= n;
}

bool
sql_table_valid(const char *table, bool dotted)
{
	const char *dot = strchr(table, '.');

	if (dot == NULL)
		return identifier_valid(table, strlen(table));
	return dotted && identifier_valid(table, (size_t)(dot - table)) &&
	       identifier_valid(dot + 1, strlen(dot + 1));
}

/* A valid name holds no quote, so that none needs doubling. */
static void
put_name(struct buf *out, const char *table, const struct placeholder *p)
{
	const char *dot = strchr(table, '.');

	if (dot != NULL && p->qualified)
		buf_printf(out, "\"%.*s\".", (int)(dot - table), table);
	buf_printf(out, "\"%s%s\"", dot == NULL ? table : dot + 1, p->suffix);
}

static const struct placeholder *
find(const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++)
		if (strncmp(text, placeholders[i].mark,
			    strlen(placeholders[i].mark)) == 0)
			return &placeholders[i];
	return NULL;
}

char *
sql_expand(const char *text, const char *table)
{
	const struct placeholder *p;
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	buf_puts(&out, ""); /* an empty text is a text */
	while (*text != '\0') {
		p = *text == '{' ? find(text) : NULL;
		if (p == NULL) {
			buf_putc(&out, *text++);
			continue;
		}
		put_name(&out, table, p);
		text += strlen(p->mark);
	}
	if (!buf_failed(&out))
		return out.data;
	buf_free(&out);
	return NULL;
}
