-- SPDX-License-Identifier: AGPL-3.0-or-later
-- One upgrade at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('zipstream ' || $1::text, 0));
