-- SPDX-License-Identifier: AGPL-3.0-or-later
INSERT INTO {table} (id, secret, filename, created_at, expires_at, compression,
	on_error, file_count)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
