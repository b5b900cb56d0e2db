# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shell's completion: sourced by a bash, asked as bash asks it."""

import pathlib
import re
import shlex
import subprocess

import pool as pools
import pytest

SCRIPT = pools.ROOT / "deploy" / "completion" / "zipstream.bash"


def complete(folder: pathlib.Path, line: str) -> list:
    """What bash would offer behind the line."""
    words = line.split(" ")
    script = (f"source {shlex.quote(str(SCRIPT))}\n"
              f"COMP_WORDS=({shlex.join(words[:-1])} {words[-1]!r})\n"
              f"COMP_CWORD={len(words) - 1}\n"
              "_zipstream; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=folder,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return sorted(done.stdout.split())


@pytest.mark.parametrize("line, offered", [
    ("zipstream ", ["config", "import", "init", "purge", "serve", "status",
                    "zip"]),
    ("zipstream s", ["serve", "status"]),
    ("zipstream nothing", []),
    ("zipstream serve --l", ["--listen"]),
    ("zipstream serve --listen u", ["unix:"]),
    ("zipstream serve --workers ", []),
    ("zipstream zip -", ["--config", "--continue", "--help", "--output",
                         "--quiet", "--version", "-C", "-o", "-q"]),
    ("zipstream zip ", ["folder/", "list.json"]),
    ("zipstream zip --quiet li", ["list.json"]),
    ("zipstream --config ", []),
])
def test_it_offers(tmp_path, line, offered):
    (tmp_path / "list.json").touch()
    (tmp_path / "other.txt").touch()
    (tmp_path / "folder").mkdir()
    assert complete(tmp_path, line) == offered


def test_it_knows_every_command_and_option(tmp_path):
    said = pools.program(tmp_path, "--help").stdout
    commands = re.findall(r"^  ([a-z]+) ", said, re.M)
    assert complete(tmp_path, "zipstream ") == sorted(commands)
    options = set(re.findall(r"--[a-z-]+", said))
    text = SCRIPT.read_text()
    assert not [x for x in options if x not in text]
