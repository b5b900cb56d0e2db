# SPDX-License-Identifier: AGPL-3.0-or-later
"""The tests' side of the scripted origin: its process, its URLs, its books.

`Origin.file` gives a `Remote`: a URL with a behaviour, the entry of a bundle
that names it, and the bytes that must be in the zip.
"""

import dataclasses
import itertools
import json
import pathlib
import subprocess
import sys
import time
import urllib.parse

import requests

import content
import origin as script

HERE = pathlib.Path(__file__).resolve().parent


def make_ca(folder: pathlib.Path) -> dict:
    """A CA and a certificate for localhost, as an operator would make it."""
    paths = {k: folder / f"{k}.pem" for k in ("ca", "ca_key", "cert", "key")}
    request, extra = folder / "request.pem", folder / "extra.cnf"
    extra.write_text("subjectAltName=DNS:localhost\n")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    steps = (
        [*new, "-x509", "-days", "2", "-subj", "/CN=ZipStream test CA",
         "-keyout", paths["ca_key"], "-out", paths["ca"]],
        [*new, "-subj", "/CN=localhost", "-keyout", paths["key"],
         "-out", request],
        ["openssl", "x509", "-req", "-days", "2", "-in", request,
         "-CA", paths["ca"], "-CAkey", paths["ca_key"], "-CAcreateserial",
         "-extfile", extra, "-out", paths["cert"]])
    for step in steps:
        subprocess.run(step, check=True, capture_output=True)
    return paths


@dataclasses.dataclass
class Remote:
    """A file at the origin."""

    origin: "Origin"
    url: str
    wish: script.Wish
    dst: str

    @property
    def bytes(self) -> bytes:
        return content.body(self.wish.seed, self.wish.size, self.wish.kind)

    @property
    def crc(self) -> int:
        return content.crc32(self.wish.seed, self.wish.size, self.wish.kind)

    def entry(self, **more) -> dict:
        return {"src": self.url, "dst": self.dst, **more}

    @property
    def books(self) -> dict:
        """What the origin has noted of this URL."""
        parts = urllib.parse.urlsplit(self.url)
        target = parts.path + ("?" + parts.query if parts.query else "")
        nothing = {"requests": 0, "busy": 0, "bytes": 0, "last": 0.0,
                   "seen": []}
        return self.origin.stats()["paths"].get(target, nothing)


class Origin:
    def __init__(self, folder: pathlib.Path):
        self.pems = make_ca(folder)
        self.process = subprocess.Popen(
            [sys.executable, HERE / "origin.py", self.pems["cert"],
             self.pems["key"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ports = json.loads(self.process.stdout.readline())
        self.numbers = itertools.count(1)
        self.control = requests.Session()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)

    def file(self, name: str, scheme: str = "http", host: str = "localhost",
             dst: str = "", **wish) -> Remote:
        """A file that is asked for nowhere else; `wish` is script.Wish's.

        Its seed, and so its bytes, are its own unless given.
        """
        unique = next(self.numbers)
        wish.setdefault("seed", unique)
        query = urllib.parse.urlencode({"n": unique, **wish})
        port = self.ports["tls" if scheme == "https" else "http"]
        path = urllib.parse.quote("/" + name.lstrip("/"))
        target = f"{path}?{query}"
        if "sign" in wish:
            target = self.signed(target)
        return Remote(self, f"{scheme}://{host}:{port}{target}",
                      script.Wish.of(query), dst or name.lstrip("/"))

    @staticmethod
    def signed(target: str) -> str:
        plain = target.replace("&sign=1", "")
        # As those of S3, signatures end in what sloppy code re-encodes.
        plain += "&X-Amz-Credential=a%2Fb%2Baws4_request"
        return f"{plain}&sign={script.signature(plain)}"

    def stats(self) -> dict:
        return self.ask("stats")

    def reset(self) -> dict:
        return self.ask("reset")

    def ask(self, what: str) -> dict:
        port = self.ports["control"]
        return self.control.get(f"http://127.0.0.1:{port}/{what}",
                                timeout=30).json()

    def wait(self, ready, seconds: float = 20.0) -> dict:
        """The books as soon as ready(books) is true."""
        end = time.monotonic() + seconds
        while not ready(books := self.stats()):
            assert time.monotonic() < end, "the origin waited in vain"
            time.sleep(0.02)
        return books
