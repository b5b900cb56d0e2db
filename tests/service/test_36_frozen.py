# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a first download froze stays true when sources change, lie or have no
validator.

Their server is in the test's own process: what lies behind a URL is replaced
between downloads.
"""

import hashlib
import random
import re
import subprocess
import time
import zlib

import judges
import pool as pools
import pytest
import scripted

MIB = 1 << 20


class Web:
    """A folder on the web."""

    def __init__(self):
        self.files: dict = {}
        self.server = scripted.Scripted(self.answer)

    def put(self, name: str, body: bytes, type_: str = "image/jpeg",
            named: bool = True, chunked: bool = False) -> dict:
        """The entry of a bundle.  `named`: it has an ETag."""
        headers = {"Content-Type": type_}
        if named:
            headers["ETag"] = f'"{hashlib.md5(body).hexdigest()}"'
        self.files["/" + name] = (body, headers, chunked)
        return {"src": f"http://localhost:{self.server.port}/{name}",
                "dst": name}

    def answer(self, asked: scripted.Asked) -> tuple:
        body, headers, chunked = self.files[asked.target]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)",
                              asked.headers.get("range", ""))
        tag = headers.get("ETag")
        status = 200
        if wanted and asked.headers.get("if-range") in (None, tag):
            first = int(wanted[1])
            last = min(int(wanted[2] or len(body)), len(body) - 1)
            headers = {**headers, "Content-Range":
                       f"bytes {first}-{last}/{len(body)}"}
            status, body = 206, body[first:last + 1]
        if chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            headers = {**headers, "Content-Length": None,
                       "Transfer-Encoding": "chunked"}
        return status, headers, body


@pytest.fixture
def web():
    web = Web()
    yield web
    web.server.stop()


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def begun(url: str, path, size: int):
    """A download that its client leaves after so many bytes."""
    with open(path, "wb") as file, subprocess.Popen(
            ["curl", "-sS", "--limit-rate", "400M", url],
            stdout=subprocess.PIPE) as client:
        while file.tell() < size:
            file.write(client.stdout.read(min(MIB, size - file.tell())))
        client.kill()


def resumed(url: str, path) -> int:
    """The exit status of the client that goes on."""
    return subprocess.run(["curl", "-sSf", "-C", "-", "-o", path, url],
                          timeout=100, check=False).returncode


def test_checkpoints_of_the_old_version_are_forgotten(service, web, tmp_path):
    size = 24 * MIB
    bundle = service.create([web.put("huge.mp4", noise(1, size))])
    service.fetch(bundle).well().unlink()
    service.settled(bundle, 1)
    second = noise(2, size)
    web.put("huge.mp4", second)
    url, path = service.url(f"/{bundle['id']}"), tmp_path / "resumed.zip"
    begun(url, path, 16 * MIB)
    service.settled(bundle, 2)
    assert resumed(url, path) == 0
    judges.check(path, {"huge.mp4": second})
    path.unlink()


def test_a_wrong_crc_is_seen_by_who_resumes(service, web, tmp_path):
    entry = web.put("a.jpg", noise(5, 30_000_000))
    bundle = service.create([{**entry, "size": 30_000_000,
                              "crc32": "deadbeef"}])
    url, path = service.url(f"/{bundle['id']}"), tmp_path / "resumed.zip"
    begun(url, path, 2_000_000)
    service.settled(bundle, 1)
    assert resumed(url, path) != 0


@pytest.mark.parametrize("kind, type_", [("jpg", "image/jpeg"),
                                         ("txt", "text/plain")])
def test_many_changed_sources_break_one_download(service, web, kind, type_):
    """More than the window holds."""
    bundle = service.create([web.put(f"{i}.{kind}", noise(i, 70_000), type_)
                             for i in range(60)])
    service.fetch(bundle).well()
    service.settled(bundle, 1)
    for i in range(60):
        web.put(f"{i}.{kind}", noise(1000 + i, 70_000), type_)
    service.fetch(bundle)
    service.settled(bundle, 2)
    service.fetch(bundle).well()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [50_000, 200_000])
def test_a_nameless_source_may_change_its_size(service, web, size, chunked):
    more = {"named": False, "chunked": chunked}
    bundle = service.create([web.put("a.jpg", noise(1, 100_000), **more)])
    service.fetch(bundle).well()
    service.settled(bundle, 1)
    web.put("a.jpg", noise(2, size), **more)
    service.fetch(bundle)
    service.settled(bundle, 2)
    service.fetch(bundle).well()


def test_who_reads_less_takes_nothing_away(service, web, tmp_path):
    bundle = service.create([web.put("a.jpg", noise(6, 100_000_000))])
    path = f"/{bundle['id']}"
    with subprocess.Popen(["curl", "-sS", "--limit-rate", "1M", "-r",
                           "0-90000000", "-o", tmp_path / "part",
                           service.url(path)]) as slow:
        pools.wait_until(lambda: web.server.asked, "its request")
        service.fetch(bundle).well().unlink()
        service.settled(bundle, 1)
        slow.kill()
    service.settled(bundle, 2)
    web.server.asked.clear()
    assert service.curl(path, "-r", "-50").status == 206
    assert not web.server.asked


def test_many_ranges_of_many_files(service, web):
    """Each takes memory for what it touches, not for all there is."""
    body = noise(1, 10)
    entry = web.put("a.jpg", body)
    facts = {"size": len(body), "mtime": 1_600_000_000,
             "crc32": f"{zlib.crc32(body):08x}"}
    bundle = service.create([{**entry, **facts, "dst": f"{i}.jpg"}
                             for i in range(100_000)])
    head = service.call("HEAD", f"/{bundle['id']}")
    end = int(head.headers["Content-Length"])
    ranges = ",".join(f"{i}-{i}" for i in range(end - 640, end, 10))
    assert service.curl(f"/{bundle['id']}", "-r", ranges).status == 206


def test_nothing_was_modified_in_the_future(service, web):
    """RFC 9110, section 8.8.2.1."""
    bundle = service.create([{**web.put("a.jpg", noise(1, 1000)),
                              "mtime": 4_000_000_000}])
    head = service.call("HEAD", f"/{bundle['id']}")
    assert "209" not in head.headers["Last-Modified"]
