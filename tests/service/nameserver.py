# SPDX-License-Identifier: AGPL-3.0-or-later
"""A name server that says what a test wants, and the world of a process that
asks it and nobody else: a mount namespace with an /etc/resolv.conf of ours.

The port cannot be chosen, so that it takes root.
"""

import contextlib
import os
import pathlib
import socket
import struct
import threading

# One that no other run of the tests has.
ADDRESS = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
A, AAAA = 1, 28
HEADER = struct.Struct("!6H")
ANSWERED = 0x8180  # a response, recursion available, no error


class Nameserver:
    """`names`: name -> addresses, which may change at any time; a context."""

    def __init__(self, folder: pathlib.Path, names: dict):
        self.names = names
        self.asked: list = []
        self.resolv, self.switch = folder / "resolv.conf", folder / "nsswitch"
        self.resolv.write_text(f"nameserver {ADDRESS}\n")
        self.switch.write_text("hosts: dns\n")

    @property
    def prefix(self) -> list:
        """In front of a command, for it to live in that world."""
        return ["unshare", "--mount", "sh", "-ec",
                'mount --bind "$0" /etc/resolv.conf\n'
                'mount --bind "$1" /etc/nsswitch.conf\n'
                'shift; exec "$@"', self.resolv, self.switch]

    def __enter__(self) -> "Nameserver":
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ADDRESS, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # It was never connected.
            self.sock.shutdown(socket.SHUT_RD)
        self.thread.join()
        self.sock.close()

    def serve(self):
        while (asked := self.sock.recvfrom(4096))[0]:
            self.sock.sendto(self.answer(asked[0]), asked[1])

    def answer(self, query: bytes) -> bytes:
        """RFC 1035, section 4.1; whatever follows the question is dropped."""
        number, end = HEADER.unpack(query[:12])[0], 12
        labels = []
        while (n := query[end]) > 0:
            labels.append(query[end + 1:end + 1 + n].decode())
            end += n + 1
        kind, name = struct.unpack("!H", query[end + 1:end + 3])[0], ".".join(
            labels)
        self.asked.append(name)
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        found = [socket.inet_pton(family, address)
                 for address in self.names.get(name, [])
                 if family == (socket.AF_INET6 if ":" in address
                               else socket.AF_INET)]
        # Each answer: the question's name, no time to live, the address.
        return HEADER.pack(number, ANSWERED, 1, len(found), 0, 0) + (
            query[12:end + 5]) + b"".join(
                struct.pack("!HHHIH", 0xc00c, kind, 1, 0, len(data)) + data
                for data in found)
