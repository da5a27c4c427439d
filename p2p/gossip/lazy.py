"""Lazy gossip: ids that a peer offers, what we ask of it, and whether it keeps its word. A machine without I/O.

An id that is offered is a promise. It is asked of one peer at a time; what that peer has not sent in time counts
against it, and the next who offers the id is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

from .. import bounds
from .history import Recent


class Lazy:
    """Who owes us which message, and what each peer may still have of us until the next heartbeat."""

    def __init__(self, random: Random, recent: Recent) -> None:
        self._random, self._recent = random, recent
        self._owed: dict[bytes, tuple[str, float]] = {}  # by id: who promised it, and until when
        self._offers: Counter[str] = Counter()  # since the last heartbeat, by peer: IHAVEs it sent,
        self._asked: Counter[str] = Counter()  # ids that we asked it for,
        self._served: Counter[str] = Counter()  # messages that we sent it for its asking,
        self._times: Counter[tuple[str, bytes]] = Counter()  # and how often each, as long as it is held
        self._excess: Counter[str] = Counter()  # control that was not looked at

    def offered(self, peer: str, ids: Sequence[bytes], is_new: Callable[[bytes], bool], now: float) -> list[bytes]:
        """What to ask of a peer that offers these."""
        self._offers[peer] += 1
        if self._offers[peer] > bounds.IHAVES:
            self._excess[peer] += 1
            return []
        room = min(bounds.IWANT_IDS - self._asked[peer], bounds.OWED - len(self._owed))
        wanted = list(dict.fromkeys(i for i in ids[: bounds.IHAVE_IDS_READ] if is_new(i) and i not in self._owed))
        self._random.shuffle(wanted)  # or the first in the list of one liar would be what everybody waits for
        wanted = wanted[: max(0, room)]
        self._asked[peer] += len(wanted)
        for message_id in wanted:
            self._owed[message_id] = peer, now + bounds.PROMISE
        return wanted

    def asked(self, peer: str, ids: Iterable[bytes]) -> list[tuple[str, bytes, bytes]]:
        """What of these is sent to a peer that asks for it: topic, id and bytes."""
        found = []
        for message_id in ids:
            if self._served[peer] >= 2 * bounds.IWANT_IDS:  # two of its heartbeats may fall between two of ours
                self._excess[peer] += 1
                continue
            if (held := self._recent.get(message_id)) is None or self._times[peer, message_id] >= bounds.RETELLS:
                continue
            self._served[peer] += 1
            self._times[peer, message_id] += 1
            found.append((held[0], message_id, held[1]))
        return found

    def owes(self, peer: str, message_id: bytes) -> bool:
        """Whether the peer was asked for it, and has not sent it."""
        return self._owed.get(message_id, ("",))[0] == peer

    def came(self, message_id: bytes) -> None:
        """The message came, from whomever: nobody owes it any more."""
        self._owed.pop(message_id, None)

    def over(self, peer: str) -> None:
        """Control of the peer was beyond what is looked at."""
        self._excess[peer] += 1

    def heartbeat(self, now: float) -> tuple[Counter[str], Counter[str]]:
        """Start new budgets. By peer: promises that were broken, and control that was too much."""
        broken: Counter[str] = Counter()
        for message_id, (peer, until) in list(self._owed.items()):  # in the order of their times
            if until > now:
                break
            del self._owed[message_id]
            broken[peer] += 1
        excess, self._excess = self._excess, Counter()
        self._offers.clear()
        self._asked.clear()
        self._served.clear()
        for key in [key for key in self._times if self._recent.get(key[1]) is None]:
            del self._times[key]
        return broken, excess

    def forget(self, peer: str) -> None:
        """The peer is gone: it can keep no promise, and others may be asked."""
        for message_id in [i for i, (who, _) in self._owed.items() if who == peer]:
            del self._owed[message_id]
