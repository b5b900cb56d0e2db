# SPDX-License-Identifier: AGPL-3.0-or-later
"""An origin whose answers are a function that writes to the socket, for what
origin.py has no words for."""

import contextlib
import re
import socket
import threading


class Liar:
    """`answer(sock, first, ranged)`: `first` byte asked for; is it a range?"""

    def __init__(self, answer, tls=None):
        self.answer = answer
        self.tls = tls
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.loop, daemon=True).start()

    def __enter__(self) -> "Liar":
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def loop(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve,
                                 args=self.sock.accept()[:1],
                                 daemon=True).start()

    def serve(self, guest):
        with contextlib.suppress(OSError):
            if self.tls:
                guest = self.tls.wrap_socket(guest, server_side=True)
            text = b""
            while b"\r\n\r\n" not in text:
                piece = guest.recv(65536)
                if not piece:
                    return
                text += piece
            found = re.search(rb"\r\nrange: *bytes=(\d+)-", text, re.I)
            self.answer(guest, int(found[1]) if found else 0, bool(found))
        guest.close()

    def entry(self) -> dict:
        scheme = "https" if self.tls else "http"
        return {"src": f"{scheme}://localhost:{self.port}/x", "dst": "x.jpg"}


def head(status: str, **headers) -> bytes:
    lines = [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close",
                        "", ""]).encode()
