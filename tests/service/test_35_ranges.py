# SPDX-License-Identifier: AGPL-3.0-or-later
"""Zips with a length, that can be resumed: every later byte is the same byte.

The first download of a bundle is the truth; ranges, resumptions by real
clients and later downloads are compared with it byte for byte, and what the
sources were asked for meanwhile is read from the origin's books.
"""

import os
import random
import re
import subprocess
import time

import judges
import pytest
from pool import wait_until

# One FastCGI record, one stored block, one small file, and their neighbours.
SIZES = (0, 1, 65535, 65536, 65537, 1_000_003)


def members(origin, kind: str):
    """Files of every odd size, laid out in one way."""
    if kind == "deflated":
        return [origin.file(f"{kind}/{size}.txt", size=size, kind="text",
                            type="text/plain")
                for size in (*SIZES, 3_000_000)]
    return [origin.file(f"{kind}/{size}.jpg", size=size, type="image/jpeg")
            for size in (*SIZES, 3_000_000)]


def entries(files, kind: str):
    if kind == "stored":
        return [f.entry(size=f.wish.size, crc32=f"{f.crc:08x}")
                for f in files]
    return [f.entry() for f in files]


def mixed(origin):
    return [(f, e) for kind in ("stored", "level0", "deflated")
            for files in [members(origin, kind)]
            for f, e in zip(files, entries(files, kind))]


def ranged(service, bundle, value: str, **headers):
    return service.get(f"/{bundle['id']}",
                       headers={"Range": f"bytes={value}", **headers})


def remembered(service, bundle):
    """What was learned is written after the bytes have gone."""
    path = f"/{bundle['id']}"
    end = time.monotonic() + 20
    while "ETag" not in (head := service.call("HEAD", path)).headers:
        assert time.monotonic() < end, "nothing was remembered"
        time.sleep(0.05)
    return head


def boundaries(whole: bytes):
    """Where a record, a member or the directory begins or ends."""
    at = {0, 1, len(whole) - 1}
    for mark in (b"PK\x03\x04", b"PK\x07\x08", b"PK\x01\x02", b"PK\x05\x06"):
        at |= {m.start() for m in re.finditer(re.escape(mark), whole)}
    return sorted(x + d for x in at for d in (-1, 0, 1)
                  if 0 <= x + d < len(whole))


@pytest.fixture
def known(stored, origin):
    """A bundle whose first download has been."""
    files = mixed(origin)
    bundle = stored.create([entry for _, entry in files])
    path = stored.fetch(bundle).well()
    judges.judge_all(path, {f.dst: f.bytes for f, _ in files})
    remembered(stored, bundle)
    return bundle, path.read_bytes(), [f for f, _ in files]


def test_the_first_download_has_a_length_when_sizes_can_be_had(
        stored, origin):
    """None of the sizes was given: they are asked for."""
    files = members(origin, "level0")
    bundle = stored.create([f.entry() for f in files])
    first = stored.fetch(bundle)
    body = first.well().read_bytes()
    assert int(first.headers["Content-Length"]) == len(body)
    assert re.fullmatch(r'"[0-9a-f]{64}"', first.headers["ETag"])
    assert first.headers["Accept-Ranges"] == "bytes"
    assert first.headers["Last-Modified"]
    again = stored.fetch(bundle)
    assert again.well().read_bytes() == body
    assert again.headers["ETag"] == first.headers["ETag"]


def test_many_sizes_are_asked_for_at_once(service, origin):
    """More files than the window holds: a round of small requests."""
    files = [origin.file(f"many/{i}.jpg", size=100_000, type="image/jpeg",
                         get_only=1) for i in range(60)]
    bundle = service.create([f.entry() for f in files])
    first = service.fetch(bundle)
    assert int(first.headers["Content-Length"]) == len(first.bytes)
    assert [x["range"] for x in files[40].books["seen"]][0] == "bytes=0-0"
    judges.judge_all(first.well(), {f.dst: f.bytes for f in files})


def test_what_a_probe_has_read_whole_is_not_asked_for_again(service, origin):
    """More files of no known type than the window holds; the last is larger
    than what decides on its type."""
    files = [origin.file(f"once/{i}", size=9_000 + i, type="") for i in
             range(40)]
    files.append(origin.file("once/large", size=90_000, type=""))
    got = service.zip([f.entry() for f in files])
    assert int(got.headers["Content-Length"]) == len(got.bytes)
    judges.judge_all(got.well(), {f.dst: f.bytes for f in files})
    assert {f.books["requests"] for f in files[:40]} == {1}
    assert files[40].books["requests"] == 2


def test_deflated_entries_have_a_length_from_the_second_time_on(
        stored, origin):
    files = members(origin, "deflated")
    bundle = stored.create([f.entry() for f in files])
    first = stored.fetch(bundle)
    assert "ETag" not in first.headers
    remembered(stored, bundle)
    second = stored.fetch(bundle)
    assert second.well().read_bytes() == first.well().read_bytes()
    assert int(second.headers["Content-Length"]) == len(first.bytes)
    assert second.headers["Accept-Ranges"] == "bytes"


def test_every_range_is_a_part_of_the_whole(stored, known):
    bundle, whole, _ = known
    rng = random.Random(7)
    n = len(whole)
    at = boundaries(whole)
    cases = [(x, min(n - 1, x + rng.choice((0, 1, 29, 30, 300)))) for x in at]
    cases += [(max(0, x - 300), x) for x in rng.sample(at, 40)]
    for _ in range(60):
        first = rng.randrange(n)
        cases.append((first, min(n - 1, first + rng.randrange(200_000))))
    for first, last in cases:
        answer = ranged(stored, bundle, f"{first}-{last}")
        assert answer.status_code == 206, (first, last, answer.text[:200])
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{n}"
        assert answer.content == whole[first:last + 1], (first, last)


@pytest.mark.parametrize("value, part", [
    ("-1", slice(-1, None)), ("-70000", slice(-70000, None)),
    ("0-0", slice(0, 1)), ("100-", slice(100, None)),
    ("100-999999999999", slice(100, None)),
    ("-999999999999", slice(0, None))])
def test_suffix_and_open_ended(service, origin, value, part):
    files = members(origin, "level0")
    bundle = service.create([f.entry() for f in files])
    whole = service.fetch(bundle).bytes
    answer = ranged(service, bundle, value)
    assert answer.status_code == 206
    assert answer.content == whole[part]


def test_several_ranges_are_one_multipart(stored, known):
    bundle, whole, _ = known
    answer = ranged(stored, bundle, "0-99,70000-70010,-22")
    assert answer.status_code == 206
    kind = answer.headers["Content-Type"]
    assert kind.startswith("multipart/byteranges")
    boundary = kind.split("boundary=")[1].encode()
    parts = answer.content.split(b"--" + boundary)
    assert parts[-1] == b"--\r\n"
    bodies = [p.split(b"\r\n\r\n", 1)[1][:-2] for p in parts[1:-1]]
    assert bodies == [whole[:100], whole[70000:70011], whole[-22:]]
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_what_cannot_be_satisfied_is_said(stored, known):
    bundle, whole, _ = known
    answer = ranged(stored, bundle, f"{len(whole)}-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert answer.json()["message"]


def test_what_is_no_range_gets_the_whole(service, origin):
    files = members(origin, "level0")
    bundle = service.create([f.entry() for f in files])
    whole = service.fetch(bundle).bytes
    for value in ("bytes=x-1", "bytes=5-2", "items=0-1", "bytes="):
        answer = service.get(f"/{bundle['id']}", headers={"Range": value})
        assert answer.status_code == 200, value
        assert answer.content == whole


def test_a_head_tells_that_parts_may_be_asked_for(service, origin):
    """RFC 9110, section 14.2: with Range it is the same as without."""
    bundle = service.create([f.entry() for f in members(origin, "level0")])
    for headers in ({}, {"Range": "bytes=0-0"}):
        head = service.call("HEAD", f"/{bundle['id']}", headers=headers)
        assert head.status_code == 200
        assert head.headers["Accept-Ranges"] == "bytes", headers


@pytest.mark.parametrize("ending, told", [
    ("jpg", ("size", "mtime", "crc32")), ("txt", ())])
def test_a_head_of_a_dead_link_is_refused_as_its_get_is(
        service, origin, ending, told):
    """Also when all that its length needs is declared, or nothing is."""
    files = [origin.file(f"{i}.{ending}", size=100_000, status=status)
             for i, status in enumerate((0, 404, 0))]
    facts = {"size": 100_000, "mtime": 1_700_000_000, "crc32": "deadbeef"}
    bundle = service.create([f.entry(**{k: facts[k] for k in told})
                             for f in files])
    for method in ("HEAD", "GET", "HEAD"):
        answer = service.call(method, f"/{bundle['id']}")
        assert answer.status_code == 502, method
    assert answer.headers["Content-Type"] == "application/json"
    good = service.create([files[0].entry(), files[2].entry()])
    assert service.call("HEAD", f"/{good['id']}").status_code == 200


def test_a_head_of_a_bundle_with_gaps_is_refused_when_nothing_is_left(
        service, origin):
    files = [origin.file(f"{i}.txt", status=status)
             for i, status in enumerate((404, 404, 0))]
    for entries, status in ((files, 200), (files[:2], 502)):
        bundle = service.create([f.entry() for f in entries],
                                onError="report")
        for method in ("HEAD", "GET"):
            answer = service.call(method, f"/{bundle['id']}")
            assert answer.status_code == status, (method, status)


def test_a_head_of_what_is_known_asks_no_source(stored, known, origin):
    bundle, whole, _ = known
    origin.reset()
    head = stored.call("HEAD", f"/{bundle['id']}")
    assert int(head.headers["Content-Length"]) == len(whole)
    assert origin.stats()["accepted"] == 0
    assert not origin.stats()["paths"]


def test_conditions(stored, known):
    bundle, whole, _ = known
    path = f"/{bundle['id']}"
    head = remembered(stored, bundle)
    etag = head.headers["ETag"]
    assert int(head.headers["Content-Length"]) == len(whole)
    ask = lambda **h: stored.get(  # noqa: E731
        path, headers={k.replace("_", "-"): v for k, v in h.items()})
    assert ask(If_None_Match=etag).status_code == 304
    assert ask(If_None_Match=f'"x", W/{etag}').status_code == 304
    assert ask(If_Match='"other"').status_code == 412
    assert ask(If_Match=etag, Range="bytes=0-9").status_code == 206
    good = ask(If_Range=etag, Range="bytes=5-9")
    assert (good.status_code, good.content) == (206, whole[5:10])
    stale = ask(If_Range='"other"', Range="bytes=5-9")
    assert (stale.status_code, stale.content) == (200, whole)
    # RFC 9110, section 15.4.5: what a cache is to know comes with a 304, too.
    unchanged = ask(If_None_Match=etag)
    assert unchanged.headers["ETag"] == etag
    assert unchanged.headers["Cache-Control"] == "no-transform"


def test_a_bundle_without_a_tag_is_there_all_the_same(service, origin):
    """RFC 9110, section 13.1.1: "*" is any zip that there is."""
    bundle = service.create([members(origin, "deflated")[4].entry()])
    path = f"/{bundle['id']}"
    head = service.call("HEAD", path, headers={"If-Match": "*"})
    assert head.status_code == 200 and "ETag" not in head.headers
    for name, value, status in (("If-Match", '"x"', 412),
                                ("If-None-Match", "*", 304),
                                ("If-None-Match", '"x"', 200)):
        assert service.call("HEAD", path, headers={
            name: value}).status_code == status, (name, value)


@pytest.mark.parametrize("name, value", [
    ("If-None-Match", "*"), ("If-Match", '"other"')])
def test_a_posted_list_is_no_zip_that_could_be_known(service, origin, name,
                                                     value):
    file = origin.file("posted.jpg", size=1000, type="image/jpeg")
    got = service.zip([file.entry()], "-H", f"{name}: {value}")
    judges.check(got.well(), {file.dst: file.bytes})


def test_a_date_proves_nothing(service, origin):
    """A web server, too, would slice a small answer whose date it sees."""
    files = [origin.file(f"{i}.jpg", size=500, type="image/jpeg")
             for i in (1, 2)]
    bundle = service.create([files[0].entry()])
    before = service.fetch(bundle)
    service.call("PUT", f"/{bundle['id']}/{bundle['secret']}",
                 json={"files": [files[1].entry()]})
    late = ranged(service, bundle, "10-19",
                  **{"If-Range": before.headers["Last-Modified"]})
    assert late.status_code == 200


def test_the_end_of_a_known_bundle_reads_no_source(stored, known, origin):
    bundle, whole, _ = known
    origin.reset()
    answer = ranged(stored, bundle, "-300")
    assert answer.content == whole[-300:]
    assert origin.stats()["accepted"] == 0
    assert not origin.stats()["paths"]


def test_a_range_reads_only_its_part(service, origin):
    """Of a large stored file, some bytes around those asked for."""
    file = origin.file("large.jpg", size=50_000_000, type="image/jpeg")
    bundle = service.create([file.entry()])
    whole = service.fetch(bundle).bytes
    origin.reset()
    answer = ranged(service, bundle, "30000000-30000999")
    assert answer.content == whole[30000000:30001000]
    assert file.books["bytes"] < 200_000


def test_an_appended_file_is_another_zip(stored, origin):
    files = members(origin, "level0")
    bundle = stored.create([f.entry() for f in files[:3]])
    before = stored.fetch(bundle)
    stored.call("PUT", f"/{bundle['id']}/{bundle['secret']}",
                json={"files": [files[3].entry()]})
    after = stored.fetch(bundle)
    assert before.headers["ETag"] != after.headers["ETag"]
    late = ranged(stored, bundle, "10-19",
                  **{"If-Range": before.headers["ETag"]})
    assert late.status_code == 200
    judges.judge_all(after.well(), {f.dst: f.bytes for f in files[:4]})


def test_a_changed_source_starts_a_new_layout(service, origin):
    """It is another file from the third request on."""
    kept = origin.file("kept.jpg", size=300_000, type="image/jpeg")
    file = origin.file("fickle.jpg", size=300_000, type="image/jpeg",
                       change=1)
    bundle = service.create([kept.entry(), file.entry()])
    first = service.fetch(bundle)
    first.well()
    part = service.curl(f"/{bundle['id']}", "-r", "400000-400999")
    assert part.status == 502 or part.exit != 0
    second = service.fetch(bundle)
    second.well()
    assert second.headers["ETag"] != first.headers["ETag"]
    changed = origin.file("x", seed=file.wish.seed + 1, size=300_000)
    judges.judge_all(second.path, {kept.dst: kept.bytes,
                                   file.dst: changed.bytes})


@pytest.mark.parametrize("size", [30_000, 300_000])
def test_a_changed_source_takes_its_length_along(service, origin, size):
    """Deflated: how long the new one becomes nobody knows beforehand."""
    file = origin.file("fickle.txt", size=size, kind="text",
                       type="text/plain", change=1)
    bundle = service.create([file.entry()])
    service.fetch(bundle).well()
    remembered(service, bundle)
    changed = origin.file("x", seed=file.wish.seed + 1, size=size,
                          kind="text")
    second = service.fetch(bundle)
    judges.judge_all(second.well(), {file.dst: changed.bytes})


def interrupted(service, bundle, path, bytes_: int):
    """The first download, given up by its client part-way."""
    url = service.url(f"/{bundle['id']}")
    with subprocess.Popen(["curl", "-sS", "--limit-rate", "3M", url],
                          stdout=subprocess.PIPE) as client:
        path.write_bytes(client.stdout.read(bytes_))
        client.kill()


CLIENTS = {
    "curl": ["curl", "-sSf", "-C", "-", "-o", "FILE", "URL"],
    "wget": ["wget", "-q", "-c", "-O", "FILE", "URL"],
    "aria2": ["aria2c", "-q", "-x4", "-s4", "-k1M", "-c",
              "--auto-file-renaming=false", "--allow-overwrite=true",
              "-d", "DIR", "-o", "NAME", "URL"],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", ["level0", "deflated", "stored"])
def test_clients_resume(service, origin, tmp_path, client, kind):
    """Also when the first download was the interrupted one."""
    files = [origin.file(f"r/{i}.jpg", size=6_000_000 + i,
                         type="image/jpeg") for i in range(3)]
    # Noise that is deflated all the same, so that it is as large as the rest.
    more = {"compression": "deflate"} if kind == "deflated" else {}
    bundle = service.create(
        [{**e, **more} for e in entries(files, kind)])
    path = tmp_path / "resumed.zip"
    interrupted(service, bundle, path, 2_500_000)
    assert path.stat().st_size == 2_500_000
    if client == "aria2":
        path.unlink()  # it keeps books of its own of what it has
    words = {"FILE": str(path), "DIR": str(tmp_path), "NAME": path.name,
             "URL": service.url(f"/{bundle['id']}")}
    done = subprocess.run([words.get(w, w) for w in CLIENTS[client]],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert path.read_bytes() == service.fetch(bundle).bytes
    judges.judge_all(path, {f.dst: f.bytes for f in files})


def test_a_huge_file_resumes_where_it_was_left(service, origin):
    """What was learned of its beginning is not read again."""
    size = 300 << 20
    file = origin.file("huge.mp4", size=size, type="video/mp4")
    bundle = service.create([file.entry()])
    url = service.url(f"/{bundle['id']}")
    with subprocess.Popen(["curl", "-sS", url, "-o", "-"],
                          stdout=subprocess.PIPE) as client:
        got = 0
        while got < 200 << 20:
            got += len(client.stdout.read(1 << 20))
        client.kill()
    status = f"/{bundle['id']}/{bundle['secret']}/status"
    wait_until(lambda: service.get(status).json()["downloads"],
               "what was learned is written before the note")
    origin.reset()
    rest = service.curl(f"/{bundle['id']}", "-r", f"{got}-")
    assert rest.exit == 0 and rest.status == 206
    assert file.books["bytes"] <= size - got + (1 << 20)
    os.truncate(rest.path, 0)


def test_a_lost_validator_means_no_ranges(service, origin):
    """Nothing could prove later bytes to be the same bytes."""
    file = origin.file("anonymous.jpg", size=500_000, type="image/jpeg",
                       etag="none", mtime=0)
    bundle = service.create([file.entry()])
    first = service.fetch(bundle)
    assert int(first.headers["Content-Length"]) == len(first.bytes)
    assert first.headers["Accept-Ranges"] == "none"
    assert "ETag" not in first.headers
