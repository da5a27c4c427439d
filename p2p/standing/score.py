"""What peers did, as one number that fades, and who is refused for it. A machine without I/O.

Two sums are kept of a peer, and both fade with one half-life: what it did wrong and what it brought. The score is
their difference. Only wrongs lead to a ban: what a peer has brought makes room for it, and buys it no offence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .. import bounds


@dataclass(frozen=True, slots=True)
class PeerStanding:
    """What is held against a peer, or for it."""

    peer_id: str
    score: float
    refused_s: float  # 0 when it is not refused
    rule: str  # that it broke last
    times: int  # how often it was refused


@dataclass(slots=True)
class Memory:
    """What is kept of one peer. Times are seconds of the caller's clock."""

    wrongs: float = 0.0
    merits: float = 0.0
    as_of: float = 0.0  # when the two were so
    until: float = -math.inf  # refused before this
    times: int = 0  # bans, those longest forgiven left out
    rule: str = ""

    def fade(self, now: float) -> None:
        """Bring the sums to `now`; a clock that goes back changes nothing."""
        passed = now - self.as_of
        if passed > 0:
            part: float = 0.5 ** (passed / bounds.SCORE_HALF_LIFE)
            self.wrongs, self.merits, self.as_of = self.wrongs * part, self.merits * part, now


class Standing:
    """The memory of all peers, and of the address ranges that several banned ones came from.

    `where` is the range that a peer is connected from, None when it has none that counts.
    """

    def __init__(self, where: Callable[[str], str | None] = lambda _: None) -> None:
        self._where = where
        self._known: dict[str, Memory] = {}
        self._ranges: dict[str, float] = {}  # refused, and until when
        self._culprits: dict[str, dict[str, float]] = {}  # who was banned in a range, and when
        self.counts: Counter[str] = Counter()  # offences and bans by rule, since the start
        self.changed = False  # since `saved` looked last, which puts it back
        self.on_ban: Callable[[], object] = lambda: None  # called when a ban begins or ends early: it should be kept

    def offend(self, peer: str, now: float, weight: float = 1.0, rule: str = "") -> bool:
        """Note an offence; True when `peer` is refused from now on because of it."""
        self.counts[rule or "unnamed"] += 1
        memory = self._of(peer, now)
        memory.wrongs, memory.rule = memory.wrongs + weight, rule[: bounds.RULE_TEXT] or memory.rule
        if memory.wrongs <= bounds.OFFENCES or now < memory.until:
            return False
        self.refuse(peer, now, rule=rule)
        return True

    def credit(self, peer: str, now: float, weight: float = 1.0) -> None:
        """The peer delivered something new and good."""
        memory = self._of(peer, now)
        memory.merits = min(bounds.MERITS, memory.merits + weight)

    def score(self, peer: str, now: float) -> float:
        """0 for a stranger, below it for one that misbehaved, `bounds.MERITS` at most."""
        memory = self._known.get(peer)
        if memory is None:
            return 0.0
        memory.fade(now)
        return memory.merits - memory.wrongs

    def refuse(self, peer: str, now: float, *, rule: str = "", seconds: float | None = None) -> None:
        """Nothing of `peer` is taken from now on: for so many seconds, or for twice as long at each repetition.

        A ban that stands is never shortened, and made longer only by `seconds`.
        """
        memory = self._of(peer, now)
        if now >= memory.until:
            memory.times = 1 if now >= memory.until + bounds.BAN_FORGOTTEN else min(memory.times + 1, bounds.BAN_TIMES)
            memory.rule = rule[: bounds.RULE_TEXT] or memory.rule
            self.counts["bans"] += 1
            self._suspect(peer, now)
            if seconds is None:
                seconds = min(bounds.BAN_MOST, bounds.REFUSAL * 2.0 ** (memory.times - 1))
        if seconds is not None:
            memory.until = max(memory.until, now + seconds)
        self.on_ban()

    def forgive(self, peer: str, now: float) -> bool:
        """Forget all that is held against the peer, and its range for its sake; whether it was refused."""
        memory = self._known.pop(peer, None)
        for where, culprits in self._culprits.items():
            if culprits.pop(peer, None) is not None:
                self._ranges.pop(where, None)
        self.changed = True
        self.on_ban()
        return memory is not None and now < memory.until

    def is_refused(self, peer: str, now: float) -> bool:
        """Whether nothing of `peer` is taken at `now`."""
        memory = self._known.get(peer)
        return memory is not None and now < memory.until

    def is_range_refused(self, where: str, now: float) -> bool:
        """Whether connections from this range are refused at `now`."""
        return now < self._ranges.get(where, -math.inf)

    def listed(self, now: float) -> list[PeerStanding]:
        """All that is remembered, the worst first."""
        found = [
            PeerStanding(peer, self.score(peer, now), max(0.0, memory.until - now), memory.rule, memory.times)
            for peer, memory in self._known.items()
        ]
        return sorted(found, key=lambda one: (-one.refused_s, one.score))

    # What follows serves `saved`.

    def memories(self, now: float) -> dict[str, Memory]:
        """What is remembered of each peer and is still of any weight."""
        for memory in self._known.values():
            memory.fade(now)
        return {peer: memory for peer, memory in self._known.items() if _worth(memory, now) > 0}

    def ranges(self, now: float) -> dict[str, float]:
        """The ranges refused, and until when."""
        return {where: until for where, until in self._ranges.items() if now < until}

    def recall(self, memories: dict[str, Memory], ranges: dict[str, float]) -> None:
        """Take back what was saved before this start."""
        self._known.update(memories)
        self._ranges.update(ranges)

    def _of(self, peer: str, now: float) -> Memory:
        self.changed = True  # nobody asks for it but to change it
        memory = self._known.get(peer)
        if memory is None:
            if len(self._known) >= bounds.BUCKETS:
                self._forget(now)
            memory = self._known[peer] = Memory(as_of=now)
        memory.fade(now)
        return memory

    def _forget(self, now: float) -> None:
        """Make room, an eighth at once: what weighs least goes, so that many strangers do not wash away a ban."""
        for memory in self._known.values():
            memory.fade(now)
        weighed = sorted(self._known, key=lambda peer: _worth(self._known[peer], now))
        for peer in weighed[: max(1, bounds.BUCKETS // 8)]:
            del self._known[peer]

    def _suspect(self, peer: str, now: float) -> None:
        """Several banned peers of one range are taken for one attacker with many keys: its next one costs nothing."""
        where = self._where(peer)
        if where is None:
            return
        culprits = self._culprits.pop(where, {}) | {peer: now}
        recent = {each: at for each, at in culprits.items() if now - at < bounds.RANGE_WINDOW}
        self._culprits[where] = dict(sorted(recent.items(), key=lambda item: item[1])[-bounds.RANGE_BANNED :])
        if len(recent) >= bounds.RANGE_BANNED:
            self._ranges[where] = now + bounds.RANGE_REFUSAL
            self.counts["range bans"] += 1
        for table in (self._culprits, self._ranges):
            while len(table) > bounds.RANGES:
                del table[next(iter(table))]


def _worth(memory: Memory, now: float) -> float:
    """How much would be lost if it were forgotten: a ban most, and one for good above all."""
    if now < memory.until:
        return 1e6 + memory.until - now
    repeated = memory.times if now < memory.until + bounds.BAN_FORGOTTEN else 0
    worth = memory.wrongs + memory.merits + repeated
    return worth if worth > 0.05 else 0.0
