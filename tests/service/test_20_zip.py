# SPDX-License-Identifier: AGPL-3.0-or-later
"""The archive itself: right bytes, right names, opened by every reader."""

import struct
import unicodedata
import zipfile

import pytest

import content
import judges

STORE, DEFLATE = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
DESCRIPTOR = 1 << 3
UTF8 = 1 << 11


def entries(path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: info for info in archive.infolist()}


def unix_time(info: zipfile.ZipInfo) -> int:
    """Of the UT extra field, which knows seconds and no time zone."""
    extra = info.extra
    while extra:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 0x5455:
            return struct.unpack_from("<I", extra, 5)[0]
        extra = extra[4 + size:]
    raise AssertionError("there is no UT extra field")


def expected(files: list) -> dict:
    return {f.dst: f.bytes for f in files}


@pytest.mark.parametrize("kind", ["random", "text", "zero"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_every_size_and_framing(service, origin, kind, framing):
    """Each side of each boundary that a layout or a buffer may have."""
    sizes = (0, 1, 2, 16383, 16384, 16385, 65534, 65535, 65536, 65537,
             131070, 262143, 262145, 1000003, 5 << 20)
    files = [origin.file(f"{size}.dat", size=size, kind=kind,
                         framing=framing) for size in sizes]
    got = service.zip([f.entry() for f in files])
    judges.judge_all(got.well(), expected(files))


@pytest.mark.parametrize("kind", ["random", "text"])
def test_one_entry(service, origin, kind):
    file = origin.file("a.txt", size="300k", kind=kind)
    got = service.zip([file.entry()])
    judges.judge_all(got.well(), expected([file]))


def test_no_entries(service):
    got = service.zip([])
    judges.check_empty(got.well())
    bundle = service.create([])
    judges.check_empty(service.fetch(bundle).well())


NAMES = ["plain.txt", "ümlaut/größe.txt", "日本/語.txt", "🎉.txt", "a b+c&d.txt",
         "%41.txt", "deep/" * 20 + "x", "#?.txt".replace("?", "!"), "-rf",
         "x" * 255, "ключ=значение.txt", "~tilde", "'quote'.txt", "a,b;c"]


def test_names(service, origin):
    files = [origin.file("n", dst=name, size=20) for name in NAMES]
    got = service.zip([f.entry() for f in files])
    judges.judge_all(got.well(), expected(files))
    for name, info in entries(got.path).items():
        assert bool(info.flag_bits & UTF8) == (not name.isascii()), name


def test_names_are_normalised(service, origin):
    """NFC, whatever the client's file system makes of accents."""
    name = unicodedata.normalize("NFD", "Köln é.txt")
    file = origin.file("n", dst=name)
    got = service.zip([file.entry()])
    judges.judge_all(got.well(), {
        unicodedata.normalize("NFC", name): file.bytes})


@pytest.mark.parametrize("path, name", [
    ("/a/b.txt", "a/b.txt"), ("/a/b%20c.txt?x=1&y=/z", "a/b c.txt"),
    ("/%C3%BC.txt", "ü.txt"), ("/a%2Bb+c.txt", "a+b+c.txt"),
    ("/dir/x.bin?q=../y", "dir/x.bin"), ("//double//slash", "double/slash")])
def test_name_from_the_source(service, path, name):
    bundle = service.create([{"src": "http://example.com" + path}])
    assert bundle["files"][0]["dst"] == name


@pytest.mark.parametrize("asked, name", [
    ("/lead.txt", "lead.txt"), ("///lead.txt", "lead.txt"),
    ("C:\\dir\\x.txt", "dir/x.txt"), ("a\\b.txt", "a/b.txt"),
    ("./a/./b", "a/b"), ("a//b", "a/b")])
def test_names_are_made_safe(service, asked, name):
    bundle = service.create([{"src": "http://example.com/q", "dst": asked}])
    assert bundle["files"][0]["dst"] == name


@pytest.mark.parametrize("asked", [
    "../x", "a/../x", "..", "a/..", "..\\x", "a/..\\..\\x", "x\u0000y",
    "a\nb", "\x1b[31m", "x" * 256, "a/" * 33000 + "x", "C:\\..\\x"])
def test_names_that_cannot_be_made_safe(service, asked):
    for path in ("/", "/bundle"):
        answer = service.post(path, {"filename": "a", "files": [
            {"src": "http://example.com/q", "dst": "fine"},
            {"src": "http://example.com/q", "dst": asked}]})
        assert answer.status_code == 400, answer.text
        assert "1" in answer.json()["message"], "which file it is"


def test_directories(service, origin):
    file = origin.file("n", dst="full/x.txt")
    got = service.zip([{"dst": "empty/"}, {"dst": "a/b/c/"}, file.entry(),
                       {"dst": "full/"}])
    judges.judge_all(got.well(), {"empty/": b"", "a/b/c/": b"",
                                  "full/x.txt": file.bytes, "full/": b""})
    info = entries(got.path)["empty/"]
    assert (info.compress_type, info.flag_bits & DESCRIPTOR) == (STORE, 0)
    assert info.external_attr & 0x10
    assert info.external_attr >> 16 == 0o40755


def test_same_name_twice(service, origin):
    """Another source gets another name; the same one is dropped."""
    one, two, three = (origin.file("n", dst="a/x.txt", size=30 + i)
                       for i in range(3))
    two.dst = "a/X.txt"
    got = service.zip([one.entry(), two.entry(), one.entry(),
                       three.entry()])
    judges.judge_all(got.well(), {
        "a/x.txt": one.bytes, "a/X (2).txt": two.bytes,
        "a/x (3).txt": three.bytes})


def test_no_file_is_a_folder_too(service, origin):
    one, two = (origin.file("n", size=30 + i) for i in range(2))
    got = service.zip([one.entry() | {"dst": "a"},
                       two.entry() | {"dst": "a/b"}])
    found = judges.python(got.well())
    assert list(found.values()) == [one.bytes, two.bytes]
    names = list(found)
    assert not names[1].startswith(names[0] + "/"), names
    judges.judge_all(got.path, found)


@pytest.mark.parametrize("kind", ["random", "text"])
def test_same_bytes_twice(service, origin, kind):
    files = [origin.file(f"{i}.dat", size=size, kind=kind)
             for i, size in enumerate((0, 10, 70000, "3m"))]
    entries_ = [f.entry() for f in files]
    first, second = service.zip(entries_), service.zip(entries_)
    judges.judge_all(first.well(), expected(files))
    assert first.bytes == second.bytes
    assert second.well()


def test_stored_bundle_gives_the_same_bytes_for_ever(service, origin):
    files = [origin.file(f"{i}.dat", size=size, kind=kind, framing=framing)
             for i, (size, kind, framing) in enumerate([
                 ("200k", "random", "chunked"), ("200k", "text", "length"),
                 (5, "text", "close"), ("2m", "zero", "chunked")])]
    bundle = service.create([f.entry() for f in files])
    downloads = [service.fetch(bundle) for _ in range(3)]
    judges.judge_all(downloads[0].well(), expected(files))
    for later in downloads[1:]:
        later.well()
        assert later.bytes == downloads[0].bytes
        assert int(later.headers["Content-Length"]) == len(later.bytes)
        assert later.headers["ETag"] == downloads[2].headers["ETag"]


@pytest.mark.parametrize("mtime", [1_700_000_000, 1_234_567_891, 946_684_800])
def test_time_from_last_modified(service, origin, mtime):
    file = origin.file("n", mtime=mtime)
    got = service.zip([file.entry()])
    assert unix_time(entries(got.well())["n"]) == mtime


def test_declared_time_wins(service, origin):
    file = origin.file("n")
    got = service.zip([file.entry(mtime=1_600_000_001), {
        "dst": "d/", "mtime": 1_500_000_000}])
    found = entries(got.well())
    assert unix_time(found["n"]) == 1_600_000_001
    assert unix_time(found["d/"]) == 1_500_000_000


def test_method_follows_compression(service, origin):
    def method(file, **more):
        got = service.zip([file.entry()], **more)
        judges.check(got.well(), expected([file]))
        return entries(got.path)[file.dst], got

    text = origin.file("a.txt", kind="text", size="1m")
    info, got = method(text, compression="deflate")
    assert info.compress_type == DEFLATE and info.compress_size < 700_000
    info, got = method(text, compression="auto")
    assert info.compress_type == DEFLATE and info.compress_size < 700_000
    info, got = method(text, compression="store")
    assert info.compress_size >= info.file_size == 1 << 20
    # What does not get smaller is not deflated, whatever its name.
    noise = origin.file("noise.jpg", size="1m", type="image/jpeg")
    info, got = method(noise, compression="auto")
    assert info.file_size <= info.compress_size < info.file_size + 100
    lying = origin.file("noise.txt", size="1m", type="text/plain")
    info, got = method(lying, compression="auto")
    assert info.compress_size < info.file_size + 1000


def test_compression_of_one_file(service, origin):
    one, two = (origin.file(f"{i}.txt", kind="text", size="300k")
                for i in range(2))
    got = service.zip([one.entry(compression="store"), two.entry()],
                      compression="deflate")
    judges.judge_all(got.well(), expected([one, two]))
    found = entries(got.path)
    assert found["0.txt"].compress_size >= found["0.txt"].file_size
    assert found["1.txt"].compress_size < found["1.txt"].file_size


def test_compression_is_a_setting(make_service, origin):
    service = make_service(COMPRESSION="store", COMPRESSION_LEVEL=9)
    file = origin.file("a.txt", kind="text", size="300k")
    got = service.zip([file.entry()])
    judges.judge_all(got.well(), expected([file]))
    assert entries(got.path)["a.txt"].compress_size >= 300 << 10


@pytest.mark.parametrize("level", [1, 3, 4, 9])
def test_levels(make_service, origin, level):
    service = make_service(COMPRESSION_LEVEL=level)
    file = origin.file("a.txt", kind="text", size="2m", framing="chunked")
    got = service.zip([file.entry()])
    judges.judge_all(got.well(), expected([file]))


def test_never_stored_with_a_descriptor(service, origin):
    """Java's streaming reader refuses those."""
    files = [origin.file(f"{i}", size=size, framing=framing)
             for i, (size, framing) in enumerate(
                 (s, f) for s in (0, 9, 70000, 300000)
                 for f in ("length", "chunked"))]
    for mode in ("auto", "store", "deflate"):
        got = service.zip([f.entry() for f in files], compression=mode)
        judges.check(got.well(), expected(files))
        for info in entries(got.path).values():
            assert (info.compress_type == DEFLATE
                    or not info.flag_bits & DESCRIPTOR)


@pytest.mark.parametrize("size", [10, 70000, 3_000_000])
def test_declared_facts_are_used(service, origin, size):
    file = origin.file("n.jpg", size=size)
    got = service.zip([file.entry(size=size, crc32=f"{file.crc:08x}")])
    judges.judge_all(got.well(), expected([file]))
    info = entries(got.path)["n.jpg"]
    assert (info.compress_type, info.flag_bits & DESCRIPTOR) == (STORE, 0)
    assert int(got.headers["Content-Length"]) == len(got.bytes)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [10, 70000, 3_000_000])
@pytest.mark.parametrize("wrong", [
    lambda f: {"size": f.wish.size - 1}, lambda f: {"size": f.wish.size + 1},
    lambda f: {"crc32": f"{f.crc ^ 1:08x}"},
    lambda f: {"crc32": f"{f.crc ^ 1:08x}", "size": f.wish.size}],
    ids=["short", "long", "crc", "crc and size"])
def test_declared_facts_that_are_wrong(service, origin, size, framing,
                                       wrong):
    file = origin.file("n.jpg", size=size, framing=framing)
    service.zip([file.entry(**wrong(file))]).failed()


@pytest.mark.parametrize("wrong", [
    {"size": -1}, {"size": "big"}, {"size": 1.5}, {"crc32": "123"},
    {"crc32": "zzzzzzzz"}, {"crc32": 12345678}, {"mtime": "yesterday"},
    {"compression": "zip"}, {"size": 2**63}])
def test_declared_facts_that_are_nonsense(service, wrong):
    answer = service.post("/", {"filename": "a", "files": [
        {"src": "http://example.com/a", **wrong}]})
    assert answer.status_code == 400, answer.text
    assert next(iter(wrong)) in answer.json()["message"]


def test_length_is_known_when_sources_tell(service, origin):
    """So that a browser shows progress, and a cut is seen everywhere."""
    files = [origin.file(f"{i}.jpg", size=size, type="image/jpeg")
             for i, size in enumerate((0, 10, 70000, 3_000_000))]
    got = service.zip([f.entry() for f in files])
    judges.judge_all(got.well(), expected(files))
    assert int(got.headers["Content-Length"]) == len(got.bytes)


def test_range_of_a_stored_bundle(service, origin):
    files = [origin.file(f"{i}.dat", size=size, kind=kind)
             for i, (size, kind) in enumerate([
                 ("200k", "random"), ("300k", "text"), (5, "text")])]
    bundle = service.create([f.entry() for f in files])
    whole = service.fetch(bundle)
    judges.judge_all(whole.well(), expected(files))
    size = len(whole.bytes)
    for first, last in ((0, 0), (0, size - 1), (1, 99), (150_000, 250_000),
                        (size - 30, size - 1)):
        part = service.fetch(bundle, "-r", f"{first}-{last}")
        assert (part.exit, part.status) == (0, 206), part.said
        assert part.bytes == whole.bytes[first:last + 1]
        assert part.headers["Content-Range"] == (
            f"bytes {first}-{last}/{size}")
    beyond = service.fetch(bundle, "-r", f"{size}-")
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{size}"


def test_content_is_what_the_tests_think():
    """The yardstick itself: any range is a slice of the whole."""
    whole = content.body(7, 3 * content.BLOCK + 5, "text")
    assert len(whole) == 3 * content.BLOCK + 5
    for first, end in ((0, 1), (content.BLOCK - 1, content.BLOCK + 1),
                       (5, len(whole)), (2 * content.BLOCK, len(whole))):
        part = b"".join(content.pieces(7, "text", first, end))
        assert part == whole[first:end]
    assert content.body(7, 600000) != content.body(8, 600000)
