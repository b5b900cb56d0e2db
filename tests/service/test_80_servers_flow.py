# SPDX-License-Identifier: AGPL-3.0-or-later
"""How bytes flow through every web server of deploy/, and how they stop.

What is found out goes into `measured`, of which the table in the README is
made; all in one file, since a file's tests run in one process.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

import judges
from pool import ROOT, wait_until
from service import CURL_SEES_A_CUT
from web_servers import (KEY, SERVERS, TABLE, ApacheCgi, ApacheProxy,
                         NginxPool, SharedHosting, is_program)

MIB = 1 << 20


def unsized(file) -> dict:
    """An entry that makes the length of its zip unknown."""
    return file.entry(compression="deflate")


def sized(file) -> dict:
    return file.entry(size=file.wish.size, compression="store")


# -- the answer as a stream --------------------------------------------------


def seconds_until(deployment, files: list, n: int) -> float:
    """That n bytes of the zip's body take."""
    connection = http.client.HTTPConnection("127.0.0.1",
                                            deployment.server.port, timeout=9)
    with contextlib.closing(connection):
        began = time.monotonic()
        connection.request(
            "POST", deployment.prefix + "/bundle", json.dumps(
                {"files": files}),
            {"Content-Type": "application/json",
             "Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert len(answer.read(n)) == n
        return time.monotonic() - began


# FcgidOutputBufferSize is not for .htaccess.
WITHHOLDS = (SharedHosting.name,)


@pytest.mark.parametrize("entry", [sized, unsized])
def test_first_bytes_do_not_wait(deployment, origin, measured, entry):
    """1 KB of a source, before another one that takes its time."""
    files = [entry(origin.file("first.bin", size=1000)),
             entry(origin.file("slow.bin", size=100_000, delay=4))]
    at_once = seconds_until(deployment, files, 900) < 3
    assert at_once == (deployment.name not in WITHHOLDS)
    measured[deployment.name]["first byte"] = (
        "at once" if at_once else "with the first 64 KiB")


def test_length_is_passed_on(deployment, origin, measured):
    file = origin.file("l.bin", size="3m")
    got = deployment.zip([sized(file)])
    judges.check(got.well(), {"l.bin": file.bytes})
    assert int(got.headers["Content-Length"]) == len(got.bytes)
    bundle = deployment.create([sized(file)])
    head = deployment.call("HEAD", f"/{bundle['id']}/")
    assert int(head.headers["Content-Length"]) == len(got.bytes)
    measured[deployment.name]["length"] = "yes"


def test_ranges_pass(deployment, origin, measured):
    file = origin.file("r.bin", size="300k")
    bundle = deployment.create([file.entry(
        size=file.wish.size, crc32=f"{file.crc:08x}", compression="store")])
    path = f"/{bundle['id']}/"
    whole = deployment.get(path)
    assert whole.headers["Accept-Ranges"] == "bytes"
    size, etag = len(whole.content), whole.headers["ETag"]
    for spec, first, end in (("0-99", 0, 100), ("1000-", 1000, size),
                             ("-300", size - 300, size)):
        for condition in ({}, {"If-Range": etag}):
            part = deployment.get(path, headers={"Range": f"bytes={spec}",
                                                 **condition})
            assert part.status_code == 206
            assert part.content == whole.content[first:end]
            assert (part.headers["Content-Range"]
                    == f"bytes {first}-{end - 1}/{size}")
    beyond = deployment.get(path, headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    other = deployment.get(path, headers={"Range": "bytes=0-9",
                                          "If-Range": '"another"'})
    assert (other.status_code, len(other.content)) == (200, size)
    measured[deployment.name]["ranges"] = "yes"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_16_mib_of_body(deployment, measured, framing):
    document = json.dumps({"filename": "large", "files": [], "padding": ""})
    padding = "x" * (16 * MIB - len(document))
    document = document.replace('"padding": ""', f'"padding": "{padding}"')
    options = ["-H", "Expect:"]
    if framing == "chunked":
        options += ["-H", "Transfer-Encoding: chunked"]
    got = deployment.curl("/", *options, data=document)
    assert got.status == 201, got.bytes[:500]
    assert got.json()["filename"] == "large.zip"
    column = "16 MiB body" if framing == "length" else "chunked upload"
    measured[deployment.name][column] = "yes"


# -- an answer that breaks off -----------------------------------------------

# Apache ends the answer of a CGI program well, whatever became of it.
HIDES = (ApacheCgi.name,)


EARLY, LATE = "150k", "4m"


def broken(deployment, origin, entry, die: str, *options):
    """A zip whose second source dies for good, when the first is through."""
    files = [origin.file("whole.bin", size="100k"),
             # For SETTLE_TIMEOUT, failures would still be answered by 502.
             origin.file("broken.bin", size="8m", die=die, ranges="no",
                         delay=2 if die == EARLY else 0)]
    got = deployment.zip([entry(file) for file in files], *options,
                         onError="abort")
    assert got.status == 200, got.bytes[:500]
    return got


def is_seen(got) -> bool:
    assert got.exit == 0 or got.exit in CURL_SEES_A_CUT, (got.exit, got.said)
    # Whatever is hidden, no zip's end was forged.
    assert b"PK\x05\x06" not in got.bytes
    return got.exit != 0


HTTP2 = "--http2-prior-knowledge"


def speaking(deployment, version: str):
    return deployment.by_http2() if version == HTTP2 else deployment


@pytest.mark.parametrize("version, die", [
    ("--http1.1", EARLY), ("--http1.0", LATE), (HTTP2, EARLY), (HTTP2, LATE)])
def test_cut_is_seen_by_the_length(deployment, origin, measured, version,
                                   die):
    got = broken(speaking(deployment, version), origin, sized, die, version)
    assert "Content-Length" in got.headers
    assert is_seen(got)
    measured[deployment.name]["cut, length known"] = "seen"


def test_cut_at_the_very_end_is_seen(deployment, origin):
    """Some hundred bytes are missing, and nothing takes their place, such as
    a server's error page."""
    size = 300 << 10
    file = origin.file("end.bin", size=size, stall=size - 200, stall_for=1,
                       die=size - 100, ranges="no")
    got = deployment.zip([sized(file)])
    assert got.status == 200
    assert 0 < int(got.headers["Content-Length"]) - size < 250
    assert is_seen(got), got.bytes[-1000:]


@pytest.mark.parametrize("die", [EARLY, LATE])
def test_cut_is_seen_without_a_length(deployment, origin, measured, die):
    got = broken(deployment, origin, unsized, die)
    assert "Content-Length" not in got.headers
    assert is_seen(got) == (deployment.name not in HIDES)
    measured[deployment.name]["cut, no length"] = (
        "seen" if is_seen(got) else "hidden")


@pytest.mark.parametrize("version", ["--http1.0", HTTP2])
def test_cut_without_a_length_needs_http_1_1(deployment, origin, version):
    """What the README says of older and newer clients: over HTTP/2 nginx
    shows it, and mod_proxy_fcgi does or lets the client wait for ever."""
    may_wait = version == HTTP2 and deployment.name == ApacheProxy.name
    shows = version == HTTP2 and deployment.name == NginxPool.name
    patience = ("--max-time", "5") if may_wait else ()
    got = broken(speaking(deployment, version), origin, unsized, LATE, version,
                 *patience)
    assert "Content-Length" not in got.headers
    assert got.exit != 0 if may_wait else is_seen(got) == shows
    assert b"PK\x05\x06" not in got.bytes


@pytest.mark.parametrize("entry, version", [
    (sized, "--http1.0"), (unsized, "--http1.1")])
def test_cut_is_seen_through_one_more_nginx(deployment, origin, entry,
                                            version):
    front = deployment.behind_nginx()
    got = broken(front, origin, entry, LATE, version)
    assert is_seen(got) == (entry is sized or deployment.name not in HIDES)
    assert front.get("/metrics").status_code == 403


# -- a client that leaves ----------------------------------------------------


@contextlib.contextmanager
def downloading(deployment, files: list, *options: str):
    """curl, at work in the background."""
    bundle = deployment.create(files)
    process = subprocess.Popen(
        deployment.curl_command(f"/{bundle['id']}/", "-o", "/dev/null",
                                *options), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("entry", [sized, unsized])
def test_client_gone_while_bytes_flow(deployment, origin, measured, entry):
    file = origin.file("endless.bin", size="2g", rate="8m")
    with downloading(deployment, [entry(file)]) as curl:
        wait_until(lambda: file.books["bytes"] > MIB, "bytes")
        curl.kill()
        left = time.time()

    def quiet() -> bool:
        return time.time() - file.books["last"] > 0.6

    wait_until(quiet, "the end of the source's bytes")
    assert file.books["last"] - left < 2
    measured[deployment.name]["client gone, bytes flowing"] = "within 2 s"


class SilentSource:
    """Sends some bytes, then nothing; says when it was left."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.silent = threading.Event()
        self.left = threading.Event()
        threading.Thread(target=self.loop, daemon=True).start()

    @property
    def entry(self) -> dict:
        port = self.listener.getsockname()[1]
        return {"src": f"http://localhost:{port}/silent", "dst": "silent",
                "size": 100 * MIB, "compression": "store"}

    def loop(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(peer,),
                                 daemon=True).start()

    def serve(self, peer):
        with peer, contextlib.suppress(OSError):
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n"
                         b"\r\n" + bytes(100_000))
            self.silent.set()
            if peer.recv(65536) == b"":
                self.left.set()


def test_client_gone_while_the_source_is_silent(deployment, measured):
    """At once where the server tells; else the stall time-out ends it."""
    source = SilentSource()
    with contextlib.closing(source.listener):
        with downloading(deployment, [source.entry]) as curl:
            assert source.silent.wait(10)
            time.sleep(0.3)
            curl.kill()
            left = time.monotonic()
        assert source.left.wait(10), "longer than STALL_TIMEOUT"
    took = time.monotonic() - left
    measured[deployment.name]["client gone, source silent"] = (
        "at once" if took < 1 else "by `STALL_TIMEOUT`")


# -- a client that is slow ---------------------------------------------------


def held(pid: int) -> int:
    """Bytes of memory that are a process's own, its share of others in."""
    with contextlib.suppress(OSError, ProcessLookupError):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) << 10
    return 0


def spooled(pid: int) -> int:
    """Bytes in the unlinked files that it has open; mapped ones are small
    tables of the servers."""
    total = 0
    with contextlib.suppress(OSError):
        for fd in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(fd.path).endswith("(deleted)"):
                    total += os.stat(fd.path).st_size
    return total


def folder_size(folder: pathlib.Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*")
               if p.is_file() and p.suffix not in (".log", ".out"))


@pytest.mark.parametrize("entry", [sized, unsized])
def test_back_pressure(deployment, origin, measured, sanitized, entry):
    """500 MB for a client at 200 KB/s: nobody holds more than 32 MiB."""
    server = deployment.server
    file = origin.file("huge.bin", size="500m")

    def everybody() -> list:
        return server.processes() + server.programs() + [
            p for p in deployment.scene.pool.workers() if is_program(p)]

    before = sum(map(held, everybody()))
    files_before = folder_size(server.folder)
    with downloading(deployment, [entry(file)], "--limit-rate", "200k"):
        wait_until(lambda: file.books["bytes"] > 0, "bytes")
        time.sleep(3)
        after = sum(map(held, everybody()))
        spools = max(map(spooled, everybody()))
        files = folder_size(server.folder) - files_before
        taken = file.books["bytes"]
    assert spools < MIB and files < MIB
    assert taken < 64 * MIB  # the kernel's buffers in between included
    if not sanitized:
        assert after - before < 32 * MIB
    measured[deployment.name]["back-pressure"] = "yes"


# -- the table ---------------------------------------------------------------

COLUMNS = ("first byte", "back-pressure", "length", "ranges",
           "cut, length known", "cut, no length", "client gone, bytes flowing",
           "client gone, source silent", "16 MiB body", "chunked upload",
           "time-outs raised")


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def table(measured: dict) -> str:
    lines = [row("", *COLUMNS), row(*["---"] * (len(COLUMNS) + 1))]
    for server in SERVERS:
        facts = measured[server.name]
        lines.append(row(server.title, *(facts[c] for c in COLUMNS)))
    return "".join(lines)


def test_time_outs_are_raised(deployment, measured):
    names = [f"`{name}`" for name in deployment.raised()]
    measured[deployment.name]["time-outs raised"] = (
        ", ".join(names) or "none: the hoster's")


def test_table_of_the_readme(measured, record_property):
    missing = [(server.name, c) for server in SERVERS for c in COLUMNS
               if c not in measured[server.name]]
    if missing:
        pytest.skip(f"not all has been measured: {missing[:3]}")
    text = table(measured)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/servers.md").write_text(text)
    record_property(TABLE, text)
    done = subprocess.run([sys.executable, ROOT / "tools/deploy-table",
                           "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
