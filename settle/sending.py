"""What becomes of one account's transactions: a machine without I/O, from what the chain says to what is to be done.

`plan` gives a new transaction its nonce and fees; who called signs it, writes it down, and tells with `keep`. `look`
takes a view of the chain and says what to do now: send (again), offer more, or write down how one ended. Nothing is
kept that the journal does not have, so a machine made from the journal goes on where the last one died.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from wire.canonical import Amount

from . import bounds
from .journal import Entry, Outcome
from .replies import Mined


@dataclass(frozen=True)
class Fees:
    """Wei for each gas: the most in all, and what of it goes to who makes the block."""

    cap: int
    tip: int


@dataclass(frozen=True)
class View:
    """What one RPC says at one time. `final` is the newest block that is relied on; `nonce` and `final_nonce` are how
    many transactions of the account were mined up to the head and up to `final`."""

    head: int
    final: int
    nonce: int
    final_nonce: int
    fees: Fees
    mined: Mapping[bytes, Mined] = field(default_factory=dict)


@dataclass(frozen=True)
class Send:
    """Tell the network of it (again)."""

    entry: Entry


@dataclass(frozen=True)
class Raise:
    """Sign it anew with the fees in it, write that down, `keep` it, and send it."""

    entry: Entry


@dataclass(frozen=True)
class Finish:
    """It ended: write that down, then `keep` it."""

    entry: Entry
    mined: Mined


@dataclass(frozen=True)
class Displace:
    """Another transaction has its nonce, `confirmations` deep: ask every RPC, then write it down and `keep` it."""

    entry: Entry


Action = Send | Raise | Finish | Displace


class Sending:
    """The pending transactions of one account, by nonce."""

    def __init__(self, account: bytes, entries: Iterable[Entry] = ()) -> None:
        self._account = account
        self._pending = {entry.nonce: entry for entry in sorted(entries, key=lambda e: e.nonce) if is_pending(entry)}
        self._sent: dict[int, float] = {}
        self._priced: dict[int, float] = {}
        self._gap_since: float | None = None

    @property
    def pending(self) -> tuple[Entry, ...]:
        """Those whose end is not known, the lowest nonce first."""
        return tuple(self._pending.values())

    def find(self, purpose: str) -> Entry | None:
        """The pending one of this purpose."""
        return next((entry for entry in self._pending.values() if entry.purpose == purpose), None)

    @property
    def is_full(self) -> bool:
        """Whether no other may be planned until one ended."""
        return len(self._pending) >= bounds.MAX_PENDING

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Every transaction whose receipt a view needs."""
        return tuple(version for entry in self._pending.values() for version in entry.versions)

    def plan(self, purpose: str, to: bytes, value: int, data: bytes, gas: int, view: View) -> Entry:
        """A new transaction, unsigned: the next free nonce, and fees as they are now. ValueError when it is full."""
        if self.is_full or self.find(purpose):
            raise ValueError(f"{purpose!r} cannot be planned now")
        nonce = max([view.nonce, *(taken + 1 for taken in self._pending)])
        return Entry(
            purpose=purpose, nonce=nonce, to=to, value=Amount(value), data=data, gas=gas,
            cap=Amount(view.fees.cap), tip=Amount(view.fees.tip),
        )  # fmt: skip

    def keep(self, entry: Entry, now: float) -> None:
        """The journal has it, as it is now."""
        if not is_pending(entry):
            self._pending.pop(entry.nonce, None)
            self._sent.pop(entry.nonce, None)
            self._priced.pop(entry.nonce, None)
            return
        self._pending[entry.nonce] = entry
        self._pending = dict(sorted(self._pending.items()))
        self._priced[entry.nonce] = now
        self._sent.pop(entry.nonce, None)

    def sent(self, entry: Entry, now: float) -> None:
        """The network was told."""
        self._sent[entry.nonce] = now

    def underpriced(self, entry: Entry) -> None:
        """An RPC finds its fees too low: offer more at the next look."""
        self._priced[entry.nonce] = float("-inf")

    def unsure(self) -> None:
        """The RPC was away, and may have forgotten what it was told."""
        self._sent.clear()

    def look(self, view: View, now: float) -> list[Action]:
        """What is to be done, the lowest nonce first."""
        found = [self._fill(view, now), *(self._look(entry, view, now) for entry in self._pending.values())]
        return [action for action in found if action is not None]

    def _fill(self, view: View, now: float) -> Action | None:
        """A payment of nothing for a nonce that an RPC told wrongly was taken: those above it could never count."""
        lowest = next(iter(self._pending), view.nonce)
        if view.nonce >= lowest or view.nonce != view.final_nonce:
            self._gap_since = None
            return None
        self._gap_since = now if self._gap_since is None else self._gap_since
        if now - self._gap_since < bounds.STUCK_SECONDS:
            return None
        filler = Entry(
            purpose=f"filler {view.nonce}", nonce=view.nonce, to=self._account, value=Amount(0), data=b"",
            gas=bounds.PLAIN_GAS, cap=Amount(view.fees.cap), tip=Amount(view.fees.tip),
        )  # fmt: skip
        return Raise(filler)

    def _look(self, entry: Entry, view: View, now: float) -> Action | None:
        mined = next((view.mined[version] for version in entry.versions if version in view.mined), None)
        if mined is not None:
            return Finish(_ended(entry, mined), mined) if mined.block <= view.final else None
        if entry.nonce < view.nonce:  # taken, and by none of ours
            return Displace(entry) if entry.nonce < view.final_nonce else None
        stuck = now - self._priced.setdefault(entry.nonce, now) >= bounds.STUCK_SECONDS
        if stuck and entry.nonce == view.nonce and (raised := _raised(entry, view.fees)):
            return Raise(raised)
        if now - self._sent.get(entry.nonce, float("-inf")) >= bounds.RESEND_SECONDS:
            return Send(entry)
        return None


def is_pending(entry: Entry) -> bool:
    """Whether its end is not known yet."""
    return entry.outcome is None and not entry.displaced


def displaced(entry: Entry) -> Entry:
    """The entry, as it is written down once its nonce went to another transaction for good."""
    return msgspec.structs.replace(entry, displaced=True, raw=b"", data=b"")


def bearable(base: int, tip: int) -> Fees | None:
    """Fees that hold while the base fee doubles, within the bounds; None when gas costs more than they allow."""
    tip = min(tip, bounds.MAX_TIP)
    if base + tip > bounds.MAX_FEE:
        return None
    return Fees(min(2 * base + tip, bounds.MAX_FEE), tip)


def _raised(entry: Entry, now: Fees) -> Entry | None:
    """With fees that a node takes in place of the last ones, an eighth more of both; None where a bound forbids it."""
    cap, tip = max(now.cap, _eighth_more(entry.cap)), max(now.tip, _eighth_more(entry.tip))
    if cap > bounds.MAX_FEE or tip > min(bounds.MAX_TIP, cap) or len(entry.versions) >= bounds.MAX_VERSIONS:
        return None
    return msgspec.structs.replace(entry, cap=Amount(cap), tip=Amount(tip))


def _eighth_more(fee: int) -> int:
    return fee + -(-fee // 8) + 1  # one more than 12.5 %, so that no rounding of a node's can refuse it


def _ended(entry: Entry, mined: Mined) -> Entry:
    outcome = Outcome(
        hash=mined.hash, block=mined.block, gas=mined.gas, fee=Amount(mined.gas * mined.price), good=mined.good
    )
    return msgspec.structs.replace(entry, outcome=outcome, raw=b"", data=b"")
