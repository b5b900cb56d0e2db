# SPDX-License-Identifier: AGPL-3.0-or-later
"""Foreign readers judge every zip layout that the service writes.

tests/unit/zip_sample.c writes the archives with the program's own zip and
codec modules.  Readers that check names, sizes and CRC-32s of the content
are used both ways: by the central directory and, Java's ZipInputStream and
bsdtar on a pipe, as a stream.
"""

import os
import subprocess
import zipfile

import pool as pools
import pytest

SHORT = ("stored", "packed", "deflated", "level0", "mixed", "utf8",
         "entries-65534", "entries-65535", "entries-70000")
# Over 4 GiB each, most of it holes.
LONG = ("long-archive", "long-stored", "long-level0", "long-deflated")

UTF8 = {**os.environ, "LC_ALL": "C.UTF-8"}


def run(*command):
    done = subprocess.run(command, capture_output=True, env=UTF8,
                          timeout=600)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said[-2000:]
    return done.stdout.decode("utf-8")


@pytest.fixture(scope="session")
def writer():
    return pools.unit("zip_sample")


@pytest.fixture(scope="session")
def stream_reader(tmp_path_factory):
    classes = tmp_path_factory.mktemp("java")
    run("javac", "-d", classes,
        pools.ROOT / "tests/service/java/ZipStreamRead.java")
    return "java", "-Xshare:auto", "-cp", classes, "ZipStreamRead"


@pytest.fixture(scope="module",
                params=[*SHORT, *(pytest.param(s, marks=pytest.mark.long)
                                  for s in LONG)])
def sample(request, writer, tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / f"{request.param}.zip"
    holds = run(writer, request.param, path)
    yield path, holds.splitlines()
    path.unlink()


def names(holds):
    return [line.split(" ", 2)[2] for line in holds]


def test_unzip(sample):
    path, holds = sample
    said = run("unzip", "-tqq", path)
    assert said == ""
    assert run("unzip", "-Z1", path).splitlines() == names(holds)


def test_7zip(sample):
    path, holds = sample
    said = run("7z", "t", path)
    assert "Everything is Ok" in said
    assert "Warning" not in said
    folders = sum(name.endswith("/") for name in names(holds))
    assert f"Files: {len(holds) - folders}\n" in said


def test_bsdtar_file(sample):
    path, holds = sample
    run("sh", "-c", 'bsdtar -xOf "$0" > /dev/null', path)
    assert run("bsdtar", "-tf", path).splitlines() == names(holds)


def test_bsdtar_pipe(sample):
    path, holds = sample
    run("sh", "-c", 'cat "$0" | bsdtar -xOf - > /dev/null', path)
    listed = run("sh", "-c", 'cat "$0" | bsdtar -tf -', path)
    assert listed.splitlines() == names(holds)


def test_python(sample):
    path, holds = sample
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = [f"{i.CRC:08x} {i.file_size} {i.filename}"
                 for i in archive.infolist()]
    assert found == holds


def test_java_stream(sample, stream_reader):
    path, holds = sample
    assert run(*stream_reader, path).splitlines() == holds


def test_versions_agree(sample):
    """7-Zip warns of entries whose two headers name different versions."""
    path, _ = sample
    with zipfile.ZipFile(path) as archive, open(path, "rb") as raw:
        for entry in archive.infolist():
            raw.seek(entry.header_offset + 4)
            local = int.from_bytes(raw.read(2), "little")
            assert local == entry.extract_version, entry.filename
