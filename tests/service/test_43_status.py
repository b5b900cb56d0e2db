# SPDX-License-Identifier: AGPL-3.0-or-later
"""GET /:id/:secret/status: downloads as they run, and how they ended."""

import uuid

from pool import wait_until
from service import in_background


def path(bundle: dict) -> str:
    return f"/{bundle['id']}/{bundle['secret']}/status"


def status(service, bundle: dict) -> dict:
    answer = service.get(path(bundle))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()


def noted(service, bundle: dict, downloads: int = 1) -> dict:
    """The status once so many downloads are noted: after their answers."""
    def ready():
        found = status(service, bundle)
        rest = not found["running"]
        return rest and len(found["downloads"]) == downloads and found
    return wait_until(ready, f"{downloads} downloads")


def test_from_first_to_last(stored, origin):
    files = [origin.file(f"{i}", size=50_000) for i in range(3)]
    bundle = stored.create([f.entry() for f in files])
    found = status(stored, bundle)
    assert found == {"id": bundle["id"], "state": "never downloaded",
                     "files": 3, "running": [], "downloads": []}
    got = stored.fetch(bundle)
    found = noted(stored, bundle)
    assert found["state"] == "downloaded"
    last = found["downloads"][0]
    assert (last["outcome"], last["part"]) == ("done", False)
    assert last["bytes"] == last["total"] == len(got.bytes)
    assert last["filesDone"] == last["filesTotal"] == 3
    assert last["skipped"] == []
    part = stored.fetch(bundle, "-r", "-100")
    assert part.status == 206
    last = noted(stored, bundle, 2)["downloads"][0]
    assert (last["bytes"], last["part"]) == (100, True)


def test_the_last_ten_are_kept(stored, origin):
    bundle = stored.create([origin.file("a").entry()])
    for i in range(12):
        stored.fetch(bundle, "-r", f"0-{i}")
        wait_until(lambda: any(d["bytes"] == i + 1 for d in status(
            stored, bundle)["downloads"]), "the note")
    found = status(stored, bundle)["downloads"]
    assert [d["bytes"] for d in found] == list(range(12, 2, -1))


def test_what_is_skipped_and_why(stored, origin):
    good, gone = origin.file("good"), origin.file("gone", status=404)
    bundle = stored.create([good.entry(), gone.entry()], onError="report")
    stored.fetch(bundle).well()
    found = noted(stored, bundle)
    assert found["state"] == "downloaded"
    last = found["downloads"][0]
    assert last["filesDone"] == 1 and last["filesTotal"] == 2
    assert last["skipped"] == [{"dst": "gone", "status": 404,
                                "reason": last["skipped"][0]["reason"]}]
    assert last["skipped"][0]["reason"]


def test_a_failed_download(stored, origin):
    bundle = stored.create([origin.file("gone", status=404).entry()])
    stored.fetch(bundle).refused()
    found = noted(stored, bundle)
    assert found["state"] == "broken off"
    last = found["downloads"][0]
    assert (last["outcome"], last["bytes"]) == ("failed", 0)
    assert last["skipped"][0]["dst"] == "gone"


def test_a_folder_that_is_not_there(service):
    bundle = service.create([{"src": "file:///nowhere/", "dst": "x/"}])
    service.fetch(bundle).refused()
    found = noted(service, bundle)
    assert found["state"] == "broken off"
    last = found["downloads"][0]
    assert (last["outcome"], last["bytes"], last["total"]) == (
        "failed", 0, None)
    assert (last["filesDone"], last["filesTotal"]) == (0, 1)
    assert last["skipped"] == [{"dst": "x/", "status": 404,
                                "reason": "no such file"}]


def test_what_passes_a_limit(make_service, origin, file_root):
    """Neither is the fault of a source."""
    service = make_service(FS_INTERFACES="https,file", FILE_ROOT=file_root,
                           MAX_FILES=2, MAX_BUNDLE_BYTES="10 KiB")
    (file_root / "three").mkdir()
    for name in "abc":
        (file_root / "three" / name).write_bytes(b"")
    for files, reason in (
            ([{"src": "file:///three/"}], "More than 2 files"),
            ([origin.file("large.jpg", size="20k").entry()],
             "more than MAX_BUNDLE_BYTES")):
        bundle = service.create(files)
        assert service.fetch(bundle).status == 413
        found = noted(service, bundle)
        assert found["state"] == "broken off"
        last = found["downloads"][0]
        assert (last["outcome"], last["skipped"]) == ("failed", [])
        assert reason in last["reason"]


def test_while_it_runs(service, origin):
    files = [origin.file(f"{i}", size="1m", rate="1m") for i in range(4)]
    bundle = service.create([f.entry() for f in files])
    with in_background(service.fetch, bundle) as download:
        def running():
            found = status(service, bundle)["running"]
            return found and found[0]["bytes"] > 100_000 and found[0]
        run = wait_until(running, "bytes of a running download")
        assert status(service, bundle)["state"] == "downloading"
        assert 100_000 < run["bytes"] < run["total"]
        assert run["filesTotal"] == 4 and run["filesDone"] < 4
        assert run["total"] == len(download.result().bytes)
    assert noted(service, bundle)["state"] == "downloaded"


def test_a_client_that_leaves(service, origin):
    bundle = service.create([origin.file(
        "slow", size="20m", rate="2m").entry()])
    service.fetch(bundle, "--max-time", "1.5")
    found = noted(service, bundle)
    assert found["state"] == "broken off"
    last = found["downloads"][0]
    assert last["outcome"] == "client gone"
    assert 0 < last["bytes"] < last["total"]


def test_head_and_conditions_are_no_downloads(service, origin):
    bundle = service.create([origin.file("a").entry()])
    tag = service.fetch(bundle).headers["ETag"]
    noted(service, bundle)
    service.fetch(bundle, "-I")
    service.fetch(bundle, "-H", f"If-None-Match: {tag}")
    assert len(status(service, bundle)["downloads"]) == 1


def test_it_needs_the_secret(stored):
    bundle = stored.create([])
    for id_, secret in ((bundle["id"], uuid.uuid4()),
                        (uuid.uuid4(), bundle["secret"])):
        answer = stored.get(f"/{id_}/{secret}/status")
        assert answer.status_code == 404
    stored.call("DELETE", f"/{bundle['id']}/{bundle['secret']}")
    assert stored.get(path(bundle)).status_code == 404
