"""One question put to several peers: at which of these addresses can you dial us? A machine without I/O.

A peer's network has one voice, whoever speaks in it. Three networks at least are asked; when they do not agree, more
are. An address is confirmed by a majority of them, two at least, and it loses that only to two polls in a row: so one
peer that lies, either way, changes nothing, and neither does one bad minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from .. import bounds
from .places import IP


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask `peer` to dial us at `addresses`."""

    peer: str
    addresses: tuple[str, ...]


@dataclass(slots=True)
class _Ballots:
    """What one poll has heard: by address, by network, whether it was reached."""

    target: int = bounds.CHECKERS
    pending: dict[str, str] = field(default_factory=dict)  # by peer: its network
    votes: dict[str, dict[str, bool]] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)  # networks
    tried: set[str] = field(default_factory=set)  # peers

    def agree(self) -> bool:
        return all(len(set(votes.values())) < 2 for votes in self.votes.values())


class Poll:
    """Polls about the addresses of one family, one after the other. Times are seconds of one clock."""

    def __init__(self, random: Random, network: Callable[[IP], str]) -> None:
        self._random, self._network = random, network
        self.candidates: tuple[str, ...] = ()
        self.confirmed: dict[str, None] = {}
        self.glimpsed: frozenset[str] = frozenset()  # reached by all who could be asked, who were too few
        self.decided = False  # whether the last poll was answered by enough
        self.due = 0.0
        self._concluded = 0.0  # when the last poll ended
        self._open: _Ballots | None = None
        self._strikes: dict[str, int] = {}
        self._unable: dict[str, float] = {}
        self._pause = bounds.CHECK_RETRY
        self._heard: set[str] = set()  # networks that answered the last poll

    @property
    def under_way(self) -> bool:
        """Whether peers are being asked."""
        return self._open is not None

    def consider(self, candidates: Sequence[str], now: float) -> None:
        """The addresses to ask about from now on; what is no longer among them is confirmed no longer."""
        if self.candidates == (fresh := tuple(candidates)[: bounds.DIAL_BACK_ADDRESSES]):
            return
        self.candidates = fresh
        self.confirmed = {a: None for a in self.confirmed if a in fresh}
        self.glimpsed &= frozenset(fresh)
        self._strikes.clear()
        self.restart(now + bounds.CHECK_SETTLE)

    def restart(self, at: float) -> None:
        """What was asked is no longer the question: ask anew at `at`."""
        self._open, self.decided = None, False
        self.again(at)

    def again(self, at: float) -> None:
        """Ask anew at `at`, if that is sooner than is planned."""
        self.due, self._pause = min(self.due, at) if self.due else at, bounds.CHECK_RETRY

    def met(self, network: str, now: float) -> None:
        """A peer of this network has connected: where too few could be asked, it may be the one that was missing."""
        if self.candidates and not self.decided and self._open is None and network not in self._heard:
            self.due = min(self.due, now + bounds.CHECK_SETTLE)

    def doubt(self, now: float) -> None:
        """There is a sign that strangers get through no more: ask soon, where that was not just done."""
        if self.confirmed and self._open is None:
            self.due = min(self.due, max(now + bounds.CHECK_SETTLE, self._concluded + bounds.CHECK_RETRY))

    def doubts(self, address: str) -> bool:
        """Whether a confirmed address was not reached the last time."""
        return address in self._strikes

    def asks(self, able: Mapping[str, IP], now: float) -> list[Ask]:
        """Whom to ask now. `able`: peers that are connected directly from elsewhere, and where they are."""
        if not self.candidates or (self._open is None and now < self.due):
            return []
        poll = self._open = self._open or _Ballots(votes={a: {} for a in self.candidates})
        taken = poll.answered | set(poll.pending.values())
        free = [p for p in able if p not in poll.tried and self._unable.get(p, 0.0) <= now]
        self._random.shuffle(free)
        found = []
        for peer in free:
            if len(taken) >= poll.target:
                break
            if (network := self._network(able[peer])) not in taken:
                taken.add(network)
                poll.tried.add(peer)
                poll.pending[peer] = network
                found.append(Ask(peer, self.candidates))
        if not poll.pending:
            self._conclude(poll, now)
        return found

    def answered(self, ask: Ask, reached: Mapping[str, bool]) -> None:
        """What became of a question."""
        if (poll := self._open) is None or ask.addresses != self.candidates:
            return
        if (network := poll.pending.pop(ask.peer, None)) is None:
            return
        poll.answered.add(network)
        for address, votes in poll.votes.items():
            votes[network] = reached.get(address, False)
        if len(poll.answered) >= poll.target and not poll.agree() and poll.target < bounds.CHECKERS_MOST:
            poll.target += 2

    def unanswered(self, ask: Ask, rest: float, now: float) -> None:
        """The peer gave no answer; it is not asked for `rest` seconds."""
        self._unable = {p: until for p, until in self._unable.items() if until > now} | {ask.peer: now + rest}
        if self._open is not None and ask.addresses == self.candidates:
            self._open.pending.pop(ask.peer, None)

    def _conclude(self, poll: _Ballots, now: float) -> None:
        self._open, self._heard, self._concluded = None, poll.answered, now
        self.decided = len(poll.answered) >= bounds.CHECKERS
        struck = False
        if self.decided:
            self.glimpsed = frozenset()
            for address, votes in poll.votes.items():
                struck |= self._judge(address, sum(votes.values()), len(votes))
        elif poll.answered:
            self.glimpsed = frozenset(a for a, votes in poll.votes.items() if votes and all(votes.values()))
        if struck:
            self.due = now + bounds.CHECK_RETRY * self._random.uniform(0.5, 1)
        elif self.decided:
            self.due, self._pause = now + bounds.CHECK_EVERY * self._random.uniform(0.5, 1), bounds.CHECK_RETRY
        else:
            self.due = now + self._pause * self._random.uniform(0.5, 1)
            self._pause = min(2 * self._pause, bounds.CHECK_RETRY_MOST)

    def _judge(self, address: str, yes: int, asked: int) -> bool:
        """Whether a confirmed address failed for the first time."""
        if yes >= bounds.CHECKERS_AGREEING and 2 * yes > asked:
            self.confirmed[address] = None
        elif 2 * yes < asked and address in self.confirmed:
            self._strikes[address] = self._strikes.get(address, 0) + 1
            if self._strikes[address] < bounds.CHECK_STRIKES:
                return True
            del self.confirmed[address]
        self._strikes.pop(address, None)
        return False
