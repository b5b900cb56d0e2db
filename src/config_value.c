/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One setting's value: from text to a field of struct config. */
#include "config_table.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "address.h"
#include "url.h"

/* Longest first where one begins like another. */
const struct setting_unit setting_size_units[] = {
	{ "TiB", INT64_C(1) << 40 },
	{ "GiB", INT64_C(1) << 30 },
	{ "MiB", INT64_C(1) << 20 },
	{ "KiB", INT64_C(1) << 10 },
	{ "T", INT64_C(1) << 40 },
	{ "G", INT64_C(1) << 30 },
	{ "M", INT64_C(1) << 20 },
	{ "K", INT64_C(1) << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};

const struct setting_unit setting_time_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "m", 60000 },
	{ "s", 1000 },	   { "ms", 1 },	     { NULL, 0 },
};

/* Digits alone, no sign; -1 when there are none or they do not fit. */
static int64_t
parse_digits(const char *text, const char **end)
{
	const char *p = text;
	int64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *p - '0', &n))
			return -1;
	*end = p;
	return p > text ? n : -1;
}

/* A number and its unit; a bare number counts `bare`. */
static int64_t
parse_quantity(const char *text, const struct setting_unit *units, int64_t bare)
{
	const char *unit;
	int64_t n = parse_digits(text, &unit), product;

	if (n < 0)
		return -1;
	while (*unit == ' ')
		unit++;
	for (; *unit != '\0' && units->name != NULL; units++)
		if (strcasecmp(unit, units->name) == 0)
			break;
	if (units->name == NULL)
		return -1;
	if (*unit != '\0')
		bare = units->factor;
	return __builtin_mul_overflow(n, bare, &product) ? -1 : product;
}

int64_t
config_parse_size(const char *text)
{
	return parse_quantity(text, setting_size_units, 1);
}

int64_t
config_parse_duration_ms(const char *text, int64_t unit_ms)
{
	return parse_quantity(text, setting_time_units, unit_ms);
}

int
setting_word_value(const struct setting_word *words, const char *name)
{
	for (; words->name != NULL; words++)
		if (strcasecmp(words->name, name) == 0)
			return words->value;
	return -1;
}

const char *
setting_word_name(const struct setting_word *words, int value)
{
	for (; words->name != NULL; words++)
		if (words->value == value)
			return words->name;
	return "";
}

const char *
config_absolute(struct arena *a, const char *base, const char *path)
{
	char here[PATH_MAX];

	if (path[0] == '/')
		return arena_strdup(a, path);
	if (base == NULL)
		base = getcwd(here, sizeof(here));
	return arena_printf(a, "%s/%s", base != NULL ? base : ".", path);
}

/* http:// or https:// and a host, and no blanks. */
static bool
is_url(const char *text)
{
	const char *host = strstr(text, "://");

	return (strncasecmp(text, "http://", 7) == 0 ||
		strncasecmp(text, "https://", 8) == 0) &&
	       strcspn(host + 3, "/:?#") > 0 &&
	       strpbrk(text, " \t\"<>") == NULL;
}

static bool
is_network_list(const char *text)
{
	char *bad = NULL;
	struct address_list *l = address_list_parse(text, &bad);

	bool valid = bad == NULL; /* else no memory: not the text's fault */

	address_list_free(l);
	free(bad);
	return valid;
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static bool
text_is_valid(const struct setting *s, const char *text)
{
	size_t n = strlen(text);

	if (n < (size_t)s->min || n > (size_t)s->max || has_control(text))
		return false;
	if (n == 0)
		return true;
	switch (s->type) {
	case SETTING_URL:
		return is_url(text);
	case SETTING_SOURCES:
		return url_patterns_valid(text);
	case SETTING_NETWORKS:
		return is_network_list(text);
	default:
		return true;
	}
}

/* Names between commas -> their bits; -1 when one is unknown. */
static int
parse_set(const struct setting_word *words, const char *text)
{
	char name[32];
	int bits = 0;

	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, ", "), skip = strspn(p + n, ", ");
		int bit;

		if (n >= sizeof(name))
			return -1;
		memcpy(name, p, n);
		name[n] = '\0';
		bit = setting_word_value(words, name);
		if (bit < 0)
			return -1;
		bits |= bit;
		p += n + skip;
	}
	return bits != 0 ? bits : -1;
}

static int64_t
parse_number(const struct setting *s, const char *text)
{
	int64_t n;
	const char *end;

	switch (s->type) {
	case SETTING_WORD:
		return setting_word_value(s->words, text);
	case SETTING_SET:
		return parse_set(s->words, text);
	case SETTING_SIZE:
		n = config_parse_size(text);
		break;
	case SETTING_DURATION:
		n = config_parse_duration_ms(text, s->bare_ms);
		break;
	default:
		n = parse_digits(text, &end);
		if (n >= 0 && *end != '\0')
			return -1;
	}
	if (n < s->min || n > s->max)
		return -1;
	if (s->type != SETTING_DURATION)
		return n;
	return n % s->unit_ms == 0 ? n / s->unit_ms : -1;
}

bool
setting_is_text(const struct setting *s)
{
	return s->type <= SETTING_SOURCES;
}

/* Fields are reached by offset: their type is what the row says. */
static void *
field_of(const struct setting *s, struct config *c)
{
	return (char *)c + s->offset;
}

static void
store_number(const struct setting *s, struct config *c, int64_t n)
{
	if (s->type == SETTING_WORD)
		*(int *)field_of(s, c) = (int)n;
	else if (s->type == SETTING_SET)
		*(unsigned *)field_of(s, c) = (unsigned)n;
	else
		*(int64_t *)field_of(s, c) = n;
}

static int
parse_text(const struct setting *s, const struct setting_value *v,
	   struct config *c, struct arena *a)
{
	const char **field = field_of(s, c);
	bool none = (s->flags & SETTING_NONE && strcmp(v->text, "none") == 0) ||
		    (s->flags & SETTING_AUTO && strcmp(v->text, "auto") == 0);
	const char *text = none ? "" : v->text;

	if (!none && !text_is_valid(s, text))
		return 1;
	if (s->type == SETTING_PATH && *text != '\0')
		*field = config_absolute(a, v->base, text);
	else
		*field = arena_strdup(a, text);
	return *field != NULL ? 0 : -1;
}

int
setting_parse(const struct setting *s, const struct setting_value *v,
	      struct config *c, struct arena *a)
{
	int64_t n;

	if (setting_is_text(s))
		return parse_text(s, v, c, a);
	/* A word of its own ("auto" of a switch) goes before the flag. */
	n = parse_number(s, v->text);
	if (n < 0 && s->flags & SETTING_AUTO && strcmp(v->text, "auto") == 0) {
		store_number(s, c, CONFIG_AUTO);
		return 0;
	}
	if (n < 0 && s->flags & SETTING_NONE && strcmp(v->text, "none") == 0)
		n = 0;
	if (n < 0)
		return 1;
	store_number(s, c, n);
	return 0;
}
