# SPDX-License-Identifier: AGPL-3.0-or-later
"""Zips that go to S3: built there, read back, never half there."""

import hashlib
import re
import zlib

import botocore.exceptions
import conftest
import content
import judges
import object_store
import pytest
import stores
from pool import wait_until
from service import Service

FROM, TO = "export-from", "export-to"
BIG = 12 << 20


@pytest.fixture(scope="module")
def swift(tmp_path_factory):
    swift = object_store.Swift(tmp_path_factory.mktemp("swift")).start()
    swift.bucket(FROM)
    swift.bucket(TO)
    yield swift
    swift.stop()


@pytest.fixture(scope="module")
def s3(swift, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    service = Service(folder, {
        **conftest.IMPATIENT, **swift.settings,
        **stores.Sqlite(folder).settings, "EXPORT_ALLOW": f"other, {TO}"})
    conftest.running.append(service)
    try:
        yield service.start()
    finally:
        conftest.halted(service)


def status_of(service, link: str) -> dict:
    answer = service.get(link)
    assert answer.status_code == 200
    return answer.json()


def exported(service, answer, seconds: float = 60) -> dict:
    """The record of the export, once it has ended."""
    assert answer.status_code == 202, answer.text[:500]
    document = answer.json()
    assert answer.headers["Location"] == document["status"]
    status = wait_until(
        lambda: (lambda now: now if now["downloads"] else None)(
            status_of(service, document["status"])), "the export's end",
        seconds)
    record = status["downloads"][0]
    assert record["to"] == document["to"]
    return record


def read_back(swift, key: str, folder):
    body = swift.client.get_object(Bucket=TO, Key=key)["Body"].read()
    path = folder / "read-back.zip"
    path.write_bytes(body)
    return path


def uploads(swift) -> list:
    return swift.client.list_multipart_uploads(Bucket=TO).get("Uploads", [])


def bundles(service) -> list:
    return stores.Sqlite(service.folder).execute(
        "SELECT id FROM bundles ORDER BY id")


def is_there(swift, key: str) -> bool:
    try:
        swift.client.head_object(Bucket=TO, Key=key)
    except botocore.exceptions.ClientError:
        return False
    return True


def bytes_in(service) -> float:
    text = service.get("/metrics").text
    return float(re.search(r"^zipstream_source_bytes_total (\S+)", text,
                           re.M)[1])


def test_200_objects(s3, swift, tmp_path):
    expected = {}
    for i in range(200):
        key = f"some/{i:03}.txt"
        expected[key] = f"object {i}\n".encode() * (i + 1)
        swift.put(FROM, key, expected[key])
    answer = s3.post("/bundle", {
        "filename": "all", "to": f"s3://{TO}/many/all.zip",
        "files": [{"src": f"s3://{FROM}/{key}"} for key in expected]})
    record = exported(s3, answer)
    assert record["outcome"] == "done"
    assert record["filesDone"] == record["filesTotal"] == 200
    path = read_back(swift, "many/all.zip", tmp_path)
    assert path.stat().st_size == record["bytes"]
    judges.unzip(path)
    judges.check(path, expected)
    assert not uploads(swift)
    kind = swift.client.head_object(Bucket=TO, Key="many/all.zip")
    assert kind["ContentType"] == "application/zip"


def test_large_members_are_joined_by_s3(s3, swift, origin, tmp_path):
    """Only the zip's structure, and what fills parts up, crosses the wire."""
    large = {f"large-{i}.jpg": content.body(90 + i, BIG + i) for i in (1, 2)}
    for key, bytes_ in large.items():
        swift.put(FROM, key, bytes_)
    small = origin.file("small.txt", size="20k", kind="text")
    files = [small.entry(), *(
        {"src": f"s3://{FROM}/{key}", "crc32": f"{zlib.crc32(bytes_):08x}"}
        for key, bytes_ in large.items()), {**small.entry(), "dst": "z.txt"}]
    before = bytes_in(s3)
    bundle = s3.create(files)
    answer = s3.post(f"/{bundle['id']}/{bundle['secret']}/export",
                     {"to": f"s3://{TO}/joined.zip"})
    record = exported(s3, answer)
    assert record["outcome"] == "done" and record["bytes"] > 2 * BIG
    path = read_back(swift, "joined.zip", tmp_path)
    judges.judge_all(path, {"small.txt": small.bytes, **large,
                            "z.txt": small.bytes})
    assert path.stat().st_size == record["bytes"]
    assert bytes_in(s3) - before < 1 << 20


def test_small_parts_are_filled_up(s3, swift, tmp_path):
    """Objects that are a part each, but not when one is filled up from them:
    every other one is then copied as it is."""
    sizes = [5 << 20, 6 << 20, 7 << 20, 5 << 20]
    large = {f"six-{i}.jpg": content.body(60 + i, size)
             for i, size in enumerate(sizes)}
    for key, bytes_ in large.items():
        swift.put(FROM, key, bytes_)
    record = exported(s3, s3.post("/bundle", {
        "to": f"s3://{TO}/filled.zip",
        "files": [{"src": f"s3://{FROM}/{key}",
                   "crc32": f"{zlib.crc32(bytes_):08x}"}
                  for key, bytes_ in large.items()]}))
    assert record["outcome"] == "done", record
    path = read_back(swift, "filled.zip", tmp_path)
    judges.judge_all(path, large)
    # The zip's ETag tells its parts: the second and the fourth are objects.
    zipped, sums, at = path.read_bytes(), b"", 0
    for key in ("six-1.jpg", "six-3.jpg"):
        start = zipped.index(large[key])
        for part in (zipped[at:start], large[key]):
            sums += hashlib.md5(part).digest()
        at = start + len(large[key])
    sums += hashlib.md5(zipped[at:]).digest()
    found = swift.client.head_object(Bucket=TO, Key="filled.zip")
    assert found["ETag"] == f'"{hashlib.md5(sums).hexdigest()}-5"'


def test_large_members_of_unknown_sum_are_streamed(s3, swift, tmp_path):
    bytes_ = content.body(77, BIG + 77)
    swift.put(FROM, "unsummed.jpg", bytes_)
    record = exported(s3, s3.post("/bundle", {
        "to": f"s3://{TO}/streamed.zip",
        "files": [{"src": f"s3://{FROM}/unsummed.jpg"}]}))
    assert record["outcome"] == "done", record
    judges.check(read_back(swift, "streamed.zip", tmp_path),
                 {"unsummed.jpg": bytes_})


def test_a_failing_source_leaves_nothing(s3, swift, origin):
    files = [origin.file("a.jpg", size="9m"),
             origin.file("b.jpg", size="9m", die="4m", ranges="no")]
    record = exported(s3, s3.post("/bundle", {
        "to": f"s3://{TO}/broken.zip", "files": [f.entry() for f in files]}))
    assert record["outcome"] == "failed"
    assert record["skipped"][0]["dst"] == "b.jpg"
    assert not is_there(swift, "broken.zip")
    assert not uploads(swift)


def test_a_missing_folder(s3, swift, tmp_path):
    """It refuses the export, or is told in it."""
    swift.put(FROM, "there/a.txt", b"a")
    there, missing = (f"s3://{FROM}/{name}/" for name in ("there", "nowhere"))
    document = {"to": f"s3://{TO}/folder.zip",
                "files": [{"src": missing}, {"src": there}]}
    before = bundles(s3)
    answer = s3.post("/bundle", document)
    assert answer.status_code == 502
    assert answer.json()["message"] == f"{missing}: 404 has nothing in it"
    assert bundles(s3) == before and not is_there(swift, "folder.zip")
    record = exported(s3, s3.post("/bundle", {**document,
                                              "onError": "report"}))
    assert (record["outcome"], record["filesDone"], record["filesTotal"]) == (
        "done", 1, 2)
    assert [f["dst"] for f in record["skipped"]] == ["nowhere/"]
    found = judges.python(read_back(swift, "folder.zip", tmp_path))
    assert found.pop("_errors.txt") == (
        f"nowhere/: {missing} 404 has nothing in it\r\n".encode())
    assert found == {"there/a.txt": b"a"}


def test_a_missing_object_is_named(s3, swift):
    record = exported(s3, s3.post("/bundle", {
        "to": f"s3://{TO}/missing.zip",
        "files": [{"src": f"s3://{FROM}/nowhere.jpg"}]}))
    assert record["outcome"] == "failed"
    assert record["skipped"][0]["status"] == 404
    assert not is_there(swift, "missing.zip")


@pytest.mark.parametrize("to, status, said", [
    ("s3://elsewhere/x.zip", 403, "EXPORT_ALLOW"),
    (f"s3://{TO}/", 400, "needs a key"), ("https://x/y.zip", 400, "s3://"),
    ("s3://other/x.zip", 502, "NoSuchBucket")])
def test_where_it_must_not_go(s3, origin, to, status, said):
    """And what is refused leaves nothing in the store."""
    bundle = s3.create([origin.file("x").entry()])
    kept = bundles(s3)
    for path, document in (
            ("/bundle", {"to": to, "files": bundle["files"]}),
            (f"/{bundle['id']}/{bundle['secret']}/export", {"to": to})):
        answer = s3.post(path, document)
        assert answer.status_code == status
        assert said in answer.json()["message"]
        assert bundles(s3) == kept


@pytest.mark.parametrize("to", [5, "", None, ["s3://x/y"], {}])
def test_what_is_no_target(s3, origin, to):
    bundle = s3.create([origin.file("x").entry()])
    answer = s3.post(f"/{bundle['id']}/{bundle['secret']}/export", {"to": to})
    assert answer.status_code == 400
    assert '"to"' in answer.json()["message"]


def test_a_body_that_is_no_json(s3, origin):
    bundle = s3.create([origin.file("x").entry()])
    answer = s3.call("POST", f"/{bundle['id']}/{bundle['secret']}/export",
                     data="{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Invalid JSON")


def test_forms(s3, swift, origin, tmp_path):
    file = origin.file("x", size=5000)
    record = exported(s3, s3.call("POST", "/bundle", data={
        "files[0][src]": file.url, "to": f"s3://{TO}/form.zip"}))
    assert record["outcome"] == "done"
    judges.check(read_back(swift, "form.zip", tmp_path), {"x": file.bytes})
    bundle = s3.create([file.entry()])
    answer = s3.call("POST", f"/{bundle['id']}/{bundle['secret']}/export",
                     data={"to": f"s3://{TO}/other.zip"})
    assert exported(s3, answer)["outcome"] == "done"


def test_it_needs_the_secret_and_a_target(s3, origin, service):
    bundle = s3.create([origin.file("x").entry()])
    wrong = bundle["id"]
    answer = s3.post(f"/{wrong}/{wrong}/export", {"to": f"s3://{TO}/x.zip"})
    assert answer.status_code == 404
    answer = s3.post(f"/{wrong}/{bundle['secret']}/export", {})
    assert answer.status_code == 400
    answer = service.post("/bundle", {
        "to": f"s3://{TO}/x.zip", "files": [origin.file("x").entry()]})
    assert answer.status_code == 403, "off unless it is set"


def test_it_shows_while_it_runs_and_a_drain_waits(make_service, swift, origin,
                                                  tmp_path):
    service = make_service(**swift.settings, EXPORT_ALLOW=TO)
    slow = origin.file("slow.jpg", size="2m", rate="700k")
    answer = service.post("/bundle", {"to": f"s3://{TO}/slow.zip",
                                      "files": [slow.entry()]})
    running = wait_until(
        lambda: status_of(service, answer.json()["status"])["running"],
        "the export in the status")
    assert running[0]["filesTotal"] == 1
    service.stop()
    judges.check(read_back(swift, "slow.zip", tmp_path),
                 {"slow.jpg": slow.bytes})
