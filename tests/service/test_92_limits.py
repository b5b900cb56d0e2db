# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every limit is a setting, and going over it has the right status; what is
over it is not taken in first."""

import contextlib
import os
import pathlib
import re
import signal
import socket

import pytest

import fastcgi
import judges
from conftest import IMPATIENT
from nameserver import Nameserver
from pool import wait_until
from service import Service

SRC = "http://example.com/x"
MIB = 1 << 20


def files(n: int) -> list:
    return [{"src": SRC, "dst": str(i)} for i in range(n)]


def message(answer, status: int) -> str:
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["message"]


@contextlib.contextmanager
def raw(service):
    """A connection to the web server that sends what it likes."""
    with socket.create_connection(("127.0.0.1", service.server.port),
                                  timeout=30) as sock:
        yield sock


def head_of(sock) -> str:
    text = b""
    while b"\r\n\r\n" not in text:
        piece = sock.recv(65536)
        assert piece, text
        text += piece
    return text.decode("latin-1")


# -- what a client sends ------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/bundle"])
def test_an_upload_over_the_limit_is_not_read(make_service, path):
    """A gigabyte is announced; the answer comes before any of it does.  Not
    through lighttpd, which collects a body before it asks anybody."""
    service = make_service(MAX_BODY="1MiB")
    with fastcgi.connect(service.pool.socket) as sock:
        sock.sendall(fastcgi.head({
            **fastcgi.GET, "REQUEST_METHOD": "POST", "REQUEST_URI": path,
            "PATH_INFO": path, "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(1 << 30)}))
        assert sock.recv(8)[1] == fastcgi.STDOUT
        assert "Status: 413" in sock.recv(65536).decode("latin-1")


def test_keys_are_looked_at_before_the_body_is(make_service):
    service = make_service(API_KEYS="alpha")
    with fastcgi.connect(service.pool.socket) as sock:
        sock.sendall(fastcgi.head({
            **fastcgi.GET, "REQUEST_METHOD": "POST", "REQUEST_URI": "/",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "1000"}))
        sock.recv(8)
        assert "Status: 401" in sock.recv(65536).decode("latin-1")


def test_files_of_a_bundle(make_service):
    service = make_service(MAX_FILES=10)
    bundle = service.create(files(10))
    for path in ("/", "/bundle"):
        answer = service.post(path, {"filename": "a", "files": files(11)})
        assert "10" in message(answer, 413)
    path = f"/{bundle['id']}/{bundle['secret']}"
    more = service.call("PUT", path, json={"files": [
        {"src": SRC, "dst": "one more"}]})
    message(more, 413)
    assert service.get(path).json() == bundle


@pytest.mark.parametrize("dst, status", [
    ("a" * 255, 201), ("a" * 256, 400), ("ü" * 127, 201), ("ü" * 128, 400),
    ("/".join(["a" * 255] * 255), 201), ("/".join(["a" * 255] * 256), 201),
    ("/".join(["a" * 255] * 257), 400), ("a/" * 32768, 400)])
def test_lengths_of_names(service, dst, status):
    """A segment has 255 bytes at most, a name 65,535: what the format of the
    zip holds."""
    answer = service.post("/", {"filename": "a", "files": [
        {"src": SRC, "dst": dst}]})
    assert answer.status_code == status, (len(dst), answer.text[:300])


def test_length_of_the_zips_own_name(service):
    """It is cut to what a file system takes."""
    for letter in ("n", "ü"):
        bundle = service.create([], filename=letter * 100_000)
        assert len(bundle["filename"].encode()) <= 255
        assert bundle["filename"].endswith(letter + ".zip")
        got = service.fetch(bundle)
        assert len(got.headers["Content-Disposition"]) < 2000


def test_length_of_a_source(service):
    answer = service.post("/", {"filename": "a", "files": [
        {"src": SRC + "?" + "q" * 20_000, "dst": "x"}]})
    message(answer, 400)


# -- bytes of a bundle --------------------------------------------------------


def test_bundle_bytes_known_beforehand(make_service, origin):
    """Declared, or asked for: 413, and no zip is begun."""
    service = make_service(MAX_BUNDLE_BYTES="2050KiB")
    remote = [origin.file(str(i), size="1m") for i in range(3)]
    declared = [f.entry(size=MIB) for f in remote]
    got = service.zip(declared)
    assert got.status == 413 and "MAX_BUNDLE_BYTES" in got.json()["message"]
    assert service.zip([f.entry() for f in remote]).status == 413
    got = service.fetch(service.create(declared))
    assert got.status == 413
    judges.check(service.zip([f.entry() for f in remote[:2]]).well(),
                 {f.dst: f.bytes for f in remote[:2]})


def test_bundle_bytes_counted_as_they_stream(make_service, origin):
    """Of no known size until they have come."""
    service = make_service(MAX_BUNDLE_BYTES="10MiB")
    remote = [origin.file(f"{i}.bin", size="6m", framing="chunked",
                          ranges="no") for i in range(2)]
    entries = [f.entry(compression="deflate") for f in remote]
    service.zip(entries).cut()
    judges.check(service.zip(entries[:1]).well(),
                 {"0.bin": remote[0].bytes})


@pytest.mark.parametrize("sizes", [["1m", "1m", "1m"], ["3m"]])
@pytest.mark.parametrize("compression", ["store", "deflate"])
def test_bundle_bytes_of_a_range(make_service, origin, sizes, compression):
    """A part of a zip that is too large is none, also where only a reading
    of the sources tells how large it is."""
    service = make_service(MAX_BUNDLE_BYTES="2050KiB")
    bundle = service.create([
        origin.file(f"{i}", size=size).entry(compression=compression)
        for i, size in enumerate(sizes)])
    got = service.fetch(bundle, "-r", "0-9")
    assert got.status == 413, (got.exit, got.status, got.bytes[:200])
    assert "MAX_BUNDLE_BYTES" in got.json()["message"]


# -- what a source sends ------------------------------------------------------


@pytest.mark.parametrize("limit, size, well", [
    ("16KiB", "12k", True), ("16KiB", "20k", False),
    ("128KiB", "100k", True)])
def test_headers_of_a_source(make_service, origin, limit, size, well):
    service = make_service(MAX_SOURCE_HEADER=limit, SOURCE_RETRIES=0)
    file = origin.file("x", headers=size)
    got = service.zip([file.entry()])
    if well:
        judges.check(got.well(), {"x": file.bytes})
    else:
        assert "head" in got.refused()["files"][0]["reason"]


# -- a client that stalls -----------------------------------------------------


def test_client_that_takes_nothing_is_cut_off(make_service, origin):
    """Its source is let go, too, and the worker serves the next one."""
    service = make_service(CLIENT_TIMEOUT="1s", MAX_WORKERS=1,
                           MIN_SPARE_WORKERS=1)
    file = origin.file("x.jpg", size="1g")
    path = f"/{service.create([file.entry()])['id']}/"
    before = origin.stats()["busy"]  # with what other tests left asleep
    with raw(service) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert head_of(sock).startswith("HTTP/1.1 200 ")
        origin.wait(lambda books: books["busy"] > before)
        origin.wait(lambda books: books["busy"] <= before)
        wait_until(lambda: service.get("/health-check").status_code == 200,
                   "the free worker")
    assert "client gone" in service.pool.log()


def test_slow_client_is_not_cut_off(make_service, origin):
    """It takes little, but it takes."""
    service = make_service(CLIENT_TIMEOUT="1s")
    file = origin.file("x.jpg", size="2m")
    got = service.curl("/bundle", "--limit-rate", "600k",
                       data=f'{{"files": [{{"src": "{file.url}",'
                            ' "dst": "x.jpg"}]}')
    judges.check(got.well(), {"x.jpg": file.bytes})


def test_client_that_stalls_in_its_upload(make_service):
    """Behind a web server that hands a body on as it comes, the worker is
    free again."""
    service = make_service(CLIENT_TIMEOUT="1s", MAX_WORKERS=1,
                           MIN_SPARE_WORKERS=1)
    with raw(service) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                     b"Content-Type: application/json\r\n\r\n{")
        wait_until(lambda: service.get("/health-check").status_code == 200,
                   "the free worker", 5)


# -- memory of a worker -------------------------------------------------------


@pytest.mark.deaths
def test_worker_without_memory(make_service, origin, sanitized):
    """It says so or dies of it; the pool goes on, and so do small requests."""
    if sanitized:
        pytest.skip("AddressSanitizer needs all of the address space")
    service = make_service(WORKER_MEMORY="64MiB")
    small = origin.file("x", size="100k")
    large = '{"filename":"a","files":[' + ",".join(
        f'{{"src":"{SRC}","dst":"{i:0100}"}}' for i in range(90_000)) + "]}"
    for _ in range(2):
        got = service.curl("/", data=large)
        assert got.status in (413, 500, 502, 503), got.status
        judges.check(service.zip([small.entry()]).well(),
                     {"x": small.bytes})
    with open(f"/proc/{service.pool.workers()[-1]}/limits") as limits:
        line = next(x for x in limits if x.startswith("Max address space"))
    assert str(64 * MIB) in line


@pytest.mark.skipif(os.geteuid() != 0, reason="a name server has port 53")
def test_worker_of_little_memory_looks_up_many_names(tmp_path, origin,
                                                     sanitized):
    """Each by a thread, whose reserve of memory counts."""
    if sanitized:
        pytest.skip("AddressSanitizer needs all of the address space")
    files = [origin.file(f"{i}", size="10k", host=f"host-{i}.test")
             for i in range(40)]
    names = {f"host-{i}.test": ["127.0.0.1"] for i in range(40)}
    service = Service(tmp_path, {**IMPATIENT, "WORKER_MEMORY": "64MiB",
                                 "SOURCE_RETRIES": 0})
    with Nameserver(tmp_path, names) as server:
        service.pool.prefix = server.prefix
        try:
            got = service.start().zip([f.entry() for f in files])
            judges.check(got.well(), {f.dst: f.bytes for f in files})
            service.stop()
        finally:
            service.kill()
    assert set(server.asked) == set(names)


# -- memory -------------------------------------------------------------------


def high_water(service) -> int:
    """Of the hungriest worker, in bytes."""
    return max(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(
        f"/proc/{pid}/status").read_text())[1]) << 10
        for pid in service.pool.workers())


def test_folders_that_files_stand_in_the_way_of(make_service, sanitized):
    """d, d/d, d/d/d ...: each folder of each name has to be another."""
    service = make_service()
    service.create([{"src": SRC, "dst": "/".join("d" * i)}
                    for i in range(1, 1000)])
    assert sanitized or high_water(service) < 64 * MIB


def test_reloading_again_and_again(make_service, sanitized):
    """The pool's parent, whose memory is that of all workers, stays as large
    as it is."""
    service = make_service()
    parent = pathlib.Path(f"/proc/{service.pool.process.pid}/statm")
    weights = []
    for i in range(30):
        mark = service.pool.log().count("settings reloaded")
        service.pool.signal(signal.SIGHUP)
        wait_until(lambda: service.pool.log().count("settings reloaded")
                   > mark, "the reload")
        if i in (9, 29):
            weights.append(int(parent.read_text().split()[1]) * 4096)
    assert sanitized or weights[1] - weights[0] < 6 * MIB, weights
