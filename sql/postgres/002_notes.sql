-- SPDX-License-Identifier: AGPL-3.0-or-later
-- How the last ten downloads of a bundle ended: number counts all, the place
-- of a record is the number's last digit.
CREATE TABLE {notes} (
	bundle_id text    NOT NULL REFERENCES {table} (id) ON DELETE CASCADE,
	place     integer NOT NULL,
	number    bigint  NOT NULL,
	record    text    NOT NULL,
	PRIMARY KEY (bundle_id, place)
);
