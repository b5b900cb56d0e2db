-- SPDX-License-Identifier: AGPL-3.0-or-later
DELETE FROM {table} WHERE id = $1;
