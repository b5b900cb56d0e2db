-- SPDX-License-Identifier: AGPL-3.0-or-later
INSERT INTO {schema} (version, name, applied_at) VALUES (?1, ?2, unixepoch());
