-- SPDX-License-Identifier: AGPL-3.0-or-later
SELECT src, dst, size, mtime, crc32, compression, known_size, packed_size,
	known_mtime, known_crc32, validator, layout, checkpoints
FROM {files}
WHERE bundle_id = ?1
ORDER BY position;
