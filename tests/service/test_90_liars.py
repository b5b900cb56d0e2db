# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sources that break where only a close look tells: what comes after is of
another version, or less than there is."""

import ssl
import time

import judges
import pytest
from liar import Liar, head
from scripted import Scripted

SIZE, BROKEN_AT = 1 << 20, 500_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
LATER = "Wed, 15 Nov 2023 22:13:20 GMT"


def breaking_once(*versions: dict, changes: bool = True) -> tuple:
    """An answer that dies at BROKEN_AT when it is first asked for, with the
    headers of its versions, the last of which stays; what the bytes are
    changes with them, or does not.  And the first bytes that were asked for.
    """
    asked: list = []

    def answer(sock, first, ranged):
        count = len(asked)
        asked.append(first)
        more = {"Content_Length": SIZE - first,
                **versions[min(count, len(versions) - 1)]}
        if ranged:
            sock.sendall(head("206 Partial Content", Content_Range=(
                f"bytes {first}-{SIZE - 1}/{SIZE}"), **more))
        else:
            sock.sendall(head("200 OK", **more))
        body = (b"b" if count and changes else b"a") * (SIZE - first)
        sock.sendall(body if count else body[:BROKEN_AT])

    return answer, asked


@pytest.mark.parametrize("headers", [
    # Changed within the second of the date: the weak tag says so ...
    [{"ETag": 'W/"a"'}, {"ETag": 'W/"b"'}],
    # ... or nothing does: RFC 9110, section 8.8.2.2.
    [{"Date": DATE}, {"Date": DATE}]])
def test_changed_within_a_second(service, headers):
    answer, _ = breaking_once(*({"Last_Modified": DATE, **more}
                                for more in headers))
    with Liar(answer) as liar:
        service.zip([liar.entry()]).failed()


def test_a_weak_tag_that_stays_lets_it_go_on(service):
    answer, asked = breaking_once({"ETag": 'W/"a"'}, changes=False)
    with Liar(answer) as liar:
        judges.check(service.zip([liar.entry()]).well(),
                     {"x.jpg": b"a" * SIZE})
    assert asked == [0, BROKEN_AT]


def test_a_weak_tag_does_not_outweigh_the_date(service):
    answer, _ = breaking_once(*({"ETag": 'W/"a"', "Last_Modified": date}
                                for date in (DATE, LATER)))
    with Liar(answer) as liar:
        service.zip([liar.entry()]).failed()


def test_a_part_of_a_length_that_nobody_knows(service):
    """It is no proof that the object ends where the part does."""
    asked = []

    def answer(sock, first, ranged):
        asked.append(first)
        if ranged:
            end = first + 100_000
            sock.sendall(head("206 Partial Content", ETag='"a"',
                              Content_Length=end - first, Content_Range=(
                                  f"bytes {first}-{end - 1}/*"))
                         + b"a" * (end - first))
            return
        sock.sendall(head("200 OK", ETag='"a"', Transfer_Encoding="chunked")
                     + b"%x\r\n" % SIZE)
        if len(asked) == 1:
            sock.sendall(b"a" * BROKEN_AT)
        else:
            sock.sendall(b"a" * SIZE + b"\r\n0\r\n\r\n")

    with Liar(answer) as liar:
        judges.check(service.zip([liar.entry()]).well(),
                     {"x.jpg": b"a" * SIZE})


@pytest.mark.parametrize("well", [True, False])
def test_the_end_of_tcp_is_not_the_end_of_tls(service, origin, well):
    """RFC 9112, section 9.8: anybody on the way can send a FIN."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(origin.pems["cert"], origin.pems["key"])

    def answer(sock, first, ranged):
        sock.sendall(head("200 OK", ETag='"a"') + b"a" * BROKEN_AT)
        if well:
            sock.unwrap()

    with Liar(answer, tls) as liar:
        zip_ = service.zip([liar.entry()])
    if well:
        judges.check(zip_.well(), {"x.jpg": b"a" * BROKEN_AT})
    else:
        zip_.failed()


def test_a_fresh_start_is_no_progress(make_service):
    """Without a validator each try begins at the first byte: however far one
    came, there is an end to them, also while an earlier file is waited for."""
    asked, slow = [], Scripted(lambda _: (time.sleep(0.1), (200, {}, b"x"))[1])

    def broken(sock, first, ranged):
        asked.append(first)
        sock.sendall(head("200 OK", Content_Length=SIZE) + b"a" * 100_000)

    def last(sock, first, ranged):
        sock.sendall(head("200 OK", Content_Length=30))
        for _ in range(30):
            sock.sendall(b"a")
            time.sleep(0.1)

    service = make_service()
    with Liar(broken) as liar, Liar(last) as dripping:
        # The first ones widen the window, so that it reaches the broken one.
        files = [{"src": f"{slow.url}/{i}".replace("127.0.0.1", "localhost"),
                  "dst": f"{i}.jpg"} for i in range(80)]
        service.zip([*files, dripping.entry(),
                     {**liar.entry(), "dst": "y.jpg"}]).failed()
    slow.stop()
    # A probe, the head of it, and SOURCE_RESUMES.
    assert len(asked) <= 6, len(asked)


def test_a_redirect_is_not_waited_for(service):
    """Its head has said all; this one never ends."""
    def there(sock, first, ranged):
        sock.sendall(head("200 OK", Content_Length=5) + b"there")

    def here(sock, first, ranged):
        sock.sendall(head("302 Found", Location=target) + b"wait ...")
        sock.recv(1)

    with Liar(there) as one, Liar(here) as other:
        target = one.entry()["src"]
        judges.check(service.zip([other.entry()]).well(),
                     {"x.jpg": b"there"})


@pytest.mark.parametrize("size", [0, 10, 100_000, SIZE])
def test_switching_protocols_is_no_answer(service, size):
    """Nobody asked for it; libcurl passes on what follows as a body."""
    def answer(sock, first, ranged):
        sock.sendall(head("101 Switching Protocols", Upgrade="x")
                     + b"a" * size)
        sock.recv(1)  # and says no more

    with Liar(answer) as liar:
        refused = service.zip([liar.entry()]).refused()
    assert refused["files"][0]["status"] == 101


@pytest.mark.parametrize("length", ["9" * 19, "9" * 20])
def test_a_length_that_no_file_has(service, length):
    """It is no leave to end anywhere."""
    def answer(sock, first, ranged):
        sock.sendall(head("200 OK", Content_Length=length) + b"a" * 1000)

    with Liar(answer) as liar:
        service.zip([liar.entry()]).failed()
