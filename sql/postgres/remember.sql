-- SPDX-License-Identifier: AGPL-3.0-or-later
-- A column of each batch is an array; only files that are still the ones that
-- were read; who has read less of the same version takes nothing away.
-- k.before are the checkpoints that were read and are in k.checkpoints; what
-- was added to them since is strung to it, within bounds.
UPDATE {files} AS f
SET known_size = k.known_size, packed_size = k.packed_size,
	known_mtime = k.known_mtime,
	known_crc32 = CASE WHEN k.known_crc32 IS NULL
		AND f.known_size = k.known_size AND f.validator = k.validator
		AND f.validator <> '' AND f.layout = k.layout
		THEN f.known_crc32 ELSE k.known_crc32 END,
	validator = k.validator, layout = k.layout,
	checkpoints = CASE WHEN f.known_size = k.known_size
		AND f.validator = k.validator AND f.validator <> ''
		AND length(f.checkpoints) < 10000
		THEN CASE
			WHEN left(f.checkpoints, length(coalesce(k.before, '')))
				= coalesce(k.before, '')
			THEN coalesce(k.checkpoints, '') || substr(
				f.checkpoints, length(coalesce(k.before, '')) + 1)
			ELSE f.checkpoints || coalesce(k.checkpoints, '') END
		ELSE k.checkpoints END
FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
	$6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[],
	$11::text[])
	AS k (position, src, known_size, packed_size, known_mtime,
		known_crc32, validator, layout, checkpoints, before)
WHERE f.bundle_id = $1 AND f.position = k.position
	AND f.src IS NOT DISTINCT FROM k.src;
