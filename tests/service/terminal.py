# SPDX-License-Identifier: AGPL-3.0-or-later
"""A terminal, as tmux makes one, and what a user sees on it."""

import pathlib
import re
import shlex
import subprocess
import tempfile
import time


class Terminal:
    """A tmux server of its own, gone with the test."""

    def __init__(self, folder: pathlib.Path, columns: int, rows: int = 30):
        self.folder = folder
        # A server that goes away answers on its socket until it is gone: the
        # next one gets another.
        self.sockets = tempfile.TemporaryDirectory()
        self.base = ["tmux", "-S", f"{self.sockets.name}/tmux", "-f",
                     "/dev/null"]
        self.size = ["-x", str(columns), "-y", str(rows)]

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_):
        subprocess.run([*self.base, "kill-server"], capture_output=True)
        self.sockets.cleanup()

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run([*self.base, *arguments], capture_output=True,
                              text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command, env: dict):
        """In the folder; then it says with what it ended, and stays."""
        words = [f"{k}={v}" for k, v in {**env, "TERM": "screen"}.items()]
        line = shlex.join(["env", "-i", *words, *map(str, command)])
        script = pathlib.Path(self.sockets.name) / "in-terminal.sh"
        script.write_text(f"trap : INT\n{line}\necho exit $?\nsleep 60\n")
        self.tmux("new-session", "-d", *self.size, "-c", str(self.folder),
                  shlex.join(["sh", str(script)]))

    def keys(self, *keys: str):
        self.tmux("send-keys", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, seconds: float = 20.0) -> str:
        """The line that has it."""
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            for line in screen.splitlines():
                if re.search(pattern, line):
                    return line
            assert time.monotonic() < end, f"no {pattern!r} in:\n{screen}"
            time.sleep(0.05)
