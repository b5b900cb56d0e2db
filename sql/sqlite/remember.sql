-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Only if the file is still the one that was read.  Who has read less of the
-- same version takes nothing away from what is known of it: ?11 are the
-- checkpoints that were read and are in ?10; what was added to them since is
-- strung to it, within bounds.
UPDATE {files}
SET known_size = ?4, packed_size = ?5, known_mtime = ?6,
	known_crc32 = CASE WHEN ?7 IS NULL AND known_size IS ?4
		AND validator IS ?8 AND validator <> '' AND layout IS ?9
		THEN known_crc32 ELSE ?7 END,
	checkpoints = CASE WHEN known_size IS ?4 AND validator IS ?8
		AND validator <> '' AND length(checkpoints) < 10000
		THEN CASE
			WHEN substr(checkpoints, 1, length(coalesce(?11, '')))
				= coalesce(?11, '')
			THEN coalesce(?10, '') || substr(checkpoints,
				length(coalesce(?11, '')) + 1)
			ELSE checkpoints || coalesce(?10, '') END
		ELSE ?10 END,
	validator = ?8, layout = ?9
WHERE bundle_id = ?1 AND position = ?2 AND src IS ?3;
