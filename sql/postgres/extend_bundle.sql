-- SPDX-License-Identifier: AGPL-3.0-or-later
UPDATE {table} SET file_count = file_count + $2::bigint WHERE id = $1;
