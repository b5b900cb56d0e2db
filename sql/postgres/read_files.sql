-- SPDX-License-Identifier: AGPL-3.0-or-later
DECLARE files NO SCROLL CURSOR FOR
SELECT src, dst, size, mtime, crc32, compression, known_size, packed_size,
	known_mtime, known_crc32, validator, layout, checkpoints
FROM {files}
WHERE bundle_id = $1 AND position < $2::bigint
ORDER BY position;
