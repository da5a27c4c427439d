"""Who is paid what for an epoch's receipts: the ordered lines that every settler finds alike.

A provider's revenue of the epoch, what its till brought in, pays its receipts one by one, the oldest first, each whole
or not at all. Each receipt's price is divided by the epoch's shares (docs/contracts.md, "How a price is divided").
Revenue that no receipt explains gives the provider no more than a receipt would. What no line has is the treasury's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from wire.canonical import Amount
from wire.eip712 import keccak256
from wire.settlement import SettlementLine, Share

BPS = 10_000
NO_RECEIPT = bytes(32)

Entry = tuple[bytes, int, bytes, int]  # account, role, receipt, amount: tuples sort as lines stand


@dataclass(frozen=True)
class Shares:
    """The split's shares in one epoch, in basis points, as `Split.sharesOf` gives them."""

    publisher_max: int
    verifiers: int
    hubs: int
    treasury: int
    unreceipted: int


@dataclass(frozen=True)
class Claimed:
    """One proved receipt, as far as lines depend on it. Addresses are 20 bytes, digests 32.

    `verifiers`: the addresses of those whose signatures certify it; none where its tier has none. `royalty_bps` is the
    manifest's own.
    """

    receipt: bytes
    provider: bytes
    price: int
    finished_ms: int
    publisher: bytes
    royalty_bps: int
    verifiers: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Settlement:
    """What settlers sign. `paid`: digests of the receipts that the lines pay, ascending. `unpaid`: those that found no
    revenue and wait for a later epoch, oldest first."""

    lines: tuple[SettlementLine, ...]
    total: int
    paid: tuple[bytes, ...]
    unpaid: tuple[Claimed, ...]

    @property
    def receipts(self) -> bytes:
        """What `EpochRoot.receipts` and `Propose.receipts` bind: keccak256 of all digests in ascending order."""
        return keccak256(b"".join(self.paid))


def lines_of(
    claims: Iterable[Claimed],
    revenue: Mapping[bytes, int],
    shares: Shares,
    settlers: Iterable[bytes],
    hubs: Mapping[bytes, int],
    beacon: bytes,
) -> Settlement:
    """The settlement of one epoch. Neither the order of what is given nor a receipt given twice changes it; where its
    certificates differ, all who signed one of them have a share.

    `revenue`: of each node, `Epochs.revenueOf`. `settlers`: those that had a stake as settlers, and `hubs` with their
    stakes, both at the block that `Epochs.closingOf` names; `beacon`: that of the epoch it names. That one began after
    this one had ended, so nobody could choose receipts by it, and it stays the same when a root is rolled over.
    """
    of: dict[bytes, dict[bytes, Claimed]] = defaultdict(dict)
    for claim in claims:
        known = of[claim.provider].get(claim.receipt)
        verifiers = claim.verifiers + (known.verifiers if known else ())
        of[claim.provider][claim.receipt] = replace(claim, verifiers=tuple(sorted(set(verifiers))))
    draw = _Draw(hubs, beacon)
    theirs = tuple(sorted(set(settlers)))
    entries: list[Entry] = []
    paid: list[bytes] = []
    unpaid: list[Claimed] = []
    for node in {*of, *revenue}:
        left = revenue.get(node, 0)
        for claim in sorted(of[node].values(), key=lambda claim: (claim.finished_ms, claim.receipt)):
            if 0 < claim.price <= left:
                left -= claim.price
                paid.append(claim.receipt)
                entries += _divided(claim, shares, theirs, draw)
            elif claim.price:
                unpaid.append(claim)
        entries.append((node, Share.UNRECEIPTED, NO_RECEIPT, _part(left, shares.unreceipted)))
    lines = _lines(sorted(entry for entry in entries if entry[3]))
    total = lines[-1].sum_before + lines[-1].amount if lines else 0
    waiting = sorted(unpaid, key=lambda claim: (claim.finished_ms, claim.receipt))
    return Settlement(lines, total, tuple(sorted(paid)), tuple(waiting))


class _Draw:
    """Hubs, drawn by stake."""

    def __init__(self, hubs: Mapping[bytes, int], beacon: bytes) -> None:
        self._hubs = sorted(hub for hub, stake in hubs.items() if stake)
        self._ends = list(accumulate(hubs[hub] for hub in self._hubs))
        self._beacon = beacon

    def of(self, receipt: bytes) -> bytes | None:
        """The one hub of a receipt; None where there is none."""
        if not self._hubs:
            return None
        point = int.from_bytes(keccak256(self._beacon + receipt), "big") % self._ends[-1]
        return self._hubs[bisect_right(self._ends, point)]


def _divided(claim: Claimed, shares: Shares, settlers: tuple[bytes, ...], draw: _Draw) -> list[Entry]:
    receipt, price = claim.receipt, claim.price
    royalty = _part(price, min(claim.royalty_bps, shares.publisher_max))
    verifiers, hubs = _part(price, shares.verifiers), _part(price, shares.hubs)
    kept = price - royalty - verifiers - hubs - _part(price, shares.treasury)
    found: list[Entry] = [
        (claim.provider, Share.PROVIDER, receipt, kept),
        (claim.publisher, Share.PUBLISHER, receipt, royalty),
    ]
    hub = draw.of(receipt)
    if hub is not None:
        found.append((hub, Share.HUB, receipt, hubs))
    role, several = (Share.VERIFIER, claim.verifiers) if claim.verifiers else (Share.SETTLER, settlers)
    if several:
        each = verifiers // len(several)
        found += [(account, role, receipt, each) for account in several]
    return found


def _lines(entries: Sequence[Entry]) -> tuple[SettlementLine, ...]:
    lines, before = [], 0
    for index, (account, role, receipt, amount) in enumerate(entries):
        lines.append(
            SettlementLine(
                index=index,
                account=account,
                role=Share(role),
                receipt=receipt,
                amount=Amount(amount),
                sum_before=Amount(before),
            )
        )
        before += amount
    return tuple(lines)


def _part(price: int, bps: int) -> int:
    return price * bps // BPS
