"""The rules by which an epoch's revenue is divided: every settler finds the same, and nobody gains by leaving out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from settle.lines import BPS, NO_RECEIPT, Claimed, Settlement, Shares, lines_of
from wire.eip712 import keccak256
from wire.settlement import Share

NODES = [bytes([i]) * 20 for i in range(1, 9)]
PROVIDERS, PUBLISHERS, VERIFIERS, SETTLERS = NODES[:2], NODES[1:4], NODES[2:6], NODES[5:8]
HUBS = {NODES[3]: 5, NODES[6]: 1, NODES[7]: 0}
BEACON = b"\x05" * 32
FLAT = Shares(publisher_max=2_000, verifiers=1_500, hubs=500, treasury=1_000, unreceipted=4_000)


@st.composite
def splits(draw: st.DrawFn) -> Shares:
    """Shares within the contract's bounds."""
    of = [draw(st.integers(0, most)) for most in (5_000, 3_000, 2_000, 2_000)]
    while sum(of) > 8_000:
        of = [share // 2 for share in of]
    return Shares(*of, unreceipted=draw(st.integers(0, BPS - sum(of))))


prices = st.one_of(st.integers(0, 30), st.integers(0, 10**24))
claims = st.builds(
    Claimed,
    receipt=st.binary(min_size=32, max_size=32).filter(any),
    provider=st.sampled_from(PROVIDERS),
    price=prices,
    finished_ms=st.integers(0, 5),
    publisher=st.sampled_from(PUBLISHERS),
    royalty_bps=st.integers(0, BPS),
    verifiers=st.sets(st.sampled_from(VERIFIERS)).map(lambda found: tuple(sorted(found))),
)
several = st.lists(claims, max_size=8, unique_by=lambda claim: claim.receipt)
incomes = st.fixed_dictionaries({node: prices for node in PROVIDERS})


def settled(
    given: Iterable[Claimed], revenue: Mapping[bytes, int], shares: Shares = FLAT, settlers: Iterable[bytes] = SETTLERS
) -> Settlement:
    return lines_of(given, revenue, shares, settlers, HUBS, BEACON)


def covered(given: Iterable[Claimed], extra: int = 0) -> dict[bytes, int]:
    """Revenue that pays for all of it, and a little more."""
    found = Counter({node: extra for node in PROVIDERS})
    for claim in given:
        found[claim.provider] += claim.price
    return dict(found)


def part(price: int, bps: int) -> int:
    return price * bps // BPS


def of(found: Settlement, account: bytes, *roles: Share) -> int:
    return sum(line.amount for line in found.lines if line.account == account and line.role in roles)


@given(several, incomes, splits())
def test_lines_stand_in_order_with_their_sums_and_none_is_empty(
    given: list[Claimed], revenue: dict[bytes, int], shares: Shares
) -> None:
    found = settled(given, revenue, shares)
    keys = [(line.account, line.role, line.receipt) for line in found.lines]
    assert all(a < b for a, b in pairwise(keys))
    before = 0
    for index, line in enumerate(found.lines):
        assert (line.index, line.sum_before) == (index, before)
        assert line.amount > 0
        before += line.amount
    assert before == found.total


@given(several, incomes, splits())
def test_nobody_is_paid_from_anothers_revenue(given: list[Claimed], revenue: dict[bytes, int], shares: Shares) -> None:
    found = settled(given, revenue, shares)
    provider_of = {claim.receipt: claim.provider for claim in given}
    taken: Counter[bytes] = Counter()
    for line in found.lines:
        taken[line.account if line.role is Share.UNRECEIPTED else provider_of[line.receipt]] += line.amount
    assert all(taken[node] <= revenue[node] for node in PROVIDERS)
    assert found.total <= sum(revenue.values())


@given(several, splits())
def test_each_share_of_a_price_is_what_the_split_says(given: list[Claimed], shares: Shares) -> None:
    found = settled(given, covered(given), shares)
    for claim in given:
        lines = [line for line in found.lines if line.receipt == claim.receipt]
        got = {role: sum(line.amount for line in lines if line.role is role) for role in Share}
        royalty = part(claim.price, min(claim.royalty_bps, shares.publisher_max))
        verifiers, hubs = part(claim.price, shares.verifiers), part(claim.price, shares.hubs)
        kept = claim.price - royalty - verifiers - hubs - part(claim.price, shares.treasury)
        checked = Share.VERIFIER if claim.verifiers else Share.SETTLER
        among = len(claim.verifiers) or len(SETTLERS)
        assert got == {role: 0 for role in Share} | {
            Share.PROVIDER: kept, Share.PUBLISHER: royalty, Share.HUB: hubs, checked: verifiers // among * among,
        }  # fmt: skip
        assert {line.account for line in lines if line.role is checked} <= set(claim.verifiers or SETTLERS)
        assert len({line.amount for line in lines if line.role is checked}) <= 1


@given(several, incomes, splits(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_does_not_matter(
    given: list[Claimed], revenue: dict[bytes, int], shares: Shares, chance: random.Random
) -> None:
    shuffled = [replace(claim, verifiers=claim.verifiers[::-1]) for claim in [*given, *given[:2]]]
    chance.shuffle(shuffled)
    around = dict(sorted(revenue.items(), reverse=True))
    found = lines_of(shuffled, around, shares, [*SETTLERS[::-1], *SETTLERS], dict(reversed(HUBS.items())), BEACON)
    assert replace(found, unpaid=()) == replace(settled(given, revenue, shares), unpaid=())
    assert [claim.receipt for claim in found.unpaid] == [c.receipt for c in settled(given, revenue, shares).unpaid]


@given(several, incomes)
def test_a_receipt_is_paid_whole_or_waits(given: list[Claimed], revenue: dict[bytes, int]) -> None:
    found = settled(given, revenue)
    paid = {claim.receipt for claim in given if claim.price} - {claim.receipt for claim in found.unpaid}
    assert set(found.paid) == paid == {line.receipt for line in found.lines} - {NO_RECEIPT}
    assert list(found.paid) == sorted(found.paid)
    assert found.receipts == keccak256(b"".join(sorted(paid)))
    for node in PROVIDERS:
        left = revenue[node]
        mine = sorted((c for c in given if c.provider == node and c.price), key=lambda c: (c.finished_ms, c.receipt))
        for claim in mine:  # oldest first; one that does not fit does not keep the others waiting
            assert (claim.receipt in paid) == (claim.price <= left)
            left -= claim.price if claim.receipt in paid else 0
        assert of(found, node, Share.UNRECEIPTED) == part(left, FLAT.unreceipted)


@given(several, splits(), st.integers(0, 10**6), st.data())
def test_leaving_out_receipts_never_pays_a_provider(
    given: list[Claimed], shares: Shares, extra: int, data: st.DataObject
) -> None:
    """Neither by its own share, nor where every other account is its own too."""
    revenue = covered(given, extra)
    kept = data.draw(st.lists(st.sampled_from(given), unique_by=lambda c: c.receipt)) if given else []
    roles = (Share.PROVIDER, Share.UNRECEIPTED)
    for node in PROVIDERS:
        shown = of(settled(given, revenue, shares), node, *roles)
        assert of(settled(kept, revenue, shares), node, *roles) <= shown
    assert settled(kept, revenue, shares).total <= settled(given, revenue, shares).total


@given(several, splits())
def test_a_royalty_is_bounded_and_the_providers_alone(given: list[Claimed], shares: Shares) -> None:
    revenue = covered(given)
    greedy = settled([replace(claim, royalty_bps=BPS) for claim in given], revenue, shares)
    modest = settled([replace(claim, royalty_bps=0) for claim in given], revenue, shares)
    most = sum(part(claim.price, shares.publisher_max) for claim in given)
    assert sum(line.amount for line in greedy.lines if line.role is Share.PUBLISHER) == most
    assert not [line for line in modest.lines if line.role is Share.PUBLISHER]
    assert greedy.total == modest.total  # what publishers have is what providers lack


def test_hubs_are_drawn_by_stake() -> None:
    given = [Claimed(keccak256(i.to_bytes(2, "big")), NODES[0], 1_000, i, NODES[1], 0) for i in range(600)]
    found = settled(given, covered(given))
    drawn = Counter(line.account for line in found.lines if line.role is Share.HUB)
    assert set(drawn) == {NODES[3], NODES[6]}  # nobody without a stake
    assert 4 < drawn[NODES[3]] / drawn[NODES[6]] < 6.5
    other = lines_of(given, covered(given), FLAT, SETTLERS, HUBS, b"\x06" * 32)
    assert other.lines != found.lines


def test_without_hubs_and_settlers_their_shares_are_the_treasurys() -> None:
    claim = Claimed(b"\x01" * 32, NODES[0], 10_000, 0, NODES[1], 1_000)
    found = lines_of([claim], {NODES[0]: 10_000}, FLAT, (), {}, BEACON)
    assert [(line.role, line.amount) for line in found.lines] == [(Share.PROVIDER, 6_000), (Share.PUBLISHER, 1_000)]


def test_two_certificates_of_one_receipt_pay_all_who_signed() -> None:
    one = Claimed(b"\x01" * 32, NODES[0], 6_000, 0, NODES[1], 0, (NODES[2], NODES[3]))
    other = replace(one, verifiers=(NODES[3], NODES[4]))
    found = settled([one, other], {NODES[0]: 6_000})
    assert [(line.account, line.amount) for line in found.lines if line.role is Share.VERIFIER] == [
        (NODES[2], 300), (NODES[3], 300), (NODES[4], 300),
    ]  # fmt: skip


def test_an_epoch_of_nothing_has_no_lines() -> None:
    found = settled([], {})
    assert (found.lines, found.total, found.receipts) == ((), 0, keccak256(b""))
