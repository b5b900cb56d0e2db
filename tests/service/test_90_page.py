# SPDX-License-Identifier: AGPL-3.0-or-later
"""The web page and the landing page, in a real Chromium."""

import base64
import hashlib
import json
import pathlib
import re
import threading

import pytest

import judges
import scripted

ROOT = pathlib.Path(__file__).resolve().parents[2]
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def files(origin):
    return [origin.file("photos/Zürich am See.jpg", size="2m"),
            origin.file("notes.txt", size=70_000, kind="text"),
            origin.file("empty.bin", size=0)]


def lines(files) -> str:
    return "\n".join(f"{f.url} => {f.dst}" for f in files)


def contents(files) -> dict:
    return {f.dst: f.bytes for f in files}


def test_the_policy_names_what_is_in_the_page(service):
    answer = service.get("/", headers=HTML)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Accept" in answer.headers["Vary"]
    policy = dict(part.split(" ", 1) for part in
                  answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == policy["form-action"] == "'self'"
    for tag in ("style", "script"):
        inside = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.S)
        assert len(inside) == 1
        digest = hashlib.sha256(inside[0].encode()).digest()
        assert policy[f"{tag}-src"] == (
            f"'sha256-{base64.b64encode(digest).decode()}'")
    assert not re.search(r"(src|href)=\"?(https?:)?//", answer.text)


def test_the_page_is_kept_as_long_as_it_is_the_same(service):
    tag = service.get("/", headers=HTML).headers["ETag"]
    again = service.get("/", headers={**HTML, "If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    head = service.call("HEAD", "/", headers=HTML)
    assert (head.status_code, head.headers["ETag"]) == (200, tag)


@pytest.mark.parametrize("prefix", ["/", "/zip/", "/zip"])
def test_links_are_looked_at(browser, service, files, origin, prefix):
    gone = origin.file("gone.txt", status=404)
    found = browser.play(
        "check", url=service.url(prefix), links=lines(files) + "\n"
        f"{gone.url}\nftp://example.com/a\nhttp://10.0.0.1/x\n# a remark\n"
        "file:///sub/")
    assert [(row[0], row[1], row[3]) for row in found["rows"]] == [
        ("ok", "photos/Zürich am See.jpg", "2.1 MB"),
        ("ok", "notes.txt", "70.0 kB"),
        ("ok", "empty.bin", "0 bytes"),
        ("bad", "gone.txt", ""),
        ("bad", "ftp://example.com/a", ""),
        ("bad", "http://10.0.0.1/x", ""),
        ("ok", "sub/", "12.0 kB")]
    assert found["rows"][4][2] == "Protocol 'ftp' not supported."
    assert found["rows"][6][2] == "folder of 1 file"
    assert (found["count"], found["total"]) == ("7 files", "2.2 MB")
    assert found["detail"] == "3 cannot be reached"
    assert found["spoken"] == "7 files, 2.2 MB, 3 cannot be reached"
    assert float(found["zipped"]) == pytest.approx(4 / 7)


def test_links_are_dropped_and_pasted_anywhere(browser, service, files):
    found = browser.play("drop", url=service.url("/"), first=files[0].url,
                         second=f"{files[1].url}\n")
    assert [row[3] for row in found["rows"]] == ["2.1 MB", "70.0 kB"]


def test_files_of_links(browser, service, origin):
    one, two, odd = (origin.file(name, size=9).url for name in (
        "one", "two", "a,b;c"))
    tables = [
        # A file's name, its text, and what is read.
        ("a.csv", f"{one},trip/one.jpg\n\n{two}\r\n",
         [(one, "trip/one.jpg"), (two, "")]),
        ("a.TSV", f"{one}\ttrip/one, 1.jpg\n{two}\t\t\n",
         [(one, "trip/one, 1.jpg"), (two, "")]),
        ("heads.csv", f"url,name\n{one},x 1.jpg\n{two},y.jpg",
         [(one, "x 1.jpg"), (two, "y.jpg")]),
        ("names-first.csv", "\ufeffFile name;Size;Link\r\n"
         f"Smith, John.jpg;9;{one}\r\n;9;{two}\r\n",
         [(one, "Smith, John.jpg"), (two, "")]),
        ("quoted.csv", f'"{odd}","a ""b"",\n c.txt",9\n{one},"d.txt"',
         [(odd, 'a "b", c.txt'), (one, "d.txt")]),
        ("plain.txt", f"{odd}\n{one}\ttwo.txt", [(odd, ""), (one, "two.txt")]),
    ]
    found = browser.play(
        "files", url=service.url("/"),
        picked=[table[:2] for table in tables] + [
            ["slip.csv", f"{one},x.jpg\nnothing,y.jpg"]],
        dropped=[["photo.jpg", "\xff\xd8\0\0"], ["late.txt", "x" * 70_000
                                                   + "\0"],
                 ["heads.csv", "url,name\n"], ["more.txt", two]])
    for (name, _, links), (text, rows, said) in zip(tables, found["found"]):
        assert [row[0] for row in rows] == ["ok"] * len(links), (name, rows)
        for (src, dst), row, line in zip(links, rows, re.split(
                "\r?\n", text.strip())):
            assert re.split(" => |\t", line)[0] == src, name
            assert not dst or row[1] == dst, (name, row)
        assert said == "", name
    # A row without a link is shown as what it is.
    assert found["found"][-1][1] == [["ok", "x.jpg"], ["bad", "nothing,y.jpg"]]
    assert found["message"].splitlines() == [
        "photo.jpg is not a text file (in UTF-8).",
        "late.txt is not a text file (in UTF-8).",
        "heads.csv has no links in it."]
    assert found["links"].endswith(f"nothing,y.jpg\n{two}")


def test_download_now(browser, service, files, tmp_path):
    to = tmp_path / "got.zip"
    found = browser.play("download", url=service.url("/zip"), to=to,
                         links=lines(files), name="Fotos übers Jahr")
    assert found["name"] == "Fotos übers Jahr.zip"
    judges.check(to, contents(files))


def test_json_is_understood(browser, service, files, tmp_path):
    to = tmp_path / "got.zip"
    document = json.dumps(
        {"filename": "doc.zip", "files": [f.entry() for f in files]})
    browser.play("download", url=service.url("/"), to=to, links=document,
                 name="x")
    judges.check(to, contents(files))


def test_what_fails_is_told(browser, service, files, origin):
    gone = origin.file("gone.txt", status=404)
    url = service.url("/")
    found = browser.play("refused", url=url, links=lines([gone, *files]))
    assert found["message"].startswith("A source failed")
    assert "gone.txt" in found["message"]
    assert [row[0] for row in found["rows"]] == ["ok"] * 3
    assert found["at"] == url


def test_with_a_key(browser, make_service, files, tmp_path):
    service = make_service(API_KEYS="other, the key")
    to = tmp_path / "got.zip"
    found = browser.play("key", url=service.url("/"), links=lines(files),
                         key="the key", to=to)
    assert [row[0] for row in found["rows"]] == ["ok"] * 3
    judges.check(to, contents(files))


def test_a_link_and_its_management(browser, service, files):
    url = service.url("/zip/")
    found = browser.play("manage", url=url, links=lines(files[:2]),
                         more=lines(files[2:]))
    assert found["share"].startswith(url)
    assert found["private"].startswith(f"{url}#{found['share'][-36:]}/")
    assert found["before"] == [f.dst for f in files[:2]]
    assert found["after"] == [f.dst for f in files]
    assert found["history"].startswith("Complete")
    assert found["history"].endswith("3 of 3 files2.1 MB")
    assert found["focused"] == "delete-no"


def test_without_a_mouse(browser, service, files, tmp_path):
    to = tmp_path / "got.zip"
    found = browser.play("keyboard", url=service.url("/"),
                         links=lines(files), to=to)
    assert len(found["left"]) == 2 and found["kept"] == "remove"
    assert all(step["ring"] for step in found["walk"]), found["walk"]
    assert found["name"] == "typed.zip"
    assert found["focused"] == "done-title"
    judges.check(to, contents(files[1:]))


def test_looks(browser, make_service, files, origin, file_root, sanitized):
    """axe-core is content, nothing is wider than the screen; the pictures
    are in build/screenshots."""
    if sanitized:
        pytest.skip("looks the same")
    service = make_service(LANDING_PAGE="on", FILE_ROOT=file_root,
                           FS_INTERFACES="https,file")
    folder = ROOT / "build/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    gone = origin.file("gone.txt", status=404)
    shown = service.create(
        [*(f.entry() for f in [*files, gone]),
         origin.file("slow.tar", delay=8).entry(), {"dst": "drafts/"},
         {"src": "file:///sub/", "dst": "a folder with a long name/"}],
        filename="Zürich <b>im</b> Mai.zip")
    found = browser.play("look", url=service.url("/"), folder=folder,
                         links=lines([*files, gone]),
                         landing=service.url(f"/{shown['id']}"))
    assert found["found"] == [] and found["wide"] == []


def test_landing_page(browser, make_service, files, tmp_path):
    service = make_service(LANDING_PAGE="on")
    bundle = service.create([f.entry(size=f.wish.size) for f in files],
                            filename="\"><script>alert(1)</script>.zip")
    to = tmp_path / "got.zip"
    found = browser.play("landing", url=service.url(f"/{bundle['id']}/"),
                         to=to)
    assert found["title"] == bundle["filename"]
    assert "3 files, 2.2 MB" in found["text"]
    for file in files:
        assert file.dst in found["text"]
    judges.check(to, contents(files))


def landed(service, files, **more) -> tuple:
    """What the landing page says of them all, and of each."""
    bundle = service.create(files, **more)
    answer = service.get(f"/{bundle['id']}", headers=HTML)
    assert answer.status_code == 200
    rows = re.findall("<li><span>(.*?)</span><span>(.*?)</span>", answer.text)
    return re.search("<p>(.*?)</p>", answer.text)[1], rows


def test_landing_page_of_what_nobody_has_downloaded(
        browser, make_service, files, tmp_path):
    service = make_service(LANDING_PAGE="on")
    bundle = service.create([f.entry() for f in files])
    to = tmp_path / "got.zip"
    found = browser.play("landing", url=service.url(f"/{bundle['id']}"),
                         to=to)
    assert "3 files, 2.2 MB" in found["text"]
    assert found["rows"] == [["photos/Zürich am See.jpg", "2.1 MB"],
                             ["notes.txt", "70.0 kB"],
                             ["empty.bin", "0 bytes"]]
    judges.check(to, contents(files))
    assert files[0].books["bytes"] < files[0].wish.size + 1000


def test_landing_page_does_not_wait_for_all(make_service, origin):
    """The slow ones would tell their sizes in the end."""
    service = make_service(LANDING_PAGE="on", FIRST_BYTE_TIMEOUT="60s")
    slow = [origin.file(f"slow/{i}", size=99, delay=9) for i in range(40)]
    quick = origin.file("quick.txt", size=70_000)
    chunked = origin.file("chunked", framing="chunked", ranges="no")
    told, rows = landed(service, [f.entry() for f in (
        quick, chunked, origin.file("gone", status=404),
        origin.file("busy", status=503), *slow)])
    assert told == "44 files, at least 70.0 kB, 1 cannot be reached"
    assert rows[:4] == [
        ("quick.txt", "70.0 kB"), ("chunked", "size not known"),
        ("gone", "cannot be reached"), ("busy", "size not known")]
    assert {size for _, size in rows[4:]} == {"size not known"}
    assert landed(service, [slow[0].entry()])[0] == "1 file, size not known"
    gone = origin.file("gone", status=404).entry()
    assert landed(service, [gone])[0] == "1 file, 1 cannot be reached"


def test_landing_page_counts_folders(make_service, file_root, origin):
    service = make_service(LANDING_PAGE="on", FILE_ROOT=file_root,
                           FS_INTERFACES="https,file")
    tree = file_root / "landing"
    for name in ("a/1", "a/2", "b"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"x" * 500)
    (tree / "empty").mkdir()
    folder = {"src": "file:///landing/", "dst": "x/"}
    told, rows = landed(service, [
        folder, origin.file("a.jpg").entry(size=1000), {"dst": "none/"},
        {"src": "file:///landing/empty/"}, {"src": "file:///nowhere/"}])
    assert rows == [
        ("x/", "3 files, 1.5 kB"), ("a.jpg", "1.0 kB"),
        ("none/", "empty folder"), ("landing/empty/", "empty folder"),
        ("nowhere/", "cannot be reached")]
    assert told == "4 files and 1 folder, 2.5 kB, 1 cannot be reached"
    many = file_root / "landing-many"
    many.mkdir()
    for i in range(10_001):
        (many / f"{i}").touch()
    told, rows = landed(service, [{"src": "file:///landing-many/"}, folder])
    assert re.fullmatch(r"at least \d+ files, 0 bytes", rows[0][1])
    assert rows[1:] == [("x/", "folder, size not known")]
    assert re.fullmatch(r"at least \d+ files and 1 folder, size not known",
                        told)


def test_landing_page_does_not_wait_for_listings(make_service):
    """One that says that it is busy, and one that says nothing, would be
    asked again and again."""
    over = threading.Event()
    for wait in (0, 20):
        server = scripted.Scripted(
            lambda _, wait=wait: (over.wait(wait), (503, {}, b""))[1])
        try:
            service = make_service(
                LANDING_PAGE="on", AWS_ENDPOINT_URL_S3=server.url,
                AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s",
                FIRST_BYTE_TIMEOUT="60s")
            told, rows = landed(service, [{"src": "s3://bucket/photos/"}])
            asked = len(server.asked)
        finally:
            over.set()
            server.stop()
            over.clear()
        assert told == "1 folder, size not known"
        assert rows == [("photos/", "folder, size not known")]
        assert asked < 5


def test_landing_page_of_a_great_many(make_service, origin):
    service = make_service(LANDING_PAGE="on")
    entry = origin.file("a").entry(size=10)
    told, rows = landed(service, [{**entry, "dst": f"{i}"}
                                  for i in range(1002)])
    assert (len(rows), told) == (1000, "1002 files, 10.0 kB")


def test_landing_page_is_for_browsers(make_service, service, files):
    shown = make_service(LANDING_PAGE="on")
    bundle = shown.create([f.entry() for f in files])
    path = f"/{bundle['id']}"
    page = shown.get(path, headers=HTML)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "Accept" in page.headers["Vary"]
    for answer in (shown.get(path), shown.get(path + "?download=1",
                                              headers=HTML)):
        assert answer.headers["Content-Type"] == "application/zip"
    # The default: a link downloads at once.
    bundle = service.create([f.entry() for f in files])
    answer = service.get(f"/{bundle['id']}", headers=HTML)
    assert answer.headers["Content-Type"] == "application/zip"


def test_a_download_is_paused_and_resumed(browser, service, origin, tmp_path):
    """The first download of a bundle loses its connection half-way."""
    files = [origin.file(f"{i}.bin", size="2m", rate="1m") for i in range(3)]
    bundle = service.create([f.entry() for f in files])
    to = tmp_path / "got.zip"
    found = browser.play("resume", port=service.server.port,
                         path=f"/{bundle['id']}", to=to)
    judges.check(to, contents(files))
    first, *more = [head.lower() for head in found["heads"]]
    assert "range:" not in first and more
    for head in more:
        assert "range: bytes=" in head and "if-range: \"" in head
    assert to.read_bytes() == service.fetch(bundle).bytes


def test_slips(browser, service, origin):
    """The API's link at /zip; a list that could not be looked at once; what
    a document says besides its files; a sum of what was not looked at."""
    many = [origin.file(f"{i}.jpg", size=1000).url for i in range(201)]
    found = browser.play(
        "slips", url=service.url("/zip"), links=many, document=json.dumps(
            {"files": [{"src": many[0]}], "onError": "report",
             "compression": "store"}))
    assert found["api"] == service.url("/zip/openapi.json")
    assert found["sent"]["onError"] == "report"
    assert found["sent"]["compression"] == "store"
    assert "not known yet" in found["facts"]
