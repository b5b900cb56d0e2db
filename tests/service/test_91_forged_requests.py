# SPDX-License-Identifier: AGPL-3.0-or-later
"""Server-side request forgery: whatever a source is called and wherever it
leads, no socket is ever connected to a place that is not allowed.

What counts is not the answer but the listeners: each test ends by asking
them whether anybody came.
"""

import contextlib
import os
import socket
import threading

import pytest

import judges
from conftest import IMPATIENT
from nameserver import Nameserver
from pool import wait_until
from service import Service, in_background

# Every spelling of an address of this machine or of a private network; @ is
# the port of a listener.
SPELLINGS = [
    "http://127.0.0.1:@/x", "http://127.1:@/x", "http://127.0.1:@/x",
    "http://2130706433:@/x", "http://0x7f000001:@/x", "http://0x7f.1:@/x",
    "http://0177.0.0.1:@/x", "http://017700000001:@/x",
    "http://00000177.0.0.1:@/x", "http://0x7f.0x0.0x0.0x1:@/x",
    "http://0:@/x", "http://0.0.0.0:@/x", "http://127.0.0.1.:@/x",
    "http://4294967297:@/x", "http://127.255.255.254:@/x",
    "http://[::1]:@/x", "http://[::]:@/x", "http://[0:0:0:0:0:0:0:1]:@/x",
    "http://[::ffff:127.0.0.1]:@/x", "http://[::ffff:7f00:1]:@/x",
    "http://[::127.0.0.1]:@/x", "http://[64:ff9b::7f00:1]:@/x",
    "http://[64:ff9b:1::7f00:1]:@/x", "http://[2002:7f00:1::]:@/x",
    "http://[fe80::1%25lo]:@/x", "http://[::ffff:0:7f00:1]:@/x",
    "http://%31%32%37.0.0.1:@/x", "http://①②⑦.⓪.⓪.①:@/x",
    "http://127。0。0。1:@/x", "http://１２７.0.0.1:@/x",
    "http://example.com@127.0.0.1:@/x", "http://127.0.0.1:@@example.com/x",
    "http://127.0.0.1\\@example.com:@/x", "http://127.0.0.1#@x:@/",
    "http://localhost\t:@/x", "http://127.0.0.1%00.example.com:@/x",
    "HTTP://127.0.0.1:@/x", "http:\\\\127.0.0.1:@\\x", "http:/127.0.0.1:@/x",
]

# Names that lead here.
NAMES = ["http://localhost:@/x", "http://LOCALHOST:@/x",
         "http://localhost.:@/x", "http://ip6-localhost:@/x",
         "http://any.localhost:@/x"]

# Where a redirect must not lead.
AWAY = [
    *SPELLINGS[:6], "http://[::1]:@/x", "http://[::ffff:127.0.0.1]:@/x",
    "//127.0.0.1:@/x", "//localhost.:@/x", "file:///etc/passwd",
    "ftp://localhost:@/x", "gopher://localhost:@/_x", "dict://localhost:@/x",
    "ldap://localhost:@/x", "scp://localhost:@/x", "telnet://localhost:@/",
    "http://10.0.0.1:@/x", "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/", "s3://bucket/key",
]


class Listener:
    """Accepts, remembers what it was told, and answers nothing."""

    def __init__(self, family, address: str, port: int = 0):
        self.heard = []
        self.sock = socket.socket(family)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.sock.bind((address, port))
        self.sock.listen(64)
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self.sock.accept()
                with guest:
                    self.heard.append(b"")
                    guest.settimeout(2)
                    with contextlib.suppress(OSError):
                        self.heard[-1] = guest.recv(65536)

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self.thread.join()
        self.sock.close()


@pytest.fixture
def trap():
    """On every address of this machine, IPv4 and IPv6, one port."""
    four = Listener(socket.AF_INET, "0.0.0.0")
    listeners = [four]
    with contextlib.suppress(OSError):  # a machine without IPv6
        listeners.append(Listener(socket.AF_INET6, "::", four.port))
    yield four
    for listener in listeners:
        listener.close()
        four.heard.extend(listener.heard if listener is not four else [])
    assert four.heard == []


def sources(urls: list, port: int) -> list:
    return [url.replace("@", str(port)) if url.count("@") == 1
            else url.replace(":@", f":{port}") for url in urls]


def test_no_spelling_is_connected_to(make_service, trap):
    service = make_service(ALLOW_PRIVATE_NETWORKS="", SOURCE_RETRIES=0)
    for src in sources(SPELLINGS, trap.port):
        entry = {"src": src, "dst": "x"}
        made = service.post("/", {"filename": "a", "files": [entry]})
        assert made.status_code == 400, (src, made.status_code)
        got = service.zip([entry])
        assert got.status == 400, (src, got.status, got.bytes)


def test_no_name_leads_here(make_service, trap):
    service = make_service(ALLOW_PRIVATE_NETWORKS="", SOURCE_RETRIES=0)
    for src in sources(NAMES, trap.port):
        got = service.zip([{"src": src, "dst": "x"}])
        assert got.status in (400, 502), (src, got.status, got.bytes)
        if got.status == 502:
            # What it resolves to is none of the client's business.
            assert b"127.0.0.1" not in got.bytes and b"::1" not in got.bytes


def test_no_redirect_leads_here(make_service, origin, trap):
    """The origin itself is allowed; what it points at is not."""
    service = make_service(ALLOW_PRIVATE_NETWORKS="127.0.0.1/32",
                           SOURCE_ALLOW=f"http://localhost:"
                                        f"{origin.ports['http']}/",
                           SOURCE_RETRIES=0)
    files = [origin.file(f"{i}", to=to, code=code)
             for i, to in enumerate(sources(AWAY, trap.port))
             for code in (302, 307)]
    got = service.zip([f.entry(dst=f"{i}") for i, f in enumerate(files)])
    assert len(got.refused()["files"]) == len(files)
    for file in files:
        assert file.books["requests"] >= 1, file.url


def test_other_private_network_than_the_allowed(make_service, origin, trap):
    service = make_service(ALLOW_PRIVATE_NETWORKS="127.0.0.9/32 10.0.0.0/8",
                           SOURCE_RETRIES=0)
    service.zip([{"src": f"http://localhost:{trap.port}/x"}]).refused()
    before = origin.stats()["accepted"]
    service.zip([origin.file("x").entry()]).refused()
    assert origin.stats()["accepted"] == before


# -- names that lie ---------------------------------------------------------

GOOD, OTHER, TRAP = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture
def rebound(tmp_path, origin):
    """A service that asks a name server of ours, whose names lead to the
    origin or, at the same port, into a trap; only two addresses are allowed.
    """
    if os.geteuid() != 0:
        pytest.skip("a name server has port 53")
    trap = Listener(socket.AF_INET, TRAP, origin.ports["http"])
    service = Service(tmp_path, {
        **IMPATIENT, "ALLOW_PRIVATE_NETWORKS": f"{GOOD}/32 {OTHER}/32",
        # Each request has a worker of its own, which remembers no name.
        "MAX_REQUESTS": 1})
    with Nameserver(tmp_path, {}) as server:
        service.pool.prefix = server.prefix
        try:
            yield service.start(), server
            service.stop()
        finally:
            service.kill()
            trap.close()
    assert trap.heard == []


def test_a_name_that_leads_elsewhere_the_second_time(rebound, origin):
    service, server = rebound
    file = origin.file("x", host="rebind.test")
    server.names["rebind.test"] = [GOOD]
    judges.check(service.zip([file.entry()]).well(), {"x": file.bytes})
    server.names["rebind.test"] = [TRAP]
    asked = len(server.asked)
    got = service.zip([file.entry()]).refused()
    assert "address" in got["files"][0]["reason"], got
    assert len(server.asked) > asked


@pytest.mark.parametrize("addresses", [
    # Nobody listens at the first of them: the next one is tried.
    [OTHER, TRAP], [TRAP, OTHER], [f"::ffff:{TRAP}"],
    [OTHER, f"::ffff:{TRAP}", f"::{TRAP}", f"64:ff9b::{TRAP}"]])
def test_a_name_of_several_addresses(rebound, origin, addresses):
    service, server = rebound
    server.names["many.test"] = addresses
    service.zip([origin.file("x", host="many.test").entry()]).refused()
    assert server.asked


def test_a_name_that_turns_while_its_file_is_read(rebound, origin):
    """Redirects, retries and resumptions ask again or know the address that
    was checked; none of them connects to another."""
    service, server = rebound
    server.names.update({"turns.test": [GOOD], "away.test": [TRAP]})
    file = origin.file("x.jpg", size="3m", host="turns.test", die="1m",
                       ranges="no")
    away = origin.file("away", host="turns.test", to=origin.file(
        "y", host="away.test").url)
    with in_background(service.zip, [file.entry()]) as download:
        wait_until(lambda: file.books["bytes"], "the first bytes")
        server.names["turns.test"] = [TRAP]
        download.result().failed()
    server.names["turns.test"] = [GOOD]
    assert "address" in service.zip([away.entry()]).refused()[
        "files"][0]["reason"]


# -- proxies ------------------------------------------------------------------


def test_proxy_variables_are_not_honoured(make_service, origin, trap):
    proxy = f"http://127.0.0.1:{trap.port}"
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
             "ALL_PROXY")
    service = make_service(CA_FILE=origin.pems["ca"],
                           **{name: proxy for name in names}, no_proxy="")
    for scheme in ("http", "https"):
        file = origin.file("x", scheme=scheme)
        judges.check(service.zip([file.entry()]).well(), {"x": file.bytes})


@contextlib.contextmanager
def proxy_to(port: int):
    """An HTTP proxy that leads everybody to one port of this machine."""
    asked = []
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with contextlib.suppress(OSError):
            while (piece := source.recv(65536)):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def serve(guest):
        with guest, socket.create_connection(("127.0.0.1", port)) as there:
            head = guest.recv(65536)
            asked.append(head.split(b"\r\n")[0].decode())
            there.sendall(head)
            back = threading.Thread(target=pump, args=(there, guest))
            back.start()
            pump(guest, there)
            back.join()

    def loop():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=server.accept()[:1],
                                 daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    with server:
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)


def test_proxy_of_our_own_settings(make_service, origin):
    """It connects wherever it likes, also by names that nobody else knows;
    what a client may name is still ruled by SOURCE_ALLOW."""
    with proxy_to(origin.ports["http"]) as (port, asked):
        service = make_service(SOURCE_PROXY=f"http://127.0.0.1:{port}",
                               ALLOW_PRIVATE_NETWORKS="",
                               SOURCE_ALLOW="http://files.invalid/")
        src = origin.file("x", size="100k").url
        path = src.split("/", 3)[3]
        got = service.zip([{"src": f"http://files.invalid/{path}",
                            "dst": "x"}])
        assert len(judges.python(got.well())["x"]) == 100 << 10
        assert asked and all("http://files.invalid/" in a for a in asked)
        before = len(asked)
        refused = service.zip([{"src": "http://other.invalid/x"}])
        assert refused.status in (400, 403) and len(asked) == before


# -- what another host must not get ------------------------------------------


def test_nothing_follows_a_redirect(service, origin):
    """No credentials, no cookies, no headers of ours but the plain ones, and
    a query that signs one URL is not sent to the next."""
    target = origin.file("there")
    file = origin.file("here", to=target.url, sign=1)
    judges.check(service.zip([file.entry()]).well(), {"here": target.bytes})
    plain = {"host", "user-agent", "accept", "accept-encoding", "range",
             "if-range", "if-match", "if-unmodified-since", "connection"}
    for seen in target.books["seen"]:
        assert set(seen["headers"]) <= plain, seen["headers"]
        assert "referer" not in seen["headers"]


def test_allow_list_is_of_urls_not_of_strings(make_service, origin, trap):
    port = origin.ports["http"]
    service = make_service(
        SOURCE_ALLOW=f"http://localhost:{port}/a/ https://cdn.example/pub/")
    for src in (f"http://localhost:{trap.port}/a/x",
                f"http://localhost:{port}@localhost:{trap.port}/a/x",
                f"http://localhost:{port}.example:{trap.port}/a/x",
                f"https://localhost:{port}/a/x",
                f"http://localhost:{port}/ab/x", f"http://localhost:{port}/a",
                f"http://localhost:{port}/a/../b/x",
                f"http://localhost:{port}/a/%2e%2e/b/x",
                f"http://localhost:{port}/a\\..\\b",
                "https://cdn.example.evil.example/pub/x",
                "https://cdn.example:8443/pub/x", "http://cdn.example/pub/x",
                "https://user@cdn.example/pub/x"):
        answer = service.post("/", {"filename": "a", "files": [
            {"src": src, "dst": "x"}]})
        assert answer.status_code in (400, 403), (src, answer.status_code)
    inside = origin.file("a/x")
    judges.check(service.zip([inside.entry()]).well(),
                 {"a/x": inside.bytes})
