# SPDX-License-Identifier: AGPL-3.0-or-later
"""The life of bundles, the same on every store; see stores.py."""

import concurrent.futures
import subprocess
import time

import pytest
import requests

import judges
import pool as pools
import servers

SRC = "http://example.com/"
UNKNOWN = "7a992fb5-44ec-4d5d-a789-e635a0affcb7"


def path(bundle: dict) -> str:
    return f"/{bundle['id']}/{bundle['secret']}"


def names(bundle: dict) -> list:
    return [file["dst"] for file in bundle["files"]]


def append(service, bundle: dict, *dst: str):
    files = [{"src": SRC + name, "dst": name} for name in dst]
    return service.call("PUT", path(bundle), json={"files": files})


def test_a_whole_life(stored, origin):
    files = [origin.file(f"ö{i}.bin", size=1000 * i) for i in range(3)]
    bundle = stored.create([files[0].entry()], filename="Leben.zip")
    for file in files[1:]:
        answer = stored.call("PUT", path(bundle),
                             json={"files": [file.entry()]})
        assert answer.status_code == 200, answer.text
    shown = stored.get(path(bundle)).json()
    assert shown == answer.json()
    assert names(shown) == [f.dst for f in files]
    for _ in range(3):
        judges.judge_all(stored.fetch(bundle).well(),
                         {f.dst: f.bytes for f in files})
    assert stored.get(path(bundle)).json() == shown
    assert stored.call("DELETE", path(bundle)).json() == shown
    assert stored.get(f"/{bundle['id']}").status_code == 404


def test_all_fields_come_back(stored):
    file = {"src": "s3://bucket/ke y?#%2F+ü", "dst": "x", "size": 2**53,
            "crc32": "00000001", "mtime": 0, "compression": "deflate"}
    bundle = stored.create([file, {"dst": "dir/"}], compression="store",
                           onError="report", filename="ü\"'\\;.zip")
    shown = stored.get(path(bundle)).json()
    assert shown == bundle
    assert shown["files"][0] == file


def test_concurrent_appends_lose_nothing(stored):
    bundle = stored.create([{"src": SRC + "first", "dst": "first"}])
    with concurrent.futures.ThreadPoolExecutor(64) as executor:
        answers = list(executor.map(
            lambda i: append(stored, bundle, f"{i}-a", f"{i}-b"), range(64)))
    assert [a.status_code for a in answers] == [200] * 64
    found = names(stored.get(path(bundle)).json())
    assert sorted(found) == sorted(
        ["first"] + [f"{i}-{x}" for i in range(64) for x in "ab"])
    assert found[0] == "first"
    # Each append stays in one piece.
    for i in range(64):
        at = found.index(f"{i}-a")
        assert found[at + 1] == f"{i}-b"
    # What each of them was told holds its own files.
    for i, answer in enumerate(answers):
        assert {f"{i}-a", f"{i}-b", "first"} <= set(names(answer.json()))


def test_concurrent_appends_of_one_name(stored, origin):
    """Those who take the same name at once all keep their file."""
    bundle = stored.create([])
    files = [origin.file("n", dst="same.txt", size=10 + i)
             for i in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        statuses = {answer.status_code for answer in executor.map(
            lambda file: stored.call("PUT", path(bundle), json={
                "files": [file.entry()]}), files)}
    assert statuses == {200}
    shown = stored.get(path(bundle)).json()["files"]
    assert {f["src"] for f in shown} == {f.url for f in files}
    found = judges.python(stored.fetch(bundle).well())
    assert set(found.values()) == {f.bytes for f in files}
    assert len({name.lower() for name in found}) == 16
    # What is shown is what the zip has.
    bodies = {file.url: file.bytes for file in files}
    assert found == {f["dst"]: bodies[f["src"]] for f in shown}


def test_append_to_the_same_name(stored):
    bundle = stored.create([{"src": SRC + "1", "dst": "a.txt"}])
    for _ in range(2):
        answer = stored.call("PUT", path(bundle), json={"files": [
            {"src": SRC + "1", "dst": "a.txt"},
            {"src": SRC + "2", "dst": "A.txt"}]})
        assert names(answer.json()) == ["a.txt", "A (2).txt"]


def test_append_a_bad_file_changes_nothing(stored):
    bundle = stored.create([{"src": SRC, "dst": "a"}])
    answer = stored.call("PUT", path(bundle), json={"files": [
        {"src": SRC, "dst": "b"}, {"src": "ftp://x.example/", "dst": "c"}]})
    assert answer.status_code == 400
    assert stored.get(path(bundle)).json() == bundle


def test_download_after_an_append_is_new(stored, origin):
    one, two = origin.file("one"), origin.file("two")
    bundle = stored.create([one.entry()])
    stored.fetch(bundle).well()
    before = stored.fetch(bundle)
    stored.call("PUT", path(bundle), json={"files": [two.entry()]})
    after = stored.fetch(bundle)
    judges.judge_all(after.well(), {"one": one.bytes, "two": two.bytes})
    assert after.headers.get("ETag") != before.headers["ETag"]


def test_expired_is_as_unknown(stored, store):
    bundle = stored.create([{"src": SRC, "dst": "a"}])
    store.expire(bundle["id"])
    unknown = stored.get(f"/{UNKNOWN}/{UNKNOWN}").json()
    for method, where in (("GET", f"/{bundle['id']}"), ("GET", path(bundle)),
                          ("PUT", path(bundle)), ("DELETE", path(bundle))):
        answer = stored.call(method, where, json=(
            {"files": []} if method == "PUT" else None))
        assert answer.status_code == 404, (method, where)
        assert answer.json() == unknown


def test_purge_deletes_what_has_expired(stored, store):
    dead, alive = (stored.create([{"src": SRC, "dst": "a"}])
                   for _ in range(2))
    assert store.rows(dead["id"])
    store.expire(dead["id"])
    done = pools.program(stored.folder, "purge", settings=store.settings)
    assert done.returncode == 0, done.stderr
    assert store.rows(dead["id"]) == 0
    assert stored.get(path(alive)).json() == alive


def test_the_pool_purges_by_itself(make_service, store):
    service = make_service(**store.settings, PURGE_INTERVAL="1s")
    bundle = service.create([{"src": SRC, "dst": "a"}])
    store.expire(bundle["id"])
    pools.wait_until(lambda: store.rows(bundle["id"]) == 0, "the purge")


def test_lifetime_is_a_setting(make_service, store):
    service = make_service(**store.settings, DATA_LIFETIME=5)
    assert abs(service.create([])["expirationDate"] - time.time() - 300) < 30


def test_delete_takes_all_of_it(stored, store):
    bundle = stored.create([{"src": SRC, "dst": str(i)} for i in range(50)])
    assert store.rows(bundle["id"])
    stored.call("DELETE", path(bundle))
    assert store.rows(bundle["id"]) == 0


def test_concurrent_deletes_are_one(stored, store):
    """Who comes second is told that there is nothing left."""
    for _ in range(5):
        bundle = stored.create([{"src": SRC, "dst": "a"}])
        with concurrent.futures.ThreadPoolExecutor(8) as executor:
            answers = list(executor.map(
                lambda where: stored.call("DELETE", where),
                [path(bundle)] * 8))
        assert sorted(a.status_code for a in answers) == [200] + [404] * 7
        assert store.rows(bundle["id"]) == 0


@pytest.mark.parametrize("id_", [
    "' OR '1'='1", "%27%20OR%201=1--", "%00", "..%2f..", "x" * 36,
    "00000000-0000-0000-0000-00000000000g", "{}", "%ff%fe", "*", "a" * 5000,
    "00000000000000000000000000000000", "id;DROP TABLE bundles",
    "%E2%80%AE", "00000000-0000-0000-0000-000000000000\n"])
def test_hostile_ids(stored, id_):
    bundle = stored.create([])
    for method, where in (("GET", f"/{id_}"), ("GET", f"/{id_}/{id_}"),
                          ("GET", f"/{bundle['id']}/{id_}"),
                          ("PUT", f"/{id_}/{bundle['secret']}"),
                          ("DELETE", f"/{bundle['id']}/{id_}")):
        answer = stored.call(method, where, json=(
            {"files": []} if method == "PUT" else None))
        # lighttpd takes dots out of paths, and has limits of its own.
        assert answer.status_code in (400, 404, 405, 431), (method, where)
    assert stored.get(path(bundle)).json() == bundle


def test_ids_in_capitals(stored):
    """A UUID has no case; if it leads anywhere, then to the same bundle."""
    bundle = stored.create([])
    answer = stored.get(path(bundle).upper())
    assert answer.status_code == 404 or answer.json() == bundle


def test_many_files(stored, store):
    """Positions beyond one batch, and an answer that does not fit a buffer."""
    files = [{"src": f"{SRC}{i}", "dst": f"folder/{i:05}.txt"}
             for i in range(store.most_files)]
    bundle = stored.create(files)
    assert bundle["files"] == files
    assert stored.get(path(bundle)).json() == bundle
    assert append(stored, bundle, "last").json()["files"][-1]["dst"] == "last"
    stored.call("DELETE", path(bundle))


def test_files_are_limited_over_all_appends(make_service, store):
    service = make_service(**store.settings, MAX_FILES=10)
    many = [{"src": SRC + str(i), "dst": str(i)} for i in range(11)]
    for where in ("/", "/bundle"):
        answer = service.post(where, {"filename": "a", "files": many})
        assert answer.status_code == 413, answer.text
    bundle = service.create(many[:8])
    assert append(service, bundle, "x", "y", "z").status_code == 413
    assert append(service, bundle, "x", "y").status_code == 200
    assert append(service, bundle, "z").status_code == 413
    assert len(service.get(path(bundle)).json()["files"]) == 10


def test_a_restart_forgets_nothing(make_service, store):
    first = make_service(**store.settings)
    bundle = first.create([{"src": SRC, "dst": "a"}])
    first.stop()
    second = make_service(**store.settings)
    assert second.get(path(bundle)).json() == bundle


def test_two_pools_on_one_store(stored, make_service, store):
    other = make_service(**store.settings)
    bundle = stored.create([])
    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        answers = list(executor.map(
            lambda i: append((stored, other)[i % 2], bundle, str(i)),
            range(32)))
    assert {a.status_code for a in answers} == {200}
    assert sorted(names(other.get(path(bundle)).json()), key=int) == [
        str(i) for i in range(32)]


def test_make_run_makes_the_tables(store, tmp_path, house):
    """What it does once all is installed and built."""
    port = servers.free_port()
    settings = {**store.settings, "TABLE_NAME": "of_make_run", "PORT": port}
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(
            ["tools/run", "build/zipstream"], cwd=house,
            env=pools.environment(tmp_path, settings), stdout=log,
            stderr=log) as process:
        try:
            pools.wait_until(lambda: "listens on" in (
                tmp_path / "log").read_text() or process.poll(), "make run")
            answer = requests.post(f"http://127.0.0.1:{port}/", json={
                "filename": "a", "files": []}, timeout=20)
            assert answer.status_code == 201, (tmp_path / "log").read_text()
        finally:
            process.terminate()
