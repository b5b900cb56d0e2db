# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cuts that a slow client, a worker's sudden death, or a server's error page
might hide."""

import concurrent.futures
import json
import os
import signal
import socket
import time

import pytest

import fastcgi
from pool import Pool, wait_until
from servers import free_port
from service import CURL_SEES_A_CUT
from web_servers import (KEY, ApacheFcgid, ApacheProxy, Deployment,
                         LighttpdPool, NginxPool, Scene, SharedHosting)


def call(document: dict) -> bytes:
    """The request that asks for its zip."""
    body = json.dumps(document).encode()
    return fastcgi.head({
        "REQUEST_METHOD": "POST", "REQUEST_URI": "/bundle",
        "SCRIPT_NAME": "", "PATH_INFO": "/bundle",
        "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {KEY}"}) + fastcgi.record(
            5, body) + fastcgi.record(5)


def last_record(scene, document: dict) -> int:
    """Its type, for a web server that takes nothing for a while."""
    with fastcgi.connect(scene.pool.socket) as sock:
        sock.sendall(call(document))
        time.sleep(6)
        return [type_ for type_, _ in fastcgi.records(sock)][-1]


def test_cut_waits_for_room(scene, origin):
    """A source that dies when what it sent has just filled the socket."""
    def of(die: int) -> int:
        files = [origin.file("first.bin").entry(compression="deflate"),
                 origin.file("x.bin", size="8m", die=die, ranges="no",
                             rate="160k").entry()]
        return last_record(scene, {"files": files, "onError": "abort"})

    with concurrent.futures.ThreadPoolExecutor(20) as at_once:
        types = list(at_once.map(of, range(160 << 10, 240 << 10, 4 << 10)))
    assert set(types) == {77}


def test_nobody_waits_for_who_has_gone(tmp_path, origin):
    """A reset leaves the queue of a TCP connection as it was."""
    port = free_port()
    pool = Pool(tmp_path, {"MAX_WORKERS": 1})
    pool.addresses.append(f"127.0.0.1:{port}")
    pool.start()
    try:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(call({"files": [
                origin.file("big.bin", size="64m").entry()]}))
            assert sock.recv(1000)
            time.sleep(1)  # Bytes are unread: the close is a reset.

        def is_free() -> bool:
            with fastcgi.connect(pool.socket) as again:
                again.sendall(fastcgi.head(fastcgi.GET) + fastcgi.record(5))
                return "OK" in fastcgi.answer(again)[0]

        wait_until(is_free, "a free worker")
        pool.stop()
    finally:
        pool.kill()


def test_a_third_sigterm_waits_for_nobody(tmp_path, origin):
    """The second one gives a minute to who takes nothing."""
    pool = Pool(tmp_path).start()
    try:
        with fastcgi.connect(pool.socket) as sock:
            sock.sendall(call({"files": [
                origin.file("big.bin", size="64m").entry()]}))
            assert sock.recv(1000)
            for said in ("stopping:", "stopping now:", "died"):
                pool.signal(signal.SIGTERM)
                wait_until(lambda text=said: text in pool.log(), said)
            assert pool.process.wait(20) == 0
    finally:
        pool.kill()


def test_drain_cuts_slow_clients_of_nginx(origin):
    scene = Scene({"DRAIN_TIMEOUT": "1s"}).start()
    deployment = Deployment(scene, NginxPool).start()
    try:
        with concurrent.futures.ThreadPoolExecutor(5) as at_once:
            files = [origin.file("first.bin").entry(compression="deflate"),
                     origin.file("x.bin", size="64m").entry()]
            got = [at_once.submit(deployment.zip, files, "--limit-rate",
                                  "300k") for _ in range(5)]
            time.sleep(6)
            scene.pool.signal(signal.SIGTERM)
            exits = [one.result().exit for one in got]
        assert set(exits) <= set(CURL_SEES_A_CUT), exits
    finally:
        deployment.stop()
        scene.stop()


@pytest.mark.parametrize("kind", [ApacheFcgid, SharedHosting])
@pytest.mark.parametrize("missing", [12, 17])
def test_error_page_fills_no_range(scene, origin, kind, missing):
    """Some bytes are missing at the end of a range, which is not a zip's."""
    deployment = Deployment(scene, kind).start()
    try:
        size, end = 300 << 10, 200_000
        file = origin.file("end.bin", size=size, die=end - missing,
                           stall=end - missing - 1, stall_for=1.5)
        bundle = deployment.create([file.entry(
            size=size, crc32=f"{file.crc:08x}", compression="store")])
        got = deployment.curl(f"/{bundle['id']}/", "-H",
                              f"Range: bytes=0-{36 + end}")
        assert got.status == 206
        assert got.exit in CURL_SEES_A_CUT, got.bytes[-20:]
    finally:
        deployment.stop()


@pytest.mark.deaths
@pytest.mark.parametrize("kind", [LighttpdPool, NginxPool, ApacheProxy])
@pytest.mark.parametrize("rate", ["300k", "300m"])
def test_a_worker_that_is_killed_is_seen(origin, kind, rate):
    """Between two records of an answer without a length, or, with a client
    that is slow, in the middle of one."""
    scene = Scene({}).start()
    deployment = Deployment(scene, kind).start()
    try:
        files = [origin.file(f"{i}.bin", size="64m", rate="8m")
                 for i in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as at_once:
            got = [at_once.submit(
                deployment.zip, [file.entry(compression="deflate")],
                "--limit-rate", rate) for file in files]
            for file in files:
                wait_until(lambda f=file: f.books["bytes"] > 2 << 20, "bytes")
            for pid in scene.pool.workers():
                os.kill(pid, signal.SIGKILL)
            exits = [one.result().exit for one in got]
        assert set(exits) <= set(CURL_SEES_A_CUT), exits
    finally:
        deployment.stop()
        scene.stop()


@pytest.mark.deaths
def test_a_keeper_that_is_killed_is_replaced(make_service):
    service = make_service()
    (first,) = wait_until(service.pool.keeper, "the keeper")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: service.pool.keeper() not in ([], [first]),
               "another one")
