# SPDX-License-Identifier: AGPL-3.0-or-later
"""The clients of examples/clients, as their readers would run them."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import judges

CLIENTS = pathlib.Path(__file__).resolve().parents[2] / "examples/clients"
PROGRAMS = {"curl.sh": "sh", "zipstream.py": "/usr/bin/python3",
            "zipstream.mjs": "node", "zipstream.php": "php"}


@pytest.fixture(params=list(PROGRAMS))
def client(request):
    """Runs the client: (exit status, standard output, error output)."""
    program = shutil.which(PROGRAMS[request.param])
    if not program:
        pytest.skip(f"{PROGRAMS[request.param]} is missing: `make deps-test`")

    def run(service, out, *links, key: str = ""):
        return subprocess.run(
            [program, CLIENTS / request.param, service.url("/zip/"), out,
             *links], capture_output=True, text=True, timeout=60,
            env={**os.environ, "ZIPSTREAM_KEY": key})

    run.name = request.param
    return run


def test_a_zip_comes(client, service, origin, tmp_path):
    files = [origin.file("a.txt", size=300_000, kind="text"),
             origin.file("b.bin", size=70_000)]
    out = tmp_path / "out.zip"
    done = client(service, out, *(f.url for f in files))
    assert done.returncode == 0, done.stderr
    judges.check(out, {f.dst: f.bytes for f in files})
    if client.name == "curl.sh":
        return
    links = dict(re.findall(r"^(share|manage): (\S+)$", done.stdout, re.M))
    assert links["share"] == links["manage"].rsplit("/", 1)[0]
    path = "/" + "/".join(links["manage"].split("/")[-2:])
    shown = service.get(path).json()
    assert [f["src"] for f in shown["files"]] == [f.url for f in files]


def test_a_failure_is_told(client, service, origin, tmp_path):
    gone = origin.file("gone.bin", status=404)
    out = tmp_path / "out.zip"
    done = client(service, out, gone.url)
    assert done.returncode == 1
    assert "A source failed" in done.stderr and "gone.bin" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("name, type", [
    ("known.jpg", "image/jpeg"), ("unknown.txt", "text/plain")])
def test_a_zip_that_breaks_off_is_none(client, service, origin, tmp_path,
                                       name, type):
    """The source dies half-way for good; the zip's length is known, or not."""
    dying = origin.file(name, type=type, size="3m", die="1m", ranges="no")
    out = tmp_path / "out.zip"
    done = client(service, out, dying.url)
    assert done.returncode != 0
    assert done.stderr and "Traceback" not in done.stderr
    assert not out.exists()


def test_with_a_key(client, make_service, origin, tmp_path):
    service = make_service(API_KEYS="good")
    file, out = origin.file("a.bin"), tmp_path / "out.zip"
    assert client(service, out, file.url, key="bad").returncode == 1
    assert client(service, out, file.url, key="good").returncode == 0
    judges.check(out, {file.dst: file.bytes})


def test_python_goes_on_where_it_broke_off(origin, tmp_path):
    """Against a plain origin that cuts the first answer half-way."""
    file = origin.file("whole.zip", size=300_000, die=100_000, times=1)
    out = tmp_path / "out.zip"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys, zipstream; "
         "zipstream.download(*sys.argv[1:])", file.url, out],
        cwd=CLIENTS, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == file.bytes
    assert file.books["requests"] == 2


def test_html_form(browser, service, origin, tmp_path):
    """As it lies there, but for the service's address and the links."""
    text = (CLIENTS / "form.html").read_text()
    files = {"holiday/beach.jpg": origin.file("1.jpg"),
             "holiday/hills.jpg": origin.file("2.jpg")}
    text = text.replace("http://localhost:4040/bundle", service.url("/bundle"))
    for i, file in enumerate(files.values(), 1):
        text = text.replace(f"https://example.com/{i}.jpg", file.url)
    page, to = tmp_path / "form.html", tmp_path / "got.zip"
    page.write_text(text)
    found = browser.play("form", url=page.as_uri(), to=to)
    assert found["name"] == "holiday.zip"
    judges.check(to, {name: file.bytes for name, file in files.items()})
