# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bodies of any size that are made when asked for and never stored.

The byte at an offset follows from seed, kind and offset alone, so a test can
recompute any range of what the origin sent, and a body that was resumed at
the wrong place cannot look right: every block carries its own number.
"""

import functools
import random
import zlib

BLOCK = 1 << 18

KINDS = ("random", "text", "zero")


@functools.lru_cache(maxsize=64)
def _pattern(seed: int, kind: str) -> bytes:
    rng = random.Random(seed)
    if kind == "random":
        return rng.randbytes(BLOCK)
    if kind == "zero":
        return bytes(BLOCK)
    words = [rng.randbytes(rng.randrange(2, 9)).hex() for _ in range(200)]
    lines = []
    size = 0
    while size < BLOCK:
        line = " ".join(rng.choices(words, k=9)) + "\n"
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()[:BLOCK]


def block(seed: int, kind: str, number: int) -> bytes:
    """One whole block; its first 16 bytes say which."""
    return b"%015d\n" % number + _pattern(seed, kind)[16:]


def pieces(seed: int, kind: str, first: int, end: int):
    """The bytes from `first` up to, not including, `end`, in blocks."""
    while first < end:
        number, skip = divmod(first, BLOCK)
        stop = min(BLOCK, end - number * BLOCK)
        yield block(seed, kind, number)[skip:stop]
        first = number * BLOCK + stop


def body(seed: int, size: int, kind: str = "random") -> bytes:
    """The whole of it, for what fits in memory."""
    return b"".join(pieces(seed, kind, 0, size))


def crc32(seed: int, size: int, kind: str = "random") -> int:
    """Of the whole, without holding it."""
    crc = 0
    for piece in pieces(seed, kind, 0, size):
        crc = zlib.crc32(piece, crc)
    return crc
