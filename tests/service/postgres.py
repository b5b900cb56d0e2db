# SPDX-License-Identifier: AGPL-3.0-or-later
"""A PostgreSQL server of our own, in a temporary folder, on a Unix socket,
and PgBouncer in front of one.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess

from pool import children, wait_until
from web_servers import new_folder

# Every transaction gets the one of two connections that is free just then.
BOUNCER = """\
[databases]
postgres = host={server} user={user}
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 5432
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 1000
server_login_retry = 1
"""


def folder_of_programs() -> pathlib.Path:
    """Debian keeps initdb and pg_ctl out of the PATH."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    assert initdb, "PostgreSQL is not installed"
    return pathlib.Path(initdb).parent


class Postgres:
    def __init__(self):
        self.folder = new_folder()
        self.programs = folder_of_programs()
        # The server refuses to be root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        name = self.user or os.environ["USER"]
        self.settings = {
            "DB_INTERFACE": "postgres",
            "DB_CNXN": f"host={self.folder} user={name} dbname=postgres"}
        self.run("initdb", "-A", "trust", "--no-sync", "--no-instructions")

    def run(self, program: str, *arguments: str):
        # Its output is not captured: the server would inherit the pipe.
        with open(self.folder / "commands.log", "ab") as log:
            subprocess.run(
                [self.programs / program, "-D", self.folder / "data",
                 *arguments], check=True, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.folder, timeout=60,
                **({"user": self.user} if self.user else {}))

    def start(self, *options: str) -> "Postgres":
        all_ = (f"-k {self.folder}", "-c listen_addresses=", "-c fsync=off",
                *options)
        self.run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"),
                 "-o", " ".join(all_))
        return self

    def stop(self, mode: str = "fast"):
        self.run("pg_ctl", "stop", "-w", "-m", mode)

    def signal(self, number: int):
        """To the server and to all that it has started."""
        first = (self.folder / "data" / "postmaster.pid").read_text()
        pid = int(first.split()[0])
        for process in (pid, *children(pid)):
            # Once it goes on, it may end others that it has started.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def remove(self):
        try:
            if (self.folder / "data" / "postmaster.pid").exists():
                self.stop("immediate")
        finally:
            shutil.rmtree(self.folder)


class PgBouncer:
    """Pools transactions, as many hosted databases do."""

    def __init__(self, server: Postgres):
        self.folder = new_folder()
        self.user = server.user
        if self.user:
            shutil.chown(self.folder, self.user)
        self.socket = self.folder / ".s.PGSQL.5432"
        name = self.user or os.environ["USER"]
        (self.folder / "settings").write_text(BOUNCER.format(
            server=server.folder, folder=self.folder, user=name))
        self.settings = {
            **server.settings,
            "DB_CNXN": f"host={self.folder} user={name} dbname=postgres"}

    def start(self) -> "PgBouncer":
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [program, self.folder / "settings"], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.folder,
                **({"user": self.user} if self.user else {}))
        wait_until(self.is_up, "PgBouncer's socket")
        return self

    def is_up(self) -> bool:
        assert self.process.poll() is None, "PgBouncer has ended"
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def remove(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder)
