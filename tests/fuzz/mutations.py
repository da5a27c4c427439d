"""Inputs made from good ones by what breaks parsers: bits, lengths, ends, parts twice, parts of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

TELLING = (0, 1, 0x7F, 0x80, 0xFF)  # bytes at which lengths, kinds and signs turn
SIZES = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
MOST = 64 * 1024  # bytes of one input


class Mutator:
    """Inputs for one protocol; the same seed gives the same ones."""

    def __init__(self, seeds: Sequence[bytes], random: Random) -> None:
        self._seeds, self._random = list(seeds) or [b""], random
        self._ways: list[Callable[[bytearray], bytearray]] = [
            self._flip,
            self._tell,
            self._cut,
            self._drop,
            self._double,
            self._insert,
            self._splice,
            self._resize,
        ]

    def next(self) -> bytes:
        """A seed as it is, one of ten; random bytes, one of ten; else a seed changed in one to eight places."""
        kind = self._random.randrange(10)
        if kind == 0:
            return self._random.choice(self._seeds)
        if kind == 1:
            return self._random.randbytes(self._random.randrange(2048))
        data = bytearray(self._random.choice(self._seeds))
        for _ in range(1 << self._random.randrange(4)):
            data = self._random.choice(self._ways)(data)
        return bytes(data[:MOST])

    def _at(self, data: bytearray) -> int:
        return self._random.randrange(len(data)) if data else 0

    def _flip(self, data: bytearray) -> bytearray:
        if data:
            data[self._at(data)] ^= 1 << self._random.randrange(8)
        return data

    def _tell(self, data: bytearray) -> bytearray:
        if data:
            data[self._at(data)] = self._random.choice(TELLING)
        return data

    def _cut(self, data: bytearray) -> bytearray:
        return data[: self._at(data)]

    def _drop(self, data: bytearray) -> bytearray:
        at = self._at(data)
        del data[at : at + self._random.randrange(1, 64)]
        return data

    def _double(self, data: bytearray) -> bytearray:
        at = self._at(data)
        part = data[at : at + self._random.randrange(1, 64)]
        return data[:at] + part * self._random.choice((2, 3, 64)) + data[at:]

    def _insert(self, data: bytearray) -> bytearray:
        at = self._at(data)
        return data[:at] + self._random.randbytes(self._random.randrange(1, 32)) + data[at:]

    def _splice(self, data: bytearray) -> bytearray:
        other = bytearray(self._random.choice(self._seeds))
        return data[: self._at(data)] + other[self._at(other) :]

    def _resize(self, data: bytearray) -> bytearray:
        """Another length, where our frames (and often others') have one."""
        if len(data) >= 5:
            data[1:5] = self._random.choice(SIZES).to_bytes(4, "big")
        return data
