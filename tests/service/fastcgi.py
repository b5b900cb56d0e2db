# SPDX-License-Identifier: AGPL-3.0-or-later
"""FastCGI by hand, for what no web server sends and for what it would hold
back."""

import pathlib
import socket
import struct

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT = 1, 2, 3, 4, 5, 6

GET = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/health-check",
       "SCRIPT_NAME": "", "PATH_INFO": "/health-check",
       "SERVER_PROTOCOL": "HTTP/1.1"}


def record(type_: int, content: bytes = b"", id_: int = 1) -> bytes:
    return struct.pack(">BBHHBB", 1, type_, id_, len(content), 0, 0) + content


def length(n: int) -> bytes:
    return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)


def pair(name: str, value: str) -> bytes:
    return (length(len(name)) + length(len(value))
            + name.encode() + value.encode())


def begin(role: int = 1) -> bytes:
    return record(BEGIN, struct.pack(">HB5x", role, 0))


def head(variables: dict) -> bytes:
    params = b"".join(pair(*item) for item in variables.items())
    return begin() + record(PARAMS, params) + record(PARAMS)


def connect(path: pathlib.Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(str(path))
    return sock


def records(sock: socket.socket):
    """Type and content of each that comes, until the connection closes."""
    said = b""
    while True:
        while len(said) >= 8:
            _, type_, _, size, padding, _ = struct.unpack(">BBHHBB", said[:8])
            if len(said) < 8 + size + padding:
                break
            yield type_, said[8:8 + size]
            said = said[8 + size + padding:]
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return
        if not piece:
            return
        said += piece


def answer(sock: socket.socket, to_end: bool = False) -> tuple:
    """What the program wrote until it closed, or (to_end) ended the request:
    text, and whether it ended it well."""
    text, ended = b"", False
    for type_, content in records(sock):
        if type_ == STDOUT:
            text += content
        ended |= type_ == END
        if ended and to_end:
            break
    return text.decode("latin-1"), ended
