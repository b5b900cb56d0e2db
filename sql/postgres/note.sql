-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Takes the place of the record that is ten older.  The bundle is locked: its
-- downloads end one after the other.
INSERT INTO {notes} (bundle_id, place, number, record)
SELECT $1, n % 10, n, $2
FROM (
	SELECT coalesce(max(number), 0) + 1 AS n FROM {notes}
	WHERE bundle_id = $1
) AS next
ON CONFLICT (bundle_id, place) DO UPDATE
SET number = excluded.number, record = excluded.record;
