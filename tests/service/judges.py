# SPDX-License-Identifier: AGPL-3.0-or-later
"""Foreign zip readers, each asked what it finds in an archive.

A judge returns what it saw; `judge_all` compares all of them with what must
be there.  Three go by the central directory (unzip, 7z, Python), bsdtar by
both ways, and Java's ZipInputStream, the strictest streaming reader, by the
local headers alone.
"""

import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
JAVA_SOURCE = HERE / "java/ZipStreamRead.java"
ENV = {**os.environ, "LC_ALL": "C.UTF-8"}


def run(*command, stdin=None, text=True) -> "str | bytes":
    """Standard output of a reader that must be content."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, env=ENV,
                          timeout=300)
    said = (done.stdout[-1000:] + done.stderr[-1000:]).decode("utf-8",
                                                              "replace")
    assert done.returncode == 0, f"{command[0]}: {done.returncode}: {said}"
    assert not done.stderr, f"{command[0]} complains: {said}"
    return done.stdout.decode("utf-8") if text else done.stdout


@functools.lru_cache(maxsize=None)
def java_classes() -> tempfile.TemporaryDirectory:
    """Compiled once; gone with the process."""
    folder = tempfile.TemporaryDirectory(prefix="zipstream-java-")
    subprocess.run(["javac", "-d", folder.name, JAVA_SOURCE], check=True,
                   timeout=120)
    return folder


def unzip(path) -> list:
    """Names, after it has tested every entry."""
    run("unzip", "-tqq", path)
    return run("unzip", "-Z1", path).splitlines()


def sevenzip(path) -> list:
    """Names, after it has tested every entry.

    Warnings are in what it says, not in its exit status.
    """
    said = run("7z", "t", "-bd", "--", path)
    assert "Everything is Ok" in said and "arning" not in said, said
    listing = run("7z", "l", "-slt", "-ba", "--", path)
    names, folders = [], []
    for line in listing.splitlines():
        key, _, value = line.partition(" = ")
        if key == "Path":
            names.append(value)
        elif key == "Folder":
            folders.append(value == "+")
    return [n + "/" * f for n, f in zip(names, folders, strict=True)]


def bsdtar(path) -> list:
    return run("bsdtar", "-tf", path).splitlines()


def bsdtar_pipe(path) -> list:
    with open(path, "rb") as stream:
        return run("bsdtar", "-tf", "-", stdin=stream).splitlines()


def bsdtar_content(path) -> str:
    """SHA-256 of all entries' bytes one after the other, as streamed."""
    with open(path, "rb") as stream:
        bytes_ = run("bsdtar", "-xOf", "-", stdin=stream, text=False)
    return hashlib.sha256(bytes_).hexdigest()


def java(path) -> list:
    """(name, size, CRC-32) of every entry, as streamed."""
    said = run("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp",
               java_classes().name, "ZipStreamRead", str(path))
    found = []
    for line in said.splitlines():
        crc, size, name = line.split(" ", 2)
        found.append((name, int(size), int(crc, 16)))
    return found


def python(path) -> dict:
    """Name -> bytes."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(set(names)) == len(names), "a name comes twice"
        return {name: archive.read(name) for name in names}


def same(found: bytes, wanted: "bytes | str") -> bool:
    """Is it the bytes, or has it the SHA-256, that are wanted?"""
    if isinstance(wanted, str):
        return hashlib.sha256(found).hexdigest() == wanted
    return found == wanted


def check(path, expected: dict) -> None:
    """One quick judge: exactly these names, in order, with these bytes."""
    found = python(path)
    assert list(found) == list(expected)
    wrong = [n for n in expected if not same(found[n], expected[n])]
    assert not wrong, f"other bytes in {wrong}"


def check_empty(path) -> None:
    """An archive of nothing is its end record; unzip finds that odd."""
    done = subprocess.run(["unzip", "-t", path], capture_output=True,
                          timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and b"zipfile is empty" in said
    assert "Everything is Ok" in run("7z", "t", "-bd", "--", path)
    assert bsdtar(path) == bsdtar_pipe(path) == java(path) == []
    assert python(path) == {}


def judge_all(path, expected: dict) -> None:
    """Every reader finds exactly these names, in order, and these bytes.

    `expected`: name -> bytes, or the SHA-256 of them in hex.
    """
    check(path, expected)
    names = list(expected)
    for judge in (unzip, sevenzip, bsdtar, bsdtar_pipe):
        assert judge(path) == names, judge.__name__
    found = python(path)
    streamed = [(n, len(b), zlib.crc32(b)) for n, b in found.items()]
    assert java(path) == streamed
    whole = hashlib.sha256(b"".join(found.values())).hexdigest()
    assert bsdtar_content(path) == whole
