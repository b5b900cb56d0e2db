-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The steps of the schema that were run.
CREATE TABLE IF NOT EXISTS {schema} (
	version    integer     NOT NULL PRIMARY KEY,
	name       text        NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
