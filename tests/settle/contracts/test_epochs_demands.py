"""Lines that somebody demands: shown in time, or the root falls."""

from __future__ import annotations

import pytest

from tests.settle.evm import Done, Reverted
from wire.canonical import Amount
from wire.settlement import Share

from .ledger import ANSWER, DEMAND, WINDOW, Root
from .scene import Scene, ended, falls

UNSIGNED = bytes(65)


@pytest.fixture
def scene() -> Scene:
    return ended()


def demanded(scene: Scene, root: Root, place: int) -> Done:
    return scene.ledger.epochs.send("demand", root.epoch, place, by=scene.ledger.challenger)


def test_a_demand_that_is_answered_pays_who_answered(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    place = root.role(Share.HUB)[0]
    demanded(scene, root, place)
    signed = scene.receipt_of(root.lines[place])
    before = [ledger.has(key.address) for key in (ledger.challenger, ledger.stranger)]
    shown = (root.epoch, *root.shown(place), ledger.on_chain(signed), signed.signature)
    assert ledger.epochs.send("show", *shown, by=ledger.stranger).event("Shown").values["index"] == place
    assert [ledger.has(key.address) for key in (ledger.challenger, ledger.stranger)] == [before[0], before[1] + DEMAND]
    with pytest.raises(Reverted, match="NoDemand"):
        ledger.epochs.send("show", *shown)
    with pytest.raises(Reverted, match="DemandedBefore"):
        demanded(scene, root, place)
    ledger.finalise(root.epoch)


def test_a_demand_holds_a_root_back_and_unanswered_brings_it_down(scene: Scene) -> None:
    ledger = scene.ledger
    root = scene.forged([*scene.entries(), (ledger.node(0).address, Share.VERIFIER, b"\x01" * 32, 5)])  # of no receipt
    (place,) = [i for i, line in enumerate(root.lines) if line.receipt == b"\x01" * 32]
    before = ledger.has(ledger.challenger.address)
    ledger.evm.forward(WINDOW - ANSWER - 5)
    demanded(scene, root, place)
    assert ledger.has(ledger.challenger.address) == before - DEMAND
    ledger.evm.forward(ANSWER - 3)
    with pytest.raises(Reverted, match="AnswerNotOver"):
        ledger.epochs.send("fail", root.epoch, place)
    signed = scene.receipts[0]
    shown = (root.epoch, *root.shown(place), ledger.on_chain(signed), signed.signature)
    with pytest.raises(Reverted, match="NotOfReceipt"):
        ledger.epochs.send("show", *shown)
    ledger.evm.forward(10)
    with pytest.raises(Reverted, match="AnswerOver"):
        ledger.epochs.send("show", *shown)
    with pytest.raises(Reverted, match="DemandsOpen"):
        ledger.epochs.send("finalise", root.epoch)
    done = ledger.epochs.send("fail", root.epoch, place, by=ledger.stranger)
    assert ledger.has(ledger.challenger.address) == before
    falls(scene, root, "demand", done)


def test_an_answer_is_the_line_with_the_receipt_that_its_provider_signed(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    place = root.role(Share.PROVIDER)[0]
    demanded(scene, root, place)
    signed = scene.receipt_of(root.lines[place])
    other = next(s for s in scene.receipts if s is not signed)
    given, (line, proof) = ledger.on_chain(signed), root.shown(place)
    for wanted, args in [
        ("NotSignedByProvider", (line, proof, given, UNSIGNED)),
        ("NotSignedByProvider", (line, proof, given, other.signature)),
        ("NotOfReceipt", (line, proof, ledger.on_chain(other), other.signature)),
        ("NotInTree", (line | {"amount": 1}, proof, given, signed.signature)),
        ("NoDemand", (*root.shown(place + 1), given, signed.signature)),
    ]:
        with pytest.raises(Reverted, match=wanted):
            ledger.epochs.send("show", root.epoch, *args)
    ledger.epochs.send("show", root.epoch, line, proof, given, signed.signature)


def test_a_line_of_no_receipt_is_shown_by_itself(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    place = root.role(Share.UNRECEIPTED)[0]
    demanded(scene, root, place)
    ledger.epochs.send("show", root.epoch, *root.shown(place), ledger.on_chain(scene.receipts[0]), b"")


def test_a_demand_is_made_in_time_for_a_line_that_there_is_and_paid_for(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    with pytest.raises(Reverted, match="NotPosted"):
        demanded(scene, root, 0)
    ledger.post(root)
    with pytest.raises(Reverted, match="NoSuchLine"):
        demanded(scene, root, root.count)
    with pytest.raises(Reverted, match="ERC20Insufficient"):
        ledger.epochs.send("demand", root.epoch, 0, by=ledger.owner(0))
    ledger.evm.forward(WINDOW - ANSWER + 1)
    with pytest.raises(Reverted, match="WindowOver"):
        demanded(scene, root, 0)


def test_the_bond_of_a_demand_comes_back_when_the_root_falls_otherwise(scene: Scene) -> None:
    ledger = scene.ledger
    root = scene.changed(0, sum_before=Amount(1))
    before = ledger.has(ledger.challenger.address)
    demanded(scene, root, 3)
    args = (root.epoch, root.tree.root, root.count, root.total)
    with pytest.raises(Reverted, match="NoDemand"):
        ledger.epochs.send("release", *args, 3)
    ledger.challenge("Line", root.epoch, *root.shown(0), by=ledger.stranger)
    with pytest.raises(Reverted, match="NotPosted"):
        ledger.epochs.send("fail", root.epoch, 3)
    with pytest.raises(Reverted, match="NoDemand"):
        ledger.epochs.send("release", *args, 4)
    ledger.epochs.send("release", *args, 3, by=ledger.stranger)
    assert ledger.has(ledger.challenger.address) == before
    with pytest.raises(Reverted, match="NoDemand"):
        ledger.epochs.send("release", *args, 3)
