# SPDX-License-Identifier: AGPL-3.0-or-later
"""Web servers in front of a pool, each a process with a port of its own."""

import pathlib
import socket
import subprocess

from pool import wait_until

HERE = pathlib.Path(__file__).resolve().parent


def free_port() -> int:
    """A port that nobody has; somebody else may take it, but hardly does."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Lighttpd:
    template = HERE / "lighttpd.conf"

    def __init__(self, folder: pathlib.Path, pool_socket: pathlib.Path):
        self.folder = folder
        self.socket = pool_socket
        self.port = free_port()
        self.log_path = folder / "lighttpd.log"
        self.process = None

    def start(self) -> "Lighttpd":
        text = self.template.read_text()
        for name, value in (("@DIR@", self.folder), ("@PORT@", self.port),
                            ("@SOCKET@", self.socket)):
            text = text.replace(name, str(value))
        config = self.folder / "lighttpd.conf"
        config.write_text(text)
        with open(self.folder / "lighttpd.out", "ab") as out:
            self.process = subprocess.Popen(
                ["lighttpd", "-D", "-f", config], stdout=out, stderr=out,
                stdin=subprocess.DEVNULL)
        wait_until(self.is_up, "lighttpd's port")
        return self

    def is_up(self) -> bool:
        code = self.process.poll()
        assert code is None, f"lighttpd ended with {code}:\n{self.log()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        paths = (self.folder / "lighttpd.out", self.log_path)
        return "".join(p.read_text(errors="replace")
                       for p in paths if p.exists())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
