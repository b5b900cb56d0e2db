# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every endpoint as a client meets it: calls, messages, statuses, headers."""

import re
import time
import urllib.parse

import pytest
import requests

import judges
from pool import wait_until

HTTP = "http://example.com/a/b.txt"
UNKNOWN = "7a992fb5-44ec-4d5d-a789-e635a0affcb7"
WEEK = 7 * 24 * 3600

is_uuid4 = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
).fullmatch


def said(answer: requests.Response, status: int) -> str:
    """The message of an error that is as all errors are."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert set(answer.json()) >= {"message"}
    assert answer.json()["message"]
    return answer.json()["message"]


# Both ways in: at the root of the host, and mounted below it.
@pytest.fixture(params=["", "/zip"], ids=["root", "mounted"])
def mounted(request, service, monkeypatch):
    monkeypatch.setattr(service, "prefix", request.param)
    return service


# -- health, home, unknown paths, wrong methods ---------------------------


@pytest.mark.parametrize("path", ["/health-check", "/health-check/"])
def test_health_check(mounted, path):
    answer = mounted.get(path)
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_home_is_no_page_for_api_clients(mounted):
    for headers in ({}, {"Accept": "application/json"}):
        assert said(mounted.get("/", headers=headers), 404) == "Not Found"


@pytest.mark.parametrize("path", [
    "/nothing", "/bundle/more", "/health-check/more", "/a/b/c", "/bundlex",
    f"/{UNKNOWN}/{UNKNOWN}/{UNKNOWN}", "/not-a-uuid/at-all", "/%00", "/..;/",
    "/%c3%28", "/index.php?x=/bundle", "/BUNDLE"])
def test_unknown_path(mounted, path):
    answer = mounted.get(path)
    # lighttpd answers what it takes for an attack itself.
    if "lighttpd" in answer.headers.get("Server", "") and "%" in path:
        assert answer.status_code in (400, 404)
    else:
        assert said(answer, 404) == "Not Found"


def test_post_to_an_unknown_path(service):
    assert said(service.post("/nothing", {}), 404) == "Not Found"


@pytest.mark.parametrize("path, allowed", [
    ("/", {"GET", "HEAD", "POST"}),
    ("/bundle", {"GET", "HEAD", "POST"}),
    ("/check", {"POST"}),
    ("/openapi.json", {"GET", "HEAD"}),
    ("/health-check", {"GET", "HEAD"}),
    (f"/{UNKNOWN}", {"GET", "HEAD"}),
    (f"/{UNKNOWN}/{UNKNOWN}", {"GET", "HEAD", "PUT", "DELETE"})])
def test_wrong_method(service, path, allowed):
    for method in {"POST", "PUT", "DELETE", "PATCH"} - allowed:
        for slash in ("", "/"):
            answer = service.call(method, path.rstrip("/") + (slash or "/" * (
                path == "/")))
            said(answer, 405)
            listed = set(re.split(r",\s*", answer.headers["Allow"]))
            assert listed == allowed | {"OPTIONS"}


@pytest.mark.parametrize("path", [
    "/", "/bundle", "/health-check", f"/{UNKNOWN}", f"/{UNKNOWN}/{UNKNOWN}"])
def test_preflight(service, path):
    answer = service.call("OPTIONS", path, headers={
        "Origin": "https://app.example", "Access-Control-Request-Method":
        "POST", "Access-Control-Request-Headers": "content-type"})
    assert answer.status_code in (200, 204) and not answer.content
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {"content-type", "authorization", "x-api-key", "range", "if-range",
            "if-match", "if-none-match"} <= set(allowed.split(", "))
    assert answer.headers["Access-Control-Allow-Methods"]


def test_cors_on_every_answer(service):
    bundle = service.create([])
    for method, path in (("GET", "/health-check"), ("GET", "/nothing"),
                         ("GET", f"/{bundle['id']}"), ("PATCH", "/"),
                         ("GET", f"/{bundle['id']}/{bundle['secret']}")):
        headers = service.call(method, path, headers={
            "Origin": "https://app.example"}).headers
        assert headers["Access-Control-Allow-Origin"] == "*", path
        exposed = headers["Access-Control-Expose-Headers"].lower()
        for name in ("content-length", "content-disposition",
                     "accept-ranges", "etag"):
            assert name in exposed


def test_cors_origin_is_a_setting(make_service):
    service = make_service(CORS_ORIGIN="https://app.example")
    answer = service.get("/health-check")
    assert (answer.headers["Access-Control-Allow-Origin"]
            == "https://app.example")


def test_head_is_get_without_a_body(service, origin):
    file = origin.file("h.bin")
    bundle = service.create([file.entry()])
    for path in ("/health-check", "/nothing", f"/{bundle['id']}/",
                 f"/{bundle['id']}/{bundle['secret']}/", f"/{UNKNOWN}/"):
        get, head = (service.call(m, path, timeout=20)
                     for m in ("GET", "HEAD"))
        assert head.status_code == get.status_code, path
        assert head.content == b""
        for name in ("Content-Type", "Content-Disposition"):
            assert head.headers.get(name) == get.headers.get(name), path


def test_request_ids_lead_to_the_log(service):
    ids = [service.get(path).headers["X-Request-Id"]
           for path in ("/health-check", "/nothing", "/health-check")]
    assert len(set(ids)) == 3
    wait_until(lambda: all(id_ in service.pool.log() for id_ in ids),
               "the lines of the log, each written after its answer")


# -- a stored bundle ------------------------------------------------------


def test_create_and_show(mounted):
    answer = mounted.post("/", {
        "filename": "holiday", "files": [{"src": HTTP, "dst": "x/y.txt"},
                                         {"src": HTTP + "?q=1#f"}]})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    bundle = answer.json()
    assert is_uuid4(bundle["id"]) and is_uuid4(bundle["secret"])
    assert bundle["id"] != bundle["secret"]
    assert bundle["filename"] == "holiday.zip"
    assert isinstance(bundle["expirationDate"], int)
    assert abs(bundle["expirationDate"] - time.time() - WEEK) < 60
    assert [f["dst"] for f in bundle["files"]] == ["x/y.txt", "a/b.txt"]
    assert bundle["files"][0]["src"] == HTTP
    for slash in ("", "/"):
        shown = mounted.get(f"/{bundle['id']}/{bundle['secret']}{slash}")
        assert shown.status_code == 200
        assert shown.json() == bundle


def test_ids_are_read_in_either_case(stored):
    bundle = stored.create([])
    id_, secret = (bundle[x].upper() for x in ("id", "secret"))
    assert stored.get(f"/{id_}/{secret}").json() == bundle
    assert stored.get(f"/{id_}").status_code == 200


def test_files_are_optional_and_what_is_optional_is_kept(service):
    assert service.post("/", {"filename": "a.zip"}).json()["files"] == []
    file = {"src": HTTP, "dst": "x", "size": 12, "crc32": "0123abcd",
            "mtime": 1700000000, "compression": "store"}
    bundle = service.create([file, {"dst": "empty/"}], onError="report",
                            compression="deflate")
    assert bundle["files"][0] == file
    assert bundle["files"][1]["dst"] == "empty/"
    assert (bundle["onError"], bundle["compression"]) == ("report", "deflate")


def test_mtime_in_words(service):
    bundle = service.create([
        {"src": HTTP, "dst": "a", "mtime": "2023-11-14T22:13:20Z"},
        {"src": HTTP, "dst": "b", "mtime": "2023-11-15T00:13:20+02:00"}])
    assert [f["mtime"] for f in bundle["files"]] == [1700000000] * 2


def test_server_sets_what_is_its_own(service):
    wish = {"id": UNKNOWN, "secret": UNKNOWN, "expirationDate": 1}
    bundle = service.create([], **wish)
    for name, value in wish.items():
        assert bundle[name] != value


@pytest.mark.parametrize("document, message", [
    ({}, '"filename" is required'),
    ({"files": []}, '"filename" is required'),
    ({"filename": "a", "files": {}}, '"files" must be an array'),
    ({"filename": "a", "files": "x"}, '"files" must be an array'),
    ({"filename": "a", "files": [{"dst": "x"}]}, '"src" is required'),
    ({"filename": "a", "files": [{}]}, '"src" is required'),
    ({"filename": "a", "files": [{"src": 7}]}, '"src" must be a string'),
    ({"filename": "a", "files": [{"src": None}]}, '"src"'),
    ({"filename": "a", "files": [{"src": "ftp://a.example/b"}]},
     "Protocol 'ftp' not supported."),
    ({"filename": "a", "files": [{"src": "gopher://a.example/b"}]},
     "Protocol 'gopher' not supported."),
    ({"filename": "a", "files": [{"src": "http://10.0.0.1/b"}]},
     "IP Addresses are not supported")])
def test_validation_messages(service, document, message):
    assert message in said(service.post("/", document), 400)


def test_bundle_needs_files(service):
    message = said(service.post("/bundle", {"filename": "a"}), 400)
    assert message == '"files" is required'
    message = said(service.post("/bundle", {"files": 3}), 400)
    assert message == '"files" must be an array'


def test_append(mounted):
    bundle = mounted.create([{"src": HTTP, "dst": "a"}])
    path = f"/{bundle['id']}/{bundle['secret']}"
    answer = mounted.call("PUT", path + "/", json={
        "files": [{"src": HTTP, "dst": "b"}], "filename": "other",
        "secret": UNKNOWN, "expirationDate": 1, "compression": "rar",
        "onError": 7})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert mounted.call("PUT", path, json={
        "files": [], "filename": ["other"]}).json() == after
    assert [f["dst"] for f in after["files"]] == ["a", "b"]
    for name in ("id", "secret", "filename", "expirationDate"):
        assert after[name] == bundle[name]
    assert mounted.get(path).json() == after
    assert said(mounted.call("PUT", path, json={}), 400) == (
        '"files" is required')
    assert said(mounted.call("PUT", path, json={"files": 1}), 400) == (
        '"files" must be an array')
    assert mounted.get(path).json() == after


def test_delete(mounted):
    bundle = mounted.create([{"src": HTTP, "dst": "a"}])
    path = f"/{bundle['id']}/{bundle['secret']}/"
    answer = mounted.call("DELETE", path)
    assert (answer.status_code, answer.json()) == (200, bundle)
    for method in ("GET", "DELETE"):
        said(mounted.call(method, path), 404)
    said(mounted.get(f"/{bundle['id']}/"), 404)


def test_wrong_secret_and_wrong_id_are_alike(service):
    bundle = service.create([])
    bodies = {"PUT": {"files": []}}
    for method in ("GET", "PUT", "DELETE"):
        answers = [service.call(method, path, json=bodies.get(method))
                   for path in (f"/{bundle['id']}/{UNKNOWN}",
                                f"/{UNKNOWN}/{bundle['secret']}",
                                f"/{UNKNOWN}/{UNKNOWN}")]
        assert len({said(a, 404) for a in answers}) == 1
    path = f"/{bundle['id']}/{bundle['secret']}"
    assert service.get(path).json() == bundle


def test_secrets_stay_out_of_the_log(service):
    bundle = service.create([])
    path = f"/{bundle['id']}/{bundle['secret']}"
    service.get(path)
    service.call("PUT", path, json={"files": []})
    service.call("DELETE", path + "/")
    log = service.pool.log()
    assert bundle["id"] in log and bundle["secret"] not in log


def test_the_log_says_how_each_request_ended(make_service, origin):
    service = make_service(LOG_FORMAT="json")
    good, gone = origin.file("good"), origin.file("gone", status=404)
    dead = origin.file("dead.jpg", size="3m", die="1m", ranges="no",
                       type="image/jpeg")
    whole = service.zip([good.entry(), good.entry(dst="b")])
    whole.well()
    refused = service.zip([good.entry(), gone.entry()])
    refused.refused()
    cut = service.zip([dead.entry()])
    cut.cut()
    unknown = service.get(f"/{UNKNOWN}/{UNKNOWN}")
    said(unknown, 404)
    lines = service.pool.accesses(4)
    one, two, three, four = (lines[answer.headers["X-Request-Id"]]
                             for answer in (whole, refused, cut, unknown))
    for line, status, files, end in ((one, 200, 2, "done"),
                                     (two, 502, None, "done"),
                                     (three, 200, 0, "aborted")):
        assert (line["method"], line["path"]) == ("POST", "/bundle")
        assert (line["status"], line["end"]) == (status, end)
        assert line["ms"] >= 0 and line["client"] == "127.0.0.1"
        assert files in (None, line["files"])
    assert one["bytes"] == len(whole.bytes)
    assert "404" in two["cause"] and three["cause"]
    assert (four["status"], four["path"]) == (404, f"/{UNKNOWN}/***")
    assert UNKNOWN not in four["path"].removeprefix(f"/{UNKNOWN}")


# -- the zip's answer -----------------------------------------------------


def test_zip_headers(mounted, origin):
    file = origin.file("a.txt")
    bundle = mounted.create([file.entry()], filename="holiday.zip")
    for got in (mounted.zip([file.entry()], filename="holiday.zip"),
                mounted.fetch(bundle)):
        judges.check(got.well(), {"a.txt": file.bytes})
        assert got.headers["Content-Disposition"].startswith(
            'attachment; filename="holiday.zip"')
        assert "no-transform" in got.headers["Cache-Control"]
        assert got.headers["X-Accel-Buffering"] == "no"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Encoding" not in got.headers


def test_zip_is_never_encoded_again(service, origin):
    file = origin.file("a.txt", kind="text", size="100k")
    got = service.zip([file.entry()], "-H", "Accept-Encoding: gzip, br")
    judges.check(got.well(), {"a.txt": file.bytes})
    assert "Content-Encoding" not in got.headers


def test_bundle_has_a_name_of_its_own(service, origin):
    got = service.zip([origin.file("a").entry()])
    assert 'filename="bundle.zip"' in got.headers["Content-Disposition"]


@pytest.mark.parametrize("name", [
    "Grüße aus Köln.zip", "日本語.zip", "a b;c=d.zip", 'quo"ted\\.zip',
    "100%.zip", "emoji 🎉.zip"])
def test_filename_beyond_ascii(service, origin, name):
    """RFC 6266 and 8187."""
    got = service.zip([origin.file("a").entry()], filename=name)
    got.well()
    disposition = got.headers["Content-Disposition"]
    plain = re.match(r'attachment; filename="((?:[^"\\]|\\.)*)"', disposition)
    assert plain and plain[1].isascii() and plain[1].endswith(".zip")
    extended = re.search(r"filename\*=UTF-8''([!#$&+.^_`|~%0-9A-Za-z-]+)$",
                         disposition)
    # Path separators and quotes may go; the rest is as it was.
    found = urllib.parse.unquote(extended[1])
    assert re.sub(r'["\\_]', "", found) == re.sub(r'["\\_]', "", name)


@pytest.mark.parametrize("name", [
    "a\r\nX-Evil: 1\r\n\r\n.zip", "a\nX-Evil: 1.zip", 'a"; x="b.zip',
    "a\u0000b.zip", "../../etc/passwd", "a\u2028X-Evil: 1.zip", "\x7f.zip"])
def test_no_header_from_a_filename(service, origin, name):
    files = [origin.file("a").entry()]
    got = service.zip(files, filename=name)
    assert "X-Evil" not in got.headers
    if got.status == 400:
        assert got.json()["message"]
        return
    got.well()
    disposition = got.headers["Content-Disposition"]
    assert disposition.count("attachment") == 1 and disposition.isprintable()
    assert "/" not in disposition and "\0" not in disposition
    plain = re.match(r'attachment; filename="(?:[^"\\]|\\.)*"; '
                     r"filename\*=UTF-8''[^ ;\"]+$", disposition)
    assert plain, disposition


# -- forms ----------------------------------------------------------------


def form_of(files: list) -> dict:
    fields = {"filename": "form.zip"}
    for i, file in enumerate(files):
        fields[f"files[{i}][src]"] = file.url
        fields[f"files[{i}][dst]"] = file.dst
    return fields


@pytest.fixture
def pictures(origin):
    return [origin.file("one.bin"), origin.file("ü & +.bin", dst="ü & +.bin")]


def is_form_zip(answer: requests.Response, files: list, tmp_path):
    assert answer.status_code == 200, answer.text[:500]
    assert 'filename="form.zip"' in answer.headers["Content-Disposition"]
    path = tmp_path / "form.zip"
    path.write_bytes(answer.content)
    judges.check(path, {f.dst: f.bytes for f in files})


def test_urlencoded_form(mounted, pictures, tmp_path):
    answer = mounted.call("POST", "/bundle", data=form_of(pictures))
    is_form_zip(answer, pictures, tmp_path)


def test_multipart_form(mounted, pictures, tmp_path):
    fields = [(k, (None, v)) for k, v in form_of(pictures).items()]
    answer = mounted.call("POST", "/bundle", files=fields)
    assert "multipart/form-data" in answer.request.headers["Content-Type"]
    is_form_zip(answer, pictures, tmp_path)


@pytest.mark.parametrize("multipart", [False, True])
def test_json_in_a_form_field(service, pictures, tmp_path, multipart):
    document = requests.models.complexjson.dumps({
        "filename": "form", "files": [f.entry() for f in pictures]})
    body = ({"files": [("json", (None, document))]} if multipart
            else {"data": {"json": document}})
    answer = service.call("POST", "/bundle", **body)
    is_form_zip(answer, pictures, tmp_path)


def test_form_errors_are_as_json_errors(service):
    answer = service.call("POST", "/bundle", data={"filename": "x"})
    assert said(answer, 400) == '"files" is required'
    answer = service.call("POST", "/bundle", data={
        "files[0][src]": "ftp://a.example/x"})
    assert "Protocol 'ftp' not supported." in said(answer, 400)
    answer = service.call("POST", "/bundle", data={"json": "{nonsense"})
    assert said(answer, 400).startswith("Invalid JSON")


def test_json_with_a_charset(service):
    answer = service.call("POST", "/", data='{"filename": "a"}', headers={
        "Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 201, answer.text


# -- keys -----------------------------------------------------------------


def test_keys(make_service):
    service = make_service(API_KEYS="alpha,beta")
    document = {"filename": "a", "files": []}
    for headers in ({}, {"X-Api-Key": "gamma"}, {"X-Api-Key": ""},
                    {"X-Api-Key": "alpha,beta"}, {"X-Api-Key": "alph"},
                    {"Authorization": "Basic alpha"},
                    {"Authorization": "Bearer alphaa"}):
        for path in ("/", "/bundle"):
            said(service.post(path, document, headers=headers), 401)
    for headers in ({"X-Api-Key": "alpha"}, {"X-Api-Key": "beta"},
                    {"Authorization": "Bearer beta"},
                    {"Authorization": "bearer alpha"}):
        answer = service.post("/", document, headers=headers)
        assert answer.status_code == 201, headers
    bundle = answer.json()
    # Who holds id and secret needs no key.
    path = f"/{bundle['id']}"
    assert service.get(path).status_code == 200
    assert service.get(f"{path}/{bundle['secret']}").status_code == 200
    assert "alpha" not in service.pool.log()
