/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The texts of sql/, embedded at build time, and the table names in them.
 *
 * sql/<db>/NNN_name.sql are the steps of the schema in order and become
 * sql_<db>_steps[]; every other sql/<db>/name.sql is one statement and
 * becomes sql_<db>_<name>[].  The texts name tables by placeholders, which
 * sql_expand replaces with quoted identifiers:
 *
 *	{table}   the bundles, TABLE_NAME        {schema}  steps that were run
 *	{files}   their files                    {index}   on the expiry time
 *	{notes}   how their downloads ended
 */
#ifndef ZIPSTREAM_SQL_H
#define ZIPSTREAM_SQL_H

#include <stdbool.h>

/* PostgreSQL cuts identifiers at 63 bytes, silently: ours leave room for
 * the longest suffix. */
#define SQL_TABLE_MAX 48

/* The step at index i brings a schema to version i + 1. */
struct sql_step {
	const char *name; /* "001_bundles" */
	const char *text; /* one or more statements */
};

/* Letters, digits, '_' and '-', at most SQL_TABLE_MAX of them; and once a
 * dot, as in schema.table, when `dotted`. */
bool sql_table_valid(const char *table, bool dotted);

/* malloc'ed; NULL: no memory.  `table` must be valid. */
char *sql_expand(const char *text, const char *table);

#endif
