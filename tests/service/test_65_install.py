# SPDX-License-Identifier: AGPL-3.0-or-later
"""What `make install` and `make deb` put where."""

import os
import shutil
import subprocess

import judges
import pool as pools
import pytest

pytestmark = pytest.mark.skipif(
    "build/zipstream" != str(pools.binary().relative_to(pools.ROOT)),
    reason="only the plain build is installed")


def make(*arguments, **variables) -> str:
    done = subprocess.run(["make", "-s", *arguments], cwd=pools.ROOT,
                          env={**os.environ, **variables},
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder) -> set:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")
            if path.is_file()}


WANTED = {
    "bin/zipstream", "share/man/man1/zipstream.1",
    "share/man/man5/zipstream.conf.5",
    "share/doc/zipstream/zipstream.env.sample",
    "share/doc/zipstream/grafana/zipstream.json",
    "share/bash-completion/completions/zipstream",
    "lib/systemd/system/zipstream.service",
    "lib/systemd/system/zipstream.socket"}


def test_install_and_uninstall(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/zip")
    prefix = tmp_path / "opt" / "zip"
    assert files(prefix) == WANTED
    said = subprocess.run([prefix / "bin" / "zipstream", "--version"],
                          capture_output=True, text=True)
    assert said.stdout.startswith("zipstream ")
    unit = (prefix / "lib/systemd/system/zipstream.service").read_text()
    assert "ExecStart=/opt/zip/bin/zipstream" in unit
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/zip")
    assert not files(tmp_path)


@pytest.fixture(scope="module")
def deb(tmp_path_factory):
    """The package, unpacked; under a name that is somebody's."""
    if not shutil.which("dpkg-shlibdeps"):
        pytest.skip("no Debian")
    said = make("deb", DEBEMAIL="zipstream@zipstream.net")
    deb = pools.ROOT / said.split()[-1]
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
    return deb, folder


def test_the_debian_package(deb):
    tree = deb[1]
    found = files(tree)
    assert {"usr/bin/zipstream", "etc/zipstream/zipstream.env",
            "lib/systemd/system/zipstream.service",
            "usr/share/man/man1/zipstream.1.gz",
            "usr/share/doc/zipstream/copyright",
            "usr/share/doc/zipstream/changelog.gz",
            "usr/share/doc/zipstream/examples/nginx/zipstream.conf"} <= found
    control = tree / "DEBIAN"
    assert (control / "conffiles").read_text() == (
        "/etc/zipstream/zipstream.env\n")
    fields = (control / "control").read_text()
    assert "zipstream@zipstream.net" in fields
    for library in ("libcurl4", "libpq5", "libsqlite3-0"):
        assert f"{library} (>= " in fields
    for name in ("postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", control / name], check=True)
    unit = (tree / "lib/systemd/system/zipstream.service").read_text()
    assert "/usr/bin/zipstream --config /etc/zipstream/zipstream.env" in unit
    assert [path for path in (tree / "usr/share/doc").rglob("*.conf")
            if "/usr/local/" in path.read_text()] == []


def test_its_program_runs(deb, tmp_path):
    """With the settings that it brings along."""
    tree = deb[1]
    (tmp_path / "a.txt").write_text("packed")

    def run(*arguments, **more):
        done = subprocess.run(
            [tree / "usr/bin/zipstream", "--config",
             tree / "etc/zipstream/zipstream.env", *arguments],
            env=pools.environment(tmp_path, {"FS_INTERFACES": "file",
                                             "FILE_ROOT": tmp_path}),
            cwd=tmp_path, capture_output=True, text=True, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "FILE_ROOT=" in run("config")
    run("init")
    run("zip", "-o", "a.zip", input='{"files": [{"src": "file:///a.txt"}]}')
    judges.check(tmp_path / "a.zip", {"a.txt": b"packed"})


@pytest.mark.skipif(not shutil.which("lintian"), reason="no lintian")
def test_lintian_is_content(deb):
    done = subprocess.run(["lintian", "--allow-root", "-I", deb[0]],
                          capture_output=True, text=True)
    # systemd is what starts it.
    assert [line for line in done.stdout.splitlines()
            if "no-init.d-script" not in line] == [], done.stderr
