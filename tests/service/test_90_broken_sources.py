# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every way in which a source breaks, seen through lighttpd and Apache: the
zip is whole, or its reader sees that it is not.

The pool is patient here: what can be mended is mended behind the web server,
which must not give up meanwhile.
"""

import concurrent.futures

import pytest

import judges
from web_servers import (ApacheFcgid, ApacheProxy, Deployment, LighttpdPool,
                         Scene)

SETTINGS = {"CONNECT_TIMEOUT": "5s", "FIRST_BYTE_TIMEOUT": "3s",
            "STALL_TIMEOUT": "1500ms", "SOURCE_RETRIES": 2,
            "SOURCE_RESUMES": 5, "READ_AHEAD_BYTES": "256KiB"}

# What is mended ...
MENDED = {
    "dies once": {"die": "1m", "times": 1},
    "dies five times": {"die": "1m", "times": 5, "ranges": "no"},
    "dies at each step": {"die": "400k"},
    "is reset once": {"die": "1m", "times": 1, "how": "reset"},
    "dies once, chunked": {"die": "1m", "times": 1, "framing": "chunked"},
    "stalls once": {"stall": "1m", "times": 1},
    "answers late once": {"delay": 9, "times": 1},
    "is down once": {"status": 503, "times": 1},
    "cannot resume": {"die": "1m", "times": 1, "ranges": "no"},
}

# ... and what cannot be.
BROKEN = {
    "dies for good": {"die": "1m", "ranges": "no"},
    "is reset for good": {"die": "1m", "ranges": "no", "how": "reset"},
    "stalls for good": {"stall": "1m", "ranges": "no"},
    "changes": {"die": "1m", "times": 1, "change": 1},
    "changes, no validator": {"die": "1m", "times": 1, "etag": "none",
                              "mtime": 0},
    "lies long": {"lie": 100_000, "ranges": "no"},
    "garbage chunks": {"framing": "chunked", "garbage": "1m",
                       "ranges": "no"},
    "lies about the range": {"die": "1m", "ranges": "wrong"},
    "vanishes": {"status": 404},
}


SERVERS = [LighttpdPool, ApacheProxy, ApacheFcgid]
CASES = [*((name, "abort") for name in MENDED),
         *((name, on_error) for name in BROKEN
           for on_error in ("abort", "report"))]


@pytest.fixture(scope="module")
def behind_all(sanitized):
    """Class -> its deployment, running."""
    scene = Scene(SETTINGS).start()
    running = {}
    try:
        # In a build with sanitizers nothing of ours differs by the server.
        for server in SERVERS[:1] if sanitized else SERVERS:
            running[server] = Deployment(scene, server).start()
        yield running
    finally:
        for deployment in running.values():
            deployment.stop()
        scene.stop()


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def behind(request, behind_all):
    if request.param not in behind_all:
        pytest.skip("behind one server only")
    return behind_all[request.param]


@pytest.fixture(scope="module")
def all_outcomes(behind_all, origin) -> dict:
    """Server -> case -> what came.

    All are asked for side by side, for most of the time is waiting; behind a
    lead of more than is read ahead, so that their zips have begun before
    they matter.
    """
    lead = origin.file("lead.jpg", size="1m")

    def ask(deployment, name, on_error):
        file = origin.file("x", size="2m", **{**MENDED, **BROKEN}[name])
        entries = [lead.entry(), file.entry()]
        return file, deployment.zip(entries, onError=on_error)

    with concurrent.futures.ThreadPoolExecutor(36) as executor:
        asked = {server: {case: executor.submit(ask, deployment, *case)
                          for case in CASES}
                 for server, deployment in behind_all.items()}
    return {server: {"lead": lead.bytes,
                     **{case: future.result()
                        for case, future in cases.items()}}
            for server, cases in asked.items()}


@pytest.fixture
def outcomes(behind, all_outcomes) -> dict:
    return all_outcomes[type(behind.server)]


@pytest.mark.parametrize("name", list(MENDED))
def test_mended(outcomes, name):
    file, zip_ = outcomes[name, "abort"]
    judges.check(zip_.well(), {"lead.jpg": outcomes["lead"],
                               "x": file.bytes})


@pytest.mark.parametrize("on_error", ["abort", "report"])
@pytest.mark.parametrize("name", list(BROKEN))
def test_broken(outcomes, name, on_error):
    """Never a zip that looks whole and has another file in it, or less of
    it; a file of which no byte went out may be left out and reported."""
    _, zip_ = outcomes[name, on_error]
    if zip_.status != 200:
        assert zip_.refused()["files"]
        return
    if zip_.exit != 0:
        zip_.cut()
        return
    found = judges.python(zip_.path)
    if name.startswith("changes"):
        # Asked for its size first, it was read when it had changed.
        assert len(found["x"]) == 2 << 20
        return
    assert on_error == "report", "it looks whole"
    assert list(found) == ["lead.jpg", "_errors.txt"]
    assert b"x" in found["_errors.txt"]


def test_lies_short(behind, origin):
    """A body is as long as its framing says; the size that a client has
    declared is held against it."""
    file = origin.file("x", size="2m", lie=-1000)
    zip_ = behind.zip([file.entry()])
    if zip_.exit == 0 and zip_.status == 200:
        judges.check(zip_.path, {"x": file.bytes[:-1000]})
    else:
        zip_.failed()
    behind.zip([file.entry(size=2 << 20)]).failed()


def test_declared_checksum_is_checked(behind, origin):
    file = origin.file("x", size="2m")
    good, bad = (f"{file.crc ^ wrong:08x}" for wrong in (0, 1))
    judges.check(behind.zip([file.entry(crc32=good)]).well(),
                 {"x": file.bytes})
    behind.zip([file.entry(crc32=bad)]).failed()


def test_report_leaves_out_and_says_so(behind, origin):
    good = origin.file("good", size="100k")
    bad = [origin.file(f"bad/{name}", size="100k", **wish)
           for name, wish in (("gone", {"status": 404}),
                              ("dead", {"die": 0, "ranges": "no"}),
                              ("down", {"status": 500}))]
    zip_ = behind.zip([bad[0].entry(), good.entry(), bad[1].entry(),
                       bad[2].entry()], onError="report")
    found = judges.python(zip_.well())
    assert list(found) == ["good", "_errors.txt"]
    assert found["good"] == good.bytes
    note = found["_errors.txt"].decode()
    for file in bad:
        assert file.dst in note
    assert "404" in note and "500" in note and "good" not in note
