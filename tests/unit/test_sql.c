/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Table names in SQL texts: which are taken, and how they are put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "sql.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
takes_plain_names_alone(void **state)
{
	static const struct {
		const char *name;
		bool alone;
		bool dotted;
	} names[] = {
		{ "bundles", true, true },
		{ "Zip-Stream_2", true, true },
		{ "123456789012345678901234567890123456789012345678", true,
		  true },
		{ "1234567890123456789012345678901234567890123456789", false,
		  false },
		{ "zip.bundles", false, true },
		{ "a.b.c", false, false },
		{ ".a", false, false },
		{ "a.", false, false },
		{ ".", false, false },
		{ "", false, false },
		{ "a b", false, false },
		{ "a\"b", false, false },
		{ "a;b", false, false },
		{ "a\nb", false, false },
		{ "\xc3\xa9", false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++) {
		assert_int_equal(sql_table_valid(names[i].name, false),
				 names[i].alone);
		assert_int_equal(sql_table_valid(names[i].name, true),
				 names[i].dotted);
	}
}

static void
puts_quoted_names_in(void **state)
{
	static const struct {
		const char *text;
		const char *table;
		const char *result;
	} texts[] = {
		{ "", "t", "" },
		{ "SELECT '{', '{}', '{tabl', {table}", "t",
		  "SELECT '{', '{}', '{tabl', \"t\"" },
		{ "{table}{files}{schema}{index}", "t",
		  "\"t\"\"t_files\"\"t_schema\"\"t_expires_at\"" },
		{ "{index} ON {table}; {files}; {schema}", "s.t",
		  "\"t_expires_at\" ON \"s\".\"t\"; \"s\".\"t_files\"; "
		  "\"s\".\"t_schema\"" },
	};
	char *sql;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		sql = sql_expand(texts[i].text, texts[i].table);
		assert_string_equal(sql, texts[i].result);
		free(sql);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_plain_names_alone),
		cmocka_unit_test(puts_quoted_names_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
