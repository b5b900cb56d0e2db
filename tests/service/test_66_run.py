# SPDX-License-Identifier: AGPL-3.0-or-later
"""What `make run` does once all is installed and built: tools/run, in a
terminal and a folder of its own."""

import pathlib
import re
import subprocess

import pool as pools
import pytest
from pool import wait_until
from servers import free_port
from terminal import Terminal


@pytest.fixture
def terminals(house):
    with Terminal(house, 200) as one, Terminal(house, 200) as other:
        yield one, other


def run(terminal: Terminal, port: int, **settings):
    env = {**pools.environment(terminal.folder / "home", {}), "PORT": port,
           **settings}
    if "STATE_DIR" not in settings:
        del env["STATE_DIR"]
    terminal.run("tools/run", "build/zipstream", env=env)


def servers(house: pathlib.Path) -> list:
    """What runs with a file of the house's state among its arguments."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(house / "var").encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass  # It has ended.
    return found


def readme_curl(port: int) -> str:
    text = (pools.ROOT / "README.md").read_text()
    command = re.search(r"^curl -o examples.zip.*?unzip -t \S+$", text,
                        re.M | re.S)[0]
    assert "localhost:4040/" in command
    return command.replace("localhost:4040/", f"localhost:{port}/")


def test_the_first_lines_of_the_readme(house, terminals):
    terminal, port = terminals[0], free_port()
    run(terminal, port)
    terminal.wait_for(f"listens on http://localhost:{port};", 60)
    done = subprocess.run(["sh", "-c", readme_curl(port)], cwd=house,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout
    terminal.keys("C-c")
    terminal.wait_for("^exit 0")
    assert not servers(house)


# Deeper than the name of a Unix socket may be long.
@pytest.mark.parametrize("house", [20 * "deep &/"], indirect=True)
def test_ctrl_c_ends_a_download_too(house, terminals):
    terminal, port = terminals[0], free_port()
    with open(house / "examples" / "large.bin", "wb") as large:
        large.truncate(256 << 20)
    run(terminal, port)
    terminal.wait_for(f"listens on http://localhost:{port};", 60)
    client = subprocess.Popen(
        ["curl", "-sS", "--limit-rate", "64k", "--json",
         '{"files": [{"src": "file:///large.bin"}]}', "-o", house / "part.zip",
         f"http://localhost:{port}/bundle"], stderr=subprocess.DEVNULL)
    wait_until(lambda: (house / "part.zip").exists(), "the first bytes")
    terminal.keys("C-c")
    terminal.wait_for("^exit 0")
    assert not servers(house)
    assert client.wait(30) != 0


def test_two_in_one_folder(house, terminals):
    """The second one takes nothing away from the first."""
    first, second = terminals
    port = free_port()
    run(first, port)
    first.wait_for(f"listens on http://localhost:{port};", 60)
    run(second, free_port())
    second.wait_for("Another `make run` serves from", 60)
    second.wait_for("^exit 1")
    run(second, port, STATE_DIR=house / "elsewhere")
    second.wait_for(f"Something listens on http://localhost:{port} already",
                    60)
    done = subprocess.run(["sh", "-c", readme_curl(port)], cwd=house,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    first.keys("C-c")
    first.wait_for("^exit 0")
    assert not servers(house)


def test_a_closed_terminal_ends_all(house, terminals):
    terminal, port = terminals[0], free_port()
    run(terminal, port)
    terminal.wait_for(f"listens on http://localhost:{port};", 60)
    assert servers(house)
    terminal.tmux("kill-server")
    wait_until(lambda: not servers(house), "the end of the servers")
