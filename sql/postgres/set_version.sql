-- SPDX-License-Identifier: AGPL-3.0-or-later
INSERT INTO {schema} (version, name) VALUES ($1, $2);
