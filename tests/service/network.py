# SPDX-License-Identifier: AGPL-3.0-or-later
"""A network of its own for a piece of a test, where this machine has any
address and port that it likes.
"""

import concurrent.futures
import contextlib
import ctypes
import errno
import os
import socket
import subprocess

import pytest

CLONE_NEWNET = 0x40000000


def has_ipv6() -> bool:
    """Many containers have none, not even a loopback."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def leave():
    """The calling thread, and what it starts, has only a loopback now."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == -1:
        code = ctypes.get_errno()
        if code in (errno.EPERM, errno.ENOSYS):
            pytest.skip(f"no network of its own: {os.strerror(code)}")
        raise OSError(code, os.strerror(code))


def apart(work, *addresses: str):
    """What work() returns in a network where `addresses` are our own."""
    def run():
        leave()
        for command in (("link", "set", "lo", "up"),
                        *(("addr", "add", a, "dev", "lo", "nodad")
                          for a in addresses)):
            subprocess.run(["ip", *command], check=True)
        return work()

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(run).result()
