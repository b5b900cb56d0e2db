-- SPDX-License-Identifier: AGPL-3.0-or-later
-- A column of each batch is an array; $2 is the first file's position.
INSERT INTO {files} (bundle_id, position, src, dst, size, mtime, crc32,
	compression)
SELECT $1, $2::bigint + f.n - 1, f.src, f.dst, f.size, f.mtime, f.crc32,
	f.compression
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
	$8::text[])
	WITH ORDINALITY AS f (src, dst, size, mtime, crc32, compression, n);
