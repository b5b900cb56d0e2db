-- SPDX-License-Identifier: AGPL-3.0-or-later
SELECT record FROM {notes} WHERE bundle_id = $1 ORDER BY number DESC;
