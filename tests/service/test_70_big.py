# SPDX-License-Identifier: AGPL-3.0-or-later
"""Many entries, large entries, long archives, in bounded memory."""

import concurrent.futures
import json
import subprocess
import time
import zipfile

import pytest

import content
import judges
import pool as pools

WORKER_CEILING = 32 << 20  # resident bytes of a worker, whatever it zips


def peaks(service) -> list:
    return [pools.memory_peak(pid) for pid in service.pool.workers()]


def slim(service):
    """No worker was ever larger than it may be."""
    found = peaks(service)
    assert found and all(found)
    assert max(found) < WORKER_CEILING, [f"{p >> 20} MiB" for p in found]


def numbered(origin, count: int, **wish) -> list:
    """Files of one origin that differ in their bytes."""
    return [origin.file(f"{i % 100:02}/{i:06}.dat", size=100 + i % 900,
                        **wish) for i in range(count)]


def test_three_thousand_files(make_service, origin, sanitized):
    service = make_service()
    files = numbered(origin, 3000)
    got = service.zip([f.entry() for f in files])
    judges.judge_all(got.well(), {f.dst: f.bytes for f in files})
    if not sanitized:
        slim(service)


def stream_of(service, files: list) -> subprocess.Popen:
    """curl's standard output is the zip."""
    return subprocess.Popen(
        ["curl", "-sSfN", "--max-time", "600", "-d",
         json.dumps({"files": files}), "-H", "Content-Type: application/json",
         service.url("/bundle")], stdout=subprocess.PIPE)


def is_body(stream, file) -> bool:
    """Compares in pieces: neither side is ever held."""
    for piece in content.pieces(file.wish.seed, file.wish.kind, 0,
                                file.wish.size):
        if stream.read(len(piece)) != piece:
            return False
    return stream.read(1) == b""


def test_five_gibibytes_in_one_entry(make_service, origin, sanitized):
    """Unpacked by bsdtar as it comes; it checks the CRC-32 too."""
    if sanitized:
        pytest.skip("too slow under a sanitizer; sizes are what matters")
    service = make_service(MAX_WORKERS=1, MIN_SPARE_WORKERS=1)
    file = origin.file("video.mp4", size="5g", type="video/mp4")
    with stream_of(service, [file.entry()]) as curl, subprocess.Popen(
            ["bsdtar", "-xOf", "-"], stdin=curl.stdout,
            stdout=subprocess.PIPE) as bsdtar:
        curl.stdout.close()
        assert is_body(bsdtar.stdout, file)
    assert (curl.returncode, bsdtar.returncode) == (0, 0)
    slim(service)


@pytest.mark.long
def test_a_member_of_unknown_length_is_under_four_gibibytes(make_service,
                                                            origin):
    """Its header has promised so; with its size given, it may be larger."""
    service = make_service()
    file = origin.file("video.mp4", size="4200m", type="video/mp4",
                       framing="chunked")
    service.zip([file.entry()]).cut()
    pools.wait_until(lambda: "passes 4 GiB and never gave its size"
                     in service.pool.log(), "the reason in the log")
    got = service.zip([file.entry(size=file.wish.size)])
    assert judges.java(got.well()) == [
        (file.dst, file.wish.size, file.crc)]
    got.path.unlink()


@pytest.mark.long
def test_archive_over_four_gibibytes_on_disk(make_service, origin,
                                             tmp_path):
    """Its directory and late entries lie beyond what 32 bits can say."""
    service = make_service()
    files = [origin.file(f"{i}.mp4", size="900m", type="video/mp4")
             for i in range(5)]
    files += [origin.file("big.mp4", size="4200m", type="video/mp4"),
              origin.file("late.txt", kind="text", size="1m")]
    got = service.zip([f.entry() for f in files])
    path = got.well()
    for judge in (judges.unzip, judges.sevenzip, judges.bsdtar,
                  judges.bsdtar_pipe):
        assert judge(path) == [f.dst for f in files]
    assert judges.java(path) == [
        (f.dst, f.wish.size, f.crc) for f in files]
    path.unlink()
    slim(service)


def test_seventy_thousand_entries(make_service, file_root, sanitized):
    """More than 65,535: ZIP64's end record."""
    service = make_service(FS_INTERFACES="file", FILE_ROOT=file_root)
    data = b"a small file\n"
    (file_root / "small.txt").write_bytes(data)
    count = 7_000 if sanitized else 70_000
    files = [{"src": "file:///small.txt", "dst": f"{i % 100}/{i}.txt"}
             for i in range(count)]
    got = service.zip(files)
    path = got.well()
    names = [f["dst"] for f in files]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == names
        assert archive.read(names[-1]) == data
    for judge in (judges.unzip, judges.sevenzip, judges.bsdtar,
                  judges.bsdtar_pipe):
        assert judge(path) == names, judge.__name__
    assert [entry[:2] for entry in judges.java(path)] == [
        (name, len(data)) for name in names]
    if not sanitized:
        assert max(peaks(service)) < 2 * WORKER_CEILING


def test_slow_clients_of_a_large_file(make_service, origin, sanitized):
    """What a client does not take is not read ahead without bound."""
    service = make_service(READ_AHEAD_BYTES="2MiB")
    file = origin.file("video.mp4", size="2g", type="video/mp4")
    body = {"files": [file.entry()]}
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(
            lambda _: service.post("/bundle", body, stream=True), range(4)))
    try:
        for answer in answers:
            assert answer.status_code == 200
            next(answer.iter_content(1 << 20))
        held = still(lambda: file.books["bytes"])
        # Four sets of kernel and server buffers, and what was taken.
        assert held < 4 * (48 << 20)
        if not sanitized:
            slim(service)
    finally:
        for answer in answers:
            answer.close()


def still(read, seconds: float = 20.0) -> int:
    """The value of read() once it has not moved for a while."""
    last, since, end = read(), time.monotonic(), time.monotonic() + seconds
    while time.monotonic() - since < 1.0:
        assert time.monotonic() < end, "it never came to rest"
        time.sleep(0.1)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
    return last
