# SPDX-License-Identifier: AGPL-3.0-or-later
"""A zip fetched in closed ranges, as slicing caches and aria2 do.

No slice has all of a large source, and still its CRC-32 must come to be
known without a second reading: the origin's books tell what was read.
"""

import concurrent.futures
import random
import re
import subprocess
import threading
import zlib

import judges
import pytest
import requests
import scripted

SIZE, SLICE = 40_000_000, 9_000_001
# A slice begins and ends within a block of level 0, which is read whole.
AROUND = 2 * 65536


def large(origin, *told: str, crc: "int | None" = None):
    """(file, its entry, of which so much is told): level 0, or stored."""
    file = origin.file("large.jpg", size=SIZE, type="image/jpeg")
    facts = {"size": SIZE, "crc32": f"{file.crc if crc is None else crc:08x}"}
    return file, file.entry(**{name: facts[name] for name in told})


def slices(service, bundle: dict) -> list:
    head = service.call("HEAD", f"/{bundle['id']}")
    length = int(head.headers["Content-Length"])
    return [(at, min(at + SLICE, length) - 1)
            for at in range(0, length, SLICE)]


def fetch(service, bundle: dict, part: tuple) -> bytes:
    answer = service.get(f"/{bundle['id']}", headers={
        "Range": "bytes=%d-%d" % part})
    assert answer.status_code == 206
    assert len(answer.content) == part[1] + 1 - part[0]
    return answer.content


@pytest.mark.parametrize("told", [(), ("size", "crc32")],
                         ids=["level0", "stored"])
def test_slices_in_order_read_a_source_once(stored, origin, tmp_path, told):
    file, entry = large(origin, *told)
    bundle = stored.create([entry])
    parts = slices(stored, bundle)
    path = tmp_path / "slices.zip"
    with open(path, "wb") as out:
        for count, part in enumerate(parts, 1):
            before = file.books["bytes"]
            out.write(fetch(stored, bundle, part))
            stored.settled(bundle, count)
            assert file.books["bytes"] - before <= SLICE + AROUND, part
    judges.judge_all(path, {file.dst: file.bytes})


@pytest.mark.parametrize("told", [(), ("size", "crc32")],
                         ids=["level0", "stored"])
def test_slices_at_once_read_a_source_once(stored, origin, told):
    """All but the last, which needs to know of the others."""
    file, entry = large(origin, *told)
    bundle = stored.create([entry])
    *most, last = slices(stored, bundle)
    with concurrent.futures.ThreadPoolExecutor(len(most)) as executor:
        list(executor.map(lambda part: fetch(stored, bundle, part), most))
    stored.settled(bundle, len(most))
    assert file.books["bytes"] <= SIZE - SLICE + len(most) * AROUND + SLICE
    before = file.books["bytes"]
    fetch(stored, bundle, last)
    # One that read the store late may have joined to its own sum another's
    # that a third one joined, too: of two that overlap one is kept.
    assert file.books["bytes"] - before <= SIZE // 2


def test_what_lies_between_slices_is_read_for_the_directory(service, origin):
    """And no more than that: the last one is not read again."""
    file, entry = large(origin)
    bundle = service.create([entry])
    parts = slices(service, bundle)
    end = parts[-1][1]
    for count, part in enumerate((parts[0], (parts[3][0], end - 1000)), 1):
        fetch(service, bundle, part)
        service.settled(bundle, count)
    before = file.books["bytes"]
    for count in (3, 4):
        fetch(service, bundle, (end - 20, end))
        service.settled(bundle, count)
        assert file.books["bytes"] - before <= 2 * SLICE + AROUND


@pytest.mark.parametrize("told", [(), ("size", "crc32")],
                         ids=["level0", "stored"])
def test_what_lies_between_slices_is_read_with_the_last(service, origin,
                                                        told):
    file, entry = large(origin, *told)
    bundle = service.create([entry])
    parts = slices(service, bundle)
    for count, part in enumerate((parts[0], parts[3]), 1):
        fetch(service, bundle, part)
        service.settled(bundle, count)
    before = file.books["bytes"]
    fetch(service, bundle, parts[4])
    service.settled(bundle, 3)
    assert file.books["bytes"] - before <= SIZE - 2 * SLICE + 2 * AROUND
    seen = len(file.books["seen"])
    fetch(service, bundle, (parts[4][1] - 20, parts[4][1]))
    assert len(file.books["seen"]) == seen


def test_the_last_slice_does_not_wait_for_what_only_its_crc_needs(service):
    body = random.Random(1).randbytes(2_000_000)
    got_all, waited = threading.Event(), []

    def answer(asked):
        first, last = re.fullmatch(r"bytes=(\d+)-(\d*)",
                                   asked.headers["range"]).groups()
        part = slice(int(first), int(last or len(body) - 1) + 1)
        if part.start == 0 and part.stop > 1:
            waited.append(got_all.wait(5))
        return 206, {
            "Content-Type": "image/jpeg", "ETag": '"x"', "Content-Range":
            f"bytes {first}-{part.stop - 1}/{len(body)}"}, body[part]

    server = scripted.Scripted(answer)
    bundle = service.create([{"src": f"http://localhost:{server.port}/a.jpg",
                              "dst": "a.jpg"}])
    with requests.get(service.url(f"/{bundle['id']}"), stream=True,
                      headers={"Range": "bytes=1500000-"}) as client:
        tail = client.raw.read(500_000)
        got_all.set()
        tail += client.raw.read()
    server.stop()
    assert waited == [True]
    assert body[-1000:] in tail
    assert zlib.crc32(body).to_bytes(4, "little") in tail


def test_a_slice_whose_client_left_is_gone_on_with(service, origin):
    file, entry = large(origin)
    bundle = service.create([entry])
    first, second = slices(service, bundle)[:2]
    url = service.url(f"/{bundle['id']}")
    with subprocess.Popen(["curl", "-sS", "--limit-rate", "20M", "-r",
                           f"0-{second[1]}", url],
                          stdout=subprocess.PIPE) as client:
        got = len(client.stdout.read(first[1]))
        client.kill()
    service.settled(bundle, 1)
    fetch(service, bundle, (got, second[1]))
    service.settled(bundle, 2)
    before = file.books["bytes"]
    rest = slices(service, bundle)[2:]
    fetch(service, bundle, (second[1] + 1, rest[-1][1]))
    assert file.books["bytes"] - before <= SIZE - second[1] + AROUND


def test_slices_see_a_wrong_crc(service, origin):
    """Only who has the last one can tell, and tells it each time."""
    file, entry = large(origin, "size", "crc32", crc=0xdeadbeef)
    bundle = service.create([entry])
    *most, last = slices(service, bundle)
    for count, part in enumerate(most, 1):
        fetch(service, bundle, part)
        service.settled(bundle, count)
    for _ in range(2):
        failed = service.curl(f"/{bundle['id']}", "-r", "%d-%d" % last)
        assert failed.exit != 0 or failed.status == 502


def test_slices_of_a_changed_source_are_not_mixed(service, origin):
    """The CRC of what was read of the one says nothing about the other."""
    file = origin.file("fickle.jpg", size=SIZE, type="image/jpeg", change=3)
    bundle = service.create([file.entry()])
    for count, part in enumerate(slices(service, bundle)[:2], 1):
        fetch(service, bundle, part)
        service.settled(bundle, count)
    service.curl(f"/{bundle['id']}", "-r", f"{SIZE // 2}-{SIZE - 1}")
    service.settled(bundle, 3)
    parts = slices(service, bundle)
    whole = b"".join(fetch(service, bundle, part) for part in parts)
    path = service.folder / "changed.zip"
    path.write_bytes(whole)
    changed = origin.file("x", seed=file.wish.seed + 1, size=SIZE)
    judges.judge_all(path, {file.dst: changed.bytes})


def test_slices_that_do_not_wait_for_the_store(stored, origin):
    """The next one reads the store before the last one has written to it."""
    file, entry = large(origin)
    bundle = stored.create([entry])
    end = slices(stored, bundle)[-1][1]
    step = SIZE // 8
    with requests.Session() as session:
        for at in range(0, SIZE, step):
            answer = session.get(stored.url(f"/{bundle['id']}"), headers={
                "Range": f"bytes={at}-{at + step - 1}"})
            assert answer.status_code == 206
    stored.settled(bundle, 8)
    read = file.books["bytes"]
    assert read <= SIZE + 8 * AROUND
    fetch(stored, bundle, (SIZE, end))
    # Sums of two requests that overlap in part cannot be joined.
    assert file.books["bytes"] - read <= SIZE // 2


def test_any_ranges_at_once_of_what_nobody_has_read(stored, origin):
    """They sum up the same bytes again and again, and none goes wrong."""
    files = [origin.file(f"{i}.jpg", size=700_000 + 65_535 * i,
                         type="image/jpeg") for i in range(4)]
    entries = [file.entry(**({"size": file.wish.size,
                              "crc32": f"{file.crc:08x}"} if i % 2 else {}))
               for i, file in enumerate(files)]
    whole = stored.fetch(stored.create(entries)).well().read_bytes()
    rng = random.Random(9)
    for _ in range(3):
        bundle = stored.create(entries)
        at = [rng.randrange(len(whole)) for _ in range(40)]
        parts = [(x, min(len(whole) - 1, x + rng.randrange(900_000)))
                 for x in at]
        with concurrent.futures.ThreadPoolExecutor(6) as executor:
            found = list(executor.map(
                lambda part: fetch(stored, bundle, part), parts))
        for part, body in zip(parts, found):
            assert body == whole[part[0]:part[1] + 1], part
        assert stored.fetch(bundle).bytes == whole


@pytest.mark.parametrize("told", [False, True])
def test_the_directory_of_a_zip_with_an_empty_file(stored, origin, told):
    """Nothing has to be read to know the CRC-32 of nothing."""
    large_file, _ = large(origin)
    empty = origin.file("empty.jpg", size=0)
    bundle = stored.create([large_file.entry(),
                            empty.entry(**({"size": 0} if told else {}))])
    tail = stored.get(f"/{bundle['id']}", headers={"Range": "bytes=-100"})
    assert tail.status_code == 206
    assert len(tail.content) == 100


@pytest.mark.parametrize("heads", [
    [{"ETag": 'W/"x"', "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"},
     {"ETag": 'W/"x"', "Last-Modified": "Wed, 15 Nov 2023 22:13:20 GMT"}],
    [{}, {"ETag": '"x"'}]], ids=["weak", "none"])
def test_sums_that_nothing_proves_are_not_gone_on_with(service, heads):
    """Bytes have changed since: whoever reads the new ones alone gets them
    with their own CRC-32."""
    version = 0

    def answer(asked):
        size = 40_000_000
        body = b"ab"[version:version + 1] * size
        asked_for = re.fullmatch(r"bytes=(\d+)-(\d*)",
                                 asked.headers.get("range", ""))
        told = {"Content-Type": "image/jpeg", **heads[version]}
        if asked_for is None:
            return 200, told, body
        first = int(asked_for[1])
        part = body[first:int(asked_for[2] or size) + 1]
        return 206, {**told, "Content-Range":
                     f"bytes {first}-{first + len(part) - 1}/{size}"}, part

    server = scripted.Scripted(answer)
    bundle = service.create([{"src": f"http://localhost:{server.port}/a.jpg",
                              "dst": "a.jpg"}])
    with requests.get(service.url(f"/{bundle['id']}"), stream=True, headers={
            "Range": "bytes=0-19999999"}) as client:
        client.raw.read(300_000)
    service.settled(bundle, 1)
    version = 1
    path = service.folder / "proved.zip"
    parts = slices(service, bundle)
    path.write_bytes(b"".join(fetch(service, bundle, part) for part in parts))
    server.stop()
    judges.judge_all(path, {"a.jpg": b"b" * 40_000_000})
