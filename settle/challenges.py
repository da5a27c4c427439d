"""What is wrong with a root that was posted, and the contract call that shows it: lines and knowledge in, calls out.

The contract knows neither royalties nor committees, so a root may differ from ours and still be one that nothing can be
shown against: it then pays nobody more than the bounds allow. A line whose receipt nobody showed us is demanded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wire.canonical import encode
from wire.cid import content_hash
from wire.inference import Receipt
from wire.settlement import EpochRoot, SettlementLine, Share
from wire.tier import TIER_CODE

from . import bounds
from .lines import BPS, NO_RECEIPT, Shares
from .tree import Tree

Lines = Sequence[SettlementLine]


@dataclass(frozen=True)
class Challenge:
    """A call of the contract's."""

    function: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Elsewhere:
    """The PROVIDER line of a receipt under another epoch's root that was there first."""

    epoch: int
    line: SettlementLine
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Known:
    """What a challenger knows. `receipt` gives one by its digest; a quorum refused those in `refused`, for good."""

    shares: Shares
    revenue: Mapping[bytes, int]
    receipt: Callable[[bytes], Receipt | None]
    refused: Collection[bytes] = ()
    elsewhere: Callable[[bytes], Elsewhere | None] = lambda _: None


def words_of(line: SettlementLine) -> tuple[Any, ...]:
    """A line as the contract takes it."""
    return line.index, line.account, int(line.role), line.receipt, int(line.amount), int(line.sum_before)


def struct_of(receipt: Receipt) -> tuple[Any, ...]:
    """A receipt as the contract takes it: the fields of its EIP-712 struct."""
    used = receipt.usage
    return (
        receipt.request, receipt.nonce, receipt.payer, receipt.provider, receipt.model, receipt.inputs,
        receipt.outputs, content_hash(encode(receipt.runtime)), TIER_CODE[receipt.tier], used.units, used.tokens_in,
        used.tokens_out, used.compute_us, int(receipt.price), receipt.started_ms, receipt.finished_ms,
    )  # fmt: skip


def challenges(root: EpochRoot, lines: Lines, tree: Tree, known: Known) -> Iterator[Challenge]:
    """Everything that can be shown against this root, what takes least gas first. `tree` is that of all its lines."""
    case = _Case(root, lines, tree, known)
    yield from case.misshapen()
    yield from case.disordered()
    yield from case.beyond_revenue()
    yield from case.by_receipt()


def unseen(lines: Lines, known: Known) -> list[int]:
    """Lines, by index, whose receipt is not known here: few of them, spread over all."""
    strange = [line.index for line in lines if line.receipt != NO_RECEIPT and known.receipt(line.receipt) is None]
    step = max(1, len(strange) // bounds.MAX_DEMANDS)
    return strange[::step][: bounds.MAX_DEMANDS]


class _Case:
    """One root under examination."""

    def __init__(self, root: EpochRoot, lines: Lines, tree: Tree, known: Known) -> None:
        self._root, self._lines, self._tree, self._known = root, lines, tree, known

    def misshapen(self) -> Iterator[Challenge]:
        """A line that is wrong by itself."""
        root = self._root
        for line in self._lines:
            wrong = line.index >= root.count
            wrong = wrong or (line.role == Share.UNRECEIPTED) != (line.receipt == NO_RECEIPT)
            wrong = wrong or (line.index == 0 and line.sum_before != 0)
            wrong = wrong or (line.index == root.count - 1 and line.sum_before + line.amount != root.total)
            if wrong:
                yield self._call("challengeLine", words_of(line), self._path(line))

    def disordered(self) -> Iterator[Challenge]:
        """Two neighbours in a wrong order, or with a wrong sum, or of one index."""
        by_index = sorted(enumerate(self._lines), key=lambda entry: entry[1].index)
        for (i, a), (j, b) in pairwise(by_index):
            follows = a.index + 1 == b.index
            wrong = a.index == b.index and a != b
            wrong = wrong or (follows and a.sum_before + a.amount != b.sum_before)
            wrong = wrong or (follows and _place(a) >= _place(b))
            if wrong:
                yield self._call("challengeOrder", words_of(a), self._tree.proof(i), words_of(b), self._tree.proof(j))

    def beyond_revenue(self) -> Iterator[Challenge]:
        """A provider's lines that need more revenue than it had."""
        earned: dict[bytes, list[SettlementLine]] = defaultdict(list)
        rest: dict[bytes, SettlementLine] = {}
        for line in self._lines:
            if line.role == Share.PROVIDER:
                earned[line.account].append(line)
            elif line.role == Share.UNRECEIPTED:
                rest[line.account] = line
        for account in sorted({*earned, *rest}):
            mine = earned[account]
            revenue, sum_ = self._known.revenue.get(account, 0), sum(line.amount for line in mine)
            unreceipted = rest[account].amount if account in rest else 0
            if not self._is_beyond(revenue, sum_, len(mine), unreceipted):
                continue
            ends = [mine[0], mine[-1]] if mine and self._is_run(mine) else []
            shown = ends + ([rest[account]] if account in rest else [])
            if shown:
                yield self._several("challengeRevenue", shown)

    def by_receipt(self) -> Iterator[Challenge]:
        """Lines that a receipt's price does not carry, that a quorum refused, that are paid elsewhere, or by nobody."""
        of: dict[bytes, list[SettlementLine]] = defaultdict(list)
        for line in self._lines:
            if line.receipt != NO_RECEIPT:
                of[line.receipt].append(line)
        for digest in of:
            mine = of[digest]
            if digest in self._known.refused:
                yield self._call("challengeRefused", words_of(mine[0]), self._path(mine[0]))
            if (first := self._known.elsewhere(digest)) is not None:
                yield self._call(
                    "challengePaid", words_of(mine[0]), self._path(mine[0]), first.epoch, words_of(first.line),
                    first.path,
                )  # fmt: skip
            if (receipt := self._known.receipt(digest)) is None:
                continue
            if self._is_overpaid(mine, receipt):
                lines = sorted(mine, key=lambda line: line.index)
                yield self._several("challengeReceipt", lines, struct_of(receipt))
            elif all(line.role != Share.PROVIDER for line in mine):
                yield self._orphan(mine[0], receipt, digest)

    def _orphan(self, line: SettlementLine, receipt: Receipt, digest: bytes) -> Challenge:
        place = (receipt.provider, Share.PROVIDER, digest)
        before = [other for other in self._lines if _place(other) < place][-1:]
        behind = [other for other in self._lines if _place(other) > place][:1]
        return self._several("challengeOrphan", [line, *before, *behind], struct_of(receipt))

    def _is_overpaid(self, lines: Iterable[SettlementLine], receipt: Receipt) -> bool:
        shares, price = self._known.shares, int(receipt.price)
        verifiers, hubs, royalty = (price * bps // BPS for bps in (shares.verifiers, shares.hubs, shares.publisher_max))
        both = price - verifiers - hubs - price * shares.treasury // BPS
        sums: dict[Share, int] = defaultdict(int)
        for line in lines:
            sums[line.role] += line.amount
            if line.role == Share.PROVIDER and (line.account != receipt.provider or line.amount + royalty < both):
                return True
        if sums[Share.PROVIDER] > both or sums[Share.PUBLISHER] > royalty or sums[Share.HUB] > hubs:
            return True
        if sums[Share.VERIFIER] + sums[Share.SETTLER] > verifiers:
            return True
        return sums[Share.PROVIDER] > 0 and sums[Share.PROVIDER] + sums[Share.PUBLISHER] > both

    def _is_beyond(self, revenue: int, earned: int, lines: int, unreceipted: int) -> bool:
        shares = self._known.shares
        keep = BPS - shares.verifiers - shares.hubs - shares.treasury
        least = (earned - 3 * lines) * BPS if earned > 3 * lines else 0
        return least > revenue * keep or unreceipted * BPS * keep > (revenue * keep - least) * shares.unreceipted

    @staticmethod
    def _is_run(lines: Lines) -> bool:
        return lines[-1].index - lines[0].index + 1 == len(lines)

    def _path(self, line: SettlementLine) -> tuple[bytes, ...]:
        return self._tree.proof(self._lines.index(line))

    def _several(self, function: str, lines: Lines, *more: Any) -> Challenge:
        return self._call(function, [words_of(x) for x in lines], [self._path(x) for x in lines], *more)

    def _call(self, function: str, *args: Any) -> Challenge:
        return Challenge(function, (self._root.epoch, *args))


def _place(line: SettlementLine) -> tuple[bytes, int, bytes]:
    return line.account, int(line.role), line.receipt
