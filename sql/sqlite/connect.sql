-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What a committed transaction wrote survives a loss of power.
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
-- In KiB: an idle worker must stay lean.
PRAGMA cache_size = -512;
