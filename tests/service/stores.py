# SPDX-License-Identifier: AGPL-3.0-or-later
"""The databases that the life-cycle tests run on: one class and one row each.

A store knows which settings lead to it and how to reach behind the service's
back: to let a bundle expire, and to count what is left of it.
"""

import contextlib
import pathlib
import sqlite3
import subprocess

from dynamodb import DynamoDb
from postgres import PgBouncer, Postgres


class Sqlite:
    most_files = 10_000  # that the tests put into one bundle

    def __init__(self, folder: pathlib.Path):
        self.path = folder / "bundles.db"
        self.settings = {"DB_INTERFACE": "sqlite", "DB_CNXN": self.path}

    def start(self) -> "Sqlite":
        return self

    def stop(self):
        pass

    def execute(self, statement: str, *values) -> list:
        with contextlib.closing(sqlite3.connect(self.path, 10)) as db, db:
            return db.execute(statement, values).fetchall()

    def expire(self, id_: str):
        """As if its time were over."""
        self.execute("UPDATE bundles SET expires_at = 1 WHERE id = ?", id_)

    def rows(self, id_: str) -> int:
        """What the tables still hold of a bundle."""
        counts = self.execute(
            "SELECT (SELECT count(*) FROM bundles WHERE id = ?1)"
            " + (SELECT count(*) FROM bundles_files WHERE bundle_id = ?1)",
            id_)
        return counts[0][0]


class PostgresStore:
    most_files = 10_000

    def __init__(self, folder: pathlib.Path):
        self.server = Postgres()
        self.settings = self.server.settings

    def start(self) -> "PostgresStore":
        self.server.start()
        return self

    def stop(self):
        self.server.remove()

    def execute(self, statement: str, **values) -> list:
        """Rows of text; :'name' in the statement stands for a value."""
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
                   self.settings["DB_CNXN"]]
        for name, value in values.items():
            command += ["-v", f"{name}={value}"]
        done = subprocess.run(command, input=statement, check=True,
                              capture_output=True, text=True)
        return [tuple(line.split("|")) for line in done.stdout.splitlines()]

    def expire(self, id_: str):
        self.execute(f"UPDATE bundles SET expires_at = 1 WHERE id = '{id_}'")

    def rows(self, id_: str) -> int:
        return int(self.execute(
            f"SELECT (SELECT count(*) FROM bundles WHERE id = '{id_}')"
            " + (SELECT count(*) FROM bundles_files"
            f" WHERE bundle_id = '{id_}')")[0][0])


class PgBouncerStore(PostgresStore):
    """The same behind a pool of transactions."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.bouncer = PgBouncer(self.server)
        self.settings = self.bouncer.settings

    def start(self) -> "PgBouncerStore":
        super().start()
        self.bouncer.start()
        return self

    def stop(self):
        try:
            self.bouncer.remove()
        finally:
            super().stop()


STORES = {"sqlite": Sqlite, "postgres": PostgresStore,
          "pgbouncer": PgBouncerStore, "dynamodb": DynamoDb}
