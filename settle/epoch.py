"""How settlers come to one root of an epoch: a machine without I/O. Messages and the chain's time in, words out.

A turn is a stretch of time with one proposer. In it the proposer compares receipts with the others, proposes a root,
and gathers agreements; once these carry, they are a certificate, on which all sign the root; once signatures carry, it
is posted. When a proposer is silent, the next one's turn comes.

What keeps anyone from signing two roots: it signs only what a certificate shows, agrees to one root a turn at most, and
once it signed one it agrees to no other and proposes no other, until the contract cancelled it. All that is in a
`Word`, which is on disk before the message leaves that says so. A minority that is offline changes nothing; a minority
that lies can delay an epoch, which then goes to the settlers of a later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from wire.eip712 import Domain
from wire.keys import NodeKey, signed_by
from wire.settlement import (
    MAX_RECEIPTS_NAMED,
    Agreed,
    Certified,
    EpochRoot,
    Missing,
    SignedRoot,
    Word,
    agree,
    sign_root,
)

from . import bounds


@dataclass(frozen=True)
class Settlers:
    """Who signs an epoch's root: what each has at stake, by address."""

    stakes: Mapping[bytes, int]

    @cached_property
    def order(self) -> tuple[bytes, ...]:
        """Ascending, as the contract has them."""
        return tuple(sorted(address for address, stake in self.stakes.items() if stake > 0))

    def carry(self, who: Iterable[bytes]) -> bool:
        """Whether these have more than two thirds of the stake."""
        return 3 * sum(self.stakes.get(address, 0) for address in set(who)) > 2 * sum(self.stakes.values())

    def proposer(self, epoch: int, turn: int) -> bytes:
        """Whose turn it is. Everybody begins with another epoch, so that a silent one delays few."""
        return self.order[(epoch + turn) % len(self.order)]


@dataclass(frozen=True)
class Timetable:
    """When an epoch's turns are, on the chain's clock (seconds). `cut`: receipts that were here by then must be in."""

    cut: int
    begins: int
    length: int

    @classmethod
    def after(cls, ended_s: int, epoch_seconds: int) -> Timetable:
        """The turns of an epoch that ended, in terms of when the next one was opened."""
        least, most = bounds.TURN_SECONDS
        length = max(least, min(most, epoch_seconds // bounds.TURNS_AN_EPOCH))
        return cls(cut=ended_s + length, begins=ended_s + length + min(length, bounds.COMPARE_SECONDS), length=length)

    def turn(self, now_s: int) -> int | None:
        """The turn at this time; None before the first."""
        return None if now_s < self.begins else (now_s - self.begins) // self.length


@dataclass(frozen=True)
class Proposal:
    """A root, and the receipts (versions, ascending) that it divides."""

    root: EpochRoot
    versions: tuple[bytes, ...]


@dataclass(frozen=True)
class Said:
    """What to answer. `word` has to be on disk before; where it can't be, nothing is answered."""

    reply: Agreed | Missing | SignedRoot | None
    word: Word | None = None
    versions: tuple[bytes, ...] = ()
    why: str = ""  # where there is no reply


@dataclass(frozen=True)
class Ready:
    """A root that can be posted: signers ascending, each with its signature."""

    root: EpochRoot
    signers: tuple[bytes, ...]
    signatures: tuple[bytes, ...]


class EpochMachine:
    """One epoch at one settler. `word` and `versions` are what is on disk of it."""

    def __init__(
        self,
        epoch: int,
        key: NodeKey,
        domain: Domain,
        settlers: Settlers,
        times: Timetable,
        word: Word | None = None,
        versions: Sequence[bytes] = (),
    ) -> None:
        self.epoch, self.settlers, self.times = epoch, settlers, times
        self._key, self._domain = key, domain
        self._word, self._versions = word, tuple(versions)
        self._proposing: tuple[int, Proposal] | None = None
        self._agreed: dict[bytes, Agreed] = {}
        self._signed: dict[bytes, SignedRoot] = {}
        self.cancelled: set[bytes] = set()  # digests of roots that the contract will not take again
        self.gone: set[bytes] = set()  # settlers with too little behind them by now: with theirs it takes no root

    @property
    def is_settler(self) -> bool:
        """Whether this peer signs this epoch's root."""
        return self.settlers.stakes.get(self._key.address, 0) > 0

    @property
    def locked(self) -> Proposal | None:
        """The root that this settler signed, and stands by."""
        if self._word is None or self._word.signed is None:
            return None
        return Proposal(self._word.root, self._versions)

    @property
    def said(self) -> EpochRoot | None:
        """The root that this settler agreed to last, or signed."""
        return None if self._word is None else self._word.root

    @property
    def signatures(self) -> int:
        """How many signed the root that is proposed here."""
        return len(self._signed)

    def forget(self, root: EpochRoot) -> None:
        """The contract cancelled this root: another one may follow it."""
        self.cancelled.add(root.digest(self._domain))
        if self._word is not None and self._word.root == root:
            self._word, self._versions = None, ()
        if self._proposing is not None and self._proposing[1].root == root:
            self._proposing = None

    # The proposer's side

    def my_turn(self, now_s: int) -> int | None:
        """The turn that is this settler's to propose in now, or None."""
        turn = self.times.turn(now_s)
        if turn is None or not self.is_settler:
            return None
        return turn if self.settlers.proposer(self.epoch, turn) == self._key.address else None

    def propose(self, turn: int, own: Proposal) -> Proposal:
        """What to propose in this turn: `own`, or what was signed before. It begins anew with nobody's agreement."""
        chosen = self.locked or own
        if self._proposing is None or self._proposing != (turn, chosen):
            self._agreed = {}
            self._signed = {a: s for a, s in self._signed.items() if s.root == chosen.root}
            self._proposing = (turn, chosen)
        return chosen

    def hear_agreed(self, said: Agreed) -> bool:
        """Count an agreement; whether they carry now."""
        assert self._proposing is not None
        turn, proposal = self._proposing
        if self._has_agreed(said, proposal.root, turn):
            self._agreed[said.settler] = said
        return self.settlers.carry(self._agreed)

    def certificate(self) -> Certified | None:
        """The agreements to what is proposed, once they carry."""
        if self._proposing is None or not self.settlers.carry(self._agreed):
            return None
        turn, proposal = self._proposing
        return Certified(root=proposal.root, turn=turn, agreed=tuple(self._agreed[a] for a in sorted(self._agreed)))

    def hear_signed(self, said: SignedRoot) -> Ready | None:
        """Count a signature on what is proposed; what can be posted once they carry. One on another root counts
        nothing."""
        if self._proposing is None or said.root != self._proposing[1].root:
            return None
        stake = self.settlers.stakes.get(said.settler, 0)
        if stake > 0 and signed_by(said.settler, said.root.digest(self._domain), said.signature):
            self._signed[said.settler] = said
        signers = tuple(sorted(self._signed.keys() - self.gone))
        if not self.settlers.carry(signers):
            return None
        return Ready(said.root, signers, tuple(self._signed[a].signature for a in signers))

    # Everybody's side

    def judge(self, turn: int, proposal: Proposal, own: Proposal, known: Iterable[bytes], now_s: int) -> Said:
        """The answer to a proposal in a turn. `own`: what this settler would propose over what it had in time and what
        is proposed; `known`: all versions that it has and that count."""
        root, locked = proposal.root, self.locked
        at = self.times.turn(now_s)
        if not self.is_settler or root.epoch != self.epoch or root.digest(self._domain) in self.cancelled:
            return Said(None, why="that root is not for this settler to sign")
        if at is None or abs(turn - at) > 1:  # clocks, and a chain's heads, differ by less than a turn
            return Said(None, why=f"it is turn {at}, not {turn}")
        if locked is not None and locked.root != root:
            assert self._word is not None
            return Said(self._word.signed)
        if locked is None and (lacks := set(proposal.versions) - set(known)):
            return Said(_missing(lacks, set(own.versions) - set(proposal.versions)))
        if locked is None and own != proposal:
            has = set(own.versions) - set(proposal.versions)
            if has:
                return Said(_missing((), has))
            return Said(None, why="the same receipts make another root here")
        if self._word is not None and locked is None and not self._may_agree(turn, root):
            return Said(None, why="another root was agreed to in this turn, or in a later one")
        signed = None if self._word is None else self._word.signed
        word = Word(root=root, turn=max(turn, self._word.turn) if locked and self._word else turn, signed=signed)
        self._word, self._versions = word, proposal.versions
        return Said(agree(root, turn, self._key, self._domain), word, proposal.versions)

    def certify(self, said: Certified) -> Said:
        """The answer to a certificate: this settler's signature, where it may sign."""
        root = said.root
        if not self.is_settler or root.epoch != self.epoch or root.digest(self._domain) in self.cancelled:
            return Said(None, why="that root is not for this settler to sign")
        agreed = {a.settler for a in said.agreed if self._has_agreed(a, root, said.turn)}
        if not self.settlers.carry(agreed):
            return Said(None, why="those who agreed have no more than two thirds of the stake")
        word = self._word
        if word is not None and word.signed is not None:
            return Said(word.signed)  # this root's, or the one that was signed before
        if word is None or word.root != root:
            return Said(None, why="this settler has not found that root itself")
        self._word = Word(root=root, turn=max(word.turn, said.turn), signed=sign_root(root, self._key, self._domain))
        return Said(self._word.signed, self._word, self._versions)

    def _may_agree(self, turn: int, root: EpochRoot) -> bool:
        assert self._word is not None
        return turn > self._word.turn or (turn == self._word.turn and root == self._word.root)

    def _has_agreed(self, said: Agreed, root: EpochRoot, turn: int) -> bool:
        stake = self.settlers.stakes.get(said.settler, 0)
        return stake > 0 and signed_by(said.settler, root.agreement(self._domain, turn), said.signature)


def _missing(lacks: Iterable[bytes], has: Iterable[bytes]) -> Missing:
    """Bounded lists: what does not fit is told when the rest has come."""
    return Missing(lacks=tuple(sorted(lacks)[:MAX_RECEIPTS_NAMED]), has=tuple(sorted(has)[:MAX_RECEIPTS_NAMED]))
