# SPDX-License-Identifier: AGPL-3.0-or-later
"""What nobody else may learn is in no log and in no answer to another,
through a whole life with everything that can go wrong in it."""

import json

import pytest

import fastcgi
import pool as pools

KEY = "key-5f2c9a7e1b"
AWS_SECRET = "aws+secret/9d0f6b3c"
AWS_TOKEN = "aws-session-4a8e2c"
DB_PASSWORD = "db-password-7c1d"
SIGNATURE = "X-Amz-Signature=0a1b2c3d4e5f"
USERINFO = "userinfo-3e9b"

AWS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
       "AWS_SECRET_ACCESS_KEY": AWS_SECRET, "AWS_SESSION_TOKEN": AWS_TOKEN}


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_life_without_a_leak(make_service, origin, format_):
    service = make_service(API_KEYS=KEY, LOG_LEVEL="debug",
                           LOG_FORMAT=format_, **AWS, SOURCE_RETRIES=1,
                           AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    keys = {"Authorization": f"Bearer {KEY}"}
    secrets = [KEY, AWS_SECRET, AWS_TOKEN, SIGNATURE, USERINFO]

    def signed(file) -> str:
        return file.url + "&" + SIGNATURE

    good, gone, dead = (origin.file("good"), origin.file("gone", status=403),
                        origin.file("dead", size="3m", die="1m", ranges="no"))
    away = origin.file("away", to=f"http://user:{USERINFO}@localhost:1/x?"
                                  + SIGNATURE)
    lists = [[good], [gone, away], [dead], [good, gone]]
    for files in lists:
        entries = [{"src": signed(f), "dst": f.dst} for f in files]
        for on_error in ("abort", "report"):
            document = {"filename": "a", "files": entries,
                        "onError": on_error}
            made = service.post("/", document, headers=keys)
            bundle = made.json()
            secrets.append(bundle["secret"])
            # A stranger has the link alone.
            got = service.curl(f"/{bundle['id']}/")
            for secret in (SIGNATURE, bundle["secret"], USERINFO):
                assert secret.encode() not in got.bytes
            path = f"/{bundle['id']}/{bundle['secret']}"
            for method in ("GET", "PUT", "PATCH", "DELETE", "GET"):
                service.call(method, path + "/", json={"files": entries})
            service.get(path + "/x/y")
            service.get(f"{path}%2F")
            service.get(path[:37] + "%2F" + path[38:])
            service.get(f"/{bundle['id']}/status/{bundle['secret']}")
            service.get(f"//{bundle['id']}//{bundle['secret']}")
            service.get(f"/{bundle['id']}?secret={bundle['secret']}")
    s3 = {"filename": "a", "files": [{"src": "s3://bucket/key"}]}
    service.curl("/bundle", "-H", f"X-Api-Key: {KEY}", data=json.dumps(s3))
    service.post("/", s3, headers={"X-Api-Key": KEY + "x"})
    service.post(f"/?key={KEY}", s3)
    for src in (f"http://user:{USERINFO}@example.com/x?{SIGNATURE}",
                f"gopher://example.com/?{SIGNATURE}",
                f"http://127.0.0.1/?{SIGNATURE}"):
        service.post("/", {"filename": "a", "files": [{"src": src}]},
                     headers=keys)
    log = service.pool.log()
    assert len(log.splitlines()) > 50
    for secret in secrets:
        assert secret not in log, next(
            line for line in log.splitlines() if secret in line)


def test_database_password_stays_out(tmp_path):
    """Of the log when it cannot be reached, and of `zipstream config`."""
    for cnxn in (f"postgres://user:{DB_PASSWORD}@127.0.0.1:9/db",
                 f"host=127.0.0.1 port=9 user=u password={DB_PASSWORD}",
                 f"host=127.0.0.1 port=9 user=u password = '{DB_PASSWORD}'",
                 f"postgres://u@127.0.0.1:9/db?password={DB_PASSWORD}",
                 f"postgres://user:{DB_PASSWORD}/@127.0.0.1:9/db"):
        settings = {"DB_CNXN": cnxn, "DB_TIMEOUT": "1s",
                    "LOG_LEVEL": "debug", "API_KEYS": KEY, **AWS}
        for command in ("init", "purge", "config"):
            done = pools.program(tmp_path, command, settings=settings)
            assert done.returncode == (0 if command == "config" else 1)
            said = done.stdout + done.stderr
            assert said
            for secret in (DB_PASSWORD, KEY, AWS_SECRET, AWS_TOKEN):
                assert secret not in said, (command, cnxn)


def test_masked_in_a_message_about_the_setting(tmp_path):
    done = pools.program(tmp_path, "config",
                         settings={"API_KEYS": "a" * 5000 + KEY})
    assert done.returncode == 1 and "API_KEYS" in done.stderr
    assert KEY not in done.stderr
    done = pools.program(tmp_path, "config", settings={
        "SOURCE_PROXY": f"socks5://user:{USERINFO}@proxy:1080"})
    assert done.returncode == 1 and "SOURCE_PROXY" in done.stderr
    assert USERINFO not in done.stderr


# -- the FastCGI socket -------------------------------------------------------

HOSTILE = {
    "nothing": b"",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(1000),
    "half a head": fastcgi.head(fastcgi.GET)[:40],
    "another version": b"\2" + fastcgi.head(fastcgi.GET)[1:],
    "lengths of CVE-2025-23016": fastcgi.begin() + fastcgi.record(
        fastcgi.PARAMS, b"\xff" * 8 + b"x" * 100) + fastcgi.record(
        fastcgi.PARAMS),
    "2 GiB of a name": fastcgi.begin() + fastcgi.record(
        fastcgi.PARAMS, b"\xff\xff\xff\xf0\0x") + fastcgi.record(
        fastcgi.PARAMS),
    "two begins": fastcgi.begin() + fastcgi.head(fastcgi.GET),
    "authorizer": fastcgi.begin(2) + fastcgi.record(fastcgi.PARAMS),
    "body first": fastcgi.begin() + fastcgi.record(fastcgi.STDIN, b"x"),
    "unknown type": fastcgi.record(99),
    "too much of a head": fastcgi.begin() + fastcgi.record(
        fastcgi.PARAMS, fastcgi.pair("A", "b" * 60000)) * 3,
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_garbage_on_the_socket(service, kind):
    """It is closed on; no worker dies of it (the fixture `blames` looks)."""
    with fastcgi.connect(service.pool.socket) as sock:
        try:
            sock.sendall(HOSTILE[kind])
            sock.shutdown(1)
        except OSError:
            return  # It has been closed already.
        text, ended = fastcgi.answer(sock)
        assert not text and not ended
    assert service.get("/health-check").status_code == 200


def test_the_socket_by_hand_works_at_all(service):
    with fastcgi.connect(service.pool.socket) as sock:
        sock.sendall(fastcgi.head(fastcgi.GET) + fastcgi.record(
            fastcgi.STDIN))
        text, ended = fastcgi.answer(sock)
    assert text.endswith("\r\n\r\nOK") and ended
