# SPDX-License-Identifier: AGPL-3.0-or-later
"""`zipstream zip`: the service's zip from the command line, whole, broken
off, gone on with, and watched on a terminal."""

import json
import os
import pathlib
import signal
import subprocess
import time

import judges
import pool as pools
import pytest
import requests
from pool import wait_until
from terminal import Terminal

SETTINGS = {"SOURCE_RETRIES": 0, "SOURCE_RESUMES": 0, "STALL_TIMEOUT": "3s"}


def write(folder: pathlib.Path, files: list, **more) -> pathlib.Path:
    path = folder / "list.json"
    path.write_text(json.dumps({"files": [f.entry() for f in files], **more}))
    return path


def run(folder: pathlib.Path, *arguments, code: int = 0, **more):
    settings = {"LOG_LEVEL": "info", **SETTINGS, **more.pop("settings", {})}
    done = pools.program(folder, "zip", *arguments, settings=settings, **more)
    assert done.returncode == code, (done.returncode, done.stderr)
    return done


def sample(origin) -> list:
    return [origin.file("text.txt", size="300k", kind="text",
                        type="text/plain"),
            origin.file("picture.jpg", size="2m", type="image/jpeg"),
            origin.file("folder/small.txt", size=50, kind="text"),
            origin.file("unsized.csv", size="400k", kind="text",
                        framing="chunked")]


def expected(files: list) -> dict:
    return {f.dst: f.bytes for f in files}


def test_it_is_the_service_s_zip(service, origin, tmp_path):
    files = sample(origin)
    path = write(tmp_path, files, filename="named")
    done = run(tmp_path, path)
    assert done.stdout == "" and done.stderr == ""
    judges.judge_all(tmp_path / "named.zip", expected(files))
    assert sorted(x.name for x in tmp_path.iterdir()) == [
        "list.json", "named.zip"]
    got = service.zip([f.entry() for f in files]).well()
    assert got.read_bytes() == (tmp_path / "named.zip").read_bytes()


def test_standard_input_and_output(origin, tmp_path):
    files = sample(origin)
    text = write(tmp_path, files).read_text()
    done = subprocess.run(
        [pools.binary(), "zip", "-o", "-"], input=text.encode(),
        env=pools.environment(tmp_path, SETTINGS), capture_output=True,
        timeout=60)
    assert done.returncode == 0, done.stderr
    (tmp_path / "a.zip").write_bytes(done.stdout)
    judges.check(tmp_path / "a.zip", expected(files))
    run(tmp_path, "-", "-o", "b.zip", input=text)
    judges.check(tmp_path / "b.zip", expected(files))


@pytest.mark.parametrize("manifest, said", [
    ("{}", '"files" is required'), ("[", "Invalid JSON"),
    ('{"files":[{"src":"ftp://x/y"}]}', "Protocol 'ftp' not supported."),
    ('{"files":[{"src":"http://127.0.0.1/y"}]}', "IP Addresses")])
def test_a_bad_manifest(tmp_path, manifest, said):
    done = run(tmp_path, code=1, input=manifest)
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, said", [
    (["-o", "-", "-C"], "-C needs a file"), (["a", "b"], "too many"),
    (["-o"], "unknown option")])
def test_wrong_usage(tmp_path, arguments, said):
    assert said in run(tmp_path, *arguments, code=2, input="").stderr


@pytest.mark.parametrize("name, said", [
    ("sub", "sub is a folder"), ("none/", "none/ is a folder"),
    ("", "name is empty")])
def test_names_that_no_zip_can_have(origin, tmp_path, name, said):
    """They are refused before anything is fetched or written."""
    files = sample(origin)
    path = write(tmp_path, files)
    (tmp_path / "sub").mkdir()
    before = sorted(tmp_path.iterdir())
    assert said in run(tmp_path, "-o", name, path, code=2).stderr
    assert sorted(tmp_path.iterdir()) == before
    assert files[0].books["requests"] == 0


def test_a_manifest_s_name_that_is_a_folder_s(origin, tmp_path):
    files = sample(origin)
    (tmp_path / "sub.zip").mkdir()
    done = run(tmp_path, write(tmp_path, files, filename="sub"), code=1)
    assert "sub.zip is a folder" in done.stderr
    assert not list(tmp_path.glob("*.part*"))
    assert files[0].books["requests"] == 0


def test_a_missing_manifest(tmp_path):
    assert "Cannot read nowhere.json" in run(tmp_path, "nowhere.json",
                                             code=1).stderr


def test_private_networks_are_refused(origin, tmp_path):
    path = write(tmp_path, sample(origin))
    done = run(tmp_path, path, code=1,
               settings={"ALLOW_PRIVATE_NETWORKS": "10.0.0.0/8"})
    assert "text.txt" in done.stderr
    assert not (tmp_path / "bundle.zip").exists()


def test_failing_sources_are_listed(origin, tmp_path):
    files = [*sample(origin), origin.file("gone.txt", status=404),
             origin.file("late/broken.bin", status=500)]
    done = run(tmp_path, write(tmp_path, files), code=1)
    assert "gone.txt" in done.stderr and "404" in done.stderr
    assert "broken.bin" in done.stderr and "500" in done.stderr
    assert not (tmp_path / "bundle.zip").exists()


def test_on_error_report(origin, tmp_path):
    files = [*sample(origin), origin.file("gone.txt", status=404)]
    done = run(tmp_path, write(tmp_path, files, onError="report"))
    assert "gone.txt" in done.stderr
    found = judges.python(tmp_path / "bundle.zip")
    assert b"gone.txt" in found.pop("_errors.txt")
    assert found == expected(files[:-1])


def break_off(folder, files, **more) -> pathlib.Path:
    """A first run that fails; returns what it has left."""
    path = write(folder, files)
    done = run(folder, path, code=1, **more)
    assert "can be gone on with" in done.stderr
    part = folder / "bundle.zip.part"
    assert part.stat().st_size > 0
    assert (folder / "bundle.zip.part.state").exists()
    return part


def fetched(files: list) -> list:
    return [f.books["bytes"] for f in files]


@pytest.mark.parametrize("kind", ["picture.jpg", "text.txt"])
def test_going_on_reads_only_what_is_missing(origin, tmp_path, kind):
    """The third of five breaks off once, in its midst."""
    files = [origin.file("a.jpg", size="3m"),
             origin.file("b.txt", size="500k", kind="text"),
             origin.file("c/" + kind, size="4m", die="2m", times=1,
                         kind="text" if kind == "text.txt" else "random"),
             origin.file("d.txt", size="100k", kind="text"),
             origin.file("e.jpg", size="1m")]
    kept = break_off(tmp_path, files).stat().st_size
    before = fetched(files)
    run(tmp_path, "-C", "list.json")
    judges.judge_all(tmp_path / "bundle.zip", expected(files))
    again = [b - a for a, b in zip(before, fetched(files))]
    assert again[:2] == [0, 0]
    if kind == "picture.jpg":
        assert kept > 5 << 20
        # The CRC of what is there is known.
        assert again[2] <= (2 << 20) + 65536
    assert [x.name for x in sorted(tmp_path.iterdir())] == [
        "bundle.zip", "list.json"]
    run(tmp_path, "-o", "whole.zip", "list.json")
    assert ((tmp_path / "bundle.zip").read_bytes()
            == (tmp_path / "whole.zip").read_bytes())


def test_a_part_that_is_cut_anywhere_is_gone_on_with(origin, tmp_path):
    files = [origin.file("a.jpg", size="200k"),
             origin.file("b.txt", size="150k", kind="text"),
             origin.file("c.txt", size=100, kind="text"),
             # It is looked at once before it is read.
             origin.file("d.jpg", size="900k", die="700k", times=2)]
    part = break_off(tmp_path, files)
    state = tmp_path / "bundle.zip.part.state"
    text, bytes_ = state.read_bytes(), part.read_bytes()
    run(tmp_path, "-o", "whole.zip", "list.json")
    whole = (tmp_path / "whole.zip").read_bytes()
    for size in (1, 40, 199_000, 205_200, len(bytes_) - 1, len(bytes_)):
        part.write_bytes(bytes_[:size])
        state.write_bytes(text)
        run(tmp_path, "-C", "list.json")
        assert (tmp_path / "bundle.zip").read_bytes() == whole, size


def test_a_source_that_changed_begins_anew(origin, tmp_path):
    files = [origin.file("a.jpg", size="1m"),
             origin.file("b.jpg", size="1m", die="500k", times=1, change=1)]
    break_off(tmp_path, files)
    run(tmp_path, "-C", "list.json")
    found = judges.python(tmp_path / "bundle.zip")
    assert found["a.jpg"] == files[0].bytes
    assert found["b.jpg"] != files[1].bytes


def test_another_list_begins_anew(origin, tmp_path):
    files = [origin.file("a.jpg", size="1m"),
             origin.file("b.jpg", size="1m", die="500k", times=1)]
    break_off(tmp_path, files)
    others = files[::-1]
    write(tmp_path, others)
    run(tmp_path, "-C", "list.json")
    judges.check(tmp_path / "bundle.zip", expected(others))


def test_without_c_it_begins_anew(origin, tmp_path):
    files = [origin.file("a.jpg", size="1m"),
             origin.file("b.jpg", size="1m", die="500k", times=1)]
    break_off(tmp_path, files)
    run(tmp_path, "list.json")
    judges.check(tmp_path / "bundle.zip", expected(files))
    assert files[0].books["requests"] >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_gone_on_with(origin, tmp_path, number):
    files = [origin.file("a.jpg", size="300k"),
             origin.file("b.jpg", size="900k", rate="200k")]
    path = write(tmp_path, files)
    process = subprocess.Popen(
        [pools.binary(), "zip", path], cwd=tmp_path, stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
        env=pools.environment(tmp_path, SETTINGS))
    part = tmp_path / "bundle.zip.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 300_000,
               "the first file")
    process.send_signal(number)
    said = process.communicate(timeout=10)[1]
    if number == signal.SIGINT:
        assert process.returncode == 1
        assert "stopped" in said and "zip -C" in said
    run(tmp_path, "-C", path)
    judges.check(tmp_path / "bundle.zip", expected(files))
    assert files[0].books["bytes"] < 330_000


def test_two_runs_at_a_time_are_one_too_many(origin, tmp_path):
    files = [origin.file("a.jpg", size="600k", rate="200k")]
    path = write(tmp_path, files)
    first = subprocess.Popen(
        [pools.binary(), "zip", path], cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=pools.environment(tmp_path, SETTINGS))
    wait_until((tmp_path / "bundle.zip.part.state").exists, "the first run")
    assert "Cannot take" in run(tmp_path, path, code=1).stderr
    assert first.wait(20) == 0
    judges.check(tmp_path / "bundle.zip", expected(files))


def test_a_full_disk_is_said(origin, tmp_path):
    done = subprocess.run(
        [pools.binary(), "zip", "-o", "-", write(tmp_path, sample(origin))],
        env=pools.environment(tmp_path, SETTINGS), timeout=60,
        stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "No space left" in done.stderr


def test_the_bar_on_a_terminal(origin, tmp_path):
    files = [origin.file(f"{i}.jpg", size="500k", rate="400k")
             for i in range(3)]
    path = write(tmp_path, files, filename="holiday")
    with Terminal(tmp_path, columns=100) as terminal:
        terminal.run(pools.binary(), "zip", path,
                     env=pools.environment(tmp_path, {
                         **SETTINGS, "READ_AHEAD_FILES": 1}))
        seen = terminal.wait_for(r"\[=+> *\] +\d+%.*MiB/1\.5 MiB.*KiB/s.*"
                                 r"[1-3]/3 files.*0:0\d left")
        assert seen.startswith("holiday.zip")
        terminal.wait_for(r"\[=+\] 100% .* 3/3 files  in 0:0\d")
        terminal.wait_for(r"exit 0")
        # One line, drawn over and over.
        assert terminal.screen().count("holiday.zip") == 1
    judges.check(tmp_path / "holiday.zip", expected(files))


def test_a_narrow_terminal_and_quiet(origin, tmp_path):
    files = [origin.file("a.jpg", size="300k", rate="200k")]
    path = write(tmp_path, files)
    environment = pools.environment(tmp_path, SETTINGS)
    with Terminal(tmp_path, columns=40) as terminal:
        terminal.run(pools.binary(), "zip", path, env=environment)
        terminal.wait_for(r"exit 0")
        assert terminal.screen().count("bundle.zip") == 1
    with Terminal(tmp_path, columns=100) as terminal:
        terminal.run(pools.binary(), "zip", "--quiet", path, env=environment)
        terminal.wait_for(r"exit 0")
        assert "bundle.zip" not in terminal.screen()


def test_a_terminal_gets_no_zip(origin, tmp_path):
    with Terminal(tmp_path, columns=100) as terminal:
        terminal.run(pools.binary(), "zip", "-o", "-",
                     write(tmp_path, sample(origin)),
                     env=pools.environment(tmp_path, SETTINGS))
        terminal.wait_for("a zip is not for a terminal")
        terminal.wait_for("exit 2")


def test_status_of_a_running_pool(service, origin, tmp_path):
    slow = origin.file("slow.jpg", size="2m", rate="500k")
    bundle = service.create([slow.entry()])
    folder, settings = service.pool.state, service.pool.settings
    answer = requests.get(service.url(f"/{bundle['id']}"), stream=True,
                          timeout=60)
    once = wait_until(
        lambda: (lambda said: said if "sending" in said else "")(
            pools.program(folder, "status", settings=settings).stdout),
        "the download in the table")
    assert f"pool {service.pool.pid}, up" in once
    row = next(x for x in once.splitlines() if "sending" in x)
    assert bundle["id"][:8] + "..." in row and bundle["id"] not in once
    assert "2.0 MiB" in row and "0/1" in row
    with Terminal(tmp_path, columns=110) as terminal:
        terminal.run(pools.binary(), "status",
                     env=pools.environment(folder, settings))
        first = terminal.wait_for(r"sending +0:0\d.*0/1 ")
        time.sleep(1.2)
        assert terminal.wait_for(r"sending +0:0\d.*0/1 ") != first
        terminal.keys("C-c")
        terminal.wait_for(r"exit 130")
    answer.close()


def test_status_without_a_pool(tmp_path):
    done = pools.program(tmp_path, "status")
    assert done.returncode == 1
    assert "No pool is running" in done.stdout


def test_a_killed_pool_leaves_no_status(make_service):
    service = make_service()
    folder, pid = service.pool.state, service.pool.pid
    board = folder / f"scoreboard.{pid}"
    assert board.stat().st_mode & 0o777 == 0o600
    service.pool.kill()
    assert pools.program(folder, "status").returncode == 1
    service.pool.start()
    assert not board.exists(), "what is dead is removed"
    service.pool.stop()
    assert not list(folder.glob("scoreboard.*"))


@pytest.mark.parametrize("closed, more, code", [
    (">&-", "-o -", 1), ("<&- >&- 2>&-", "-o -", 1), ("> /dev/full", "-o -", 1),
    ("<&- >&- 2>&-", "-o whole.zip", 0)])
def test_closed_standard_descriptors(origin, tmp_path, closed, more, code):
    """No socket of ours becomes one of them and takes what is printed."""
    file = origin.file("a.txt", size=50)
    path = write(tmp_path, [file])
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" zip {more} "$1" {closed}', pools.binary(),
         path], cwd=tmp_path, env=pools.environment(tmp_path, SETTINGS),
        stdout=subprocess.DEVNULL, timeout=60)
    assert done.returncode == code
    if code == 0:
        judges.check(tmp_path / "whole.zip", expected([file]))


@pytest.mark.parametrize("command", ["config", "--help", "--version"])
def test_what_cannot_be_printed_is_a_failure(tmp_path, command):
    with open("/dev/full", "w") as full:
        done = subprocess.run([pools.binary(), command], stdout=full,
                              env=pools.environment(tmp_path, {}))
    assert done.returncode == 1


def test_only_files_are_replaced(origin, tmp_path):
    """As root, `-o /dev/null` would be the end of that."""
    path = write(tmp_path, [origin.file("a.txt", size=50)])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, said in (("pipe", "no file"), ("folder", "a folder")):
        done = run(tmp_path, "-o", tmp_path / name, path, code=2)
        assert said in done.stderr
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "folder").is_dir()
    assert not list(tmp_path.glob("*.part*"))
