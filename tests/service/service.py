# SPDX-License-Identifier: AGPL-3.0-or-later
"""A whole service, a pool behind lighttpd, and what clients do with it.

JSON calls go through `requests`; zips are downloaded by curl, because its
exit status is what says whether a user would notice a broken one.
"""

import concurrent.futures
import contextlib
import dataclasses
import pathlib
import subprocess
import tempfile

import requests

import pool as pools
import servers

# What curl says of an answer that did not come whole: short of its length or
# last chunk, connection reset, HTTP/2 stream broken off.
CURL_SEES_A_CUT = (18, 56, 92)


@dataclasses.dataclass
class Download:
    """What curl made of an answer."""

    exit: int
    status: int
    headers: requests.structures.CaseInsensitiveDict
    path: pathlib.Path
    said: str

    @property
    def bytes(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    def json(self) -> dict:
        return requests.models.complexjson.loads(self.bytes)

    def well(self) -> pathlib.Path:
        """The zip, of an answer that came whole and well."""
        assert self.exit == 0, self.said
        assert self.status == 200, (self.status, self.bytes[:2000])
        assert self.headers["Content-Type"] == "application/zip"
        return self.path

    def refused(self) -> dict:
        """The document of an answer that says that sources failed."""
        assert self.exit == 0, self.said
        assert self.status == 502, (self.status, self.bytes[:500])
        assert self.headers["Content-Type"].startswith("application/json")
        document = self.json()
        assert document["message"] and document["files"]
        return document

    def cut(self) -> None:
        """A zip that has begun and broke off so that the client saw it."""
        assert self.status == 200, (self.status, self.bytes[:500])
        assert self.exit in CURL_SEES_A_CUT, (self.exit, self.said)
        assert b"PK\x05\x06" not in self.bytes[-64:], "it has an end record"

    def failed(self) -> None:
        """Refused or cut: which of them is a matter of how far it came."""
        if self.status == 200:
            self.cut()
        else:
            self.refused()


@contextlib.contextmanager
def in_background(function, *arguments, **more):
    """Calls it beside the test, which gets the future of its result."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield executor.submit(function, *arguments, **more)


def parse_head(text: str):
    """Headers of the last head that curl wrote (after any 100 Continue)."""
    head = text.strip().split("\r\n\r\n")[-1]
    lines = head.split("\r\n")[1:]
    pairs = [line.split(":", 1) for line in lines]
    return requests.structures.CaseInsensitiveDict(
        {name: value.strip() for name, value in pairs})


class Service:
    def __init__(self, folder: pathlib.Path, settings: dict = {},
                 config: "pathlib.Path | None" = None):
        self.folder = folder
        self.pool = pools.Pool(folder, settings, config)
        self.server = servers.Lighttpd(folder, self.pool.socket)
        self.prefix = ""
        self.log_marks: dict = {}  # name -> where the running test began

    def start(self) -> "Service":
        made = pools.program(self.folder, "init", settings=self.pool.settings)
        assert made.returncode == 0, made.stderr
        self.pool.start()
        self.server.start()
        return self

    def stop(self):
        try:
            self.server.stop()
        finally:
            if self.pool.process:
                self.pool.stop()

    def kill(self):
        """After a failed test: nothing is left behind."""
        if self.server.process:
            self.server.stop()
        if self.pool.process:
            self.pool.kill()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{self.prefix}{path}"

    def call(self, method: str, path: str, **more) -> requests.Response:
        more.setdefault("timeout", 60)
        return requests.request(method, self.url(path), **more)

    def get(self, path: str, **more) -> requests.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, document=None, **more) -> requests.Response:
        return self.call("POST", path, json=document, **more)

    def create(self, files: list, filename: str = "a.zip", **more) -> dict:
        """A stored bundle."""
        answer = self.post("/", {"filename": filename, "files": files,
                                 **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def settled(self, bundle: dict, downloads: int):
        """What these have learned is in the store: it is written before the
        note of each."""
        path = f"/{bundle['id']}/{bundle['secret']}/status"
        pools.wait_until(
            lambda: len(self.get(path).json()["downloads"]) == downloads,
            "the note of a download")

    def curl(self, path: str, *options: str, seconds: int = 120,
             data: "str | None" = None) -> Download:
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        body, head = folder / "body", folder / "head"
        command = ["curl", "-sS", "--max-time", str(seconds), "-D", head,
                   "-o", body, *options]
        if data is not None:
            command += ["--data-binary", "@-",
                        "-H", "Content-Type: application/json"]
        command.append(self.url(path))
        done = subprocess.run(command, input=data, capture_output=True,
                              text=True, timeout=seconds + 30)
        text = head.read_bytes().decode("latin-1") if head.exists() else ""
        lines = [x for x in text.split("\r\n") if x.startswith("HTTP/")]
        status = int(lines[-1].split()[1]) if lines else 0
        return Download(done.returncode, status, parse_head(text), body,
                        done.stderr)

    def zip(self, files: list, *options: str, **fields) -> Download:
        """POST /bundle."""
        document = requests.models.complexjson.dumps(
            {"files": files, **fields})
        return self.curl("/bundle", *options, data=document)

    def fetch(self, bundle: dict, *options: str) -> Download:
        """GET /:id/"""
        return self.curl(f"/{bundle['id']}/", *options)
