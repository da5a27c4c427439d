"""The split: its bounds, and when a change begins."""

from __future__ import annotations

import pytest

from tests.settle.evm import ETHER, Reverted

from .ledger import SPLIT, Ledger, fresh


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return fresh()


def refused(ledger: Ledger, what: str, **changes: int) -> None:
    with pytest.raises(Reverted, match=rf"OutOfBounds\(share {what}, "):
        ledger.split.send("setShares", SPLIT | changes)
    with pytest.raises(Reverted, match=rf"OutOfBounds\(share {what}, "):
        ledger.evm.deploy("Split", SPLIT | changes, ledger.treasury, ledger.deployer.address)


@pytest.mark.parametrize(
    ("share", "most"), [("publisherMax", 5_000), ("verifiers", 3_000), ("hubs", 2_000), ("treasury", 2_000)]
)
def test_each_share_has_its_bound(ledger: Ledger, share: str, most: int) -> None:
    none = {"publisherMax": 0, "verifiers": 0, "hubs": 0, "treasury": 0, "unreceipted": 0}
    refused(ledger, share, **none | {share: most + 1})
    ledger.evm.deploy("Split", none | {share: most}, ledger.treasury, ledger.deployer.address)


def test_a_provider_keeps_a_fifth_at_least(ledger: Ledger) -> None:
    refused(
        ledger, "all but the provider's", publisherMax=5_000, verifiers=2_000, hubs=1_000, treasury=1, unreceipted=0
    )
    most = {"publisherMax": 5_000, "verifiers": 2_000, "hubs": 1_000, "treasury": 0, "unreceipted": 2_000}
    ledger.evm.deploy("Split", most, ledger.treasury, ledger.deployer.address)


def test_revenue_without_receipts_never_pays_more_than_a_receipt_leaves(ledger: Ledger) -> None:
    refused(ledger, "unreceipted", unreceipted=5_001)  # 10,000 − 2,000 − 1,500 − 500 − 1,000 is 5,000
    ledger.evm.deploy("Split", SPLIT | {"unreceipted": 5_000}, ledger.treasury, ledger.deployer.address)


def test_a_change_begins_with_the_epoch_after_the_next() -> None:
    ledger = fresh()
    epoch = ledger.next_epoch(3)
    new = SPLIT | {"verifiers": 2_000}
    assert ledger.split.send("setShares", new).event("SharesSet").values == {"fromEpoch": epoch + 2, "shares": new}
    assert [ledger.split.call("sharesOf", epoch + i)["verifiers"] for i in (-3, 0, 1, 2, 9)] == [1500] * 3 + [2000] * 2
    ledger.split.send("setShares", SPLIT | {"verifiers": 2_500})  # in the same epoch: in its place
    assert ledger.split.call("sharesOf", epoch + 2)["verifiers"] == 2_500
    ledger.next_epoch()
    ledger.split.send("setShares", SPLIT | {"verifiers": 100})  # that of the epoch before still begins
    assert [ledger.split.call("sharesOf", epoch + i)["verifiers"] for i in (1, 2, 3)] == [1_500, 2_500, 100]


def test_one_view_shows_every_parameter_and_every_bound() -> None:
    ledger = fresh()
    ledger.split.send("setShares", SPLIT | {"hubs": 400})
    assert ledger.split.call("parameters") == {
        "epoch": 0, "now_": SPLIT, "next": SPLIT | {"hubs": 400}, "from": 2, "treasury_": ledger.treasury,
        "most": {"publisherMax": 5_000, "verifiers": 3_000, "hubs": 2_000, "treasury": 2_000, "unreceipted": 5_100},
        "minProvider": 2_000,
    }  # fmt: skip


def test_only_the_owner_changes_anything(ledger: Ledger) -> None:
    stranger = ledger.stranger
    for call in [("setShares", SPLIT), ("setTreasury", stranger.address), ("setEpochs", stranger.address)]:
        with pytest.raises(Reverted, match="OwnableUnauthorizedAccount"):
            ledger.split.send(*call, by=stranger)


def test_the_owner_hands_over_in_two_steps(ledger: Ledger) -> None:
    split = ledger.evm.deploy("Split", SPLIT, ledger.treasury, ledger.deployer.address)
    split.send("transferOwnership", ledger.stranger.address)
    split.send("setTreasury", ledger.publisher)  # still the old one's
    split.send("acceptOwnership", by=ledger.stranger)
    with pytest.raises(Reverted, match="OwnableUnauthorizedAccount"):
        split.send("setTreasury", ledger.treasury)


def test_whose_epochs_count_is_said_once_and_before_any_change(ledger: Ledger) -> None:
    split = ledger.evm.deploy("Split", SPLIT, ledger.treasury, ledger.deployer.address)
    with pytest.raises(Reverted, match="EpochsUnknown"):
        split.send("setShares", SPLIT)
    assert split.call("parameters")["now_"] == SPLIT
    split.send("setEpochs", ledger.epochs.address)
    with pytest.raises(Reverted, match="EpochsKnown"):
        split.send("setEpochs", ledger.stranger.address)


def test_the_treasury_is_somebody(ledger: Ledger) -> None:
    with pytest.raises(Reverted, match="NoTreasury"):
        ledger.split.send("setTreasury", bytes(20))
    with pytest.raises(Reverted, match="NoTreasury"):
        ledger.evm.deploy("Split", SPLIT, bytes(20), ledger.deployer.address)


def test_a_new_treasury_has_what_is_finalised_from_then_on() -> None:
    ledger = fresh()
    epoch = ledger.earn(6, ETHER)
    ledger.next_epoch()
    ledger.post(ledger.honest(epoch, []))
    ledger.split.send("setTreasury", ledger.publisher)
    ledger.finalise(epoch)
    assert (ledger.has(ledger.treasury), ledger.has(ledger.publisher)) == (0, ETHER * 6 // 10)
