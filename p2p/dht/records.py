"""The value records that this peer holds for others: judged, bounded, and never an older one for a newer one.

What a record means is not known here. Whoever opens the host passes a judge, which refuses a record or ranks it and
says whose it is; of two records under one key the higher rank wins, and of equal ranks the greater bytes, so that all
peers settle on one. There is so much room for one signer and for what one peer brings, and where all of it is taken the
records farthest from this peer go: others are asked for those. On the wire a key is the text `/hallmark/` and its bytes
in hexadecimal. A machine without I/O; times are seconds of any clock.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from libp2p.peer.id import ID

from .. import bounds
from ..lookup import position

log = logging.getLogger(__name__)

_PREFIX = b"/hallmark/"

Judge = Callable[[bytes, bytes], tuple[int, bytes] | None]
"""The rank of a value under a key, both a stranger's bytes, and who signed it; None refuses it. It must not block."""


def name_of(key: bytes) -> bytes:
    """The key as it travels."""
    return _PREFIX + key.hex().encode()


def key_of(name: bytes) -> bytes | None:
    """The key that travels as `name`; None for a name that `name_of` does not make."""
    try:
        key = bytes.fromhex(name.removeprefix(_PREFIX).decode("ascii"))
    except ValueError:
        return None
    return key if key and len(key) <= bounds.RECORD_KEY and name_of(key) == name else None


@dataclass(slots=True)
class _Held:
    value: bytes
    owner: bytes
    giver: str  # the peer that brought it, "" for this one
    distance: int
    put: float


class Records:
    """Values by name, with the judge at every way in and out."""

    def __init__(self, me: ID, judge: Judge | None) -> None:
        self._me, self._judge = position(me.to_bytes()), judge
        self._held: OrderedDict[bytes, _Held] = OrderedDict()  # the one put longest ago first
        self._shares: dict[bytes | str, dict[bytes, None]] = {}  # names by signer, and by the peer that brought them
        self._bytes = 0
        self._far: list[tuple[int, bytes]] = []  # a heap of all names, and some gone, the farthest first

    def __len__(self) -> int:
        return len(self._held)

    def order(self, name: bytes, value: bytes) -> tuple[int, bytes] | None:
        """What records of one name are compared by; None for one that is refused."""
        judged = self._judged(name, value)
        return None if judged is None else (judged[0], value)

    def newest(self, name: bytes, now: float) -> bytes | None:
        """The value that is held under `name`, judged again: a judge may refuse with time what it took before."""
        held = self._held.get(name)
        if held is None:
            return None
        if now - held.put >= bounds.RECORD_LIFE or self.order(name, held.value) is None:
            self.remove(name)
            return None
        return held.value

    def offer(self, name: bytes, value: bytes, giver: str, now: float) -> bool:
        """Hold `value` if it is good and no newer one is held; whether it is held now. The same again lives longer."""
        judged, held = self._judged(name, value), self.newest(name, now)
        before = self.order(name, held) if held is not None else None
        if judged is None or (before is not None and before > (judged[0], value)):
            return False
        if name in self._held:
            giver = self._held[name].giver  # a newer one takes its predecessor's room
            self.remove(name)
        self._keep(name, _Held(value, judged[1], giver, position(name) ^ self._me, now))
        return name in self._held

    def remove(self, name: bytes) -> None:
        """Hold it no more."""
        held = self._held.pop(name)
        self._bytes -= len(held.value)
        for share in _shares(held):
            del self._shares[share][name]
            if not self._shares[share]:
                del self._shares[share]

    def _judged(self, name: bytes, value: bytes) -> tuple[int, bytes] | None:
        key = key_of(name)
        if key is None or self._judge is None or not 0 < len(value) <= bounds.RECORD_VALUE:
            return None
        try:
            return self._judge(key, value)
        except Exception:  # a fault of ours, met by a stranger's bytes: what cannot be judged is refused
            log.exception("a record could not be judged")
            return None

    def _keep(self, name: bytes, held: _Held) -> None:
        self._held[name] = held
        self._bytes += len(held.value)
        for share in _shares(held):
            self._shares.setdefault(share, {})[name] = None
        heappush(self._far, (-held.distance, name))
        if len(self._far) > 2 * len(self._held) + 64:
            self._far = [(-each.distance, of) for of, each in self._held.items()]
            heapify(self._far)
        for share, most in zip(_shares(held), (bounds.RECORDS_PER_OWNER, bounds.RECORDS_PER_GIVER), strict=False):
            if len(names := self._shares.get(share, ())) > most:
                self.remove(max(names, key=lambda each: self._held[each].distance))
        while len(self._held) > bounds.RECORDS or self._bytes > bounds.RECORDS_BYTES:
            self._make_room(held.put)

    def _make_room(self, now: float) -> None:
        oldest, held = next(iter(self._held.items()))
        if now - held.put >= bounds.RECORD_LIFE:
            self.remove(oldest)
        elif (name := heappop(self._far)[1]) in self._held:
            self.remove(name)


def _shares(held: _Held) -> tuple[bytes | str, ...]:
    """Whose room a record takes: nobody's, where this peer found it or made it itself."""
    return (held.owner, held.giver) if held.giver else ()
