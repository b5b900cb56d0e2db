-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Takes the place of the record that is ten older.
INSERT INTO {notes} (bundle_id, place, number, record)
SELECT ?1, n % 10, n, ?2
FROM (
	SELECT coalesce(max(number), 0) + 1 AS n FROM {notes}
	WHERE bundle_id = ?1
)
WHERE true
ON CONFLICT (bundle_id, place) DO UPDATE
SET number = excluded.number, record = excluded.record;
