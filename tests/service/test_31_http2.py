# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sources on a server that offers HTTP/2: nginx, with TLS."""

import os
import pathlib
import signal
import socket
import subprocess

import judges
import network
import pytest
from pool import wait_until
from servers import free_port

CONFIG = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    log_format seen '$server_protocol $connection $uri $status';
    access_log {folder}/seen.log seen;
    client_body_temp_path {folder}/t1;
    proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    keepalive_requests 10000;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        {ipv6}
        ssl_certificate {cert};
        ssl_certificate_key {key};
        root {folder}/files;
    }}
}}
"""


class Http2Origin:
    def __init__(self, folder: pathlib.Path, pems: dict):
        self.folder, self.port = folder, free_port()
        self.root = folder / "files"
        self.root.mkdir()
        ipv6 = f"listen [::1]:{self.port} ssl http2;"
        (folder / "nginx.conf").write_text(CONFIG.format(
            folder=folder, port=self.port, cert=pems["cert"], key=pems["key"],
            ipv6=ipv6 if network.has_ipv6() else ""))
        self.process = subprocess.Popen(
            ["nginx", "-c", folder / "nginx.conf", "-e",
             folder / "error.log"])
        wait_until(self.is_up, "nginx's port")

    def is_up(self) -> bool:
        assert self.process.poll() is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(10)

    def file(self, name: str, size: int) -> dict:
        """A new file's entry."""
        (self.root / name).write_bytes(os.urandom(size))
        return {"src": f"https://localhost:{self.port}/{name}", "dst": name}

    def bytes(self, entries: list) -> dict:
        return {e["dst"]: (self.root / e["dst"]).read_bytes()
                for e in entries}

    def seen(self, start: str) -> list:
        """Protocol and connection of each request for files so named."""
        lines = (self.folder / "seen.log").read_text().splitlines()
        rows = [line.split() for line in lines]
        return [(version, connection) for version, connection, uri, _ in rows
                if uri.startswith(f"/{start}")]


@pytest.fixture(scope="module")
def http2(tmp_path_factory, origin):
    server = Http2Origin(tmp_path_factory.mktemp("http2"), origin.pems)
    yield server
    server.stop()


@pytest.mark.parametrize("kind", ["jpg", "unknown"])
def test_small_files_share_a_connection(service, http2, kind):
    entries = [http2.file(f"{kind}-{i}.{kind}", 1000 + i) for i in range(150)]
    got = service.zip(entries)
    judges.judge_all(got.well(), http2.bytes(entries))
    seen = http2.seen(kind)
    assert len(seen) >= 150 and {version for version, _ in seen} == \
        {"HTTP/2.0"}
    assert len({connection for _, connection in seen}) == 1


def test_a_large_file_has_one_of_its_own(service, http2):
    """It may have to wait, which libcurl lets no shared one do."""
    entries = [http2.file(f"large-{i}.jpg", 3_000_000 + i) for i in range(3)]
    got = service.zip(entries)
    judges.judge_all(got.well(), http2.bytes(entries))
    seen = http2.seen("large")
    # It is not known to be large before its first answer.
    assert "HTTP/1.1" in {version for version, _ in seen}
    assert len({c for version, c in seen if version == "HTTP/1.1"}) == 3
