# SPDX-License-Identifier: AGPL-3.0-or-later
"""An export goes on alone, also where Apache gives out the processes."""

import contextlib
import json
import signal
import socket
import subprocess
import threading

import conftest
import fastcgi
import pytest
import scripted
import web_servers
from pool import binary, environment, wait_until

PATIENCE = 20  # seconds that S3 holds a part back at most


class Bucket:
    """Takes a part when it is released."""

    def __init__(self):
        self.released = threading.Event()
        self.server = scripted.Scripted(self.answer)
        self.settings = {
            "AWS_ENDPOINT_URL_S3": self.server.url, "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s", "EXPORT_ALLOW": "bucket"}

    def answer(self, asked: scripted.Asked) -> tuple:
        if asked.method == "PUT":
            self.released.wait(PATIENCE)
            return 200, {"ETag": '"part"'}, b""
        return 200, {}, b"<X><UploadId>one</UploadId></X>"


@pytest.fixture
def bucket():
    bucket = Bucket()
    yield bucket
    bucket.released.set()
    bucket.server.stop()


@pytest.mark.parametrize("kind", [web_servers.ApacheFcgid,
                                  web_servers.SharedHosting])
def test_nobody_waits_for_an_export(kind, origin, bucket):
    scene = web_servers.Scene({**conftest.IMPATIENT,
                               **bucket.settings}).start()
    there = web_servers.Deployment(scene, kind).start()
    try:
        made = there.post("/bundle", {
            "files": [origin.file("a.jpg", size="1m").entry()],
            "to": "s3://bucket/k.zip"})
        assert made.status_code == 202, made.text
        path = made.json()["status"].removeprefix(there.prefix)
        assert there.get("/health-check").status_code == 200
        assert there.get(path).json()["downloads"] == []
        bucket.released.set()
        ended = wait_until(lambda: there.get(path).json()["downloads"],
                           "the export's end")
        assert ended[0]["outcome"] == "done"
    finally:
        bucket.released.set()
        there.stop()
        scene.stop()


class Responder:
    """What mod_fcgid starts, and talks to, one request at a time."""

    def __init__(self, folder, settings: dict):
        self.path = folder / "4711.0"  # as mod_fcgid names its sockets
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.folder, self.settings = folder, settings
        self.process = self.start()

    def start(self) -> subprocess.Popen:
        self.process = subprocess.Popen(
            [binary()], cwd=self.folder, stdin=self.listener,
            env=environment(self.folder, self.settings))
        return self.process

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0

    def call(self, method: str, path: str, document=None) -> dict:
        body = json.dumps(document).encode() if document else b""
        with fastcgi.connect(self.path) as sock:
            sock.sendall(fastcgi.head({
                "REQUEST_METHOD": method, "REQUEST_URI": path,
                "SCRIPT_NAME": "", "PATH_INFO": path,
                "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "Apache",
                "CONTENT_TYPE": "application/json",
                "CONTENT_LENGTH": str(len(body))})
                + (fastcgi.record(5, body) if body else b"")
                + fastcgi.record(5))
            # Its process has the connection open for as long as it runs.
            text, _ = fastcgi.answer(sock, to_end=True)
        return json.loads(text.partition("\r\n\r\n")[2])


def test_what_becomes_of_an_export_is_kept(tmp_path, origin, bucket):
    """Its process shares the database with the one that it came from, which
    leaves while others write."""
    responder = Responder(tmp_path, bucket.settings)
    try:
        made = responder.call("POST", "/bundle", {
            "files": [origin.file("a.jpg", size="1m").entry()],
            "to": "s3://bucket/k.zip"})
        status = f"/{made['id']}/{made['secret']}/status"
        assert responder.call("GET", status)["downloads"] == []
        responder.stop()
        responder.start()
        kept = [responder.call("POST", "/", {"filename": "x", "files": [
            {"src": f"https://example.com/{i}"} for i in range(20)]})
            for _ in range(10)]
        bucket.released.set()
        ended = wait_until(
            lambda: responder.call("GET", status)["downloads"],
            "the export's record")
        assert ended[0]["outcome"] == "done"
        for one in kept:
            assert responder.call(
                "GET", f"/{one['id']}/{one['secret']}")["id"] == one["id"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            responder.process.kill()
        responder.process.wait()
        responder.listener.close()
