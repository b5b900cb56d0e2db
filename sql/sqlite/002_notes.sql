-- SPDX-License-Identifier: AGPL-3.0-or-later
-- How the last ten downloads of a bundle ended: number counts all, the place
-- of a record is the number's last digit.
CREATE TABLE {notes} (
	bundle_id TEXT    NOT NULL REFERENCES {table} (id) ON DELETE CASCADE,
	place     INTEGER NOT NULL,
	number    INTEGER NOT NULL,
	record    TEXT    NOT NULL,
	PRIMARY KEY (bundle_id, place)
) STRICT, WITHOUT ROWID;
