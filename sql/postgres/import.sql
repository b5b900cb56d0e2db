-- SPDX-License-Identifier: AGPL-3.0-or-later
-- {table} is the Node service's here: its timestamps are UTC, its files are
-- JSON documents; what it kept becomes a document as a client would send it,
-- its text untouched: PostgreSQL fails on escapes such as \ud800 in any one of
-- them as soon as it looks inside.  'infinity' is a date there, too.
DECLARE bundles NO SCROLL CURSOR FOR
SELECT id, secret, extract(epoch FROM
	least(greatest(expirationdate, 'epoch'), '9999-12-31'))::bigint,
	json_build_object(
		'filename', nullif(filename, ''),
		'files', coalesce(array_to_json(files), '[]')
	)
FROM {table}
WHERE expirationdate IS NOT NULL;
