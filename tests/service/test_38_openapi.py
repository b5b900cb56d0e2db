# SPDX-License-Identifier: AGPL-3.0-or-later
"""The description of the API against the service that serves it.

Every operation is called, well and badly; each answer must be one that the
description knows, with a body that its schema takes, and each status that it
promises must have been seen.  What the other tests are answered is held
against it, too: conftest.py looks at the counters of every service."""

import json
import pathlib
import re

import pytest

import schema

HERE = pathlib.Path(__file__).resolve().parent
TEXT = (HERE.parents[1] / "web/openapi.json").read_text()
UNKNOWN = "0b1e6f4a-3c2d-4e5f-8a9b-0c1d2e3f4a5b"
JSON = "application/json"
ROUTER = (HERE.parents[1] / "src/router.c").read_text()
# What test_59_export.py sees, and any other test would fail for.
NEEDS_S3 = {("post", "/bundle", 202), ("post", "/{id}/{secret}/export", 202),
            ("post", "/{id}/{secret}/export", 502)}


def routes() -> dict:
    """(method, path) -> what the route needs, as the router has it."""
    rows = re.findall(r'{ HTTP_([A-Z]+), "(/[^"]*)", \w+,\s*([^}]*?) }', ROUTER)
    return {(method.lower(), re.sub(r":(\w+)", r"{\1}", path)): needs
            for method, path, needs in rows}


class Caller:
    """Calls operations and keeps account of what was answered."""

    def __init__(self, service):
        self.service = service
        self.description = schema.Description(service.get(
            "/openapi.json").json())
        self.seen = set()

    def operations(self) -> set:
        return {(method, path)
                for path, item in self.description.document["paths"].items()
                for method in item if method != "parameters"}

    def promised(self) -> set:
        paths = self.description.document["paths"]
        return {(method, path, int(status))
                for method, path in self.operations()
                for status in paths[path][method]["responses"]}

    def check_request(self, operation: dict, answer, document):
        content = operation.get("requestBody", {}).get("content", {})
        if document is None or JSON not in content:
            return
        found = self.description.complaints(content[JSON]["schema"], document)
        if found:
            assert answer.status_code in (400, 413), found
        assert found or answer.status_code != 400, answer.text

    def check_body(self, content: dict, answer):
        type_ = answer.headers["Content-Type"].split(";")[0]
        assert type_ in content, (type_, content)
        wanted = content[type_].get("schema")
        if wanted is not None:
            body = answer.json() if type_ == JSON else answer.text
            assert self.description.complaints(wanted, body) == []

    def call(self, method: str, path: str, document=None, id_: str = "",
             secret: str = "", service=None, **more):
        operation = self.description.document["paths"][path][method]
        url = path.replace("{id}", id_).replace("{secret}", secret)
        answer = (service or self.service).call(method.upper(), url,
                                                json=document, **more)
        status = str(answer.status_code)
        assert status in operation["responses"], (method, path, status,
                                                  answer.text[:500])
        response = self.description.follow(operation["responses"][status])
        if "content" in response and answer.content:
            self.check_body(response["content"], answer)
        for name in response.get("headers", {}):
            assert name in answer.headers or name == "ETag"
        self.check_request(operation, answer, document)
        self.seen.add((method, path, answer.status_code))
        return answer


@pytest.fixture
def caller(service):
    return Caller(service)


def test_it_is_served_as_it_lies_in_the_tree(service):
    answer = service.get("/openapi.json")
    assert answer.headers["Content-Type"] == JSON
    assert answer.json() == json.loads(TEXT)
    again = service.get("/openapi.json",
                        headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_every_reference_leads_somewhere(caller):
    for name in re.findall(r'"\$ref": "([^"]+)"', TEXT):
        assert caller.description.follow({"$ref": name})
    used = set(re.findall(r'"#/components/\w+/(\w+)"', TEXT))
    for kind in ("parameters", "responses", "schemas"):
        assert set(caller.description.document["components"][kind]) <= used


def test_every_route_is_described(caller):
    document = caller.description.document
    assert set(routes()) == caller.operations()
    for (method, path), needs in routes().items():
        operation = document["paths"][path][method]
        wanted = {"503"}
        if "KEY" in needs:
            assert {"bearer": []} in operation["security"]
            wanted |= {"401"}
        if "BODY" in needs:
            assert JSON in operation["requestBody"]["content"]
            wanted |= {"400", "413", "415"}
        if "{id}" in path:
            wanted |= {"404"}
        missing = wanted - set(operation["responses"])
        assert not missing, (method, path, missing)


def test_all_of_them_may_be_busy(make_service, origin):
    caller = Caller(make_service(MAX_WORKERS=1, BUSY_WAIT="100ms"))
    slow = origin.file("slow.jpg", size="10g", rate="1m")
    with caller.service.post("/bundle", {"files": [slow.entry()]},
                             stream=True):
        for method, path in sorted(caller.operations()):
            answer = caller.call(method, path, id_=UNKNOWN, secret=UNKNOWN)
            assert answer.status_code == 503


def test_every_operation(caller, make_service, origin):
    good, gone = origin.file("a.jpg", size=5000), origin.file("b", status=404)
    locked = make_service(API_KEYS="k")
    home = f"http://localhost:{caller.service.server.port}"
    small = make_service(MAX_FILES=1, MAX_BODY="2k", MAX_BUNDLE_BYTES=4000,
                         MANIFEST_ALLOW=home)
    call = caller.call

    # What works.
    call("post", "/", {"filename": "x", "files": [good.entry(
        size=5000, crc32=f"{good.crc:08X}", mtime="2026-01-02T03:04:05Z",
        compression="store")], "compression": "auto", "onError": "report"})
    made = call("post", "/", {"filename": "x", "files": [
        good.entry(mtime=1700000000.5), {"dst": "empty/"}]}).json()
    own = {"id_": made["id"], "secret": made["secret"]}
    call("post", "/bundle", {"files": [good.entry()]})
    for form in ({"data": {"files[0][src]": good.url}},
                 {"files": {"json": (None, json.dumps(
                     {"files": [good.entry()]}))}}):
        assert call("post", "/bundle", **form).status_code == 200
    call("post", "/check", {"files": [
        {"src": good.url}, {"src": gone.url}, {"src": "ftp://x.example/"},
        {"src": "file:///sub/"}, {"src": "file:///nowhere/"}]})
    for path in ("/", "/openapi.json"):
        html = {"Accept": "text/html"}
        tag = call("get", path, headers=html).headers["ETag"]
        call("get", path, headers={**html, "If-None-Match": tag})
    call("get", "/{id}/{secret}", **own)
    call("get", "/{id}/{secret}/status", **own)
    call("put", "/{id}/{secret}", {"files": []}, **own)
    whole = call("get", "/{id}", id_=made["id"])
    for headers in ({"Range": "bytes=0-9"}, {"Range": "bytes=999999-"},
                    {"If-None-Match": whole.headers["ETag"]},
                    {"If-Match": '"another"'}):
        call("get", "/{id}", id_=made["id"], headers=headers)
    call("get", "/health-check")
    call("get", "/metrics")
    # A bundle, as it is shown, is a list of files, too.
    lists = make_service(MANIFEST_ALLOW=home, METRICS_ALLOW="192.0.2.1/32")
    call("get", "/metrics", service=lists)
    shown = f"{home}/{made['id']}/{made['secret']}"
    for url in (shown, home + "/nothing"):
        call("get", "/bundle", service=lists, params={"manifest": url})
    for headers in ({"If-None-Match": "*"}, {"If-Match": '"another"'}):
        call("get", "/bundle", service=lists, params={"manifest": shown},
             headers=headers)
        assert call("post", "/bundle", {"files": [good.entry()]},
                    headers=headers).status_code == 200

    # What does not.
    call("get", "/")
    call("get", "/bundle")
    call("get", "/bundle", service=locked)
    call("get", "/bundle", params={"manifest": good.url})
    call("post", "/bundle", {"manifest": good.url})
    failing = call("post", "/", {"filename": "x",
                                 "files": [gone.entry()]}).json()
    call("get", "/{id}", id_=failing["id"])
    call("get", "/{id}/{secret}/status", id_=failing["id"],
         secret=failing["secret"])
    call("post", "/bundle", {"files": [gone.entry()]})
    call("post", "/", {"files": []})
    call("post", "/bundle", {"filename": "x"})
    call("post", "/check", {})
    call("put", "/{id}/{secret}", {}, **own)
    for method, path in (("post", "/"), ("post", "/bundle"),
                         ("post", "/check"), ("put", "/{id}/{secret}"),
                         ("post", "/{id}/{secret}/export")):
        call(method, path, data="x", headers={"Content-Type": "text/plain"},
             **own)
    call("post", "/check", {"files": [{"src": good.url}] * 101})
    large = {"filename": "x", "files": [good.entry()] * 100}
    other = small.create([good.entry()])
    theirs = {"id_": other["id"], "secret": other["secret"]}
    for path in ("/", "/bundle"):
        call("post", path, large, service=small)
    call("put", "/{id}/{secret}", large, service=small, **theirs)
    call("post", "/{id}/{secret}/export", {"to": "s3://b/" + 3000 * "k"},
         service=small, **theirs)
    call("get", "/{id}", service=small, id_=other["id"])
    call("get", "/bundle", service=small,
         params={"manifest": home + "/openapi.json"})
    for path, document in (("/", large), ("/bundle", large),
                           ("/check", {"files": []})):
        call("post", path, document, service=locked)
    nobody = {"id_": UNKNOWN, "secret": UNKNOWN}
    call("get", "/{id}", id_=UNKNOWN)
    call("get", "/{id}/{secret}/status", **nobody)
    for method in ("get", "put", "delete"):
        call(method, "/{id}/{secret}",
             {"files": []} if method == "put" else None, **nobody)

    for document in ({}, {"to": "s3://bucket/key.zip"}):
        call("post", "/{id}/{secret}/export", document, **own)
    call("post", "/{id}/{secret}/export", {"to": "s3://bucket/key"},
         service=make_service(EXPORT_ALLOW="bucket"), **nobody)
    call("delete", "/{id}/{secret}", **own)

    busy = {(*operation, 503) for operation in caller.operations()}
    assert caller.seen == caller.promised() - NEEDS_S3 - busy


def test_no_method_is_left_out(caller):
    """What the description does not know is not there."""
    for _, path in caller.operations():
        url = re.sub(r"{\w+}", UNKNOWN, path)
        allowed = caller.service.call("PATCH", url).headers["Allow"]
        described = {method.upper() for method, p in caller.operations()
                     if p == path}
        assert set(allowed.split(", ")) - {"HEAD", "OPTIONS"} == described
