"""Bonds at the bound: as much as a uint128 holds goes in, counts, is slashed, and comes out; no more does."""

from __future__ import annotations

import pytest

from tests.settle.evm import Reverted

from .bonds import BURNED, DAY, PROVIDER, Bonds
from .desk import MOST, for_tests


def test_a_pool_holds_up_to_the_largest_amount() -> None:
    bonds = Bonds(hostile=for_tests("HostileToken"))  # anybody mints it: the network's own has 10**27
    bonds.slashers(bonds.evm.account(1).address, bonds.evm.account(2).address)
    bonds.token.send("mint", bonds.deployer.address, 2 * MOST)
    owner, friend, reporter = bonds.owner(0), bonds.evm.account(20), bonds.evm.account(50).address
    node = bonds.joined(0, MOST)
    assert bonds.stake(node, PROVIDER) == MOST == bonds.total(PROVIDER)
    bonds.give(friend, 10**7)
    for function in ("bond", "reward"):
        with pytest.raises(Reverted):
            bonds.registry.send(function, node, 10**7, by=friend)
    assert bonds.has(friend.address) == 10**7
    bonds.registry.send("slash", node, 3_333, bytes(32), reporter, by=bonds.evm.account(1))
    left = MOST - MOST * 3_333 // 10_000
    assert bonds.has(reporter) + bonds.has(BURNED) == MOST - left
    bonds.registry.send("unbond", node, MOST, by=owner)
    bonds.evm.forward(7 * DAY)
    before = bonds.has(owner.address)
    bonds.registry.send("withdraw", 0, by=owner)
    assert bonds.has(owner.address) == before + left
    assert bonds.has(bonds.registry.address) == 0
