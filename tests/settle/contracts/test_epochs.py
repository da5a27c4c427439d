"""Epochs by their rules: the calendar, what tills bring in, who may post a root, and who is paid from it."""

from __future__ import annotations

import pytest

from tests.settle.evm import ETHER, Reverted
from wire.chain import EPOCH_ROOT
from wire.eip712 import Domain
from wire.settlement import Share

from .bonds import SETTLER
from .ledger import ANSWER, DEMAND, EPOCH, HUBS, SETTLERS, SLASH, WINDOW, Ledger, Root, fit, fresh
from .scene import several

YEAR = 365 * 86_400


@pytest.fixture
def ledger() -> Ledger:
    return fresh()


def ended(ledger: Ledger, claims: int = 6, extra: int = 77) -> Root:
    """An epoch that is over, with receipts of provider 6 and revenue for them; the honest root, not posted."""
    receipts = [ledger.receipt(6, ETHER, i) for i in range(claims)]
    epoch = ledger.earn(6, claims * ETHER + extra)
    ledger.next_epoch()
    return ledger.honest(epoch, [ledger.claimed(signed) for signed in receipts])


def final(ledger: Ledger, claims: int = 6) -> Root:
    root = ended(ledger, claims)
    ledger.post(root)
    ledger.finalise(root.epoch)
    return root


# The calendar


def test_epochs_follow_the_clock_and_are_opened_once(ledger: Ledger) -> None:
    assert ledger.epochs.call("current") == 0
    assert ledger.epochs.call("closingOf", 0) == {"next": 0, "blockNumber": 0}
    assert ledger.next_epoch() == 1
    before = ledger.evm.block - 1
    assert ledger.epochs.call("openedBlock", 1) == before  # the end of the block before: settled when it is named
    assert ledger.epochs.call("openedAt", 1) == ledger.evm.now
    assert ledger.epochs.call("closingOf", 0) == {"next": 1, "blockNumber": before}
    beacon = ledger.epochs.call("beaconOf", 1)
    assert ledger.epochs.send("open").events == ()
    assert ledger.epochs.call("beaconOf", 1) == beacon != ledger.epochs.call("beaconOf", 0)


def test_an_epoch_that_nobody_opened_is_passed_over(ledger: Ledger) -> None:
    ledger.next_epoch()
    assert ledger.next_epoch(5) == 6
    assert ledger.epochs.call("closingOf", 1)["next"] == 6
    assert ledger.epochs.call("closingOf", 3) == {"next": 0, "blockNumber": 0}
    assert ledger.epochs.call("beaconOf", 3) == bytes(32)


# Revenue


def test_what_a_payer_paid_is_its_providers_revenue(ledger: Ledger) -> None:
    node = ledger.node(6).address
    ledger.pay(6, 500)
    ledger.pay(6, 200)
    assert ledger.epochs.send("collect", node, by=ledger.stranger).event("Collected").values == {
        "epoch": 0, "node": node, "amount": 700,
    }  # fmt: skip
    ledger.next_epoch()
    ledger.pay(6, 40)
    ledger.epochs.send("collect", node)
    assert [ledger.epochs.call("revenueOf", epoch, node) for epoch in (0, 1)] == [700, 40]
    assert [ledger.epochs.call("potOf", epoch) for epoch in (0, 1)] == [700, 40]
    assert ledger.has(ledger.epochs.address) == 740


def test_collecting_opens_the_epoch_in_which_it_counts(ledger: Ledger) -> None:
    ledger.pay(6, 5)
    ledger.evm.forward(EPOCH)
    done = ledger.epochs.send("collect", ledger.node(6).address)
    assert done.event("Opened").values["epoch"] == done.event("Collected").values["epoch"] == 1


def test_a_till_that_is_empty_brings_nothing(ledger: Ledger) -> None:
    assert ledger.epochs.send("collect", ledger.node(6).address).events == ()
    ledger.pay(6, 5)
    ledger.epochs.send("collect", ledger.node(6).address)
    assert ledger.epochs.send("collect", ledger.node(6).address).events == ()
    assert ledger.epochs.call("potOf", 0) == 5


def test_only_epochs_empties_a_till(ledger: Ledger) -> None:
    node = ledger.node(6).address
    ledger.pay(6, 5)
    ledger.epochs.send("collect", node)
    ledger.pay(6, 9)
    ledger.channels.send("settle", ledger.epochs.call("tillOf", node), ledger.token.address)  # anybody may
    till = ledger.evm.at(ledger.epochs.call("tillOf", node), "Till")
    assert ledger.has(till.address) == 9
    for by in (ledger.owner(6), ledger.deployer):
        with pytest.raises(Reverted, match="NotEpochs"):
            till.send("empty", ledger.token.address, by=by)
    with pytest.raises(Reverted, match="NotEpochs"):
        till.call("empty", ledger.token.address, by=ledger.node(6))
    ledger.epochs.send("collect", node)
    assert ledger.epochs.call("potOf", 0) == 14


# Roots


def test_a_root_says_what_it_is(ledger: Ledger) -> None:
    root = ended(ledger)
    done = ledger.post(root)
    assert done.event("Posted").values == {
        "epoch": root.epoch, "root": root.tree.root, "count": root.count, "total": root.total,
        "receipts": root.receipts, "signers": sorted(ledger.node(i).address for i in SETTLERS),
    }  # fmt: skip
    assert ledger.epochs.call("rootOf", root.epoch) == {
        "root": root.tree.root, "count": root.count, "total": root.total, "postedAt": ledger.evm.now, "status": 1,
    }  # fmt: skip


def test_more_than_two_thirds_of_the_stake_are_enough_without_the_others(ledger: Ledger) -> None:
    root = ended(ledger)
    with pytest.raises(Reverted, match="NoQuorum"):
        ledger.post(root, SETTLERS[:2])
    ledger.post(root, SETTLERS[1:])


def test_exactly_two_thirds_are_too_few(ledger: Ledger) -> None:
    ledger.registry.send("setRoles", ledger.node(3).address, 2, by=ledger.owner(3))
    root = ended(ledger)
    with pytest.raises(Reverted, match=r"NoQuorum\(stake 2000\d+, total 3000\d+\)"):
        ledger.post(root, (0, 1))
    ledger.post(root, (0, 1, 2))


def test_a_signer_signs_once_in_order_and_by_its_own_key(ledger: Ledger) -> None:
    root = ended(ledger)
    order = sorted((ledger.node(i) for i in SETTLERS), key=lambda node: node.address)
    digest = EPOCH_ROOT.digest(ledger.domain, *root.values)
    signed = [(node.address, node.sign(digest)) for node in order]

    def refused(pairs: list[tuple[bytes, bytes]]) -> None:
        with pytest.raises(Reverted, match="BadSigner"):
            ledger.epochs.send("post", *root.values, [node for node, _ in pairs], [word for _, word in pairs])

    refused([signed[0], signed[0], *signed[2:]])
    refused([signed[1], signed[0], *signed[2:]])
    refused([*signed[:3], (signed[3][0], signed[0][1])])
    refused([*signed[:3], (signed[3][0], bytes(65))])
    refused([*signed[:3], (signed[3][0], signed[3][1][:64])])
    with pytest.raises(Reverted, match="BadSigner"):
        ledger.epochs.send("post", *root.values, [node for node, _ in signed], [word for _, word in signed[:3]])


def test_who_has_no_settlers_stake_does_not_sign(ledger: Ledger) -> None:
    root = ended(ledger)
    for node in (HUBS[0], 60):  # a hub, and nobody at all
        with pytest.raises(Reverted, match="BadSigner"):
            ledger.post(root, (*SETTLERS, node))


def test_the_stake_is_that_of_the_epochs_end_and_still_there(ledger: Ledger) -> None:
    epoch = ledger.earn(6, ETHER)
    ledger.next_epoch()
    root = ledger.honest(epoch, [])
    ledger.joined(8, 10_000 * ETHER, SETTLER)  # came later: a majority now, nothing then
    with pytest.raises(Reverted, match="BadSigner"):
        ledger.post(root, (8,))
    for node, gone in [(0, 501), (1, 500)]:
        shares = gone * ETHER
        ledger.registry.send("unbond", ledger.node(node).address, shares, by=ledger.owner(node))
    with pytest.raises(Reverted, match="BadSigner"):  # most of it is leaving: not enough is left to lose
        ledger.post(root, SETTLERS)
    ledger.post(root, SETTLERS[1:])


@pytest.mark.parametrize("field", range(5))
def test_a_signature_is_for_one_root_of_one_epoch(ledger: Ledger, field: int) -> None:
    root = ended(ledger)
    ledger.earn(6, 50)
    ledger.next_epoch()
    signatures = {ledger.node(i).address: ledger.sign(root, i) for i in SETTLERS}
    values = list(root.values)
    values[field] = values[field] + 1 if isinstance(values[field], int) else b"\x01" * 32
    if field == 3:
        values[field] = root.total - 1
    order = sorted(signatures)
    with pytest.raises(Reverted, match=r"BadSigner|PotExceeded"):
        ledger.epochs.send("post", *values, order, [signatures[node] for node in order])


def test_a_signature_for_another_network_does_not_count(ledger: Ledger) -> None:
    root = ended(ledger)
    for domain in (
        Domain(chain_id=ledger.domain.chain_id, contract=ledger.epochs.address),
        Domain(chain_id=1, contract=ledger.domain.contract),
    ):
        digest = EPOCH_ROOT.digest(domain, *root.values)
        with pytest.raises(Reverted, match="BadSigner"):
            ledger.post_signed(root, {ledger.node(i).address: ledger.node(i).sign(digest) for i in SETTLERS})


def test_an_epoch_that_has_not_ended_or_that_nobody_opened_has_no_root(ledger: Ledger) -> None:
    for epoch in (0, 1):
        with pytest.raises(Reverted, match="NotEnded"):
            ledger.post(Root(epoch, (), 0, bytes(32), 0))
    ledger.next_epoch(4)
    with pytest.raises(Reverted, match="NotEnded"):
        ledger.post(Root(2, (), 0, bytes(32), 0))


def test_no_root_of_more_than_the_pot(ledger: Ledger) -> None:
    root = ended(ledger)
    pot = ledger.epochs.call("potOf", root.epoch)
    with pytest.raises(Reverted, match=rf"PotExceeded\(total {pot + 1}, pot {pot}\)"):
        ledger.post(Root(root.epoch, root.lines, pot + 1, root.receipts, root.count))


def test_one_root_stands_at_a_time(ledger: Ledger) -> None:
    root = ended(ledger)
    ledger.post(root)
    with pytest.raises(Reverted, match="AlreadyPosted"):
        ledger.post(root)
    ledger.finalise(root.epoch)
    with pytest.raises(Reverted, match="AlreadyPosted"):
        ledger.post(root)


def test_a_root_of_no_lines_leaves_all_to_the_treasury(ledger: Ledger) -> None:
    epoch = ledger.earn(6, 500)
    ledger.next_epoch()
    with pytest.raises(Reverted, match="EmptyRoot"):
        ledger.post(Root(epoch, (), 1, bytes(32), 0))
    ledger.post(Root(epoch, (), 0, bytes(32), 0))
    ledger.finalise(epoch)
    assert ledger.has(ledger.treasury) == 500


def test_a_root_is_final_after_its_window_and_the_treasury_has_the_rest(ledger: Ledger) -> None:
    root = ended(ledger)
    ledger.post(root)
    ledger.evm.forward(WINDOW - 1)
    with pytest.raises(Reverted, match="WindowOpen"):
        ledger.epochs.send("finalise", root.epoch)
    ledger.evm.forward(1)
    rest = ledger.epochs.call("potOf", root.epoch) - root.total
    values = ledger.epochs.send("finalise", root.epoch).event("Finalised").values
    assert values == {"epoch": root.epoch, "root": root.tree.root, "total": root.total, "treasury": rest}
    assert ledger.has(ledger.treasury) == rest > 6 * ETHER // 10
    with pytest.raises(Reverted, match="NotPosted"):
        ledger.epochs.send("finalise", root.epoch)


# Claims


def test_every_line_is_paid_to_whom_it_belongs_and_nothing_stays(ledger: Ledger) -> None:
    root = final(ledger)
    paid = {role: 0 for role in Share}
    for account in {line.account for line in root.lines}:
        for role in {line.role for line in root.lines if line.account == account}:
            places = root.of(account, role)
            by = ledger.evm.account(40) if account == ledger.publisher else ledger.owner(6)
            paid[role] += ledger.claim(root, places[0], places[-1], by).event("Paid").values["amount"]
    price = ETHER  # 10% royalty, 15% verifiers, 5% hubs, 10% treasury; 40% of what no receipt explains
    assert paid == {
        Share.PROVIDER: 6 * price * 60 // 100, Share.PUBLISHER: 6 * price * 10 // 100,
        Share.VERIFIER: 6 * 3 * (price * 15 // 100 // 3), Share.HUB: 6 * price * 5 // 100,
        Share.UNRECEIPTED: 77 * 40 // 100, Share.SETTLER: 0,
    }  # fmt: skip
    assert ledger.has(ledger.owner(6).address) == paid[Share.PROVIDER] + paid[Share.UNRECEIPTED]
    assert ledger.has(ledger.publisher) == paid[Share.PUBLISHER]
    assert ledger.has(ledger.epochs.address) == 0
    assert ledger.epochs.call("paidOf", root.epoch) == root.total


def test_a_receipt_without_verifiers_is_the_settlers(ledger: Ledger) -> None:
    signed = ledger.receipt(6, ETHER)
    epoch = ledger.earn(6, ETHER)
    ledger.next_epoch()
    root = ledger.honest(epoch, [ledger.claimed(signed, verifiers=())])
    ledger.post(root)
    ledger.finalise(epoch)
    assert [root.lines[i].amount for i in root.role(Share.SETTLER)] == [ETHER * 15 // 100 // 4] * 4
    for node in SETTLERS:
        address = ledger.node(node).address
        (place,) = root.of(address, Share.SETTLER)
        done = ledger.claim(root, place, place, ledger.stranger)
        assert done.event("Rewarded").values["amount"] == ETHER * 15 // 100 // 4


def test_a_verifiers_share_goes_to_all_who_stand_behind_it(ledger: Ledger) -> None:
    node, delegator = ledger.node(0).address, ledger.stranger
    ledger.token.send("approve", ledger.registry.address, 2**256 - 1, by=delegator)
    ledger.registry.send("bond", node, 1_000 * ETHER, by=delegator)
    root = final(ledger)
    worth = ledger.registry.call("worthOf", node, delegator.address)
    places = root.of(node, Share.VERIFIER)
    amount = ledger.claim(root, places[0], places[-1], by=delegator).event("Paid").values["amount"]
    commission = amount // 10
    assert ledger.has(ledger.owner(0).address) == commission
    gained = ledger.registry.call("worthOf", node, delegator.address) - worth
    assert abs(gained - (amount - commission) // 2) <= 1


def test_who_has_no_owner_is_paid_itself(ledger: Ledger) -> None:
    accounts = [ledger.evm.account(i) for i in (45, 46)]
    provider, verifier = (key.address for key in accounts)
    epoch = ledger.earn(6, ETHER)
    ledger.next_epoch()
    lines = fit(sorted([(provider, Share.PROVIDER, b"\x01" * 32, 60), (verifier, Share.VERIFIER, b"\x01" * 32, 5)]))
    root = ledger.forged(epoch, lines)
    ledger.finalise(epoch)
    for key, role, amount in [(accounts[0], Share.PROVIDER, 60), (accounts[1], Share.VERIFIER, 5)]:
        (place,) = root.of(key.address, role)
        with pytest.raises(Reverted, match="NotYours"):
            ledger.claim(root, place, place, ledger.stranger)
        ledger.claim(root, place, place, key)
        assert ledger.has(key.address) == amount


def test_only_the_account_and_its_owner_ask_for_what_is_its_own(ledger: Ledger) -> None:
    root = final(ledger)
    places = root.of(ledger.node(6).address, Share.PROVIDER)
    (rest,) = root.role(Share.UNRECEIPTED)
    royalties = root.role(Share.PUBLISHER)
    for first, last in [(places[0], places[-1]), (rest, rest), (royalties[0], royalties[-1])]:
        for by in (ledger.stranger, ledger.owner(7)):
            with pytest.raises(Reverted, match="NotYours"):
                ledger.claim(root, first, last, by)


def test_no_line_is_paid_twice(ledger: Ledger) -> None:
    root, owner = final(ledger), ledger.owner(6)
    p = root.of(ledger.node(6).address, Share.PROVIDER)
    ledger.claim(root, p[2], p[3], owner)
    again = [(2, 3), (2, 2), (3, 3), (1, 2), (3, 4)]
    apart = [(0, 0), (5, 5)]
    for first, last in again + apart:
        with pytest.raises(Reverted, match="NotOneStretch"):
            ledger.claim(root, p[first], p[last], owner)
    for first, last in [(4, 4), (0, 1), (5, 5)]:  # at either end of what is paid
        ledger.claim(root, p[first], p[last], owner)
    assert ledger.epochs.call("stretchOf", root.epoch, ledger.node(6).address, Share.PROVIDER) == {
        "first": p[0], "end": p[5] + 1,
    }  # fmt: skip
    assert ledger.has(owner.address) == 6 * ETHER * 60 // 100


def test_who_has_a_part_of_anothers_lines_paid_does_not_lock_the_rest(ledger: Ledger) -> None:
    """Anyone may have a verifier paid. Its own claim, of all its lines at once, is paid what is left of them."""
    root, node = final(ledger), ledger.node(0).address
    v = root.of(node, Share.VERIFIER)
    each = root.lines[v[0]].amount
    for first, last, adds in [(v[2], v[2], 1), (v[1], v[3], 2), (v[0], v[-1], len(v) - 3)]:
        done = ledger.claim(root, first, last, ledger.stranger)
        assert done.event("Paid").values["amount"] == adds * each
        assert ledger.epochs.call("stretchOf", root.epoch, node, Share.VERIFIER) == {"first": first, "end": last + 1}
    for first, last in [(v[0], v[-1]), (v[0], v[2]), (v[2], v[-1]), (v[1], v[1])]:
        with pytest.raises(Reverted, match="NotOneStretch"):
            ledger.claim(root, first, last, ledger.stranger)


def test_several_claims_go_in_one_transaction(ledger: Ledger) -> None:
    root = final(ledger)
    ends = [root.of(ledger.node(i).address, Share.VERIFIER) for i in (0, 1, 2)]
    shown = several(root, [place for places in ends for place in (places[0], places[-1])])
    done = ledger.epochs.send("claimMany", root.epoch, *shown, by=ledger.stranger)
    paid = [event.values for event in done.events if event.name == "Paid"]
    assert [values["account"] for values in paid] == [ledger.node(i).address for i in (0, 1, 2)]
    assert {values["amount"] for values in paid} == {6 * (ETHER * 15 // 100 // 3)}
    for again in ("claimMany", root.epoch, *shown), ("claimMany", root.epoch, *(part[:2] for part in shown)):
        with pytest.raises(Reverted, match="NotOneStretch"):
            ledger.epochs.send(*again)
    mine = root.of(ledger.node(6).address, Share.PROVIDER)[:1] * 2
    with pytest.raises(Reverted, match="NotYours"):
        ledger.epochs.send("claimMany", root.epoch, *several(root, mine), by=ledger.stranger)


def test_a_claim_is_of_one_account_and_one_role(ledger: Ledger) -> None:
    root, owner = final(ledger), ledger.owner(6)
    provider = root.of(ledger.node(6).address, Share.PROVIDER)
    (rest,) = root.role(Share.UNRECEIPTED)
    for first, last in [(provider[0], rest), (0, provider[0]), (provider[1], provider[0])]:
        with pytest.raises(Reverted, match="NotOneStretch"):
            ledger.claim(root, first, last, owner)


def test_a_line_that_is_not_in_the_tree_is_not_paid(ledger: Ledger) -> None:
    root, owner = final(ledger), ledger.owner(6)
    place = root.role(Share.PROVIDER)[0]
    line, proof = root.shown(place)
    for change in ({"amount": line["amount"] + 1}, {"account": owner.address}, {"sumBefore": 0}, {"role": 2}):
        bad = line | change
        with pytest.raises(Reverted, match="NotInTree"):
            ledger.epochs.send("claim", root.epoch, bad, proof, bad, proof, by=owner)
    with pytest.raises(Reverted, match="NotInTree"):
        ledger.epochs.send("claim", root.epoch, line, proof[1:], line, proof, by=owner)


def test_nothing_is_paid_before_the_root_is_final(ledger: Ledger) -> None:
    root = ended(ledger)
    ledger.post(root)
    place = root.role(Share.PROVIDER)[0]
    with pytest.raises(Reverted, match="NotFinal"):
        ledger.claim(root, place, place, ledger.owner(6))


# Nothing is locked for ever


def test_what_nobody_claims_is_the_treasurys_in_the_end(ledger: Ledger) -> None:
    root = final(ledger)
    places = root.role(Share.PROVIDER)
    ledger.claim(root, places[0], places[0], ledger.owner(6))
    with pytest.raises(Reverted, match="TooEarly"):
        ledger.epochs.send("sweep", root.epoch)
    ledger.evm.forward(2 * YEAR)
    before = ledger.has(ledger.treasury)
    ledger.epochs.send("sweep", root.epoch)
    assert ledger.has(ledger.epochs.address) == 0
    assert ledger.has(ledger.treasury) == before + root.total - root.lines[places[0]].amount
    with pytest.raises(Reverted, match="NothingLeft"):
        ledger.epochs.send("sweep", root.epoch)
    with pytest.raises(Reverted, match="AboveTotal"):
        ledger.claim(root, places[1], places[1], ledger.owner(6))


def test_settlers_that_are_gone_are_replaced_by_those_of_a_later_epoch(ledger: Ledger) -> None:
    root = ended(ledger)
    for node in SETTLERS[1:]:
        shares = ledger.registry.call("sharesOf", ledger.node(node).address, ledger.owner(node).address)
        ledger.registry.send("unbond", ledger.node(node).address, shares, by=ledger.owner(node))
    ledger.joined(8, 10_000 * ETHER, SETTLER)
    ledger.next_epoch(3)
    with pytest.raises(Reverted, match="TooEarly"):
        ledger.epochs.send("rollover", root.epoch)
    into = ledger.next_epoch()
    assert ledger.epochs.send("rollover", root.epoch).event("RolledOver").values == {
        "epoch": root.epoch, "into": into, "amount": ledger.epochs.call("potOf", root.epoch),
    }  # fmt: skip
    assert ledger.epochs.call("settlersOf", root.epoch)["named"] == into
    assert ledger.epochs.call("closingOf", root.epoch)["next"] == 1  # the lines stay what they are
    with pytest.raises(Reverted, match="TooEarly"):
        ledger.epochs.send("rollover", root.epoch)
    ledger.post(root, (0, 8))
    with pytest.raises(Reverted, match="AlreadyPosted"):
        ledger.epochs.send("rollover", root.epoch)


def test_the_current_epoch_is_not_rolled_over(ledger: Ledger) -> None:
    with pytest.raises(Reverted, match="NotEnded"):
        ledger.epochs.send("rollover", 0)


# What it was made with


@pytest.mark.parametrize(
    "terms",
    [
        (0, WINDOW, ANSWER, SLASH, DEMAND),
        (EPOCH, ANSWER - 1, ANSWER, SLASH, DEMAND),
        (EPOCH, WINDOW, 0, SLASH, DEMAND),
        (EPOCH, WINDOW, ANSWER, 0, DEMAND),
        (EPOCH, WINDOW, ANSWER, 10_001, DEMAND),
        (EPOCH, WINDOW, ANSWER, SLASH, 0),
    ],
)
def test_terms_that_make_no_sense_are_refused(ledger: Ledger, terms: tuple[int, ...]) -> None:
    places = (ledger.token, ledger.channels, ledger.registry, ledger.evidence, ledger.split)
    with pytest.raises(Reverted, match="BadTerms"):
        ledger.evm.deploy("Epochs", *(place.address for place in places), terms)
