# SPDX-License-Identifier: AGPL-3.0-or-later
"""POST /check: sources looked at before anybody zips them."""


def check(service, *sources, **more) -> list:
    answer = service.post("/check", {"files": [
        {"src": src} if isinstance(src, str) else src for src in sources]},
        **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()["files"]


def test_what_is_there(service, origin):
    sized = origin.file("a b.txt", size=1234, type="text/plain")
    chunked = origin.file("c", size=10, framing="chunked", ranges="no")
    empty = origin.file("empty", size=0)
    moved = origin.file("moved", redirect=1, size=77)
    found = check(service, *(f.url for f in (sized, chunked, empty, moved)),
                  "file:///sub/plain.txt")
    assert [f["ok"] for f in found] == [True] * 5
    assert [f["size"] for f in found] == [1234, None, 0, 77, 12000]
    assert found[0]["dst"] == "a b.txt" and found[0]["src"] == sized.url
    assert found[0]["type"].startswith("text/plain")
    assert found[4]["dst"] == "sub/plain.txt"
    # Nothing but facts was asked for.
    assert sized.books["bytes"] <= 1


def test_what_is_not(service, origin):
    gone = origin.file("gone", status=404)
    found = check(service, gone.url, "ftp://example.com/a", "",
                  "http://127.0.0.1:80/x", "file:///../secret.txt",
                  "http://localhost:1/", {}, {"src": 7}, "s3://")
    assert not any(f["ok"] for f in found)
    assert all(f["reason"] for f in found)
    assert found[0]["status"] == 404
    assert found[1]["reason"] == "Protocol 'ftp' not supported."
    assert found[3]["reason"] == "IP Addresses are not supported"
    assert found[6]["reason"] == '"src" is required'
    assert found[7]["reason"] == '"src" must be a string'


def test_private_networks_stay_private(make_service, origin):
    service = make_service(ALLOW_PRIVATE_NETWORKS="")
    inside = origin.file("inside", size=5)
    sly = origin.file("sly", redirect=1)
    for found in check(service, inside.url, sly.url):
        assert not found["ok"] and found["status"] == 0
    assert inside.books["requests"] == 0


def test_a_failing_source_is_asked_once(service, origin):
    down = origin.file("down", status=503)
    check(service, down.url)
    assert down.books["requests"] == 1


def test_slow_ones_wait_together(service, origin):
    slow = [origin.file(f"{i}", size=5, delay=0.5) for i in range(40)]
    origin.reset()
    assert all(f["ok"] for f in check(service, *(f.url for f in slow)))
    assert origin.stats()["most_busy"] > 4


def test_bad_calls(service):
    for document, message in (({}, '"files" is required'),
                              ([], '"files" is required'),
                              ({"files": 1}, '"files" must be an array')):
        answer = service.post("/check", document)
        assert (answer.status_code, answer.json()["message"]) == (400, message)
    assert service.post("/check", {"files": [{}] * 101}).status_code == 413
    assert check(service) == []
