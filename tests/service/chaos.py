# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mixed clients that keep books: whatever is done to the service meanwhile,
each request was answered rightly or broke visibly, and what was acknowledged
is there.

`Crowd` runs so many clients at once; `Books` is what all of them have seen.
"""

import collections
import contextlib
import dataclasses
import http.client
import io
import json
import pathlib
import random
import re
import threading
import uuid
import zipfile

# What a service in trouble may answer: somebody else failed, or come again.
EXCUSES = (500, 502, 503)
BROKEN = (OSError, http.client.HTTPException)


def ask(port: int, method: str, path: str, document=None,
        enough: "int | None" = None, **headers) -> tuple:
    """Status and body (no more than is `enough`) of one request on a
    connection of its own; raises one of BROKEN when the answer did not come
    whole."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body,
                           {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read(enough)


@dataclasses.dataclass
class Stored:
    """A good file that is not the origin's."""

    url: str
    bytes: bytes


class Books:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.wrong = []  # what looked well and was not
        self.bundles = {}  # id -> secret, (dst, bytes) of what was promised

    def note(self, what: str):
        with self.lock:
            self.counts[what] += 1

    def blame(self, what: str):
        with self.lock:
            self.wrong.append(what)

    @property
    def answered(self) -> int:
        return sum(self.counts.values())

    @property
    def well(self) -> int:
        return self.counts["well"]


class Crowd:
    """Clients of a service; a context, within which they ask."""

    def __init__(self, port: int, files: list, clients: int = 6,
                 requests: int = 0):
        self.port = port
        self.files = files  # of the origin, all of them good
        self.bytes = {f.url: f.bytes for f in files}
        self.requests = requests  # all in all; 0: until the context ends
        self.books = Books()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(seed,))
                        for seed in range(clients)]

    def __enter__(self) -> "Crowd":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        if not self.requests:
            self.over.set()
        for thread in self.threads:
            thread.join()

    def client(self, seed: int):
        dice = random.Random(seed)
        kinds = (self.zip, self.zip, self.create, self.fetch, self.append,
                 self.health, self.leave, self.part, self.mistake)
        while not self.over.is_set():
            if self.requests and self.books.answered >= self.requests:
                return
            try:
                dice.choice(kinds)(dice)
            except BROKEN:
                self.books.note("broken")

    def call(self, method: str, path: str, document=None, well=(200,),
             **more):
        """The body, None when the service was in trouble."""
        status, body = ask(self.port, method, path, document, **more)
        if status in well:
            return body
        if status not in EXCUSES:
            self.books.blame(f"{method} {path}: {status} {body[:200]}")
        self.books.note(str(status))
        return None

    def some(self, dice, prefix: str = "") -> list:
        return [(f"{prefix}{i}", f.url)
                for i, f in enumerate(dice.sample(self.files,
                                                  dice.randint(1, 3)))]

    @staticmethod
    def entries(pairs: list) -> list:
        return [{"dst": dst, "src": src} for dst, src in pairs]

    def check_zip(self, body: bytes, pairs: list, exact: bool = True):
        try:
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                found = {n: archive.read(n) for n in archive.namelist()}
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            self.books.blame(f"no zip of {len(body)} bytes: {error}")
            return
        wrong = [dst for dst, src in pairs if found.get(dst)
                 != self.bytes[src]]
        if wrong or (exact and len(found) != len(pairs)):
            self.books.blame(f"a zip with wrong entries: {wrong}")
        self.books.note("well")

    def zip(self, dice):
        pairs = self.some(dice)
        body = self.call("POST", "/bundle", {"files": self.entries(pairs)})
        if body is not None:
            self.check_zip(body, pairs)

    def create(self, dice):
        pairs = self.some(dice)
        body = self.call("POST", "/", {
            "filename": "a", "files": self.entries(pairs)}, well=(201,))
        if body is not None:
            bundle = json.loads(body)
            with self.books.lock:
                self.books.bundles[bundle["id"]] = (bundle["secret"], pairs)
            self.books.note("well")

    def pick(self, dice):
        with self.books.lock:
            if not self.books.bundles:
                return None
            id_ = dice.choice(list(self.books.bundles))
            return (id_, *self.books.bundles[id_])

    def fetch(self, dice):
        picked = self.pick(dice)
        if picked:
            id_, _, pairs = picked
            promised = list(pairs)
            body = self.call("GET", f"/{id_}/")
            if body is not None:
                # Somebody may have appended meanwhile.
                self.check_zip(body, promised, exact=False)

    def append(self, dice):
        picked = self.pick(dice)
        if picked and len(picked[2]) < 20:
            id_, secret, pairs = picked
            more = self.some(dice, f"{dice.random()}-")
            body = self.call("PUT", f"/{id_}/{secret}/",
                             {"files": self.entries(more)})
            if body is not None:
                with self.books.lock:
                    pairs.extend(more)
                self.books.note("well")

    def health(self, _):
        if self.call("GET", "/health-check") is not None:
            self.books.note("well")

    def leave(self, dice):
        """A client that goes while its zip is on its way."""
        document = {"files": self.entries(self.some(dice))}
        if self.call("POST", "/bundle", document, enough=1) is not None:
            self.books.note("well")

    def part(self, dice):
        """A range, of which a zip without a length knows nothing."""
        picked = self.pick(dice)
        if picked:
            body = self.call("GET", f"/{picked[0]}/", well=(200, 206),
                             Range="bytes=0-3")
            if body is not None:
                if not body.startswith(b"PK"):
                    self.books.blame(f"no zip's beginning: {body[:100]}")
                self.books.note("well")

    def mistake(self, dice):
        path, document, status = dice.choice((
            (f"/{uuid.uuid4()}/", None, 404),
            ("/bundle", {"files": 1}, 400),
            ("/bundle", {"files": [{"src": "ftp://x/y"}]}, 400)))
        if self.call("POST" if document else "GET", path, document,
                     well=(status,)) is not None:
            self.books.note("well")

    # -- afterwards -----------------------------------------------------------

    def settle(self):
        """Nothing wrong went out, and no acknowledged write is lost."""
        assert not self.books.wrong, self.books.wrong[:5]
        lost = []
        for id_, (secret, pairs) in self.books.bundles.items():
            status, body = ask(self.port, "GET", f"/{id_}/{secret}/")
            found = {(f["dst"], f["src"]) for f in json.loads(body).get(
                "files", [])} if status == 200 else set()
            if not set(pairs) <= found:
                lost.append((id_, status, len(pairs), len(found)))
        assert not lost, lost[:5]


def weight(pid: int) -> "tuple | None":
    """Bytes that are a process's own, and its descriptors; None: gone."""
    with contextlib.suppress(OSError):
        folder = pathlib.Path(f"/proc/{pid}")
        text = (folder / "smaps_rollup").read_text()
        own = sum(int(kb) << 10 for kb in re.findall(
            r"^Private_(?:Clean|Dirty):\s+(\d+) kB", text, re.M))
        return own, len(list((folder / "fd").iterdir()))
    return None
