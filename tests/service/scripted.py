# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small HTTP server in the test's own process: answers are a function.

For services whose answers matter more than their bytes: S3's redirects and
error documents, and the places that give credentials.
"""

import dataclasses
import http.server
import socket
import threading


@dataclasses.dataclass
class Asked:
    method: str
    target: str
    headers: dict  # names in lower case
    body: bytes


class Scripted:
    """`answer(asked)` returns (status, headers, body); a header that is None
    is not sent."""

    def __init__(self, answer, address: tuple = ("127.0.0.1", 0)):
        self.asked: list = []
        self.answer = answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(self.command, self.path,
                              {k.lower(): v for k, v in self.headers.items()},
                              self.rfile.read(length))
                outer.asked.append(asked)
                self.send(*outer.answer(asked))

            def send(self, status: int, headers: dict, body: bytes):
                self.send_response_only(status)
                headers = {"Content-Length": len(body), **headers}
                for name, value in headers.items():
                    if value is not None:
                        self.send_header(name, str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = (socket.AF_INET6 if ":" in address[0]
                              else socket.AF_INET)

        self.server = Server(address, Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
