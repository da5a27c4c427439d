"""Income is what the chain's balances say: to the last unit what was paid out, and what stakes are worth."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settle.abi import Event
from settle.costs import HOURS_A_MONTH, HOURS_A_YEAR, UNIT, break_even, hourly
from settle.income import EVENTS, Health, Income, health_of
from tests.settle.contracts.bonds import PROVIDER
from tests.settle.contracts.ledger import HUBS, PAYER, PUBLISHER, SETTLERS, TREASURY, Ledger
from tests.settle.evm import ETHER, Done, Evm
from wire.keys import NodeKey
from wire.settlement import Share

DELEGATOR, OWN_PROVIDER = 45, 34  # node 34 belongs to account 44, which pays


class Town(Ledger):
    """A ledger whose events are written down as the chain has them, and in which somebody pays to its own node."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Evm, "send", self._telling(Evm.send))
            super().__init__()
            self.register(OWN_PROVIDER, PROVIDER)
            self.delegator = self.evm.account(DELEGATOR)
            self.bond(self.node(0).address, 500 * ETHER, self.delegator)
        self.begun = self.evm.block + 1

    def _telling(self, send: object) -> object:
        def told(evm: Evm, to: bytes, data: bytes, by: NodeKey) -> Done:
            done: Done = send(evm, to, data, by)  # type: ignore[operator]
            block = evm.block
            self.told += [
                Event(e.name, e.contract, e.values, block, i, block.to_bytes(32, "big"))
                for i, e in enumerate(done.events)
            ]
            return done

        return told

    def income(self, account: NodeKey, since: int | None = None) -> Income:
        tills = {self.epochs.call("tillOf", self.node(i).address): self.node(i).address for i in (6, 7, OWN_PROVIDER)}
        found = Income(account.address, tills, self.treasury, self.begun if since is None else since)
        names = {self.registry.address: "Registry", self.channels.address: "Channels", self.epochs.address: "Epochs"}
        for event in self.told:
            contract = names.get(event.contract)
            if contract and event.name in EVENTS[contract]:
                found.take(contract, event)
        return found

    def everybody(self) -> list[NodeKey]:
        accounts = (*(10 + i for i in (*SETTLERS, *HUBS, 6, 7)), PAYER, PUBLISHER, TREASURY, DELEGATOR)
        return [self.evm.account(i) for i in accounts]

    def worth(self, account: NodeKey) -> int:
        """What its shares are worth, everywhere."""
        nodes = [self.node(i).address for i in (*SETTLERS, *HUBS)]
        return sum(int(self.registry.call("worthOf", node, account.address)) for node in nodes)


@cache
def _town() -> Town:
    return Town()


def settle_epoch(town: Town, prices: dict[int, list[int]], extra: int) -> int:
    """Answers of these providers at these prices, paid through channels, settled and claimed to the end."""
    epoch, receipts = int(town.epochs.call("current")), []
    for node, amounts in prices.items():
        receipts += [town.receipt(node, price, number) for number, price in enumerate(amounts)]
        town.pay(node, sum(amounts) + extra)
        town.epochs.send("collect", town.node(node).address)
    town.next_epoch()
    root = town.honest(epoch, [town.claimed(receipt) for receipt in receipts])
    town.post(root)
    town.finalise(epoch)
    places: dict[tuple[bytes, Share], list[int]] = {}
    for place, line in enumerate(root.lines):
        places.setdefault((line.account, line.role), []).append(place)
    for (account, role), lines in places.items():
        owner = town.registry.call("ownerOf", account)
        by = next((k for k in town.everybody() if k.address in (owner, account)), town.stranger)
        own = role in (Share.PROVIDER, Share.PUBLISHER, Share.UNRECEIPTED)
        town.claim(root, lines[0], lines[-1], by if own else town.stranger)
    return epoch


@settings(max_examples=6)
@given(
    st.dictionaries(
        st.sampled_from((6, 7, OWN_PROVIDER)), st.lists(st.integers(1_000, 5 * ETHER), min_size=1, max_size=3),
        min_size=1,
    ),
    st.integers(0, ETHER),
)  # fmt: skip
def test_sums_are_the_chains_balances(prices: dict[int, list[int]], extra: int) -> None:
    town = _town()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evm, "send", town._telling(Evm.send))
        town.begun = town.evm.block + 1
        before = {k.address: (town.has(k.address), town.worth(k)) for k in town.everybody()}
        epoch = settle_epoch(town, prices, extra)
    revenue = sum(sum(amounts) + extra for amounts in prices.values())
    total = 0
    for account in town.everybody():
        income = town.income(account)
        had, worth = before[account.address]
        assert sum(income.paid.values()) == town.has(account.address) - had, account
        grown = town.worth(account) - worth
        assert abs(sum(income.bonded.values()) - grown) <= 8, "each reward rounds once, and what shares are worth does"
        assert {e for _, e in income.paid} <= {epoch}
        total += sum(income.paid.values()) + sum(income.bonded.values())
    assert revenue - 8 * len(SETTLERS) <= total <= revenue, "nobody's part is counted twice, and none is forgotten"

    payer = town.income(town.evm.account(PAYER))
    assert sum(payer.spent.values()) == revenue
    self_dealt = sum(prices[OWN_PROVIDER]) + extra if OWN_PROVIDER in prices else 0
    assert sum(payer.self_dealt.values()) == self_dealt
    health = health_of(payer)
    assert (health.fees, health.self_dealing, health.external) == (revenue, self_dealt, revenue - self_dealt)
    assert health.durable == (revenue - self_dealt) / revenue


def test_every_source_is_told_apart() -> None:
    town = _town()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evm, "send", town._telling(Evm.send))
        town.begun = town.evm.block + 1
        settle_epoch(town, {6: [ETHER, 2 * ETHER]}, ETHER)

    def sources(index: int) -> set[str]:
        income = town.income(town.evm.account(index))
        return {source for source, _ in (*income.paid, *income.bonded) if income.earned((source, _))}

    assert sources(16) == {"provider"}
    assert sources(PUBLISHER) == {"publisher"}
    assert sources(TREASURY) == {"treasury"}
    assert sources(DELEGATOR) == {"delegation"}
    assert sources(10) == {"verifier"}
    assert set().union(*(sources(10 + hub) for hub in HUBS)) == {"hub"}
    assert sources(PAYER) == set()
    assert town.income(town.evm.account(16), since=town.evm.block + 1).paid == Counter()


def test_a_gift_a_slash_and_a_leaver_are_what_they_are() -> None:
    income = Income(b"\1" * 20, {}, bytes(20))
    node, other = b"\2" * 20, b"\3" * 20

    def tell(name: str, **values: object) -> None:
        income.take("Registry", Event(name, b"", values, 1, 0, b"tx"))

    tell("Registered", node=node, owner=b"\1" * 20)
    tell("Bonded", node=node, holder=b"\1" * 20, amount=60, shares=60)
    tell("Bonded", node=node, holder=other, amount=40, shares=40)
    tell("Rewarded", node=node, amount=100, commission=0)
    assert income.bonded == {("gifts", 0): 60}
    tell("Unbonding", node=node, holder=other, id=5, shares=40, releaseAt=9)
    tell("Rewarded", node=node, amount=100, commission=10)
    assert (income.bonded["gifts", 0], income.paid["gifts", 0]) == (150, 10), "who leaves earns no more"
    tell("Slashed", node=node, evidence=b"", amount=100, reporter=b"\1" * 20, reported=20, rest=80)
    assert (income.slashed, income.paid["reports", 0]) == (60, 20), "and is slashed until it has left"
    tell("Withdrawn", node=node, holder=other, id=5, amount=30)
    tell("Slashed", node=node, evidence=b"", amount=100, reporter=other, reported=20, rest=80)
    assert income.slashed == 160


def test_other_channels_of_the_same_contract_are_no_fees() -> None:
    income = Income(b"\1" * 20, {}, bytes(20))
    values = {"channelId": b"c", "payer": b"\1" * 20, "receiver": b"\7" * 20, "amount": 5, "totalClaimed": 5}
    income.take("Channels", Event("Deposited", b"", values))
    income.take("Channels", Event("Claimed", b"", values))
    assert (income.spent, income.fees) == (Counter(), Counter())


def test_nothing_is_durable_where_nothing_is_paid() -> None:
    assert Health(0, 0, 0, 0).durable == 0
    assert Health(100, 20, 10, 40).durable == 0.5


def test_an_hour_costs_what_the_parts_cost() -> None:
    costs = {
        "power_watts": 500.0,
        "power_price": 2.0,
        "rent": HOURS_A_MONTH,
        "hardware": 2 * HOURS_A_MONTH,
        "capital": 10,
    }
    assert hourly(costs, 0) == pytest.approx(4 * UNIT)
    assert hourly(costs, HOURS_A_YEAR * UNIT) == pytest.approx(4.1 * UNIT)
    assert hourly({}, UNIT) == 0


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0, 0.9))
def test_at_break_even_nothing_is_left(hour: float, capacity: float, price: float, take: float) -> None:
    even = break_even(hour, capacity, price, take)
    assert even.utilisation is not None
    assert even.price is not None
    assert even.utilisation * capacity * price * (1 - take) == pytest.approx(hour)
    assert capacity * even.price * (1 - take) == pytest.approx(hour)


def test_without_a_price_or_a_capacity_nothing_is_pretended() -> None:
    assert break_even(5.0, 0.0, 0.0, 0.1).answers is None
    assert break_even(5.0, 0.0, 1.0, 0.1).utilisation is None
    assert break_even(5.0, 10.0, 1.0, 1.0).price is None
