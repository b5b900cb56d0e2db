# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sources that fail, dawdle, lie, move or attack: the zip is whole, or the
client sees that it is not."""

import contextlib
import os
import pathlib
import socket
import threading
import time

import pytest

import judges
from pool import wait_until
from service import in_background

# A file to begin with, so large that the answer is well under way before
# what comes behind it matters: more than READ_AHEAD_BYTES.
LEAD = "12m"


@pytest.fixture
def lead(origin):
    return origin.file("lead.jpg", size=LEAD, type="image/jpeg")


def whole(download, files: list):
    judges.judge_all(download.well(), {f.dst: f.bytes for f in files})


# -- before the first byte ------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 500, 503])
def test_error_statuses(service, origin, status):
    good = origin.file("good")
    bad = origin.file("bad", status=status)
    document = service.zip([good.entry(), bad.entry()]).refused()
    assert [(f["src"], f["status"]) for f in document["files"]] == [
        (bad.url, status)]
    assert document["files"][0]["reason"]


def test_every_missing_source_is_listed(service, origin):
    files = [origin.file(f"{i}", status=404 * (i % 2)) for i in range(10)]
    document = service.zip([f.entry() for f in files]).refused()
    assert [f["src"] for f in document["files"]] == [
        f.url for f in files if f.wish.status]


def test_missing_source_of_a_stored_bundle(service, origin):
    bad = origin.file("bad", status=404)
    document = service.fetch(service.create([bad.entry()])).refused()
    assert document["files"][0]["status"] == 404
    # Who only has the link does not learn the signature in a query.
    assert "seed=" not in str(document)


def test_nobody_listens(service):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    src = f"http://localhost:{port}/x"
    document = service.zip([{"src": src}]).refused()
    assert (document["files"][0]["src"], document["files"][0]["status"]) == (
        src, 0)


def test_connection_that_is_never_made(make_service):
    """Its host drops what it gets, as one whose queue is full does."""
    service = make_service(CONNECT_TIMEOUT="500ms", SOURCE_RETRIES=1,
                           FIRST_BYTE_TIMEOUT="60s")
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(socket.create_server(("127.0.0.1", 0),
                                                        backlog=0))
        for _ in range(4):
            guest = stack.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(host.getsockname())
        src = f"http://localhost:{host.getsockname()[1]}/x"
        document = service.zip([{"src": src}]).refused()
    assert document["files"][0]["reason"] == "connecting timed out"


def test_no_such_host(service):
    service.zip([{"src": "http://no-such-host.invalid/x"}]).refused()


def test_no_http_at_all(service):
    """A port where something else speaks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def greet():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    peer.sendall(b"220 mail.example ESMTP\r\n")
                    peer.close()

        threading.Thread(target=greet, daemon=True).start()
        port = server.getsockname()[1]
        service.zip([{"src": f"http://localhost:{port}/x"}]).refused()


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_retry(service, origin, status):
    file = origin.file("x", status=status, times=2)
    whole(service.zip([file.entry()]), [file])
    assert file.books["requests"] >= 3


def test_retry_of_a_reset_before_the_head(service, origin):
    file = origin.file("x", die=0, how="reset", times=1)
    whole(service.zip([file.entry()]), [file])


@pytest.mark.parametrize("status", [400, 403, 404])
def test_no_retry_of_what_is_final(service, origin, status):
    file = origin.file("x", status=status)
    service.zip([file.entry()]).refused()
    assert file.books["requests"] == 1


@pytest.mark.parametrize("ranges", ["yes", "no"])
def test_a_dead_one_behind_large_ones(make_service, origin, ranges):
    """The window's memory has no room for it yet: it is found none the less,
    for little, and those that live are read once."""
    service = make_service(READ_AHEAD_FILES=8)
    large = [origin.file(f"{i}.csv", size="2m", kind="text", ranges=ranges,
                         framing="chunked") for i in range(7)]
    dead = [origin.file(f"{i}.csv", status=404) for i in "ab"]
    document = service.zip([f.entry() for f in [*large, *dead]]).refused()
    # The last one stands behind the first window.
    assert [f["src"] for f in document["files"]] == [dead[0].url]
    before = [f.books["bytes"] for f in large]
    whole(service.zip([f.entry() for f in large]), large)
    if ranges == "yes":
        for file, sent in zip(large, before):
            assert file.books["bytes"] - sent <= file.wish.size + 1


def test_head_that_never_comes(make_service, origin):
    service = make_service(FIRST_BYTE_TIMEOUT="500ms", SOURCE_RETRIES=1)
    file = origin.file("x", delay=3600)
    service.zip([file.entry()]).refused()


def test_delayed_head(service, origin):
    file = origin.file("x", delay=1.5)
    whole(service.zip([file.entry()]), [file])


@pytest.mark.parametrize("size, well", [("20k", True), ("200k", False)])
def test_headers_of_the_source(service, origin, size, well):
    file = origin.file("x", headers=size)
    got = service.zip([file.entry()])
    if well:
        whole(got, [file])
    else:
        got.refused()


# -- in mid-body ----------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("at", [1, 70_000, 1_500_000, 2_999_999])
def test_dies_for_good(service, origin, at, framing, how):
    """It never serves the rest either."""
    file = origin.file("x", size=3_000_000, die=at, framing=framing, how=how,
                       ranges="no")
    service.zip([file.entry()]).failed()


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("stored", [False, True])
def test_dies_when_the_zip_is_under_way(service, origin, lead, framing, how,
                                        stored):
    """curl ends with an error, and there is no end record."""
    bad = origin.file("x.jpg", size="20m", die="10m", framing=framing,
                      how=how, ranges="no")
    files = [lead.entry(), bad.entry()]
    if stored:
        service.fetch(service.create(files)).cut()
    else:
        service.zip(files).cut()


def test_dies_without_length_by_reset(service, origin):
    file = origin.file("x", size="3m", die="1m", framing="close",
                       how="reset", ranges="no")
    service.zip([file.entry()]).failed()


def test_http_1_0_client_sees_a_known_length(service, origin, lead):
    bad = origin.file("x.jpg", size="20m", die="10m", type="image/jpeg",
                      ranges="no")
    got = service.zip([lead.entry(size=lead.wish.size),
                       bad.entry(size=bad.wish.size)], "--http1.0")
    got.failed()


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("at", ["70k", "1m", "2900k"])
@pytest.mark.parametrize("kind", ["random", "text"])
def test_resumes_where_it_broke(service, origin, at, how, kind):
    file = origin.file("x", size="3m", kind=kind, die=at, how=how, times=1)
    whole(service.zip([file.entry()]), [file])


def test_resume_is_conditional(service, origin):
    file = origin.file("x", size="3m", die="1m", only_whole=1)
    whole(service.zip([file.entry()]), [file])
    asked = [s for s in file.books["seen"]
             if s["range"] not in ("", "bytes=0-0", "bytes=0-")
             and not s["range"].startswith("bytes=0-")]
    assert asked, file.books
    for seen in asked:
        assert {"if-range", "if-match", "if-unmodified-since"} & set(
            seen["headers"]), "the rest of another file would be taken"


def test_progress_resets_the_count_of_resumptions(service, origin):
    """Nine connections, each good for a part of it."""
    file = origin.file("x", size="9m", die="1m")
    whole(service.zip([file.entry()]), [file])


@pytest.mark.parametrize("times, well", [(5, True), (6, False)])
def test_resumptions_without_progress(make_service, origin, times, well):
    service = make_service(SOURCE_RESUMES=5)
    file = origin.file("x", size="3m", die="1m", times=times, ranges="no")
    got = service.zip([file.entry()])
    if well:
        whole(got, [file])
    else:
        got.failed()


def test_resume_without_ranges_reads_again(service, origin):
    file = origin.file("x", size="3m", die="1m", times=2, ranges="no")
    whole(service.zip([file.entry()]), [file])


def test_changed_in_between(service, origin, lead):
    """What is left of the second version is not glued to the first."""
    for ranges in ("yes", "no"):
        file = origin.file("x", size="20m", die="10m", change=1,
                           times=1, ranges=ranges)
        got = service.zip([lead.entry(), file.entry()])
        if got.status == 200 and got.exit == 0:
            # Asked for its size first, it had changed before it was read.
            found = judges.python(got.path)["x"]
            assert found in (file.bytes, second_version(file))
        else:
            got.failed()


def second_version(file):
    file.wish.seed += 1
    return file.bytes


def test_stall_for_good(make_service, origin):
    service = make_service(STALL_TIMEOUT="500ms", SOURCE_RESUMES=1)
    file = origin.file("x", size="3m", stall="1m", ranges="no")
    service.zip([file.entry()]).failed()


def test_stall_once(service, origin):
    file = origin.file("x", size="3m", stall="1m", times=1)
    whole(service.zip([file.entry()]), [file])


def test_pause_is_no_stall(service, origin):
    file = origin.file("x", size="3m", stall="1m", stall_for=1)
    whole(service.zip([file.entry()]), [file])


@pytest.mark.parametrize("lie", [5, 100_000])
def test_promises_more_than_comes(service, origin, lie):
    file = origin.file("x", size="1m", lie=lie)
    service.zip([file.entry()]).failed()


def test_sends_more_than_promised(service, origin):
    """HTTP ends the body at its Content-Length; what else was said about
    the size must agree with that."""
    file = origin.file("x", size=100_000, lie=-5)
    got = service.zip([file.entry()])
    if got.status == 200 and got.exit == 0:
        judges.check(got.path, {"x": file.bytes[:-5]})
    else:
        got.failed()
    service.zip([file.entry(size=100_000)]).failed()


def test_garbage_in_chunked_coding(service, origin):
    file = origin.file("x", size="3m", framing="chunked", garbage="1m",
                       ranges="no")
    service.zip([file.entry()]).failed()


def test_wrong_content_range(service, origin):
    """A range that is not the one asked for is not put in its place."""
    file = origin.file("x", size="3m", die="1m", ranges="wrong")
    service.zip([file.entry()]).failed()


def test_range_that_is_refused(service, origin):
    files = [origin.file(f"{r}.jpg", size="300k", ranges=r)
             for r in ("no", "none")]
    whole(service.zip([f.entry() for f in files]), files)


def test_weak_and_missing_validators(service, origin):
    files = [origin.file(f"{i}", size="300k", etag=etag, mtime=mtime)
             for i, (etag, mtime) in enumerate([
                 ("weak", 0), ("none", 0), ("none", 1_700_000_000)])]
    whole(service.zip([f.entry() for f in files]), files)


def test_content_encoding_that_nobody_asked_for(service, origin):
    """Bytes of which nobody knows what they stand for are not zipped as if
    they were the file."""
    file = origin.file("x.txt", kind="text", size="300k", gzip=1,
                       ranges="no")
    got = service.zip([file.entry()])
    if got.status == 200 and got.exit == 0:
        judges.check(got.path, {"x.txt": file.bytes})
    else:
        got.failed()
    for seen in file.books["seen"]:
        assert seen["headers"].get("accept-encoding", "identity") in (
            "", "identity")


def test_a_page_of_errors_is_never_the_file(service, origin, lead):
    for bad in (origin.file("x.jpg", status=404),
                origin.file("x.jpg", status=403, size="20m")):
        got = service.zip([lead.entry(), bad.entry()])
        got.failed()
        assert b"the origin's own page" not in got.bytes


def test_a_long_list_of_failures_is_whole(service):
    """More than 16 MiB of them, from a body that is smaller."""
    got = service.zip([{"src": f"file:///{'x' * 225}{i}"}
                       for i in range(60_000)])
    assert len(got.refused()["files"]) == 60_000 and len(got.bytes) > 16 << 20


# -- report instead of abort ----------------------------------------------


def test_report(service, origin):
    good, also = origin.file("good"), origin.file("also")
    bad = origin.file("bad", status=404)
    files = [good.entry(), bad.entry(), also.entry()]
    for got in (service.zip(files, onError="report"),
                service.fetch(service.create(files, onError="report"))):
        found = judges.python(got.well())
        assert list(found) == ["good", "also", "_errors.txt"]
        assert (found["good"], found["also"]) == (good.bytes, also.bytes)
        note = found["_errors.txt"].decode()
        assert "bad" in note and "404" in note and "good" not in note
        judges.judge_all(got.path, found)


@pytest.mark.parametrize("taken, given", [
    ("_Errors.TXT", "_errors (2).txt"), ("_errors.TXT/x", "_errors (2).txt"),
    ("_errors.txt.gz", "_errors.txt")])
def test_report_takes_no_name_of_others(service, origin, taken, given):
    files = [origin.file("bad", status=404), origin.file("x", dst=taken)]
    got = service.zip([f.entry() for f in files], onError="report")
    assert list(judges.python(got.well())) == [taken, given]


def test_report_is_a_setting(make_service, origin):
    service = make_service(ON_SOURCE_ERROR="report")
    files = [origin.file("good"), origin.file("bad", status=404)]
    got = service.zip([f.entry() for f in files])
    assert list(judges.python(got.well())) == ["good", "_errors.txt"]
    service.zip([f.entry() for f in files], onError="abort").refused()


def test_report_cannot_mend_a_begun_entry(service, origin, lead):
    bad = origin.file("x.jpg", size="20m", die="10m", ranges="no")
    service.zip([lead.entry(), bad.entry()], onError="report").cut()


# -- slow ones, and clients that leave ------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_first_byte_comes_while_the_source_still_sends(service, origin,
                                                       framing):
    file = origin.file("slow.jpg", size="1m", rate="200k", framing=framing,
                       type="image/jpeg")
    with service.post("/bundle", {"files": [file.entry()]},
                      stream=True) as answer:
        assert answer.status_code == 200
        first = next(answer.iter_content(1))
        assert first == b"P"
        assert file.books["bytes"] < file.wish.size


def test_read_ahead_hides_delays(service, origin):
    """40 sources that each think for 0.5 s: one after the other, 20 s."""
    files = [origin.file(f"{i}", delay=0.5, size=100) for i in range(40)]
    origin.reset()
    whole(service.zip([f.entry() for f in files]), files)
    assert origin.stats()["most_busy"] >= 8


def test_client_leaves_while_bytes_flow(service, origin):
    file = origin.file("endless.jpg", size="50g", type="image/jpeg")
    with service.post("/bundle", {"files": [file.entry()]},
                      stream=True) as answer:
        next(answer.iter_content(1 << 20))
    wait_until(lambda: not file.books["busy"], "the end of the transfer")


def test_client_leaves_while_the_source_is_silent(service, origin):
    """The web server tells, and the connection to the origin is closed."""
    file = origin.file("x.jpg", size="50g", rate="1m", type="image/jpeg")
    with service.post("/bundle", {"files": [file.entry()]},
                      stream=True) as answer:
        next(answer.iter_content(1 << 10))
    wait_until(lambda: not file.books["busy"], "the end of the transfer")
    # The worker is free again, too.
    assert service.get("/health-check").status_code == 200


# -- elsewhere: redirects, TLS, signed URLs -------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect(service, origin, code):
    file = origin.file("x", redirect=3, code=code)
    whole(service.zip([file.entry()]), [file])


def test_redirect_to_another_scheme_and_port(service, origin):
    there = origin.file("there", scheme="https")
    here = origin.file("here", to=there.url)
    got = service.zip([here.entry()])
    judges.check(got.well(), {"here": there.bytes})


@pytest.mark.parametrize("hops", [6, 1000])
def test_too_many_redirects(service, origin, hops):
    file = origin.file("x", redirect=hops)
    service.zip([file.entry()]).refused()


def test_redirect_to_itself(service, origin):
    file = origin.file("x", to="#")
    service.zip([file.entry()]).refused()
    assert file.books["requests"] == 6  # MAX_REDIRECTS and the first


@pytest.mark.parametrize("to", [
    "file:///etc/passwd", "ftp://localhost/x", "gopher://localhost/x",
    "s3://bucket/key", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/",
    "http://169.254.169.254/latest/meta-data/", "//", "http://", "http:///x",
    "http://user:password@localhost/x", "dict://localhost:11211/stats",
    "http://localhost:0/", "http://localhost:99999/"])
def test_redirect_to_where_nothing_may_come_from(service, origin, to):
    file = origin.file("x", to=to)
    service.zip([file.entry()]).refused()


@contextlib.contextmanager
def trap(address: str):
    """A listener that must never be reached; yields its URL and its guests."""
    guests = []
    with socket.create_server((address, 0)) as server:
        def watch():
            with contextlib.suppress(OSError):
                while True:
                    guests.append(server.accept()[1])

        threading.Thread(target=watch, daemon=True).start()
        yield f"http://{address}:{server.getsockname()[1]}/", guests


def test_redirect_into_a_private_network(make_service, origin):
    """The rules hold for each hop, on the address that is connected to."""
    service = make_service(ALLOW_PRIVATE_NETWORKS="127.0.0.1/32")
    with trap("127.0.0.2") as (url, guests):
        file = origin.file("x", to=url)
        service.zip([file.entry()]).refused()
        assert file.books["requests"] >= 1 and not guests


def test_private_networks_are_refused_unless_allowed(make_service, origin):
    service = make_service(ALLOW_PRIVATE_NETWORKS="10.0.0.0/8")
    file = origin.file("x")
    before = origin.stats()["accepted"]
    service.zip([file.entry()]).refused()
    assert origin.stats()["accepted"] == before


ADDRESSES = [
    "127.0.0.1", "10.1.2.3", "8.8.8.8", "[::1]", "[::ffff:127.0.0.1]",
    "[fe80::1%25eth0]", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
    "127.1", "127.0.1", "0", "127.0.0.1.", "0x7f.0x0.0x0.0x1", "1.2.3.4",
    "%31%32%37.0.0.1", "①②⑦.⓪.⓪.①"]


@pytest.mark.parametrize("host", ADDRESSES)
def test_addresses_are_refused_as_hosts(service, origin, host):
    port = origin.ports["http"]
    before = origin.stats()["accepted"]
    for path in ("/", "/bundle"):
        answer = service.post(path, {"filename": "a", "files": [
            {"src": f"http://{host}:{port}/x"}]})
        assert answer.status_code == 400, answer.text
        if host.isascii() and "%" not in host:
            assert ("IP Addresses are not supported"
                    in answer.json()["message"])
    assert origin.stats()["accepted"] == before


@pytest.mark.parametrize("src", [
    "http://", "http:///x", "http://user:password@localhost/",
    "http://localhost:99999/", "http://localhost:x/", "http://a b/",
    "http://a\tb/", "http://a\r\nHost: b/", "localhost/x", "//localhost/x",
    "", " ", "http:/localhost/x", "http://localhost\u0000.evil/x",
    "javascript:alert(1)", "data:,x", "http://-/x".replace("-", "."),
    "http://a..b/x", "http://" + "a" * 300 + "/"])
def test_sources_that_are_no_urls(service, src):
    for path in ("/", "/bundle"):
        answer = service.post(path, {"filename": "a",
                                     "files": [{"src": src, "dst": "x"}]})
        assert answer.status_code == 400, (answer.status_code, answer.text)
        assert answer.json()["message"]


def test_https(service, origin):
    files = [origin.file(f"{i}", scheme="https", size=size)
             for i, size in enumerate((10, "3m"))]
    whole(service.zip([f.entry() for f in files]), files)


def test_https_of_an_unknown_ca(make_service, origin):
    service = make_service(SOURCE_RETRIES=0)
    service.zip([origin.file("x", scheme="https").entry()]).refused()


def test_signed_url_is_asked_for_to_the_letter(service, origin):
    """With GET alone: a URL signed for GET refuses HEAD."""
    file = origin.file("a b/ü.bin", sign=1, get_only=1, size="300k")
    whole(service.zip([file.entry()]), [file])
    assert {s["method"] for s in file.books["seen"]} == {"GET"}
    stored = service.create([file.entry()])
    whole(service.fetch(stored), [file])


def test_source_allow(make_service, origin):
    port = origin.ports["http"]
    service = make_service(SOURCE_ALLOW=f"http://localhost:{port}/open/ "
                                        "https://cdn.example")
    inside = origin.file("open/x")
    whole(service.zip([inside.entry()]), [inside])
    for src in (origin.file("closed/x").url, origin.file("openx").url,
                origin.file("open/../closed").url,
                f"http://localhost:{port}/open/%2e%2e/closed",
                "https://cdn.example.evil/x", "http://cdn.example/x",
                "https://cdn.example:444/x"):
        answer = service.post("/", {"filename": "a",
                                    "files": [{"src": src, "dst": "x"}]})
        assert answer.status_code in (400, 403), (src, answer.text)
    # A redirect leads nowhere else either.
    away = origin.file("open/y", to=origin.file("closed/y").url)
    service.zip([away.entry()]).refused()


def test_source_allow_rules_files_too(make_service, file_root):
    service = make_service(FS_INTERFACES="https,file", FILE_ROOT=file_root,
                           SOURCE_ALLOW="https://cdn.example file:///sub/")
    judges.check(service.zip([{"src": "file:///sub/plain.txt"}]).well(), {
        "sub/plain.txt": (file_root / "sub" / "plain.txt").read_bytes()})
    for path in ("inside", "subway/x", "sub/../inside", "sub/%2e%2e/inside"):
        answer = service.post("/", {"filename": "a", "files": [
            {"src": f"file:///{path}", "dst": "x"}]})
        assert answer.status_code == 400, path
        assert "not allowed" in answer.json()["message"]


def test_interfaces_are_a_setting(make_service, file_root):
    service = make_service(FS_INTERFACES="s3")
    answer = service.post("/", {"filename": "a", "files": [
        {"src": "http://example.com/x"}]})
    assert answer.status_code == 400
    assert "Protocol 'http' not supported." in answer.json()["message"]


def test_bundle_bytes_are_limited(make_service, origin):
    service = make_service(MAX_BUNDLE_BYTES="2MiB")
    files = [origin.file(f"{i}", size="1m", framing="chunked")
             for i in range(3)]
    got = service.zip([f.entry() for f in files])
    assert got.status == 413 or (got.status == 200 and got.exit != 0)
    whole(service.zip([files[0].entry()]), files[:1])


# -- file: ----------------------------------------------------------------


def test_file_source(service, file_root):
    data = (file_root / "sub/plain.txt").read_bytes()
    os.utime(file_root / "sub/plain.txt", (1_600_000_000, 1_600_000_000))
    got = service.zip([{"src": "file:///sub/plain.txt"},
                       {"src": "file:///inside", "dst": "link"}])
    judges.judge_all(got.well(), {"sub/plain.txt": data, "link": data})


@pytest.mark.parametrize("path", [
    "/outside", "/absolute", "/folder-outside/secret.txt", "/../secret.txt",
    "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
    "/etc/passwd", "/nothing", "/sub", "/pipe", "/sub/plain.txt/x", "/"])
def test_nothing_leads_out_of_the_root(service, file_root, path):
    pipe = file_root / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    got = service.zip([{"src": "file://" + path, "dst": "x"}])
    if got.status == 400:
        assert got.json()["message"]
    else:
        got.refused()
    assert b"beside the root" not in got.bytes and b"root:" not in got.bytes


@pytest.mark.parametrize("src", ["file://localhost.evil/x", "file://host/x",
                                 "file:x", "file:///\0"])
def test_file_urls_of_other_hosts(service, src):
    answer = service.post("/bundle", {"files": [{"src": src, "dst": "x"}]})
    assert answer.status_code == 400, answer.text


def test_file_is_off_by_default(make_service, file_root):
    for settings in ({}, {"FS_INTERFACES": "s3,https",
                          "FILE_ROOT": file_root}):
        service = make_service(**settings)
        answer = service.post("/", {"filename": "a", "files": [
            {"src": "file:///etc/passwd"}]})
        assert answer.status_code == 400
        assert "Protocol 'file' not supported." in answer.json()["message"]


def test_file_that_shrinks(service, file_root):
    """Somebody cuts it while it is read: that is seen, and not zipped."""
    path = file_root / "moving.bin"
    path.write_bytes(os.urandom(40 << 20))
    document = '{"files": [{"src": "file:///moving.bin", "dst": "x"}]}'
    with in_background(service.curl, "/bundle", "--limit-rate", "20m",
                       data=document) as download:
        wait_until(lambda: is_open(service, path), "the file being read")
        os.truncate(path, 1 << 20)
        download.result().cut()


def is_open(service, path) -> bool:
    return any(os.path.samefile(link, path)
               for pid in service.pool.workers()
               for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()
               if link.exists())


def test_clients_of_a_slow_source_do_not_hold_up_others(service, origin):
    slow = origin.file("slow.jpg", size="10m", rate="300k")
    with service.post("/bundle", {"files": [slow.entry()]}, stream=True):
        began = time.monotonic()
        fast = origin.file("fast")
        whole(service.zip([fast.entry()]), [fast])
        assert slow.wish.size / slow.wish.rate > time.monotonic() - began


def test_wait_until_can_fail():
    """The helper that all of these lean on."""
    with pytest.raises(AssertionError, match="nothing"):
        wait_until(lambda: False, "nothing", 0.05)
