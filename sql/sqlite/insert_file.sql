-- SPDX-License-Identifier: AGPL-3.0-or-later
INSERT INTO {files} (bundle_id, position, src, dst, size, mtime, crc32,
	compression)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
