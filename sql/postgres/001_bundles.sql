-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Bundles and their files.  Times are unix seconds; NULL means not given, or
-- not learned yet.  file_count is the number of files: positions run from 0
-- without a gap, and an append that has not bumped it has not happened.
CREATE TABLE {table} (
	id          text    NOT NULL PRIMARY KEY,
	secret      text    NOT NULL,
	filename    text    NOT NULL,
	created_at  bigint  NOT NULL,
	expires_at  bigint  NOT NULL,
	compression text,
	on_error    text,
	file_count  bigint  NOT NULL
);

CREATE INDEX {index} ON {table} (expires_at);

CREATE TABLE {files} (
	bundle_id   text    NOT NULL REFERENCES {table} (id) ON DELETE CASCADE,
	position    bigint  NOT NULL,
	-- As declared by the client; no src: a directory.
	src         text,
	dst         text    NOT NULL,
	size        bigint,
	mtime       bigint,
	crc32       bigint,
	compression text,
	-- As learned by a download.
	known_size  bigint,
	packed_size bigint,
	known_mtime bigint,
	known_crc32 bigint,
	validator   text,
	layout      text,
	checkpoints text,
	PRIMARY KEY (bundle_id, position)
);
