/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Settings as text: `zipstream config`, the sample file, error messages. */
#include "config_table.h"

#include <inttypes.h>
#include <string.h>

#define PRINT_MAX 131072 /* the longest value, quoted */
#define COLUMNS 76	 /* of the sample's comments */

static int64_t
number_of(const struct setting *s, const struct config *c)
{
	const char *field = (const char *)c + s->offset;

	if (s->type == SETTING_WORD)
		return *(const int *)(const void *)field;
	if (s->type == SETTING_SET)
		return *(const unsigned *)(const void *)field;
	return *(const int64_t *)(const void *)field;
}

/* In the largest unit that leaves no rest. */
static void
put_quantity(struct buf *out, int64_t n, const struct setting_unit *units)
{
	if (n == 0) {
		buf_putc(out, '0');
		return;
	}
	while (n % units->factor != 0)
		units++;
	buf_printf(out, "%" PRId64 "%s", n / units->factor, units->name);
}

static void
put_set(struct buf *out, const struct setting_word *words, unsigned bits)
{
	for (const char *comma = ""; words->name != NULL; words++) {
		if (!(bits & (unsigned)words->value))
			continue;
		buf_printf(out, "%s%s", comma, words->name);
		comma = ",";
	}
}

static void
put_number(const struct setting *s, int64_t n, struct buf *out)
{
	switch (s->type) {
	case SETTING_WORD:
		buf_puts(out, setting_word_name(s->words, (int)n));
		return;
	case SETTING_SET:
		put_set(out, s->words, (unsigned)n);
		return;
	case SETTING_SIZE:
		put_quantity(out, n, setting_size_units);
		return;
	case SETTING_DURATION:
		put_quantity(out, n * s->unit_ms, setting_time_units);
		return;
	default:
		buf_printf(out, "%" PRId64, n);
	}
}

/* The words of the list, each value once. */
static void
put_words(const struct setting_word *words, struct buf *out)
{
	for (const struct setting_word *w = words; w->name != NULL; w++)
		if (setting_word_name(words, w->value) == w->name)
			buf_printf(out, "%s%s", w == words ? "" : ", ",
				   w->name);
}

/* "a size from 1KiB to 300KiB" */
static void
put_bounds(const struct setting *s, struct buf *out)
{
	static const char *const nouns[] = {
		[SETTING_COUNT] = "a number",
		[SETTING_SIZE] = "a size (4096, 64KiB, 16MiB)",
		[SETTING_DURATION] = "a time (500ms, 30s, 2h, 7d)",
	};
	struct setting whole = *s;

	whole.unit_ms = 1; /* the bounds are in milliseconds */
	buf_printf(out, "%s from ", nouns[s->type]);
	put_number(&whole, s->min, out);
	buf_puts(out, " to ");
	put_number(&whole, s->max, out);
	if (s->type == SETTING_DURATION)
		buf_printf(out, ", a bare number counting %s",
			   s->bare_ms == 60000 ? "minutes" : "seconds");
}

void
setting_takes(const struct setting *s, struct buf *out)
{
	static const char *const nouns[] = {
		[SETTING_TEXT] = "text",
		[SETTING_PATH] = "a path",
		[SETTING_URL] = "an http:// or https:// URL",
		[SETTING_NETWORKS] = "a list of networks (10.0.0.0/8,fd00::/8)",
		[SETTING_SOURCES] = "a list, separated by spaces, of "
				    "https://host/path, s3://bucket/prefix "
				    "or file:///folder/",
	};

	if (s->type == SETTING_WORD) {
		buf_puts(out, "one of ");
		put_words(s->words, out);
	} else if (s->type == SETTING_SET) {
		buf_puts(out, "a comma list of ");
		put_words(s->words, out);
	} else if (setting_is_text(s)) {
		buf_puts(out, nouns[s->type]);
		if (s->type == SETTING_TEXT)
			buf_printf(out, " of %s%" PRId64 " bytes",
				   s->min > 0 ? "1 to " : "at most ", s->max);
	} else {
		put_bounds(s, out);
	}
	if (s->flags & SETTING_NONE)
		buf_puts(out, ", or none");
	if (s->flags & SETTING_AUTO)
		buf_puts(out, ", or auto");
}

/* `scheme://user:password@` -> `scheme://user:***@`; the URL's start is
 * consumed and returned as the number of its bytes. */
static size_t
put_masked_user(struct buf *out, const char *text)
{
	const char *host = strstr(text, "://"), *at, *colon;

	if (host == NULL)
		return 0;
	host += 3;
	/* Rather too much is masked than a password with a stray slash. */
	at = strrchr(host, '@');
	if (at == NULL)
		return 0;
	colon = memchr(host, ':', (size_t)(at - host));
	if (colon == NULL)
		return 0;
	buf_put(out, text, (size_t)(colon + 1 - text));
	buf_puts(out, "***");
	return (size_t)(at - text);
}

/* Bytes of a libpq value: quoted, or up to a blank or ampersand. */
static size_t
value_length(const char *p)
{
	size_t n = 0;

	if (*p != '\'')
		return strcspn(p, " &");
	for (n = 1; p[n] != '\0' && p[n] != '\''; n++)
		if (p[n] == '\\' && p[n + 1] != '\0')
			n++;
	return p[n] != '\0' ? n + 1 : n;
}

/* Text in which a URL or conninfo may hold a password. */
static void
put_masked(struct buf *out, const char *text)
{
	const char *p = text + put_masked_user(out, text);

	while (*p != '\0') {
		size_t key = strcspn(p, "=");
		const char *word = p + key;

		while (word > p && word[-1] == ' ')
			word--;
		if (p[key] == '\0') {
			buf_puts(out, p);
			return;
		}
		key++;
		key += strspn(p + key, " ");
		buf_put(out, p, key);
		/* "password", "sslpassword" */
		if (word - p >= 8 && strncmp(word - 8, "password", 8) == 0) {
			buf_puts(out, "***");
			key += value_length(p + key);
		}
		p += key;
	}
}

static const char *
text_of(const struct setting *s, const struct config *c)
{
	const char *field = (const char *)c + s->offset;

	return *(const char *const *)(const void *)field;
}

static void
put_text(const struct setting *s, const char *text, struct buf *out)
{
	if (*text == '\0' && s->flags & (SETTING_NONE | SETTING_AUTO))
		buf_puts(out, s->flags & SETTING_NONE ? "none" : "auto");
	else if (s->flags & SETTING_SECRET && *text != '\0')
		buf_puts(out, "***");
	else
		put_masked(out, text);
}

void
setting_format(const struct setting *s, const struct config *c, struct buf *out)
{
	int64_t n;

	if (setting_is_text(s)) {
		put_text(s, text_of(s, c), out);
		return;
	}
	n = number_of(s, c);
	if (n == 0 && s->flags & SETTING_NONE)
		buf_puts(out, "none");
	else
		put_number(s, n, out);
}

/* As the file's grammar reads it back. */
static void
print_value(const char *text, FILE *out)
{
	if (strpbrk(text, " \t'\"#\\") == NULL) {
		fputs(text, out);
	} else if (strchr(text, '\'') == NULL) {
		fprintf(out, "'%s'", text);
	} else {
		fputc('"', out);
		for (; *text != '\0'; text++) {
			if (*text == '"' || *text == '\\')
				fputc('\\', out);
			fputc(*text, out);
		}
		fputc('"', out);
	}
}

void
config_print(const struct config *c, FILE *out)
{
	struct buf value;

	buf_init(&value, PRINT_MAX);
	for (size_t i = 0; i < setting_count; i++) {
		buf_reset(&value);
		setting_format(&setting_table[i], c, &value);
		fprintf(out, "%s=", setting_table[i].name);
		print_value(buf_str(&value), out);
		fputc('\n', out);
	}
	buf_free(&value);
}

/* Words filled into comment lines. */
static void
print_comment(const char *text, FILE *out)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (column != 0 && column + 1 + n > COLUMNS) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(
			out, "%s%.*s", column == 0 ? "# " : " ", (int)n, text);
		text += n + strspn(text + n, " ");
	}
	fputc('\n', out);
}

void
config_print_sample(FILE *out)
{
	struct buf takes;

	fputs("# SPDX-License-Identifier: AGPL-3.0-or-later\n"
	      "# Settings of ZipStream with their defaults; a copy named .env "
	      "is read from the\n# working directory or from beside the "
	      "program.  See zipstream.conf(5).\n",
	      out);
	buf_init(&takes, PRINT_MAX);
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *s = &setting_table[i];

		buf_reset(&takes);
		buf_puts(&takes, "Takes ");
		setting_takes(s, &takes);
		buf_printf(&takes, ".%s",
			   s->flags & SETTING_FIXED
				   ? " Changed by a restart only."
				   : "");
		if (s->section != NULL)
			fprintf(out, "\n## %s\n", s->section);
		fputc('\n', out);
		print_comment(s->text, out);
		print_comment(buf_str(&takes), out);
		fprintf(out, "#%s=%s\n", s->name, s->value);
	}
	buf_free(&takes);
}
