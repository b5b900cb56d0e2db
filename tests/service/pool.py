# SPDX-License-Identifier: AGPL-3.0-or-later
"""The program under test: its pool as a process, with settings and a log.

The binary is $ZIPSTREAM_BIN or $ZIPSTREAM, else build/zipstream, so that the
same tests run on a build with sanitizers.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|runtime error:|ERROR: LeakSanitizer")


def binary() -> pathlib.Path:
    name = (os.environ.get("ZIPSTREAM_BIN") or os.environ.get("ZIPSTREAM")
            or "build/zipstream")
    return (ROOT / name).resolve()


def sanitized() -> bool:
    """Is it a build whose memory and speed say nothing?"""
    return b"__asan_init" in binary().read_bytes()


def unit(name: str) -> pathlib.Path:
    """A program of tests/unit, of the same kind of build as the program."""
    folder = binary().parent
    if ROOT not in folder.parents:  # an installed one
        folder = ROOT / "build"
    kind = {"build": "", "coverage": "COVERAGE=1"}.get(
        folder.name, "SANITIZER=" + folder.name.replace("-", ","))
    made = folder.relative_to(ROOT) / "tests" / name
    # What `make` says to its own children is not for another one.
    plain = {k: v for k, v in os.environ.items() if "MAKE" not in k}
    subprocess.run(["make", "-s", made, *kind.split()], cwd=ROOT, env=plain,
                   check=True)
    return ROOT / made


def environment(state: pathlib.Path, settings: dict) -> dict:
    """All that the program may see: nothing leaks in from the tester."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "NODE_ENV": "test",
        "STATE_DIR": str(state),
        "ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8 ::1/128",
        # However slow this machine is, a dead source is found in time.
        "SETTLE_TIMEOUT": "20s",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        **{name: str(value) for name, value in settings.items()},
    }


def program(state: pathlib.Path, *arguments: str, settings: dict = {},
            **more) -> subprocess.CompletedProcess:
    """Runs a command of the program to its end."""
    return subprocess.run([binary(), *arguments], cwd=state, text=True,
                          env=environment(state, settings), timeout=60,
                          capture_output=True, **more)


def children(pid: int) -> list:
    """Process ids, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]
    return []


# The one child of a pool that is no worker.
KEEPER = "zipstream-keep"


def name_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def memory_peak(pid: int) -> int:
    """The most that was ever resident, in bytes; 0 when it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(peak[1]) << 10 if peak else 0
    return 0


def wait_until(ready, what: str, seconds: float = 20.0):
    """Returns what ready() does, once that is true."""
    end = time.monotonic() + seconds
    while not (result := ready()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return result


class Pool:
    """`zipstream serve` in a folder of its own."""

    def __init__(self, folder: pathlib.Path, settings: dict = {},
                 config: "pathlib.Path | None" = None):
        self.state = folder
        self.socket = folder / "pool.sock"
        self.addresses = [f"unix:{self.socket}"]
        self.log_path = folder / "pool.log"
        self.settings = settings
        self.config = config
        self.prefix: list = []  # a command that runs the program's
        self.process = None

    def start(self) -> "Pool":
        command = [*self.prefix, binary()]
        if self.config:
            command += ["--config", self.config]
        command += ["serve"]
        for address in self.addresses:
            command += ["--listen", address]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.state, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
                env=environment(self.state, self.settings))
        wait_until(self.is_up, "the pool's socket")
        return self

    def is_up(self) -> bool:
        code = self.process.poll()
        assert code is None, f"serve ended with {code}:\n{self.log()}"
        with socket.socket(socket.AF_UNIX) as probe:
            return (probe.connect_ex(str(self.socket)) == 0
                    and bool(self.workers()))

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list:
        return [pid for pid in children(self.pid) if name_of(pid) != KEEPER]

    def keeper(self) -> list:
        return [pid for pid in children(self.pid) if name_of(pid) == KEEPER]

    def log(self) -> str:
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")

    def accesses(self, count: int) -> dict:
        """So many lines of the log of requests, by their ids, once they are
        there: an answer ends before its line is written.  For
        LOG_FORMAT=json."""
        def written() -> "dict | None":
            lines = map(json.loads, self.log().splitlines())
            found = {line["request"]: line for line in lines
                     if line["module"] == "access"
                     and line["path"] != "/health-check"}
            return found if len(found) >= count else None

        return wait_until(written, f"{count} lines in the log")

    def signal(self, number: int):
        self.process.send_signal(number)

    def stop(self, seconds: float = 30.0):
        """SIGTERM; it must drain and leave well."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        self.wait(seconds)

    def wait(self, seconds: float = 30.0):
        try:
            code = self.process.wait(seconds)
        finally:
            self.kill()
        assert code == 0, f"serve ended with {code}:\n{self.log()[-3000:]}"
        self.check_sanitizers()

    def kill(self):
        """Only for what a failed test has left behind."""
        if self.process.poll() is None:
            for pid in [*children(self.pid), self.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(10)

    def check_sanitizers(self):
        said = self.log()
        found = SANITIZER.search(said)
        assert not found, said[max(0, found.start() - 200):][:4000]
