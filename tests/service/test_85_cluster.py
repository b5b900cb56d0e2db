# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two nodes, one PostgreSQL, HAProxy in front as deploy/cluster has it.

A node is killed, without a chance to say so, while clients create, append,
read and download.
"""

import collections
import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import judges
import pool as pools
import pytest
import requests
import servers
from service import Service

CLUSTER = pools.ROOT / "deploy/cluster"

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)


class Balancer(servers.Lighttpd):
    """HAProxy, where Service expects its web server."""

    def __init__(self, folder, nodes: list):
        super().__init__(folder, None)
        self.nodes = nodes

    def start(self) -> "Balancer":
        text = (CLUSTER / "haproxy.cfg").read_text()
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
        for i, node in enumerate(self.nodes, 1):
            text = re.sub(rf"server node{i} \S+",
                          f"server node{i} 127.0.0.1:{node.server.port}",
                          text)
        assert "10.0.0." not in text
        config = self.folder / "haproxy.cfg"
        config.write_text(text)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["haproxy", "-db", "-f", config], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)
        pools.wait_until(self.is_up, "HAProxy's port")
        return self


@pytest.fixture
def nodes(make_service, store):
    return [make_service(**store.settings) for _ in range(2)]


@pytest.fixture
def cluster(nodes, tmp_path):
    """A service whose web server is the balancer; it has no pool itself."""
    front = Service(tmp_path)
    front.server = Balancer(tmp_path, nodes).start()
    yield front
    front.server.stop()


def murder(node: Service):
    """SIGKILL, all of it at once, as when the power fails."""
    for pid in [node.pool.pid, *node.pool.workers(),
                node.server.process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.pool.process.wait(10)
    node.server.process.wait(10)


class Client(threading.Thread):
    """Creates, appends and reads without a pause; keeps what was accepted."""

    def __init__(self, front: Service):
        super().__init__(daemon=True)
        self.front = front
        self.ending = threading.Event()
        self.bundles: list = []
        self.refused = collections.Counter()
        self.late = 0  # what went well after the murder
        self.killed = False

    def run(self):
        while not self.ending.is_set():
            with contextlib.suppress(requests.RequestException):
                self.round()

    def round(self):
        src = "http://example.com/"
        answer = self.front.post("/", {"filename": "a", "files": [
            {"src": src + "1", "dst": "1"}]})
        if answer.status_code != 201:
            self.refused[answer.status_code] += 1
            return
        bundle = answer.json()
        accepted = {"1"}
        self.bundles.append((bundle, accepted))
        path = f"/{bundle['id']}/{bundle['secret']}"
        answer = self.front.call("PUT", path, json={
            "files": [{"src": src + "2", "dst": "2"}]})
        if answer.status_code == 200:
            accepted.add("2")
            self.late += self.killed


@pytest.mark.deaths
def test_a_node_dies_and_nothing_accepted_is_lost(cluster, nodes, origin):
    clients = [Client(cluster) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(1)
    murder(nodes[0])
    for client in clients:
        client.killed = True
    file = origin.file("new.jpg", size=500_000, type="image/jpeg")
    pools.wait_until(lambda: all(c.late > 3 for c in clients), "new writes")
    for _ in range(5):
        judges.check(cluster.zip([file.entry()]).well(),
                     {"new.jpg": file.bytes})
    for client in clients:
        client.ending.set()
        client.join(60)
    written = [b for client in clients for b in client.bundles]
    assert len(written) > 20
    for bundle, accepted in written:
        shown = cluster.get(f"/{bundle['id']}/{bundle['secret']}").json()
        names = [f["dst"] for f in shown["files"]]
        assert accepted <= set(names), (bundle, accepted)
        assert len(names) == len(set(names)), "an append happened twice"
    # The moment in which it is found out may cost a few, never many.
    refused = sum((c.refused for c in clients), collections.Counter())
    assert sum(refused.values()) <= 8, refused


@pytest.mark.deaths
def test_a_download_goes_on_at_the_other_node(cluster, nodes, origin,
                                              tmp_path):
    files = [origin.file(f"{i}.jpg", size=4_000_000, type="image/jpeg")
             for i in range(4)]
    bundle = cluster.create([f.entry() for f in files])
    whole = cluster.fetch(bundle)
    whole.well()
    path = tmp_path / "resumed.zip"
    url = cluster.url(f"/{bundle['id']}")
    with subprocess.Popen(["curl", "-sS", "--limit-rate", "4M", "-o", path,
                           url], stderr=subprocess.PIPE) as client:
        pools.wait_until(lambda: path.exists() and path.stat().st_size > 1e6,
                         "the first bytes")
        busy = [n for n in nodes if established(n.server.port)]
        murder(busy[0] if len(busy) == 1 else nodes[0])
        client.wait(60)
    if client.returncode == 0:  # It was the other node's.
        assert path.read_bytes() == whole.bytes
        return
    assert 0 < path.stat().st_size < len(whole.bytes)
    done = subprocess.run(["curl", "-sSf", "--retry", "5", "--retry-all-errors",
                           "-C", "-", "-o", path, url], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == whole.bytes


def established(port: int) -> int:
    """Connections that this port has accepted and still has."""
    text = open("/proc/net/tcp", encoding="ascii").read()
    return len(re.findall(rf" 0100007F:{port:04X} \S+ 01 ", text))


@pytest.mark.deaths
def test_a_node_comes_back(cluster, nodes):
    murder(nodes[1])
    # Connections that the balancer kept to it may cost a few.
    document = {"filename": "a.zip", "files": []}
    codes = [cluster.post("/", document).status_code for _ in range(10)]
    assert codes[-5:] == [201] * 5 and set(codes) <= {201, 502, 503}, codes
    nodes[1].pool.start()
    nodes[1].server.start()
    before = len(nodes[1].pool.log())

    def used() -> bool:
        cluster.post("/", document)
        return "method=POST" in nodes[1].pool.log()[before:]

    pools.wait_until(used, "its first request")


def test_the_numbers_of_a_node_are_not_for_everybody(cluster, nodes):
    assert nodes[0].get("/metrics").status_code == 200
    for path in ("/metrics", "/metric%73", "/metrics/x/.."):
        assert cluster.curl(path, "--path-as-is").status == 403, path


def test_the_sample_names_settings_that_exist(nodes):
    config = CLUSTER / "node.env"
    done = pools.program(nodes[0].folder, "--config", str(config), "config")
    assert done.returncode == 0, done.stderr
    for name in re.findall(r"^([A-Z_]+)=", config.read_text(),
                                  re.M):
        assert name in done.stdout, name
