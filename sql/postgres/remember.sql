-- SPDX-License-Identifier: AGPL-3.0-or-later
-- A column of each batch is an array; only files that are still the ones that
-- were read.
UPDATE {files} AS f
SET known_size = k.known_size, packed_size = k.packed_size,
	known_mtime = k.known_mtime, known_crc32 = k.known_crc32,
	validator = k.validator, layout = k.layout,
	checkpoints = k.checkpoints
FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
	$6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[])
	AS k (position, src, known_size, packed_size, known_mtime,
		known_crc32, validator, layout, checkpoints)
WHERE f.bundle_id = $1 AND f.position = k.position
	AND f.src IS NOT DISTINCT FROM k.src;
