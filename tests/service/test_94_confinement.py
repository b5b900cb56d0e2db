# SPDX-License-Identifier: AGPL-3.0-or-later
"""What workers have given up before their first request."""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import sqlite3

import pytest

import judges
import pool as pools
from service import Service
from web_servers import new_folder

USER = "nobody"

needs_root = pytest.mark.skipif(os.geteuid() != 0,
                                reason="only root becomes somebody else")


def status(pid: int) -> dict:
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.M))


def core_limit(pid: int) -> list:
    """Soft and hard.  1 is what keeps the kernel from a handler of cores,
    too."""
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    core = next(x for x in limits.splitlines() if "core file" in x)
    return core.split()[4:6]


@pytest.fixture
def confined():
    """A pool that root has started, in a folder that its workers reach."""
    folder = new_folder()
    shutil.chown(folder, USER, "nogroup")
    service = Service(folder, {"RUN_USER": USER, "RUN_GROUP": "daemon",
                               "FILE_ROOT": "/etc", "FS_INTERFACES": "file",
                               "MIN_SPARE_WORKERS": 1, "MAX_WORKERS": 1,
                               "PURGE_INTERVAL": "1s", "DB_TIMEOUT": "30s"})
    try:
        yield service.start()
        service.stop()
    finally:
        service.kill()
        shutil.rmtree(folder)


@needs_root
def test_workers_are_somebody_else(confined):
    user = pwd.getpwnam(USER)

    def confined_worker():
        """One that has been born whole: a child is root's for a moment."""
        for pid in confined.pool.workers():
            if (found := status(pid))["NoNewPrivs"] == "1":
                return found
        return None

    found = pools.wait_until(confined_worker, "a worker")
    assert found["Uid"].split() == [str(user.pw_uid)] * 4
    assert len(set(found["Gid"].split())) == 1
    assert found["Gid"].split()[0] != "0"
    assert "0" not in found["Groups"].split()
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    assert found["NoNewPrivs"] == "1"
    # What they have made is theirs, and for them alone.
    database = os.stat(confined.folder / "zipstream.db")
    assert database.st_uid == user.pw_uid and database.st_mode & 0o077 == 0


@needs_root
def test_so_is_what_purges(confined):
    """A child of its own, held up here by somebody who writes."""
    database = sqlite3.connect(confined.folder / "zipstream.db")
    with contextlib.closing(database):
        database.execute("BEGIN IMMEDIATE")
        both = pools.wait_until(
            lambda: len(pids := confined.pool.workers()) == 2 and pids,
            "a worker and the one that purges")
        for pid in both:
            found = pools.wait_until(
                lambda: status(pid)["NoNewPrivs"] == "1" and status(pid),
                "no new privileges")
            assert "0" not in found["Uid"].split()
            assert core_limit(pid) == ["1", "1"]


@needs_root
def test_workers_cannot_read_what_is_roots(confined):
    got = confined.zip([{"src": "file:///shadow"}])
    assert got.refused()["files"][0]["src"] == "file:///shadow"
    judges.check(confined.zip([{"src": "file:///passwd"}]).well(),
                 {"passwd": pathlib.Path("/etc/passwd").read_bytes()})


@needs_root
@pytest.mark.parametrize("command", [
    ["init"], ["config"], ["serve", "--listen", "unix:s"]])
def test_no_such_user(tmp_path, command):
    done = pools.program(tmp_path, *command, settings={
        "RUN_USER": "nobody-x"})
    assert done.returncode == 1 and "RUN_USER" in done.stderr
    done = pools.program(tmp_path, *command, settings={
        "RUN_USER": USER, "RUN_GROUP": "nogroup-x"})
    assert done.returncode == 1 and "RUN_GROUP" in done.stderr


def test_every_worker_is_confined(service):
    def confined() -> bool:
        return all(status(pid)["NoNewPrivs"] == "1"
                   for pid in service.pool.workers())

    # One that has just been born is not.
    pools.wait_until(confined, "no new privileges")
    for pid in service.pool.workers():
        assert core_limit(pid) == ["1", "1"]


@needs_root
def test_a_group_without_a_user_is_refused(tmp_path):
    """Rather than that the workers stay root's."""
    done = pools.program(tmp_path, "serve", "--listen", "unix:s",
                         settings={"RUN_GROUP": "nogroup"})
    assert done.returncode == 1 and "RUN_GROUP" in done.stderr
