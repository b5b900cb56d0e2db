# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whole folders as sources, and lists that lie elsewhere."""

import itertools
import json
import os
import resource
import zipfile

import conftest
import judges
import object_store
import pool as pools
import pytest
import scripted
from pool import wait_until
from service import Service

TREE = {"a.txt": b"a" * 100, "b c/d%e.txt": b"d" * 3000,
        "b c/deep/er/x.jpg": bytes(70_000), "z\u00fc.txt": b"z"}


@pytest.fixture(scope="module")
def tree(file_root):
    """TREE in a folder of FILE_ROOT, with what must not be followed."""
    top = file_root / "tree"
    for name, bytes_ in TREE.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes_)
    (top / "empty").mkdir()
    (top / "link").symlink_to("a.txt")
    (top / "loop").symlink_to(".")
    (top / "out").symlink_to("../../secret.txt")
    os.mkfifo(top / "pipe")
    return top


def under(folder: str, names=TREE) -> dict:
    return {folder + name: TREE[name] for name in sorted(names)}


def with_empty(expected: dict, name: str) -> dict:
    return dict(sorted({**expected, name: b""}.items()))


def test_a_local_folder(service, tree):
    got = service.zip([{"src": "file:///tree/"}])
    judges.judge_all(got.well(), with_empty(under("tree/"), "tree/empty/"))
    got = service.zip([{"src": "file:///tree/", "dst": "x/y/"}])
    judges.check(got.well(), with_empty(under("x/y/"), "x/y/empty/"))
    got = service.zip([{"src": "file:///tree/b%20c/", "dst": "/"}])
    judges.check(got.well(), {"d%e.txt": TREE["b c/d%e.txt"],
                              "deep/er/x.jpg": TREE["b c/deep/er/x.jpg"]})


def test_what_is_right_in_it(service, tree):
    got = service.zip([{"src": "file:///tree/*"}])
    judges.check(got.well(), under("tree/", ["a.txt", "z\u00fc.txt"]))


def test_beside_other_files(service, tree, origin):
    file = origin.file("a.txt", size=50)
    got = service.zip([file.entry(), {"src": "file:///tree/*", "dst": "/"},
                       {"src": "file:///tree/*", "dst": "/"}])
    judges.check(got.well(), {"a.txt": file.bytes, "a (2).txt": TREE["a.txt"],
                              "z\u00fc.txt": TREE["z\u00fc.txt"]})


def counted(service, *files) -> list:
    """Of POST /check: files and bytes of folders, and are there more?"""
    answer = service.post("/check", {"files": list(files)})
    assert answer.status_code == 200
    found = answer.json()["files"]
    assert all(f["type"] == "inode/directory" for f in found)
    return [(f["files"], f["size"], f["more"]) for f in found]


def test_they_are_counted_before(service, tree):
    whole = sum(map(len, TREE.values()))
    assert counted(
        service, {"src": "file:///tree/"}, {"src": "file:///tree/*"},
        {"src": "file:///tree/b%20c/", "dst": "x/"},
        {"src": "file:///tree/empty/"}) == [
            (4, whole, False), (2, 101, False), (2, 73_000, False),
            (0, 0, False)]
    found = service.post("/check", {"files": [
        {"src": "file:///nowhere/"}, {"src": "file:///folder-outside/"}]})
    assert [(f["ok"], f["status"], f["reason"])
            for f in found.json()["files"]] == [
                (False, 404, "no such file"), (False, 403, "not allowed")]


def test_counting_has_an_end(service, file_root):
    many = file_root / "many"
    many.mkdir()
    for i in range(10_001):
        (many / f"{i}").write_bytes(b"12")
    src = {"src": "file:///many/"}
    assert counted(service, src, src) == [(10_000, 20_000, True),
                                          (0, 0, True)]


@pytest.mark.parametrize("src, status, reason", [
    ("file:///nowhere/", 404, "no such file"),
    ("file:///tree/a.txt/", 404, "no such file"),
    ("file:///../", 403, "not allowed"),
    ("file:///folder-outside/", 403, "not allowed")])
def test_folders_that_are_none(service, tree, src, status, reason):
    said = service.zip([{"src": src, "dst": "x/"}]).refused()["files"]
    assert said == [{"src": src, "status": status, "reason": reason}]


# onError: report

MISSING = {"src": "file:///nowhere/", "dst": "x/"}


def test_a_report_goes_on_without_a_folder(service, tree, origin):
    file, gone = origin.file("b.txt", size=50), origin.file("g", status=404)
    files = [MISSING, file.entry(), {"src": "file:///tree/*", "dst": "/"},
             gone.entry()]
    bundle = service.create(files, onError="report")
    for got in (service.zip(files, onError="report"), service.fetch(bundle)):
        found = judges.python(got.well())
        told = found.pop("_errors.txt").decode().split("\r\n")
        assert found == {**under("", ["a.txt", "z\u00fc.txt"]),
                         "b.txt": file.bytes}
        assert sorted(told[:2])[1] == "x/: file:///nowhere/ no such file"
        assert told[2:] == [""] and "404 Not Found" in min(told[:2])
    path = f"/{bundle['id']}/{bundle['secret']}/status"
    last = wait_until(lambda: service.get(path).json()["downloads"],
                      "the record")[0]
    assert (last["outcome"], last["filesDone"], last["filesTotal"]) == (
        "done", 3, 5)
    assert sorted(f["dst"] for f in last["skipped"]) == ["g", "x/"]


def test_a_report_of_nothing_else(service, tree, origin):
    gone = origin.file("gone", status=404)
    for files in ([MISSING], [MISSING, {"dst": "empty/"}], [
            MISSING, gone.entry()], [gone.entry(), MISSING, MISSING]):
        said = service.zip(files, onError="report").refused()["files"]
        assert sorted(f["src"] for f in said) == sorted(
            f["src"] for f in files if "src" in f)
        assert {f["status"] for f in said} == {404}
    bundle = service.create([MISSING], onError="report")
    assert service.call("HEAD", f"/{bundle['id']}").status_code == 502
    got = service.zip([MISSING, {"src": "file:///tree/empty/"}],
                      onError="report")
    assert set(judges.python(got.well())) == {"tree/empty/", "_errors.txt"}


def test_a_report_by_setting_and_half_a_folder(make_service, file_root):
    """What was found before the fault is not there, either."""
    service = make_service(FS_INTERFACES="file", FILE_ROOT=file_root,
                           ON_SOURCE_ERROR="report")
    (file_root / "half").mkdir()
    for name in ("a", "b\\", "c"):
        (file_root / "half" / name).write_bytes(b"a")
    files = [{"src": "file:///half/"}, {"src": "file:///half/c", "dst": "c"}]
    found = judges.python(service.zip(files).well())
    assert b"half/: file:///half/ has a name that" in found.pop("_errors.txt")
    assert found == {"c": b"a"}
    service.zip(files, onError="abort").refused()


def test_a_file_that_would_be_a_folder(service, tree, file_root):
    (file_root / "slash").mkdir()
    (file_root / "slash" / "a\\").write_bytes(b"a")
    said = service.zip([{"src": "file:///slash/"}]).refused()["files"]
    assert said[0]["reason"] == "has a name that must not end in '\\': 'a\\'"


def test_it_is_read_anew_at_each_download(service, tree):
    src = "file:///tree/b%20c/deep/"
    bundle = service.create([{"src": src, "dst": "now/"}])
    assert [(f["src"], f["dst"]) for f in bundle["files"]] == [(src, "now/")]
    first = service.fetch(bundle)
    judges.check(first.well(), {"now/er/x.jpg": TREE["b c/deep/er/x.jpg"]})
    again = service.fetch(bundle)
    assert again.bytes == first.bytes
    assert again.headers["ETag"] == first.headers["ETag"]
    part = service.get(f"/{bundle['id']}", headers={
        "Range": "bytes=10-99", "If-Range": first.headers["ETag"]})
    assert part.status_code == 206 and part.content == first.bytes[10:100]
    new = tree / "b c" / "deep" / "new.jpg"
    new.write_bytes(b"new")
    third = service.fetch(bundle)
    new.unlink()
    assert judges.python(third.well())["now/new.jpg"] == b"new"
    assert third.headers["ETag"] != first.headers["ETag"]


def test_a_folder_can_be_appended(service, tree):
    bundle = service.create([{"src": "file:///tree/a.txt", "dst": "a.txt"}])
    path = f"/{bundle['id']}/{bundle['secret']}"
    for _ in range(2):
        answer = service.call("PUT", path, json={
            "files": [{"src": "file:///tree/*", "dst": "/"}]})
        assert answer.status_code == 200
    judges.check(service.fetch(bundle).well(), {
        **under("", ["a.txt", "z\u00fc.txt"])})


def test_too_many(make_service, tree, file_root):
    service = make_service(FS_INTERFACES="file", FILE_ROOT=file_root,
                           MAX_FILES=3)
    answer = service.post("/bundle", {"files": [{"src": "file:///tree/"}]})
    assert answer.status_code == 413
    assert "More than 3 files" in answer.json()["message"]


def test_zip_command(tree, file_root, tmp_path):
    manifest = json.dumps({"files": [{"src": "file:///tree/*"}]})
    settings = {"FS_INTERFACES": "file", "FILE_ROOT": file_root}
    done = pools.program(tmp_path, "zip", "-o", "a.zip", input=manifest,
                         settings=settings)
    assert done.returncode == 0, done.stderr
    judges.check(tmp_path / "a.zip",
                 under("tree/", ["a.txt", "z\u00fc.txt"]))
    done = pools.program(tmp_path, "zip", "-o", "b.zip", settings=settings,
                         input=manifest.replace("tree", "nowhere"))
    assert done.returncode == 1
    assert "file:///nowhere/*: no such file" in done.stderr
    assert not (tmp_path / "b.zip.part").exists()


def test_zip_command_reports(tree, file_root, tmp_path):
    settings = {"FS_INTERFACES": "file", "FILE_ROOT": file_root,
                "ON_SOURCE_ERROR": "report"}
    missing = {"src": "file:///nowhere/*"}
    done = pools.program(
        tmp_path, "zip", "-o", "a.zip", settings=settings, input=json.dumps(
            {"files": [missing, {"src": "file:///tree/*"}]}))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "zipstream: file:///nowhere/*: no such file\n"
    found = judges.python(tmp_path / "a.zip")
    assert found.pop("_errors.txt") == (
        b"nowhere/: file:///nowhere/* no such file\r\n")
    assert found == under("tree/", ["a.txt", "z\u00fc.txt"])
    done = pools.program(tmp_path, "zip", "-o", "b.zip", settings=settings,
                         input=json.dumps({"files": [missing]}))
    assert done.returncode == 1
    assert done.stderr == "zipstream: file:///nowhere/*: no such file\n"
    assert not list(tmp_path.glob("b.zip*"))


def test_more_small_files_than_descriptors(tmp_path):
    """What is kept of them between a look at all and the zip is bytes."""
    bytes_ = {f"f/{i:03}": b"%d" % i * 20 for i in range(900)}
    (tmp_path / "f").mkdir()
    for name, content in bytes_.items():
        (tmp_path / name).write_bytes(content)
    done = pools.program(
        tmp_path, "zip", "-o", "a.zip", input='{"files": [{"src": '
        '"file:///f/"}]}', settings={"FS_INTERFACES": "file",
                                     "FILE_ROOT": tmp_path},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                              (600, 600)))
    assert done.returncode == 0, done.stderr[-200:]
    judges.check(tmp_path / "a.zip", bytes_)


# S3

BUCKET = "folders"
KEYS = [f"many/{i:04}.txt" for i in range(1250)]
ODD = ["odd/a+b c.txt", "odd/\u00fc&<>\"'.txt", "odd/100%/x", "odd/q?m#h",
       "odd/sub/deep"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    swift = object_store.Swift(tmp_path_factory.mktemp("swift")).start()
    service = Service(tmp_path_factory.mktemp("s3"),
                      {**conftest.IMPATIENT, **swift.settings})
    conftest.running.append(service)
    service.swift = swift
    swift.bucket(BUCKET)
    for key in [*ODD, "odd/", "odd/marked/"]:
        swift.put(BUCKET, key, b"" if key[-1] == "/" else key.encode())
    try:
        yield service.start()
    finally:
        conftest.halted(service)
        swift.stop()


def test_a_prefix(s3):
    got = s3.zip([{"src": f"s3://{BUCKET}/odd/", "dst": "x/"}])
    found = judges.python(got.well())
    assert sorted(found.values()) == sorted(
        [b"", *(key.encode() for key in ODD)])
    assert found["x/a+b c.txt"] == b"odd/a+b c.txt"
    assert found["x/100%/x"] == b"odd/100%/x"
    assert found["x/marked/"] == b""
    assert int(got.headers["Content-Length"]) == len(got.bytes)


def test_right_in_a_prefix_and_a_whole_bucket(s3):
    found = judges.python(s3.zip([{"src": f"s3://{BUCKET}/odd/*"}]).well())
    assert set(found.values()) == {k.encode() for k in ODD
                                   if k.count("/") == 1}
    found = judges.python(s3.zip([{"src": f"s3://{BUCKET}/",
                                   "dst": "all/"}]).well())
    assert found["all/odd/sub/deep"] == b"odd/sub/deep"
    answer = s3.post("/bundle", {"files": [{"src": f"s3://{BUCKET}/"}]})
    assert answer.status_code == 400
    assert "files[0].dst" in answer.json()["message"]


def test_prefixes_are_counted_before(s3):
    assert counted(
        s3, {"src": f"s3://{BUCKET}/odd/"}, {"src": f"s3://{BUCKET}/odd/*"},
        {"src": f"s3://{BUCKET}/", "dst": "all/"}) == [
            (len(keys), sum(len(k.encode()) for k in keys), False)
            for keys in (ODD, [k for k in ODD if k.count("/") == 1], ODD)]
    found = s3.post("/check", {"files": [
        {"src": f"s3://{BUCKET}/nowhere/"}, {"src": "s3://none/x/"}]})
    assert [f["reason"] for f in found.json()["files"]] == [
        "404 has nothing in it", "404 NoSuchBucket"]


def test_an_empty_prefix_is_a_slip(s3):
    src = f"s3://{BUCKET}/nowhere/"
    said = s3.zip([{"src": src}]).refused()["files"]
    assert said == [{"src": src, "status": 404,
                     "reason": "404 has nothing in it"}]
    said = s3.zip([{"src": "s3://no-such-bucket/x/"}]).refused()["files"]
    assert said[0]["reason"] == "404 NoSuchBucket"


def page(keys: list, token: str) -> bytes:
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2023-11-14T22:13:20.000Z"
        f"</LastModified><Size>{len(key)}</Size></Contents>" for key in keys)
    more = (f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}"
            "</NextContinuationToken>" if token else
            "<IsTruncated>false</IsTruncated>")
    return ('<?xml version="1.0"?><ListBucketResult>'
            f"<KeyCount>1</KeyCount>{more}{contents}</ListBucketResult>"
            ).encode()


def test_pages_follow_each_other(make_service):
    """1,250 keys in three pages, whose tokens need escaping twice."""
    asked = []

    def answer(request: scripted.Asked):
        path, _, query = request.target.partition("?")
        if "list-type=2" not in query:
            key = path.split("/", 2)[2]
            return 200, {"ETag": '"1"', "Content-Length": len(key)}, (
                key.encode())
        asked.append(query)
        at = 500 * (len(asked) - 1)
        token = f"a&amp;b+/=&lt;{at}" if at < 1000 else ""
        return 200, {"Content-Type": "application/xml"}, page(
            KEYS[at:at + 500], token)

    server = scripted.Scripted(answer)
    try:
        service = make_service(
            AWS_ENDPOINT_URL_S3=server.url, AWS_ACCESS_KEY_ID="k",
            AWS_SECRET_ACCESS_KEY="s")
        found = judges.python(service.zip([
            {"src": "s3://bucket/many/"}]).well())
    finally:
        server.stop()
    assert found == {key: key.encode() for key in KEYS}
    assert len(asked) == 3
    assert "continuation-token=a%26b%2B%2F%3D%3C0" in asked[1]


def test_pages_without_end(make_service):
    """Of folders alone, as a listing of one level may be: the worker is not
    kept by them."""
    asked = itertools.count()
    server = scripted.Scripted(
        lambda _: (200, {}, page([], f"after {next(asked)}")))
    try:
        service = make_service(
            AWS_ENDPOINT_URL_S3=server.url, AWS_ACCESS_KEY_ID="k",
            AWS_SECRET_ACCESS_KEY="s")
        said = service.zip([{"src": "s3://bucket/many/*"}]).refused()
    finally:
        server.stop()
    assert "too many folders" in said["files"][0]["reason"]


@pytest.mark.parametrize("text", [
    b"", b"<html>hello</html>", b"<ListBucketResult><Contents><Size>1</Size>"
    b"</Contents></ListBucketResult>", page(["elsewhere/x"], "")])
def test_listings_that_are_none(make_service, text):
    server = scripted.Scripted(lambda asked: (200, {}, text))
    try:
        service = make_service(
            AWS_ENDPOINT_URL_S3=server.url, AWS_ACCESS_KEY_ID="k",
            AWS_SECRET_ACCESS_KEY="s")
        service.zip([{"src": "s3://bucket/many/"}]).refused()
    finally:
        server.stop()


# Remote lists

@pytest.fixture
def lists(make_service, origin):
    """A service that takes lists from one folder of a scripted server."""
    files = [origin.file("a.txt", size=500, kind="text"),
             origin.file("b.jpg", size=9000)]
    text = json.dumps({"files": [f.entry() for f in files],
                       "filename": "theirs"}).encode()
    broken = json.dumps({
        "files": [f.entry() for f in files] + [
            origin.file("gone", status=404).entry()],
        "filename": "theirs", "onError": "abort",
        "compression": "deflate"}).encode()

    def answer(asked: scripted.Asked):
        path = asked.target.split("?")[0]
        if path == "/lists/away.json":
            return 302, {"Location": "/elsewhere.json"}, b""
        if path == "/lists/big.json":
            return 200, {}, b" " * 200_000 + text
        if path == "/lists/broken.json":
            return 200, {}, broken
        return (200, {}, text) if path.endswith("list.json") else (
            404, {}, b"")

    server = scripted.Scripted(answer)
    base = server.url.replace("127.0.0.1", "localhost")
    service = make_service(MANIFEST_ALLOW=f"{base}/lists/",
                           SOURCE_ALLOW=origin.file("x").url.split("/x")[0],
                           MAX_BODY="100 KiB", API_KEYS="key")
    service.base, service.wanted = base, {f.dst: f.bytes for f in files}
    yield service
    server.stop()


def ask(service, name: str, *options: str):
    return service.curl("/bundle", "-H", "X-Api-Key: key", *options,
                        data=json.dumps({"manifest": service.base + name}))


def test_a_remote_list(lists):
    got = ask(lists, "/lists/list.json?x=1")
    judges.check(got.well(), lists.wanted)
    assert "theirs.zip" in got.headers["Content-Disposition"]
    got = lists.curl("/bundle", "-H", "X-Api-Key: key", "-G",
                     "--data-urlencode",
                     f"manifest={lists.base}/lists/list.json")
    judges.check(got.well(), lists.wanted)
    assert lists.get("/bundle?manifest=x").status_code == 401


@pytest.mark.parametrize("form", [False, True])
def test_the_request_goes_before_the_list(lists, form):
    document = {"manifest": lists.base + "/lists/broken.json"}
    mine = {**document, "filename": "mine", "onError": "report",
            "compression": "store"}

    def got(wish: dict):
        if not form:
            return lists.curl("/bundle", "-H", "X-Api-Key: key",
                              data=json.dumps(wish))
        fields = [option for name, value in wish.items()
                  for option in ("--data-urlencode", f"{name}={value}")]
        return lists.curl("/bundle", "-H", "X-Api-Key: key", *fields)

    got(document).refused()
    answer = got({**document, "onError": "report"})
    assert "theirs.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(answer.well()) as zip_:
        assert zip_.getinfo("a.txt").compress_size < 500
    answer = got(mine)
    assert "mine.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(answer.well()) as zip_:
        assert zip_.namelist() == [*lists.wanted, "_errors.txt"]
        assert zip_.getinfo("a.txt").compress_size >= 500


@pytest.mark.parametrize("more, said", [
    ({"manifest": 5}, '"manifest" must be a string'),
    ({"manifest": ""}, '"manifest" must not be empty'),
    ({"manifest": ["x"]}, '"manifest" must be a string'),
    ({"manifest": "https://example.com/", "filename": 5},
     '"filename" must be a string'),
    ({"manifest": "https://example.com/", "onError": "x"}, '"onError"'),
    ({"manifest": "https://example.com/", "files": [1]}, '"files"'),
    ({"files": [], "to": 5}, '"to" must be a string'),
    ({"files": [], "to": ""}, '"to" must not be empty'),
    ({"files": [], "to": "s3://b/k\0"}, '"to" must not')])
def test_members_that_will_not_do(service, more, said):
    answer = service.post("/bundle", more)
    assert answer.status_code == 400
    assert said in answer.json()["message"]
    assert service.post("/", {"filename": "a", **more}).status_code == (
        400 if "filename" in more or "onError" in more or more.get("files")
        else 201), "a stored bundle knows neither"


@pytest.mark.parametrize("name, status, said", [
    ("/list.json", 400, "not allowed"), ("/lists/gone.json", 502, "404"),
    ("/lists/away.json", 502, "manifest"), ("/lists/big.json", 413,
                                            "MAX_BODY")])
def test_remote_lists_that_will_not_do(lists, name, status, said):
    got = ask(lists, name)
    assert got.status == status, got.bytes
    assert said in got.json()["message"]


def test_a_list_in_a_file(make_service, file_root):
    """By the rules for sources, and only from where it may be."""
    (file_root / "lists").mkdir()
    text = json.dumps({"files": [{"src": "file:///sub/plain.txt"}]})
    for name in ("lists/a b.json", "beside.json"):
        (file_root / name).write_text(text)
    (file_root / "lists/out").symlink_to("../../secret.txt")
    settings = {"FILE_ROOT": file_root, "MAX_BODY": "10 KiB",
                "MANIFEST_ALLOW": "file:///lists/"}
    service = make_service(FS_INTERFACES="file", **settings)

    def got(name: str):
        return service.curl("/bundle", data=json.dumps(
            {"manifest": f"file:///{name}"}))

    judges.check(got("lists/a%20b.json").well(), {
        "sub/plain.txt": (file_root / "sub/plain.txt").read_bytes()})
    for name, status, said in (
            ("beside.json", 400, "not allowed"),
            ("lists/../beside.json", 400, "not allowed"),
            ("lists/out", 502, "The manifest: not allowed"),
            ("lists/nowhere", 502, "The manifest: no such file"),
            ("lists/", 502, "The manifest: not a regular file")):
        answer = got(name)
        assert answer.status == status, (name, answer.bytes)
        assert said in answer.json()["message"]
    (file_root / "lists/large").write_bytes(b" " * 10_240 + text.encode())
    assert got("lists/large").status == 413
    service = make_service(FS_INTERFACES="s3,https", **settings)
    answer = got("lists/a%20b.json")
    assert (answer.status, answer.json()["message"]) == (
        400, "Protocol 'file' not supported.")


def test_a_list_on_s3(make_service, s3):
    for key in ("lists/a?b.json", "beside.json"):
        s3.swift.put(BUCKET, key, json.dumps({"files": [
            {"src": f"s3://{BUCKET}/odd/sub/deep"}]}).encode())
    settings = {**s3.swift.settings,
                "MANIFEST_ALLOW": f"s3://{BUCKET}/lists/"}
    service = make_service(**settings)

    def got(key: str):
        return service.curl("/bundle", data=json.dumps(
            {"manifest": f"s3://{BUCKET}/{key}"}))

    judges.check(got("lists/a?b.json").well(),
                 {"odd/sub/deep": b"odd/sub/deep"})
    for key, status, said in (
            ("beside.json", 400, "not allowed"),
            ("lists/nowhere", 502, "The manifest: 404")):
        answer = got(key)
        assert answer.status == status, (key, answer.bytes)
        assert said in answer.json()["message"]
    service = make_service(**{**settings, "FS_INTERFACES": "https"})
    assert got("lists/a?b.json").status == 400


def test_a_list_by_https_needs_no_interface(make_service, origin, file_root):
    """FS_INTERFACES is about what bundles name."""
    text = json.dumps({"files": [{"src": "file:///sub/plain.txt"}]}).encode()
    server = scripted.Scripted(lambda asked: (200, {}, text))
    base = server.url.replace("127.0.0.1", "localhost")
    try:
        service = make_service(FS_INTERFACES="file", FILE_ROOT=file_root,
                               MANIFEST_ALLOW=base)
        service.curl("/bundle", data=json.dumps({"manifest": base})).well()
    finally:
        server.stop()


def test_remote_lists_are_off(service):
    answer = service.post("/bundle", {"manifest": "https://example.com/x"})
    assert answer.status_code == 403
    assert "MANIFEST_ALLOW" in answer.json()["message"]
    answer = service.get("/bundle")
    assert answer.status_code == 400
