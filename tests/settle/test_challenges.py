"""Whatever is wrong with a root, the call that shows it is found, and the contract takes it; a right one gives none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from settle.challenges import Challenge, Elsewhere, Known, challenges, struct_of, unseen
from settle.lines import Shares
from tests.settle.contracts.ledger import Root, fit
from tests.settle.contracts.scene import PRICE, Scene, ended, falls
from wire.canonical import Amount
from wire.inference import Receipt
from wire.settlement import EpochRoot, Share


@pytest.fixture
def scene() -> Scene:
    return ended()


def root_of(root: Root) -> EpochRoot:
    epoch, digest, count, total, receipts = root.values
    return EpochRoot(epoch=epoch, root=digest, count=count, total=Amount(total), receipts=receipts)


def known(scene: Scene, **changes: Any) -> Known:
    """All that a settler knows of the epoch."""
    ledger = scene.ledger
    receipts: Mapping[bytes, Receipt] = {s.receipt.digest(ledger.domain): s.receipt for s in scene.receipts}
    nodes = [ledger.node(node).address for node in (6, 7)]
    given: dict[str, Any] = {
        "shares": Shares(*ledger.split.call("sharesOf", scene.epoch).values()),
        "revenue": {node: ledger.epochs.call("revenueOf", scene.epoch, node) for node in nodes},
        "receipt": receipts.get,
    }
    return Known(**given | changes)


def found(scene: Scene, root: Root, **changes: Any) -> list[Challenge]:
    return list(challenges(root_of(root), root.lines, root.tree, known(scene, **changes)))


def one_line(place: Callable[[Scene], int], **changes: Any) -> Callable[[Scene], Root]:
    return lambda scene: scene.changed(place(scene), **changes)


def role(which: Share, at: int = 0) -> Callable[[Scene], int]:
    return lambda scene: scene.root.role(which)[at]


def dearer(which: Share, by: int) -> Callable[[Scene], Root]:
    """One share more than its part, all sums right."""

    def make(scene: Scene) -> Root:
        entries, place = scene.entries(), scene.root.role(which)[0]
        entries[place] = (*entries[place][:3], entries[place][3] + by)
        return scene.forged(entries)

    return make


def without_provider(scene: Scene) -> Root:
    entries = scene.entries()
    del entries[scene.root.role(Share.PROVIDER)[0]]
    return scene.forged(entries)


def swapped(scene: Scene) -> Root:
    entries = scene.entries()
    entries[4], entries[5] = entries[5], entries[4]
    return scene.ledger.forged(scene.epoch, fit(entries))


def unpaid_receipt(scene: Scene) -> Root:
    """A fourth receipt of node 6, for which nobody paid."""
    scene.receipts.append(scene.ledger.receipt(6, PRICE, 3))
    signed = scene.receipts[-1]
    line = scene.root.lines[scene.root.of(scene.ledger.node(6).address, Share.PROVIDER)[0]]
    digest = signed.receipt.digest(scene.ledger.domain)
    return scene.forged([*scene.entries(), (line.account, Share.PROVIDER, digest, line.amount)])


WRONG: dict[str, tuple[str, Callable[[Scene], Root]]] = {
    "first sum": ("line", one_line(lambda _: 0, sum_before=Amount(1))),
    "last amount": ("line", one_line(lambda s: len(s.root.lines) - 1, amount=Amount(1))),
    "no receipt": ("line", one_line(role(Share.HUB), receipt=bytes(32))),
    "sum": ("order", one_line(lambda _: 3, sum_before=Amount(1))),
    "order": ("order", swapped),
    "index": ("order", one_line(lambda _: 4, index=3)),
    "provider": ("receipt", dearer(Share.PROVIDER, 10**17 * 5)),
    "verifier": ("receipt", dearer(Share.VERIFIER, 10**17)),
    "settler": ("receipt", dearer(Share.SETTLER, 10**17)),
    "hub": ("receipt", dearer(Share.HUB, 10**17)),
    "publisher": ("receipt", dearer(Share.PUBLISHER, 10**17 * 3)),
    "orphan": ("orphan", without_provider),
    "unreceipted": ("revenue", dearer(Share.UNRECEIPTED, 10**17 * 4)),
    "nobody's revenue": ("revenue", unpaid_receipt),
}


@pytest.mark.parametrize(("reason", "make"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_root_is_shown_wrong(scene: Scene, reason: str, make: Callable[[Scene], Root]) -> None:
    root = make(scene)
    shown = {challenge.function.removeprefix("challenge").lower(): challenge for challenge in found(scene, root)}
    assert reason in shown
    done = scene.ledger.epochs.send(shown[reason].function, *shown[reason].args, by=scene.ledger.challenger)
    falls(scene, root, reason, done)


@pytest.mark.parametrize("name", list(WRONG))
def test_whatever_is_found_first_brings_the_root_down(scene: Scene, name: str) -> None:
    root = WRONG[name][1](scene)
    first = found(scene, root)[0]
    done = scene.ledger.epochs.send(first.function, *first.args, by=scene.ledger.challenger)
    assert done.event("Challenged").values["root"] == root.tree.root


def test_nothing_is_found_in_a_right_root(scene: Scene) -> None:
    assert found(scene, scene.root) == []
    assert unseen(scene.root.lines, known(scene)) == []


def test_a_line_of_a_receipt_that_nobody_showed_is_one_to_demand(scene: Scene) -> None:
    blind = known(scene, receipt=lambda _: None)
    assert 1 <= len(unseen(scene.root.lines, blind)) <= 3
    assert all(any(scene.root.lines[i].receipt) for i in unseen(scene.root.lines, blind))


def test_what_a_quorum_refused_or_another_root_pays_is_shown(scene: Scene) -> None:
    """The calls alone: the contract's side of both is tried elsewhere."""
    line = scene.root.lines[scene.root.role(Share.PROVIDER)[0]]
    (refused,) = found(scene, scene.root, refused=[line.receipt])
    assert refused.function == "challengeRefused"
    other = Elsewhere(scene.epoch - 1, line, ())
    (paid,) = found(scene, scene.root, elsewhere={line.receipt: other}.get)
    assert (paid.function, paid.args[3]) == ("challengePaid", scene.epoch - 1)


def test_a_receipts_struct_has_the_digest_that_was_signed(scene: Scene) -> None:
    signed, ledger = scene.receipts[0], scene.ledger
    digest = ledger.evidence.call("receiptDigest", struct_of(signed.receipt))
    assert digest == signed.receipt.digest(ledger.domain)
