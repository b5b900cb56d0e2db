-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Appends to a bundle take turns.
SELECT secret, filename, created_at, expires_at, compression, on_error,
	file_count
FROM {table}
WHERE id = $1 AND expires_at > $2
FOR UPDATE;
