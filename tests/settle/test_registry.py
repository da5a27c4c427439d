"""The registry of an epoch is a function of the chain, and so is the network that follows it."""

from __future__ import annotations

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from settle.registry import Opening, advanced, compressed, registry_of, weight_of
from settle.stake import Standing, read_openings
from tests.settle.histories import (
    EPOCH,
    ETHER,
    GENESIS,
    SECONDS,
    START,
    History,
    Told,
    compressed_points,
    histories,
    key,
)
from wire.bounds import MAX_EPOCHS, MAX_VERIFIERS
from wire.errors import RecordError
from wire.network import Network

OPENING = Opening(4, b"\x44" * 32, 77, 1_800_000_000)


@given(st.integers(1, 2**128 - 1), st.integers(0, 2**127))
def test_more_at_stake_never_weighs_less_and_any_fits_a_network_file(stake: int, more: int) -> None:
    assert 1 <= weight_of(stake) <= weight_of(stake + more) <= 2**40
    assert weight_of(ETHER * 7 + ETHER - 1) == 7


@given(st.integers(0, 50))
def test_a_key_is_found_again_from_what_the_registry_has_of_it(index: int) -> None:
    x, address = compressed_points(key(index))
    assert compressed(address, x) == key(index).public
    with pytest.raises(RecordError):
        compressed(key(index + 1).address, x)


@given(st.dictionaries(st.sampled_from([key(i).public for i in range(9)]), st.integers(0, 3 * ETHER)), st.randoms())
def test_nobody_without_stake_and_the_order_in_which_they_were_read_is_nothing(
    stakes: dict[bytes, int], shuffler: random.Random
) -> None:
    made = registry_of(GENESIS, OPENING, stakes, 30)
    mixed = list(stakes.items())
    shuffler.shuffle(mixed)
    assert registry_of(GENESIS, OPENING, dict(mixed), 30) == made
    assert [v.key for v in made.verifiers] == sorted(k for k, stake in stakes.items() if stake)
    assert (made.epoch, made.beacon, made.from_ms) == (4, b"\x44" * 32, 1_800_000_030_000)
    assert (made.committee_size, made.quorum_numerator) == (GENESIS.committee_size, GENESIS.quorum_numerator)


def test_of_too_many_those_with_the_most_at_stake_are_listed() -> None:
    crowd = {b"\x02" + i.to_bytes(32, "big"): ETHER * (1 + i % 5) for i in range(MAX_VERIFIERS + 10)}
    listed = registry_of(GENESIS, OPENING, crowd, 0).verifiers
    assert len(listed) == MAX_VERIFIERS
    left_out = crowd.keys() - {v.key for v in listed}
    assert {crowd[k] for k in left_out} == {ETHER}
    assert [v.key for v in listed] == sorted(v.key for v in listed)


def test_an_epoch_that_does_not_come_after_the_last_is_refused() -> None:
    first = registry_of(GENESIS, OPENING, {}, 0)
    network = advanced(GENESIS, [first])
    for again in (first, registry_of(GENESIS, Opening(5, bytes(32), 78, OPENING.opened_at), {}, 0)):
        with pytest.raises(RecordError, match="does not come after"):
            advanced(network, [again])


def test_the_oldest_epochs_go() -> None:
    many = [registry_of(GENESIS, Opening(n, bytes(32), n, START + n), {}, 0) for n in range(1, MAX_EPOCHS + 9)]
    at_once = advanced(GENESIS, many)
    assert len(at_once.past) == MAX_EPOCHS
    assert at_once.past[-1].epoch == at_once.epoch - 1
    one_by_one = GENESIS
    for registry in many:
        one_by_one = advanced(one_by_one, [registry])
    assert one_by_one == at_once


async def follow(network: Network, chain: Told, standing: Standing) -> Network:
    """One look, as a peer does it."""
    head = await chain.head()
    openings = await read_openings(chain, network.epoch, head)  # type: ignore[arg-type]
    found = [registry_of(network, o, await standing.at(o.block, head), chain.spec.lead) for o in openings]
    return advanced(network, found)


@given(histories(), st.lists(st.integers(0, 9 * EPOCH), max_size=12))
def test_whenever_one_looks_the_same_chain_gives_the_same_network(history: History, looks: list[int]) -> None:
    async def work() -> None:
        chain = Told(history)
        often, standing = GENESIS, Standing(chain)  # type: ignore[arg-type]
        for chain.newest in (*sorted(looks), 10 * EPOCH):
            often = await follow(often, chain, standing)
        assert await follow(often, chain, standing) == often
        once = await follow(GENESIS, chain, Standing(chain))  # type: ignore[arg-type]
        assert once == often
        for registry in (*once.past[1:], once):  # what stands there is what the history says
            block = chain.history.opened[registry.epoch]
            at = {key(o).public: weight_of(stake) for o, stake in chain.history.at(block).items()}
            assert {v.key: v.weight for v in registry.verifiers} == at
            assert registry.from_ms == (START + block * SECONDS + chain.spec.lead) * 1000
            assert registry.beacon == chain.history.beacon(registry.epoch)
        assert [r.epoch for r in (*once.past, once)] == [0, *sorted(chain.history.opened)]

    trio.run(work)


def test_a_crowd_that_stakes_nothing_costs_few_questions() -> None:
    async def work() -> None:
        crowd = [(0, 1), *((i, 2) for i in range(1, 400))]
        chain = Told(History({1: EPOCH}, [(3, 0, ETHER)], crowd), newest=5 * EPOCH)
        stakes = await Standing(chain).at(EPOCH, await chain.head())  # type: ignore[arg-type]
        assert stakes == {key(0).public: ETHER}
        assert chain.calls < 50

    trio.run(work)
