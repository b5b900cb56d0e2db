-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The oldest ?2 expired bundles, and of these only so many that about 20,000
-- files go with them: a batch must not hold the write lock for long.
DELETE FROM {table} WHERE id IN (
	SELECT id FROM (
		SELECT id, sum(file_count) OVER (ORDER BY expires_at, id)
			- file_count AS files_before
		FROM (
			SELECT id, expires_at, file_count FROM {table}
			WHERE expires_at <= ?1
			ORDER BY expires_at, id LIMIT ?2
		)
	)
	WHERE files_before < 20000
);
