"""Lazy gossip: ids that a peer offers, what we ask of it, and whether it keeps its word. A machine without I/O.

An id that is offered is a promise. It is asked of one peer at a time, and when that peer has not sent it in time, of
the next who offers it. A peer is asked for a few at once, and for the next as they come: for half as many after it
left some of them out, and for one more with each that it sent. So a slow link is never asked for more than it carries,
and who sends some is not blamed for the rest; a promise counts as broken when nothing came that was asked for.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from .. import bounds
from .history import Recent


@dataclass(slots=True)
class _Promiser:
    """A peer that offered something."""

    window: int = bounds.ASKED  # ids that it may owe at once
    owes: int = 0
    kept: float = -math.inf  # when it last sent what it was asked for, in time or not
    late: deque[bytes] = field(default_factory=lambda: deque(maxlen=2 * bounds.ASKED))  # what did not come in time
    waiting: dict[bytes, None] = field(default_factory=dict)  # offered since the last heartbeat, and not asked for yet


class Lazy:
    """Who owes us which message, and what each peer may still have of us until the next heartbeat."""

    def __init__(self, random: Random, recent: Recent) -> None:
        self._random, self._recent = random, recent
        self._owed: dict[bytes, tuple[str, float]] = {}  # by id: who promised it, and when it was asked for
        self._promisers: dict[str, _Promiser] = {}
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
        promiser = self._promisers.setdefault(peer, _Promiser())
        wanted = list(dict.fromkeys(i for i in ids[: bounds.IHAVE_IDS_READ] if is_new(i) and i not in self._owed))
        self._random.shuffle(wanted)  # or the first in the list of one liar would be what everybody waits for
        room = bounds.IWANT_IDS - self._asked[peer] - len(promiser.waiting)
        promiser.waiting.update(dict.fromkeys(wanted[: max(0, room)]))
        return self._ask(peer, promiser, is_new, now)

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

    def came(
        self, sender: str, message_id: bytes, is_new: Callable[[bytes], bool], now: float
    ) -> tuple[str, list[bytes]]:
        """The message came, from whomever: nobody owes it any more. What to ask next, and of whom."""
        if (late := self._promisers.get(sender)) is not None and message_id in late.late:
            late.kept = now  # it is slow, and what it is asked for meanwhile waits behind this
            late.late.remove(message_id)
        owed = self._owed.pop(message_id, None)
        if owed is None:
            return sender, []
        peer = owed[0]
        promiser = self._promisers[peer]
        promiser.owes -= 1
        if peer == sender:
            promiser.kept, promiser.window = now, min(bounds.ASKED, promiser.window + 1)
        return peer, self._ask(peer, promiser, is_new, now)

    def over(self, peer: str) -> None:
        """Control of the peer was beyond what is looked at."""
        self._excess[peer] += 1

    def heartbeat(self, now: float) -> tuple[Counter[str], Counter[str]]:
        """Start new budgets. By peer: promises that were broken, and control that was too much."""
        broken: Counter[str] = Counter()
        late: set[str] = set()
        for message_id, (peer, since) in list(self._owed.items()):  # in the order of their times
            if since + bounds.PROMISE > now:
                break
            del self._owed[message_id]
            late.add(peer)
            promiser = self._promisers[peer]
            promiser.owes -= 1
            promiser.late.append(message_id)
            broken[peer] += promiser.kept < since
        for peer in late:
            self._promisers[peer].window = max(1, self._promisers[peer].window // 2)
        for promiser in self._promisers.values():
            promiser.waiting.clear()  # what is much older may be held no more
        excess, self._excess = self._excess, Counter()
        self._offers.clear()
        self._asked.clear()
        self._served.clear()
        for key in [key for key in self._times if self._recent.get(key[1]) is None]:
            del self._times[key]
        return +broken, excess

    def forget(self, peer: str) -> None:
        """The peer is gone, or its streams are new: it can keep no promise, and others may be asked."""
        self._promisers.pop(peer, None)
        for message_id in [i for i, (who, _) in self._owed.items() if who == peer]:
            del self._owed[message_id]

    def _ask(self, peer: str, promiser: _Promiser, is_new: Callable[[bytes], bool], now: float) -> list[bytes]:
        """What waits for it and may be asked now."""
        wanted: list[bytes] = []
        while promiser.waiting and promiser.owes < promiser.window and len(self._owed) < bounds.OWED:
            del promiser.waiting[message_id := next(iter(promiser.waiting))]
            if is_new(message_id) and message_id not in self._owed:
                self._owed[message_id] = peer, now
                promiser.owes += 1
                wanted.append(message_id)
        self._asked[peer] += len(wanted)
        return wanted
