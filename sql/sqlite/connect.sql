-- SPDX-License-Identifier: AGPL-3.0-or-later
-- What a committed transaction wrote survives a loss of power.
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
-- What a great purge has written to the log is given back after it.
PRAGMA journal_size_limit = 8388608;
-- In KiB: an idle worker must stay lean.
PRAGMA cache_size = -512;
