-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The steps of the schema that were run.
CREATE TABLE IF NOT EXISTS {schema} (
	version    INTEGER NOT NULL PRIMARY KEY,
	name       TEXT    NOT NULL,
	applied_at INTEGER NOT NULL
) STRICT;
