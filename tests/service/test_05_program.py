# SPDX-License-Identifier: AGPL-3.0-or-later
"""The command line: what a person or an init script meets first."""

import json
import pathlib
import re
import signal
import subprocess

import pytest

import pool as pools


def run(tmp_path, *arguments, **settings):
    return pools.program(tmp_path, *arguments, settings=settings)


def test_help_and_version(tmp_path):
    said = run(tmp_path, "--help")
    assert said.returncode == 0 and not said.stderr
    for word in ("serve", "init", "purge", "config", "--listen"):
        assert word in said.stdout
    said = run(tmp_path, "--version")
    assert said.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", said.stdout)


@pytest.mark.parametrize("arguments", [
    ("no-such-command",), ("--no-such-option",), ("serve", "--listen", "x"),
    ("serve", "--listen", "unix:"), ("serve", "--listen", "unix:/" + 200 * "x"),
    ("serve", "--listen", "127.0.0.1:70000"), ("init", "too", "much")])
def test_wrong_usage(tmp_path, arguments):
    said = run(tmp_path, *arguments)
    assert said.returncode == 2, said
    assert said.stderr and not said.stdout


@pytest.mark.parametrize("name, value", [
    ("COMPRESSION", "best"), ("COMPRESSION_LEVEL", "10"),
    ("DATA_LIFETIME", "-1"), ("MAX_BODY", "16 MBytes please"),
    ("NODE_ENV", "prod"), ("ALLOW_PRIVATE_NETWORKS", "10.0.0.0/33"),
    ("FS_INTERFACES", "s3,ftp"), ("PORT", "0"), ("PORT", "65536"),
    ("TABLE_NAME", 'x"; DROP TABLE y'), ("LOG_LEVEL", "loud"),
    ("MIN_SPARE_WORKERS", "two"), ("CA_FILE", "/proc/nothing"),
    ("DB_CNXN", "nonsense"), ("FILE_ROOT", "/proc/nothing")])
def test_invalid_setting_stops_every_command(tmp_path, name, value):
    settings = {"DB_INTERFACE": "postgres", "FS_INTERFACES": "https,file",
                name: value}
    for command in (["config"], ["init"],
                    ["serve", "--listen", f"unix:{tmp_path}/s"]):
        said = run(tmp_path, *command, **settings)
        assert said.returncode == 1, (command, said)
        assert name in said.stdout + said.stderr


def test_config_shows_all_and_masks_secrets(tmp_path):
    said = run(tmp_path, "config", API_KEYS="walnut",
               AWS_SECRET_ACCESS_KEY="pistachio", AWS_SESSION_TOKEN="almond",
               DB_INTERFACE="postgres",
               DB_CNXN="postgres://me:hazelnut@localhost/db")
    assert said.returncode == 0, said
    shown = dict(line.split("=", 1) for line in said.stdout.splitlines()
                 if "=" in line)
    assert shown["COMPRESSION"] == "auto"
    assert shown["DB_INTERFACE"] == "postgres"
    assert {"NODE_ENV", "PORT", "DATA_LIFETIME", "MAX_WORKERS"} <= set(shown)
    for nut in ("walnut", "pistachio", "almond", "hazelnut"):
        assert nut not in said.stdout + said.stderr


def test_file_of_settings_and_environment(tmp_path):
    """The file is read; the environment wins over it."""
    path = tmp_path / "some.conf"
    path.write_text("# a comment\n\nCOMPRESSION=store\nMAX_FILES=77\n")
    said = pools.program(tmp_path, "--config", str(path), "config",
                         settings={"COMPRESSION": "deflate"})
    assert said.returncode == 0, said
    assert "MAX_FILES=77" in said.stdout
    assert "COMPRESSION=deflate" in said.stdout
    missing = pools.program(tmp_path, "--config", "nowhere.conf", "config")
    assert missing.returncode == 1 and "nowhere.conf" in missing.stderr


def test_dot_env_in_the_working_directory(tmp_path):
    (tmp_path / ".env").write_text("MAX_FILES=78\n")
    assert "MAX_FILES=78" in run(tmp_path, "config").stdout


def test_init_twice(tmp_path):
    for _ in range(2):
        said = run(tmp_path, "init")
        assert said.returncode == 0, said
    assert list(tmp_path.glob("*.db"))


def test_database_out_of_reach(tmp_path):
    said = run(tmp_path, "init", DB_CNXN="/proc/nothing/here.db")
    assert said.returncode == 1 and said.stderr


def cgi_environment(state: pathlib.Path, method: str, path: str,
                    **settings) -> dict:
    return pools.environment(state, {
        "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": method,
        "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_URI": path,
        "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **settings})


def cgi(tmp_path, method: str, path: str, body: bytes = b"", **variables):
    environment = cgi_environment(tmp_path, method, path, **variables)
    done = subprocess.run([pools.binary()], env=environment, cwd=tmp_path,
                          input=body, capture_output=True, timeout=30)
    assert done.returncode == 0, done
    return done


def test_plain_cgi_answers_one_request(tmp_path):
    done = cgi(tmp_path, "GET", "/health-check")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b"Status: 200" in head and body == b"OK"


@pytest.mark.parametrize("length", ["-5", "+5", "5x", "99999999999999999999"])
def test_a_length_that_is_none(tmp_path, length):
    """The body then ends where standard input does."""
    body = b'{"filename": "%s"}' % (b"x" * 100_000)
    done = cgi(tmp_path, "POST", "/", body, CONTENT_LENGTH=length,
               CONTENT_TYPE="application/json")
    assert b"Status: 201" in done.stdout


def test_plain_cgi_is_noted_though_the_client_left(tmp_path):
    """A web server ends it as soon as its client, who has got the last byte,
    closes the connection."""
    environment = cgi_environment(tmp_path, "GET", "/health-check")
    for _ in range(20):
        with subprocess.Popen([pools.binary()], env=environment, cwd=tmp_path,
                              stdin=subprocess.DEVNULL, bufsize=0,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            answer = b""
            while not answer.endswith(b"\r\n\r\nOK"):
                answer += process.stdout.read(1)
            process.send_signal(signal.SIGTERM)
            said = process.stderr.read()
        assert process.returncode == 0 and b"/health-check" in said


def test_plain_cgi_ends_when_the_client_leaves(tmp_path, origin):
    file = origin.file("silent.bin", size="2m", stall="1m", stall_for=60)
    body = json.dumps({"files": [file.entry(size=2 << 20)]}).encode()
    environment = cgi_environment(
        tmp_path, "POST", "/bundle", CONTENT_TYPE="application/json",
        CONTENT_LENGTH=len(body), STALL_TIMEOUT="60s")
    with subprocess.Popen([pools.binary()], env=environment, cwd=tmp_path,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdin.write(body)
        process.stdin.close()
        assert len(process.stdout.read(1 << 20)) == 1 << 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 1
        assert b"client gone" in process.stderr.read()
