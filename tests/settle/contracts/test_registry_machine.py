"""Bonds under everything that owners, delegators, slashers and payers do, in any order, on the EVM itself.

What is kept here is only what went in and out of each node's pool, by the events; everything else the contract says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.settle.evm import ETHER, Reverted
from wire.keys import NodeKey

from .bonds import BURNED, DAY, PARAMETERS, ROLES, Bonds

NODES = st.integers(0, 2)
HOLDERS = st.integers(0, 4)  # 0 to 2 own the nodes, 3 and 4 own none
AMOUNTS = st.one_of(st.integers(10**6, 10**9), st.integers(1, 400).map(lambda n: n * ETHER))
SUPPLY = 10**9 * ETHER


@dataclass
class Leaving:
    id: int
    node: int
    holder: int
    shares: int
    worth: int  # when it began
    release: int
    slashed: bool = False  # since then


class Registry(RuleBasedStateMachine):
    @initialize(roles=st.lists(st.integers(0, 15), min_size=3, max_size=3), commission=st.integers(0, 5_000))
    def begin(self, roles: list[int], commission: int) -> None:
        self.bonds = Bonds()
        self.slasher, self.payer = self.bonds.evm.account(1), self.bonds.evm.account(30)
        self.bonds.slashers(self.slasher.address, self.bonds.evm.account(2).address)
        self.bonds.give(self.payer, 10**7 * ETHER)
        self.nodes = [self.bonds.register(i, roles[i], commission) for i in range(3)]
        self.holders = [self.bonds.owner(i) for i in range(5)]
        for holder in self.holders:
            self.bonds.give(holder, 10**7 * ETHER)
        self.inside = Counter[int]()  # tokens in each pool
        self.leaving: dict[int, Leaving] = {}
        self.touched = self.steps = 0

    def send(self, function: str, *args: Any, by: NodeKey) -> Any:
        if args[0] in self.nodes:
            self.touched = self.nodes.index(args[0])
        return self.bonds.registry.send(function, *args, by=by)

    def pool(self, node: int) -> dict[str, int]:
        found: dict[str, int] = self.bonds.registry.call("poolOf", self.nodes[node])
        return found

    def shares(self, node: int, holder: int) -> int:
        return int(self.bonds.registry.call("sharesOf", self.nodes[node], self.holders[holder].address))

    def worth(self, node: int, holder: int) -> int:
        return int(self.bonds.registry.call("worthOf", self.nodes[node], self.holders[holder].address))

    @rule(node=NODES, holder=HOLDERS, amount=AMOUNTS)
    def bond(self, node: int, holder: int, amount: int) -> None:
        pool = self.pool(node)
        before = self.worth(node, holder)
        try:
            self.send("bond", self.nodes[node], amount, by=self.holders[holder])
        except Reverted as refused:
            why = str(refused).partition("(")[0]
            assert why in {"OwnerBondsFirst", "NothingLeftInPool", "BondTooSmall"}
            assert (why == "OwnerBondsFirst") == (pool["shares"] == 0 and holder != node)
            if why == "NothingLeftInPool":
                assert pool["shares"] > pool["assets"] * 10**12  # or it is nothing
            return
        self.inside[node] += amount
        gained = self.worth(node, holder) - before
        assert amount - amount // 10**6 - 2 <= gained <= amount + 1  # its other shares may gain the rounding

    @rule(node=NODES, holder=HOLDERS, part=st.sampled_from([1, 2, 3, 1000]))
    def unbond(self, node: int, holder: int, part: int) -> None:
        has = self.shares(node, holder)
        shares, worth = has // part, self.worth(node, holder)
        if shares == 0:
            return
        done = self.send("unbond", self.nodes[node], shares, by=self.holders[holder])
        said = done.event("Unbonding").values
        kept = self.worth(node, holder)
        self.leaving[said["id"]] = Leaving(said["id"], node, holder, shares, worth - kept, said["releaseAt"])
        with pytest.raises(Reverted, match="StillUnbonding"):
            self.send("withdraw", said["id"], by=self.holders[holder])

    @precondition(lambda self: self.leaving)
    @rule(which=st.integers(0, 100), thief=HOLDERS)
    def withdraw(self, which: int, thief: int) -> None:
        it = list(self.leaving.values())[which % len(self.leaving)]
        if self.bonds.evm.now < it.release:
            self.bonds.evm.forward(it.release - self.bonds.evm.now)
        if thief != it.holder:
            with pytest.raises(Reverted, match="NotHolder"):
                self.send("withdraw", it.id, by=self.holders[thief])
        self.take(it)

    def take(self, it: Leaving) -> None:
        last = self.pool(it.node)["shares"] == it.shares
        before = self.bonds.has(self.holders[it.holder].address)
        done = self.send("withdraw", it.id, by=self.holders[it.holder])
        amount = self.bonds.has(self.holders[it.holder].address) - before
        assert amount == done.event("Withdrawn").values["amount"]
        if not it.slashed:
            assert amount >= it.worth - 1  # all of it, to the unit that rounding takes
        if not last:
            assert amount <= it.worth + 1  # and nothing that it did not stay for
        self.inside[it.node] -= amount
        del self.leaving[it.id]

    @rule(node=NODES, bps=st.one_of(st.integers(0, 10_000), st.just(10_000)), by=st.sampled_from(["slasher", "owner"]))
    def slash(self, node: int, bps: int, by: str) -> None:
        reporter = self.bonds.evm.account(50).address
        if by == "owner":
            with pytest.raises(Reverted, match="NotSlasher"):
                self.send("slash", self.nodes[node], bps, bytes(32), reporter, by=self.holders[node])
            return
        said = self.send("slash", self.nodes[node], bps, bytes(32), reporter, by=self.slasher).event("Slashed").values
        assert said["amount"] == self.inside[node] * bps // 10_000 == said["reported"] + said["rest"]
        self.inside[node] -= said["amount"]
        for it in self.leaving.values():
            it.slashed |= it.node == node

    @rule(node=NODES, amount=st.integers(0, 300 * ETHER))
    def reward(self, node: int, amount: int) -> None:
        said = self.send("reward", self.nodes[node], amount, by=self.payer).event("Rewarded").values
        self.inside[node] += said["amount"] - said["commission"]

    @rule(node=NODES, roles=st.integers(0, 15))
    def set_roles(self, node: int, roles: int) -> None:
        self.send("setRoles", self.nodes[node], roles, by=self.holders[node])

    @rule(node=NODES)
    def unjail(self, node: int) -> None:
        until = self.bonds.registry.call("jailedUntil", self.nodes[node])
        if until:
            self.bonds.evm.forward(max(0, until - self.bonds.evm.now))
            self.send("unjail", self.nodes[node], by=self.holders[node])

    @rule(bond=st.integers(1, 500))
    def set_minimum(self, bond: int) -> None:
        self.bonds.registry.send("setParameters", PARAMETERS | {"providerBond": bond * ETHER})

    @rule(node=NODES)
    def refresh(self, node: int) -> None:
        self.send("refresh", self.nodes[node], by=self.payer)

    @invariant()
    def all_tokens_are_in_the_pools(self) -> None:
        pools = [self.pool(i)["assets"] for i in range(3)]
        assert pools == [self.inside[i] for i in range(3)]
        assert self.bonds.has(self.bonds.registry.address) == sum(pools)

    @invariant()
    def shares_are_all_somebodys_and_worth_no_more_than_there_is(self) -> None:
        node, pool = self.touched, self.pool(self.touched)
        leaving = [it.shares for it in self.leaving.values() if it.node == node]
        assert pool["unbonding"] == sum(leaving)
        assert pool["shares"] == sum(leaving) + sum(self.shares(node, h) for h in range(5))
        out = [s * pool["assets"] // pool["shares"] for s in leaving if s]
        assert sum(self.worth(node, h) for h in range(5)) + sum(out) <= pool["assets"]
        assert pool["shares"] or not pool["assets"]  # nothing that is nobody's

    @invariant()
    def a_roles_total_is_the_sum_of_its_nodes(self) -> None:
        registry, block = self.bonds.registry, self.bonds.evm.block
        self.steps += 1
        role = ROLES[self.steps % 4]  # one a step: the EVM takes its time
        self.bonds.evm.mine()
        stakes = [registry.call("stakeAt", node, role, block) for node in self.nodes]
        assert registry.call("totalAt", role, block) == sum(stakes)
        node, stake = self.nodes[self.touched], stakes[self.touched]
        assert (stake > 0) == registry.call("isActive", node, role)
        assert stake == 0 or (registry.call("rolesOf", node) & role and registry.call("jailedUntil", node) == 0)

    def teardown(self) -> None:
        """Everybody leaves, and not a token stays behind."""
        if not hasattr(self, "bonds"):
            return
        for node in range(3):
            for holder in range(5):
                self.unbond(node, holder, 1)
        self.bonds.evm.forward(8 * DAY)
        for it in list(self.leaving.values()):
            self.take(it)
        assert self.bonds.has(self.bonds.registry.address) == 0
        everybody = [*self.holders, self.payer, self.bonds.deployer, self.bonds.evm.account(50)]
        assert sum(self.bonds.has(k.address) for k in everybody) + self.bonds.has(BURNED) == SUPPLY


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=8, stateful_step_count=20)
