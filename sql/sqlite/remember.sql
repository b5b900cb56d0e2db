-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Only if the file is still the one that was read.
UPDATE {files}
SET known_size = ?4, packed_size = ?5, known_mtime = ?6, known_crc32 = ?7,
	validator = ?8, layout = ?9, checkpoints = ?10
WHERE bundle_id = ?1 AND position = ?2 AND src IS ?3;
