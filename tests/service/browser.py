# SPDX-License-Identifier: AGPL-3.0-or-later
"""Chromium and the scenarios of browser.mjs.

tools/install-packages fetches playwright-core and axe-core from npm into
~/.cache/zipstream/browser, or to where ZIPSTREAM_BROWSER says.
"""

import json
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def library() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("ZIPSTREAM_BROWSER")
                        or pathlib.Path(cache) / "zipstream/browser")


def missing() -> str:
    """Why there is no browser here; "" when there is one."""
    if not shutil.which("node") or not shutil.which("chromium"):
        return "node or chromium is missing: `make deps-test` installs them"
    if not (library() / "node_modules/playwright-core").exists():
        return f"no playwright-core in {library()}: `make deps-test`"
    return ""


class Browser:
    """browser.mjs as a process; it starts Chromium when it is first used."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["node", HERE / "browser.mjs"], text=True,
            env={**os.environ, "ZIPSTREAM_BROWSER": str(library())},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def play(self, scenario: str, **given) -> dict:
        """What the scenario found; the page must not have complained."""
        line = json.dumps([scenario, given], default=str)
        print(line, file=self.process.stdin, flush=True)
        found = json.loads(self.process.stdout.readline())
        assert "failed" not in found, found["failed"]
        assert not found["complaints"] and not found["foreign"], found
        return found

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
