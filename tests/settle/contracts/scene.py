"""An epoch that is over, its right root and wrong ones, and what it means that one falls or survives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.settle.evm import ETHER, Done, Reverted
from wire.inference import SignedReceipt
from wire.settlement import SettlementLine, Share

from .bonds import BURNED
from .ledger import SETTLERS, SLASH, Ledger, Root, fit, fresh

PRICE = ETHER + 7  # its shares are rounded


@dataclass
class Scene:
    """An epoch that is over, with receipts of providers 6 and 7, revenue for them and a little more."""

    ledger: Ledger
    receipts: list[SignedReceipt]
    root: Root

    @property
    def epoch(self) -> int:
        return self.root.epoch

    def receipt_of(self, line: SettlementLine) -> SignedReceipt:
        domain = self.ledger.domain
        (found,) = [signed for signed in self.receipts if signed.receipt.digest(domain) == line.receipt]
        return found

    def entries(self) -> list[tuple[bytes, Share, bytes, int]]:
        return [(line.account, line.role, line.receipt, line.amount) for line in self.root.lines]

    def forged(self, entries: Sequence[tuple[bytes, Share, bytes, int]]) -> Root:
        """Posted: these entries in order, their sums right."""
        return self.ledger.forged(self.epoch, fit(sorted(entries)))

    def changed(self, place: int, **changes: Any) -> Root:
        """Posted: the right lines, but for one."""
        lines = list(self.root.lines)
        lines[place] = msgspec.structs.replace(lines[place], **changes)
        return self.ledger.forged(self.epoch, lines, total=self.root.total)


def ended() -> Scene:
    """The scene, its right root not posted."""
    ledger = fresh()
    receipts = [ledger.receipt(node, PRICE, number) for node in (6, 7) for number in range(3)]
    for node in (6, 7):
        epoch = ledger.earn(node, 3 * PRICE + 1_000)
    ledger.next_epoch()
    claims = [ledger.claimed(signed, verifiers=(0, 1, 2) if i % 2 else ()) for i, signed in enumerate(receipts)]
    return Scene(ledger, receipts, ledger.honest(epoch, claims))


def several(root: Root, places: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Lines with their proofs, as challenges of several take them."""
    shown = [root.shown(place) for place in places]
    return [line for line, _ in shown], [proof for _, proof in shown]


def falls(scene: Scene, root: Root, reason: str, done: Done) -> None:
    """The root is cancelled, its signers slashed, and the challenger has its part."""
    ledger = scene.ledger
    assert done.event("Challenged").values == {
        "epoch": root.epoch, "root": root.tree.root, "reason": reason, "challenger": ledger.challenger.address,
    }  # fmt: skip
    assert ledger.status(root.epoch) == 0
    signers = sorted(ledger.node(i).address for i in SETTLERS)
    before, stakes = ledger.has(ledger.challenger.address), [ledger.registry.call("stakeOf", node) for node in signers]
    ledger.epochs.send("punish", root.epoch, root.tree.root, root.count, root.total, signers, by=ledger.stranger)
    lost = [stake * SLASH // 10_000 for stake in stakes]
    left = [ledger.registry.call("stakeOf", node) for node in signers]
    assert left == [stake - part for stake, part in zip(stakes, lost, strict=True)]
    reported = sum(part * 2_000 // 10_000 for part in lost)
    assert ledger.has(ledger.challenger.address) - before == reported
    assert ledger.has(BURNED) == sum(lost) - reported


def survives(ledger: Ledger, name: str, *args: Any) -> None:
    with pytest.raises(Reverted, match=r"NothingWrong|NotOfReceipt"):
        ledger.epochs.call(f"challenge{name}", *args, by=ledger.challenger)
