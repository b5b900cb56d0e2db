-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Bundles and their files.  Times are unix seconds; NULL means not given, or
-- not learned yet.  file_count is the number of files: positions run from 0
-- without a gap, and an append that has not bumped it has not happened.
CREATE TABLE {table} (
	id          TEXT    NOT NULL PRIMARY KEY,
	secret      TEXT    NOT NULL,
	filename    TEXT    NOT NULL,
	created_at  INTEGER NOT NULL,
	expires_at  INTEGER NOT NULL,
	compression TEXT,
	on_error    TEXT,
	file_count  INTEGER NOT NULL
) STRICT;

CREATE INDEX {index} ON {table} (expires_at);

-- Clustered by its key, so that a bundle is read and deleted in one sweep.
CREATE TABLE {files} (
	bundle_id   TEXT    NOT NULL REFERENCES {table} (id) ON DELETE CASCADE,
	position    INTEGER NOT NULL,
	-- As declared by the client; no src: a directory.
	src         TEXT,
	dst         TEXT    NOT NULL,
	size        INTEGER,
	mtime       INTEGER,
	crc32       INTEGER,
	compression TEXT,
	-- As learned by a download.
	known_size  INTEGER,
	packed_size INTEGER,
	known_mtime INTEGER,
	known_crc32 INTEGER,
	validator   TEXT,
	layout      TEXT,
	checkpoints TEXT,
	PRIMARY KEY (bundle_id, position)
) STRICT, WITHOUT ROWID;
