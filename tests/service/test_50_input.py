# SPDX-License-Identifier: AGPL-3.0-or-later
"""What no client should send: each gets a 4xx with a message, and nothing
falls over (a sanitizer's report fails the test that caused it)."""

import json
import socket

import pytest
import requests

SRC = "http://example.com/x"
JSON = {"Content-Type": "application/json"}


def refused(answer: requests.Response, *statuses: int) -> str:
    assert answer.status_code in statuses, (
        answer.status_code, answer.text[:500])
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["message"]
    return answer.json()["message"]


def send(service, body, path="/", headers=JSON):
    return service.call("POST", path, data=body, headers=headers)


BROKEN = {
    "empty": b"", "space": b" \r\n\t", "word": b"nonsense", "open": b"{",
    "half": b'{"filename":"a","files":[{"src":', "comma": b'{"a":1,}',
    "two": b"{}{}", "trailing": b'{"filename":"a"}x', "single": b"{'a':1}",
    "comment": b'{"a":1/*x*/}', "unquoted": b"{a:1}", "nan": b'{"a":NaN}',
    "plus": b'{"a":+1}', "zero": b'{"a":01}', "hex": b'{"a":0x1}',
    "dot": b'{"a":1.}', "escape": b'{"a":"\\x41"}', "bom": b"\xef\xbb\xbf{}",
    "newline": b'{"filename":"a\nb"}', "nul": b'{"filename":"a"}\0',
    "nul inside": b'{"filename"\0:"a"}', "control": b'{"filename":"\x01"}',
    "utf-16": '{"filename":"a"}'.encode("utf-16"),
    "latin-1": '{"filename":"ü"}'.encode("latin-1"),
    "overlong": b'{"filename":"\xc0\xaf"}',
    "surrogate": b'{"filename":"\xed\xa0\x80"}',
    "cut utf-8": b'{"filename":"\xe2\x82"}',
    "beyond unicode": b'{"filename":"\xf5\x80\x80\x80"}',
    "deep arrays": b"[" * 5_000_000 + b"]" * 5_000_000,
    "deep objects": b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000,
    "deep and open": b"[" * 10_000_000,
    "deep in files": b'{"filename":"a","files":' + b"[" * 100_000,
}


@pytest.mark.parametrize("path", ["/", "/bundle"])
@pytest.mark.parametrize("kind", list(BROKEN))
def test_no_json(service, kind, path):
    assert refused(send(service, BROKEN[kind], path), 400)


@pytest.mark.parametrize("body, where", [
    (b'{"filename":"a",\n  "files": [}', "line 2"), (b"nonsense", "line 1")])
def test_position_of_the_error(service, body, where):
    message = refused(send(service, body), 400)
    assert message.startswith("Invalid JSON: ") and where in message


@pytest.mark.parametrize("body", [
    b"[]", b"null", b"1", b"true", b'"text"', b"[{}]"])
def test_no_object(service, body):
    for path in ("/", "/bundle"):
        assert refused(send(service, body, path), 400)


def with_file(**more) -> dict:
    return {"filename": "a", "files": [{"src": SRC, "dst": "x", **more}]}


WRONG = {
    "filename number": {"filename": 7},
    "filename null": {"filename": None},
    "filename object": {"filename": {}},
    "filename empty": {"filename": ""},
    "file null": {"filename": "a", "files": [None]},
    "file text": {"filename": "a", "files": [SRC]},
    "file number": {"filename": "a", "files": [7]},
    "file array": {"filename": "a", "files": [[]]},
    "src array": with_file(src=[SRC]),
    "src with nul": with_file(src=SRC + "\0"),
    "src of newlines": with_file(src="http://example.com/\r\nX-Evil: 1"),
    "src too long": with_file(src=SRC + "x" * 100_000),
    "src that names a folder": {"filename": "a", "files": [
        {"src": SRC + "folder%5C"}]},
    "dst number": with_file(dst=7),
    "dst object": with_file(dst={}),
    "dst with nul": with_file(dst="a\0b"),
    "dst escape": with_file(dst="\x1b[2J"),
    "dst up": with_file(dst="../x"),
    "dst up inside": with_file(dst="a/b/../../../x"),
    "dst up by backslash": with_file(dst="..\\x"),
    "dst of dots": with_file(dst="a/../b"),
    "size text": with_file(size="7"),
    "size negative": with_file(size=-7),
    "size fraction": with_file(size=7.5),
    "size huge": with_file(size=1e300),
    "size that doubles cannot hold": with_file(size=2**53 + 1),
    "size at the end of the range": with_file(size=2**63 - 1),
    "size true": with_file(size=True),
    "crc short": with_file(crc32="12"),
    "crc number": with_file(crc32=12),
    "mtime object": with_file(mtime={}),
    "compression unknown": with_file(compression="zip"),
    "compression of all": {"filename": "a", "compression": "rar"},
    "onError unknown": {"filename": "a", "onError": "ignore"},
    "onError number": {"filename": "a", "onError": 1},
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_wrong_types(service, kind):
    assert refused(service.post("/", WRONG[kind]), 400)
    more = WRONG[kind]
    if "files" in more:
        assert refused(service.post("/bundle", more), 400)


def test_null_is_as_absent(service):
    document = {"filename": "a", "files": None}
    assert service.post("/", document).json()["files"] == []
    message = refused(service.post("/bundle", document), 400)
    assert message == '"files" is required'


@pytest.mark.parametrize("path", ["/", "/bundle"])
@pytest.mark.parametrize("member", ["filename", "dst", "src"])
def test_half_of_a_surrogate_pair(service, path, member):
    """It stands for no character, and never for another one."""
    file = {"src": SRC, "dst": "x"}
    document = {"filename": "a", "files": [file]}
    (document if member == "filename" else file)[member] += "\ud800"
    body = json.dumps(document)
    for sent in ({"json": document}, {"data": {"json": body}}):
        message = refused(service.call("POST", path, **sent), 400)
        assert message.startswith("Invalid JSON: half of a surrogate pair")


def test_a_whole_surrogate_pair(service):
    bundle = service.create([{"src": SRC, "dst": "\U0001f600"}])
    assert bundle["files"][0]["dst"] == "\U0001f600"


def test_keys_that_come_twice(service):
    """Some value of the two, or a refusal: never a mixture."""
    answer = send(service, b'{"filename":"a","filename":"b"}')
    if answer.status_code == 201:
        assert answer.json()["filename"] in ("a.zip", "b.zip")
    else:
        refused(answer, 400)


def test_unknown_fields_are_ignored(service):
    bundle = service.create([{"src": SRC, "dst": "x", "colour": "red"}],
                            colour={"deep": [1, 2, {"x": None}]})
    assert bundle["files"] == [{"src": SRC, "dst": "x"}]
    assert "colour" not in bundle


def test_file_is_named_by_its_index(service):
    files = [{"src": SRC, "dst": str(i)} for i in range(20)]
    files[17]["dst"] = "../x"
    message = refused(service.post("/", {"filename": "a", "files": files}),
                      400)
    assert "17" in message


def test_body_too_large(make_service):
    service = make_service(MAX_BODY="100KiB")
    small = json.dumps({"filename": "a", "x": "y" * 90_000})
    assert send(service, small).status_code == 201
    large = json.dumps({"filename": "a", "x": "y" * 110_000})
    for path in ("/", "/bundle"):
        assert refused(send(service, large, path), 413)
    huge = json.dumps({"filename": "a", "x": "y" * 20_000_000})
    assert refused(send(service, huge), 413)
    # Chunked: no length is announced.
    assert refused(send(service, iter([large.encode()])), 413)
    assert send(service, iter([small.encode()])).status_code == 201
    form = {"json": large}
    answer = service.call("POST", "/bundle", data=form)
    assert refused(answer, 413)


def test_large_body_that_is_allowed(service):
    """Sixteen MiB, less a little."""
    document = json.dumps({"filename": "a", "x": "y" * ((16 << 20) - 100)})
    assert send(service, document).status_code == 201


@pytest.mark.parametrize("type_", [
    "text/plain", "application/xml", "image/png", "application/jsonx",
    "text/html; charset=application/json", "nonsense", "multipart/mixed"])
def test_media_type(service, type_):
    for path in ("/", "/bundle"):
        answer = send(service, b'{"filename":"a","files":[]}', path,
                      {"Content-Type": type_})
        assert refused(answer, 415)


FORM = "application/x-www-form-urlencoded"
FORMS = {
    "nothing": (FORM, b""),
    "index is text": (FORM, b"files[x][src]=http://example.com/"),
    "index is huge": (FORM, b"files[99999999999999999999][src]=http://a/"),
    "index is negative": (FORM, b"files[-1][src]=http://example.com/"),
    "brackets": (FORM, b"files[[0][src]=x&files[0]src]=y&files[0][=z"),
    "bad escapes": (FORM, b"json=%zz%"),
    "nul": (FORM, b"files%5B0%5D%5Bsrc%5D=http://example.com/%00"),
    "invalid utf-8": (FORM, b"files[0][src]=http://a.example/&files[0][dst]"
                            b"=%ff%fe"),
    "many fields": (FORM, b"&".join(b"x%d=1" % i for i in range(100_000))),
    "no boundary": ("multipart/form-data", b"--x\r\n\r\n--x--"),
    "empty boundary": ("multipart/form-data; boundary=", b"----"),
    "other boundary": ("multipart/form-data; boundary=y", b"--x\r\n\r\n--x--"),
    "part without end": ("multipart/form-data; boundary=x",
                         b'--x\r\nContent-Disposition: form-data; '
                         b'name="json"\r\n\r\n{"files":[]}'),
    "part without head": ("multipart/form-data; boundary=x",
                          b"--x\r\n--x\r\n--x--"),
    "part without name": ("multipart/form-data; boundary=x",
                          b"--x\r\nContent-Disposition: form-data\r\n\r\n"
                          b"v\r\n--x--"),
    "long head": ("multipart/form-data; boundary=x",
                  b"--x\r\nContent-Disposition: form-data; name=\""
                  + b"a" * 1_000_000 + b"\"\r\n\r\nv\r\n--x--"),
}


@pytest.mark.parametrize("kind", list(FORMS))
def test_forms(service, kind):
    type_, body = FORMS[kind]
    answer = send(service, body, "/bundle", {"Content-Type": type_})
    assert refused(answer, 400, 413, 415)


# -- below the level that client libraries allow --------------------------


def raw(service, text: bytes) -> bytes:
    """The whole answer to bytes as they are."""
    with socket.create_connection(("127.0.0.1", service.server.port),
                                  30) as sock:
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while (more := sock.recv(65536)):
            answer += more
        return answer


@pytest.mark.parametrize("length", [b"100", b"1000000"])
def test_body_shorter_than_announced(service, length):
    raw(service, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: "
                 b"application/json\r\nContent-Length: " + length
                 + b'\r\n\r\n{"filename":"a"}')
    assert service.get("/health-check").text == "OK"


def test_no_content_type(service):
    """As the original: what comes without a type may be JSON or refused."""
    answer = service.call("POST", "/", data=b'{"filename":"a"}', headers={})
    if answer.status_code != 201:
        refused(answer, 415)


@pytest.mark.parametrize("headers", [
    {"X-Long": "x" * 4000}, {"Range": "bytes=-"}, {"Range": "bytes=5-1"},
    {"Range": "bytes=" + ",".join(f"{i}-{i}" for i in range(900))},
    {"Range": "lines=1-2"}, {"If-None-Match": '"' * 2000},
    {"If-Range": "x" * 2000}, {"If-Match": "W/\"\xff\""},
    {"Range": "bytes=99999999999999999999-"}, {"Accept": "," * 4000},
    {"Authorization": "Bearer " + "x" * 4000}])
def test_odd_headers(service, origin, headers):
    bundle = service.create([origin.file("x").entry()])
    service.fetch(bundle).well()
    answer = service.get(f"/{bundle['id']}", headers=headers)
    assert answer.status_code in (200, 206, 400, 412, 416)
    if answer.status_code == 200:
        assert answer.content[:2] == b"PK"


def test_still_well_after_all_that(service):
    assert service.get("/health-check").text == "OK"
