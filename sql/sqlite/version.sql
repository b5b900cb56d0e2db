-- SPDX-License-Identifier: AGPL-3.0-or-later
SELECT coalesce(max(version), 0) FROM {schema};
