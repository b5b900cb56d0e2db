#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""An HTTP/1.1 origin whose every good and bad habit is asked for by query.

A process of its own, so that it does not share a core's worth of interpreter
with the tests; one thread for each connection, because a thread that sleeps,
crawls or dies is the plainest script.  What the query may say is the table
of `Wish`; the same keys are the arguments of `Origin.url` in origins.py.

    origin.py [CERTIFICATE KEY]

prints one line of JSON with its ports: `http`, `tls` (when it was given a
certificate) and `control`, where /stats tells what happened and /reset
forgets it.  It ends when its standard input does.
"""

import collections
import dataclasses
import email.utils
import gzip
import hashlib
import http
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

import content

MTIME = 1_700_000_000  # of bodies that do not say otherwise


class Cut(Exception):
    """The script ends the connection here."""

    def __init__(self, reset: bool):
        super().__init__()
        self.reset = reset


def amount(text: str) -> int:
    """A count of bytes: 12, 64k, 5m, 2g."""
    scale = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1:], 1)
    return int(text.rstrip("kmg")) * scale


def number(text: str) -> float:
    return float(text)


@dataclasses.dataclass
class Wish:
    """What one URL asks for; a field is a parameter of the query."""

    # What is there.
    size: amount = 1000
    seed: int = 0
    kind: str = "random"
    type: str = "application/octet-stream"
    etag: str = "strong"  # weak, none
    mtime: int = MTIME  # 0: no Last-Modified
    # How it is sent.
    framing: str = "length"  # chunked, close
    ranges: str = "yes"  # no: 200 all the same; wrong: Content-Range lies;
    # none: as no, and says Accept-Ranges: none
    gzip: int = 0  # Content-Encoding, though nobody asked
    headers: amount = 0  # bytes of headers that nobody needs
    delay: number = 0.0  # seconds before the head
    rate: amount = 0  # bytes a second
    stall: amount = -1  # falls silent after so many bytes ...
    stall_for: number = 3600.0  # ... for so many seconds
    lie: int = 0  # Content-Length is off by so much
    garbage: amount = -1  # chunked: no chunk size after so many bytes
    # How it fails.
    status: int = 0
    die: amount = -1  # the connection ends after so many bytes ...
    how: str = "fin"  # ... reset
    only_whole: int = 0  # ranges are served well
    times: int = 0  # the first so many requests fail; 0: all of them
    change: int = 0  # after so many requests: other bytes, other validators
    get_only: int = 0  # HEAD is refused, as by a URL signed for GET
    sign: str = ""  # refused unless the query is signed, to the letter
    # Where it is.
    redirect: int = 0  # hops until it is here
    to: str = ""  # a redirect to there
    code: int = 302

    @classmethod
    def of(cls, query: str) -> "Wish":
        wish = cls()
        types = {f.name: f.type for f in dataclasses.fields(cls)}
        for name, value in urllib.parse.parse_qsl(query, True):
            if name in types:
                setattr(wish, name, types[name](value))
        return wish


def signature(target: str) -> str:
    """Of a path and query, byte for byte."""
    return hashlib.sha256(b"only the test knows" + target.encode()).hexdigest()


class Ledger:
    """What happened, for the tests to read."""

    def __init__(self):
        self.lock = threading.Lock()
        self.open = 0
        self.busy = 0
        self.reset()

    def reset(self):
        """Forgets the past; what is open or busy still is."""
        self.accepted = 0
        self.most_busy = 0
        self.paths = collections.defaultdict(
            lambda: {"requests": 0, "busy": 0, "bytes": 0, "last": 0.0,
                     "seen": []})

    def connected(self, by: int):
        with self.lock:
            self.accepted += max(by, 0)
            self.open += by

    def begins(self, request: "Request") -> int:
        """Returns how many requests for it came before."""
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            row = self.paths[request.target]
            row["requests"] += 1
            row["busy"] += 1
            row["last"] = time.time()
            row["seen"].append({
                "method": request.method,
                "range": request.headers.get("range", ""),
                "headers": request.headers})
            return row["requests"] - 1

    def ends(self, request: "Request"):
        with self.lock:
            self.busy -= 1
            self.paths[request.target]["busy"] -= 1

    def sent(self, target: str, n: int):
        row = self.paths[target]
        row["bytes"] += n
        row["last"] = time.time()

    def read(self) -> dict:
        with self.lock:
            return {"accepted": self.accepted, "open": self.open,
                    "busy": self.busy, "most_busy": self.most_busy,
                    "now": time.time(), "paths": dict(self.paths)}


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: dict

    @classmethod
    def read(cls, stream) -> "Request | None":
        line = stream.readline(65537).decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (more := stream.readline(65537)) not in (b"\r\n", b""):
            name, _, value = more.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        stream.read(int(headers.get("content-length", 0)))
        return cls(line[0], line[1], headers)


class Answer:
    """One request on one connection, answered as its wish says."""

    def __init__(self, sock, request: Request, ledger: Ledger, before: int):
        self.sock = sock
        self.request = request
        self.ledger = ledger
        self.before = before
        self.query = urllib.parse.urlsplit(request.target).query
        self.wish = Wish.of(self.query)
        if self.wish.change and before >= self.wish.change:
            self.wish.seed += 1
            self.wish.mtime += 3600
        # Is this one of the requests that go wrong?
        self.ill = not self.wish.times or before < self.wish.times
        self.keep = True

    def run(self) -> bool:
        """Returns whether the connection may be used again."""
        wish = self.wish
        if wish.delay and self.ill:
            time.sleep(wish.delay)
        refusal = self.refusal()
        if refusal:
            self.page(refusal)
        elif wish.to:
            self.page(wish.code, {"Location": wish.to})
        elif wish.redirect:
            self.page(wish.code, {"Location": self.next_hop()})
        else:
            self.body()
        return self.keep

    def refusal(self) -> int:
        wish = self.wish
        if wish.get_only and self.request.method != "GET":
            return 403
        if wish.sign:
            plain, _, sent = self.request.target.rpartition("&sign=")
            if sent != signature(plain) or self.request.method != "GET":
                return 403
        return wish.status if self.ill else 0

    def next_hop(self) -> str:
        less = f"redirect={self.wish.redirect - 1}"
        return re.sub(r"redirect=\d+", less, self.request.target)

    def page(self, status: int, headers: dict = {}):
        text = f"<h1>{status}</h1>the origin's own page\n".encode()
        self.head(status, {"Content-Type": "text/html",
                           "Content-Length": len(text), **headers})
        if self.request.method != "HEAD":
            self.sock.sendall(text)

    def head(self, status: int, headers: dict):
        try:
            reason = http.HTTPStatus(status).phrase
        except ValueError:
            reason = "Odd"
        lines = [f"HTTP/1.1 {status} {reason}",
                 *(f"{k}: {v}" for k, v in headers.items())]
        filler = self.wish.headers
        for i in range(0, filler, 1000):
            lines.append(f"X-Filler-{i}: " + "f" * min(980, filler - i))
        if not self.keep:
            lines.append("Connection: close")
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def etag(self) -> str:
        tag = f'"{self.wish.seed}-{self.wish.size}-{self.wish.kind}"'
        return {"strong": tag, "weak": "W/" + tag, "none": ""}[self.wish.etag]

    def modified(self) -> str:
        if not self.wish.mtime:
            return ""
        return email.utils.formatdate(self.wish.mtime, usegmt=True)

    def wanted(self) -> "tuple[int, int] | None":
        """The range that is asked for, its end exclusive; None: the whole."""
        ranged = self.request.headers.get("range", "")
        spec = re.fullmatch(r"bytes=(\d*)-(\d*)", ranged)
        if self.wish.ranges in ("no", "none") or not spec:
            return None
        condition = self.request.headers.get("if-range", "")
        if condition and condition not in (self.etag(), self.modified()):
            return None
        size = self.wish.size
        if not spec[1]:
            return max(0, size - int(spec[2])), size
        return int(spec[1]), min(size, int(spec[2] or size) + 1)

    def body(self):
        wish = self.wish
        match = self.request.headers.get("if-match")
        if match and match != self.etag():
            return self.page(412)
        part = self.wanted()
        if part and part[0] >= wish.size:
            return self.page(416, {"Content-Range": f"bytes */{wish.size}"})
        first, end = part or (0, wish.size)
        headers = {"Content-Type": wish.type}
        if self.etag():
            headers["ETag"] = self.etag()
        if self.modified():
            headers["Last-Modified"] = self.modified()
        if wish.ranges != "no":
            headers["Accept-Ranges"] = (
                "none" if wish.ranges == "none" else "bytes")
        if part:
            off = 7 if wish.ranges == "wrong" else 0
            headers["Content-Range"] = (
                f"bytes {first + off}-{end + off - 1}/{wish.size + off}")
        self.send(206 if part else 200, headers, first, end)

    def send(self, status: int, headers: dict, first: int, end: int):
        wish = self.wish
        size = end - first
        source = content.pieces(wish.seed, wish.kind, first, end)
        if wish.gzip:
            packed = gzip.compress(b"".join(source), mtime=0)
            source, size = [packed], len(packed)
            headers["Content-Encoding"] = "gzip"
        if wish.framing == "length":
            headers["Content-Length"] = size + (wish.lie if self.ill else 0)
        elif wish.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        self.keep = wish.framing != "close" and not wish.lie
        self.head(status, headers)
        if self.request.method == "HEAD":
            return
        for piece in self.scripted(source, part=status == 206):
            self.transmit(piece)
        if wish.framing == "chunked":
            self.sock.sendall(b"0\r\n\r\n")

    def transmit(self, piece: bytes):
        framed = piece
        if self.wish.framing == "chunked":
            framed = b"%x\r\n%b\r\n" % (len(piece), piece)
        self.sock.sendall(framed)
        self.ledger.sent(self.request.target, len(piece))

    def stops(self, part: bool) -> dict:
        """At which byte of this answer what happens."""
        wish = self.wish
        if not self.ill or (part and wish.only_whole):
            return {}
        acts = {wish.die: self.die, wish.stall: self.fall_silent,
                wish.garbage: self.babble}
        acts.pop(-1, None)
        return acts

    def scripted(self, source, part: bool):
        """Passes pieces on until the script says otherwise."""
        acts = sorted(self.stops(part).items())
        done = 0
        for piece in source:
            while acts and acts[0][0] <= done + len(piece):
                at, act = acts.pop(0)
                yield from self.paced(piece[:at - done])
                piece = piece[at - done:]
                done = at
                act()
            yield from self.paced(piece)
            done += len(piece)

    def paced(self, piece: bytes):
        if not self.wish.rate:
            if piece:
                yield piece
            return
        step = max(1, self.wish.rate // 20)
        for i in range(0, len(piece), step):
            yield piece[i:i + step]
            time.sleep(1 / 20)

    def die(self):
        raise Cut(self.wish.how == "reset")

    def fall_silent(self):
        time.sleep(self.wish.stall_for)

    def babble(self):
        self.sock.sendall(b"this is no chunk size\r\n")
        raise Cut(False)


class Listener:
    """Accepts on a port of its own; a thread serves each connection."""

    def __init__(self, serve, tls: "ssl.SSLContext | None" = None):
        self.serve = serve
        self.tls = tls
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            sock, _ = self.sock.accept()
            threading.Thread(target=self.connection, args=(sock,),
                             daemon=True).start()

    def connection(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            self.serve(sock)
        except Cut as cut:
            if cut.reset:
                linger = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except OSError:
            pass  # The peer has gone; that is its right.
        finally:
            sock.close()


class Origin:
    def __init__(self):
        self.ledger = Ledger()

    def serve(self, sock):
        self.ledger.connected(1)
        try:
            with sock.makefile("rb") as stream:
                while (request := Request.read(stream)):
                    if not self.answer(sock, request):
                        break
        finally:
            self.ledger.connected(-1)

    def answer(self, sock, request: Request) -> bool:
        before = self.ledger.begins(request)
        try:
            return Answer(sock, request, self.ledger, before).run()
        finally:
            self.ledger.ends(request)

    def control(self, sock):
        with sock.makefile("rb") as stream:
            while (request := Request.read(stream)):
                if request.target == "/reset":
                    self.ledger.reset()
                text = json.dumps(self.ledger.read()).encode()
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: "
                             b"application/json\r\nContent-Length: %d"
                             b"\r\n\r\n" % len(text) + text)


def main(argv: list):
    threading.stack_size(256 << 10)
    origin = Origin()
    ports = {"http": Listener(origin.serve).port,
             "control": Listener(origin.control).port}
    if argv:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*argv)
        ports["tls"] = Listener(origin.serve, tls).port
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
