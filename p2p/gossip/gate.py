"""Who gets a message past the gate: every check before anything that costs, cheapest first. A machine without I/O.

What costs is handed in as calls (`Claim.signed`, `Claim.ruled`) and made only when all that is free has passed. Each
outcome is one rule of `rules`, and is counted.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from .. import bounds
from ..rates import Rates
from .rules import Admission, Rule

# Microseconds since 1970 that a seqno of ours may be: years 2017 to 2100. Others count otherwise, js at random.
_CLOCKS = range(1_500_000_000_000_000, 4_100_000_000_000_000)


@dataclass(slots=True)
class Claim:
    """What a message says of itself, unproved, and how to find out more.

    The calls are made in this order, each at most once, the later only when the earlier let it pass.
    """

    sender: str  # the neighbour it came from
    author: str
    seqno: int
    formed: bool  # its fields are there, and within their bounds
    topic: bool  # it is on one topic that is joined here
    first: Callable[[], bool]  # whether its id is new; it is known from then on
    signed: Callable[[], bool]  # whether its author signed it
    ruled: Callable[[], Admission | None]  # what the topic's rule says; None when the rule failed
    asked: bool = False  # this peer asked the neighbour for it
    foreign: bool = False  # peers of 0.1 reject messages of such an author's


class Gate:
    """Rates and memories of one peer's gossip, all topics together."""

    def __init__(self, me: str, score: Callable[[str, float], float], is_refused: Callable[[str, float], bool]) -> None:
        """Both callables get a peer and the time in seconds."""
        self._me, self._score, self._is_refused = me, score, is_refused
        self._senders = Rates(bounds.SENDER_RATE, bounds.SENDER_BURST)
        self._bytes = Rates(bounds.SENDER_BYTES, bounds.SENDER_BYTES_BURST)
        self._authors = Rates(bounds.ORIGIN_RATE, bounds.ORIGIN_BURST)
        self._unproven = Rates(bounds.UNPROVEN_RATE, bounds.UNPROVEN_BURST)
        self._judged = Rates(bounds.JUDGED_RATE, bounds.JUDGED_BURST)
        self._clocks = _Clocks()
        self.counts: Counter[Rule] = Counter()

    def takes_bytes(self, sender: str, size: int, now: float) -> bool:
        """Whether an RPC of so many bytes is read now; else later. Small ones cost more than their bytes."""
        if self._bytes.take(sender, now, size + bounds.RPC_COST):
            return True
        self.counted(Rule.BYTES)
        return False

    def judge(self, claim: Claim, now: float) -> Rule:
        """The rule that decides on a message. The order matters: what costs nothing comes first, the sender's rate
        before any signature, and the author's rate only after it, or anyone could use up the rate of another."""
        return self.counted(self._judge(claim, now))

    def counted(self, rule: Rule) -> Rule:
        """The same, one more."""
        self.counts[rule] += 1
        return rule

    def _judge(self, claim: Claim, now: float) -> Rule:
        if self._is_refused(claim.sender, now):
            return Rule.REFUSED
        if not claim.asked and not self._senders.take(claim.sender, now):
            return Rule.SENDER_RATE
        if not claim.formed:
            return Rule.FORM
        if not claim.topic:
            return Rule.TOPIC
        if not claim.first():
            return Rule.SEEN
        if claim.author == self._me:
            return Rule.OWN
        if self._clocks.is_old(claim.author, claim.seqno, now):
            return Rule.OLD
        if self._score(claim.sender, now) <= 0 and not self._unproven.take("", now):
            return Rule.BUSY
        if not self._judged.take("", now):  # one good message makes a neighbour a proven one, and keys are free
            return Rule.BUSY
        if not claim.signed():
            return Rule.FORGED
        self._clocks.note(claim.author, claim.seqno, now)
        if not self._authors.take(claim.author, now):
            return Rule.AUTHOR_RATE
        verdict = claim.ruled()
        if verdict is None:
            return Rule.BROKEN
        if verdict is Admission.ACCEPT:
            return Rule.FOREIGN if claim.foreign else Rule.ACCEPTED
        return Rule.REJECTED if verdict is Admission.REJECT else Rule.IGNORED


class _Clocks:
    """How far each author's clock was a minute ago or more, where its seqnos are a clock's: what is older was seen,
    or will not be missed, even when its id was forgotten since."""

    def __init__(self) -> None:
        # By author: the newest seqno of the minutes before the last one, of the last one, and of the running one.
        self._known: OrderedDict[str, tuple[int, int, int, int]] = OrderedDict()

    def is_old(self, author: str, seqno: int, now: float) -> bool:
        return seqno in _CLOCKS and author in self._known and seqno <= self._of(author, now)[0]

    def note(self, author: str, seqno: int, now: float) -> None:
        """A message that its author did sign."""
        if seqno not in _CLOCKS:
            return
        floor, last, running, minute = self._of(author, now)
        self._known[author] = floor, last, max(running, seqno), minute
        self._known.move_to_end(author)
        if len(self._known) > bounds.BUCKETS:
            self._known.popitem(last=False)

    def _of(self, author: str, now: float) -> tuple[int, int, int, int]:
        minute = int(now // bounds.SEEN_GENERATION)
        floor, last, running, then = self._known.get(author, (0, 0, 0, minute))
        if minute == then + 1:
            return max(floor, last), running, 0, minute
        if minute > then + 1:
            return max(floor, last, running), 0, 0, minute
        return floor, last, running, then
