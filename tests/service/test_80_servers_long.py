# SPDX-License-Identifier: AGPL-3.0-or-later
"""Downloads that last longer than every default time-out of web servers.

Nine minutes, all servers at once; `make check-long`.
"""

import concurrent.futures
import json
import socket
import time

import pytest

import judges
from service import CURL_SEES_A_CUT
from web_servers import KEY, SERVERS, Deployment, Scene, SharedHosting

# Longer than 460 s, when mod_fcgid's FcgidBusyTimeout has bitten by itself.
STEADY = 500
# Longer than 60 s (Apache, nginx).
SILENCE = 100

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def patient():
    scene = Scene({"STALL_TIMEOUT": "300s"}).start()
    deployments = []
    try:
        for kind in SERVERS:
            deployments.append(Deployment(scene, kind).start())
        yield deployments
    finally:
        for deployment in deployments:
            deployment.stop()
        scene.stop()


def steady(deployment, origin):
    file = origin.file("steady.bin", size=STEADY * 65536, rate="64k")
    return file, deployment.curl("/bundle", seconds=STEADY + 100,
                                 data=document(file))


def silent_source(deployment, origin):
    file = origin.file("silent.bin", size="300k", stall="200k",
                       stall_for=SILENCE)
    return file, deployment.curl("/bundle", seconds=SILENCE + 100,
                                 data=document(file))


def document(file) -> str:
    return json.dumps({"files": [file.entry(size=file.wish.size,
                                            compression="store")]})


def silent_client(deployment, origin) -> tuple:
    """Bytes that came, and those that were declared."""
    file = origin.file("client.bin", size="32m")
    body = document(file).encode()
    with socket.create_connection(("127.0.0.1", deployment.server.port),
                                  60) as peer:
        peer.sendall(
            f"POST {deployment.prefix}/bundle HTTP/1.1\r\nHost: localhost\r\n"
            f"Connection: close\r\nAuthorization: Bearer {KEY}\r\n"
            f"Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(1)
        time.sleep(SILENCE)
        came = 0
        while (piece := peer.recv(1 << 20)):
            came += len(piece)
    fields = head.decode().lower().split("\r\n")
    length = [f for f in fields if f.startswith("content-length:")]
    return came, int(length[0].split(":")[1])


def test_long_downloads(patient, origin, tmp_path):
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(64) as at_once:
        for deployment in patient:
            jobs += [(deployment.name, what, at_once.submit(
                what, deployment, origin))
                for what in (steady, silent_source, silent_client)]
    faults = []
    for name, what, job in jobs:
        # Its server's time-outs are the hoster's; a cut must be seen.
        cut_is_well = name == SharedHosting.name
        if what is silent_client:
            came, declared = job.result()
            if came != declared and not cut_is_well:
                faults.append((name, what.__name__, came, declared))
            continue
        file, got = job.result()
        if got.exit == 0:
            judges.check(got.well(), {file.dst: file.bytes})
        elif not cut_is_well or got.exit not in CURL_SEES_A_CUT:
            faults.append((name, what.__name__, got.exit, got.said))
    assert not faults
