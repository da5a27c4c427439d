"""The registry: what a reward is worth to whom, who sets what of a node, and which parameters hold."""

from __future__ import annotations

import pytest

from tests.settle.evm import ETHER, Reverted

from .bonds import DAY, PARAMETERS, PROVIDER, VERIFIER, Bonds, with_slashers

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def bonds() -> Bonds:
    return with_slashers()


# ------------------------------------------------------------------------------------------------------------- rewards


def test_a_reward_is_the_owners_commission_and_the_pools(bonds: Bonds) -> None:
    node, friend, payer = bonds.joined(0, commission=1_000), bonds.evm.account(20), bonds.evm.account(30)
    bonds.bond(node, 1_000 * ETHER, friend)
    bonds.give(payer, 100 * ETHER)
    said = bonds.registry.send("reward", node, 100 * ETHER, by=payer).event("Rewarded").values
    assert said["commission"] == 10 * ETHER == bonds.has(bonds.owner(0).address)
    for holder in (friend, bonds.owner(0)):
        assert bonds.registry.call("worthOf", node, holder.address) == 1_045 * ETHER
    assert bonds.stake(node, PROVIDER) == 2_000 * ETHER  # until the node's next change
    bonds.registry.send("refresh", node, by=friend)
    assert bonds.stake(node, PROVIDER) == 2_090 * ETHER == bonds.total(PROVIDER)


def test_who_is_leaving_earns_no_more(bonds: Bonds) -> None:
    node, friend, payer = bonds.joined(0, commission=0), bonds.evm.account(20), bonds.evm.account(30)
    bonds.bond(node, 1_000 * ETHER, friend)
    bonds.registry.send("unbond", node, 1_000 * ETHER, by=friend)
    bonds.give(payer, 100 * ETHER)
    bonds.registry.send("reward", node, 100 * ETHER, by=payer)
    bonds.evm.forward(7 * DAY)
    bonds.registry.send("withdraw", 0, by=friend)
    assert bonds.has(friend.address) == 1_000 * ETHER
    assert bonds.registry.call("worthOf", node, bonds.owner(0).address) == 1_100 * ETHER


def test_the_last_one_takes_what_who_left_did_not_earn(bonds: Bonds) -> None:
    """Else it would stay behind for ever, and be nobody's."""
    node, owner, friend, payer = bonds.joined(0, commission=0), bonds.owner(0), *map(bonds.evm.account, (20, 30))
    bonds.bond(node, 1_000 * ETHER, friend)
    bonds.registry.send("unbond", node, 1_000 * ETHER, by=owner)
    bonds.give(payer, 100 * ETHER)
    bonds.registry.send("reward", node, 100 * ETHER, by=payer)
    bonds.registry.send("unbond", node, 1_000 * ETHER, by=friend)
    bonds.evm.forward(7 * DAY)
    bonds.registry.send("withdraw", 0, by=owner)
    bonds.registry.send("withdraw", 1, by=friend)
    assert (bonds.has(owner.address), bonds.has(friend.address)) == (1_000 * ETHER, 1_100 * ETHER)
    assert bonds.has(bonds.registry.address) == 0


def test_where_nobody_stays_a_reward_is_the_owners(bonds: Bonds) -> None:
    node, payer = bonds.register(0), bonds.evm.account(30)
    bonds.give(payer, 10 * ETHER)
    bonds.registry.send("reward", node, 10 * ETHER, by=payer)
    assert bonds.has(bonds.owner(0).address) == 10 * ETHER
    with pytest.raises(Reverted, match="UnknownNode"):
        bonds.registry.send("reward", bonds.node(1).address, 1, by=payer)


def test_a_commission_falls_at_once_and_rises_late(bonds: Bonds) -> None:
    node, owner = bonds.joined(0, commission=1_000), bonds.owner(0)
    bonds.registry.send("setCommission", node, 500, by=owner)
    assert bonds.registry.call("commissionOf", node) == 500
    said = bonds.registry.send("setCommission", node, 3_000, by=owner).event("CommissionSet").values
    assert said["from"] == bonds.evm.now + 7 * DAY
    assert bonds.registry.call("commissionOf", node) == 500
    bonds.evm.forward(7 * DAY)
    assert bonds.registry.call("commissionOf", node) == 3_000
    bonds.registry.send("setCommission", node, 4_000, by=owner)  # what had come into force stays in force
    assert bonds.registry.call("commissionOf", node) == 3_000
    bonds.registry.send("setCommission", node, 2_000, by=owner)  # and this one takes the raise back
    bonds.evm.forward(8 * DAY)
    assert bonds.registry.call("commissionOf", node) == 2_000
    with pytest.raises(Reverted, match="CommissionTooHigh"):
        bonds.registry.send("setCommission", node, 5_001, by=owner)


# ----------------------------------------------------------------------------------------------- roles and parameters


@pytest.mark.parametrize(("function", "args"), [("setRoles", (1,)), ("setCommission", (1,)), ("unjail", ())])
def test_a_node_is_its_owners_to_set(bonds: Bonds, function: str, args: tuple[int, ...]) -> None:
    node = bonds.joined(0)
    for by in (bonds.deployer, bonds.owner(1), bonds.evm.account(1)):
        with pytest.raises(Reverted, match="NotOwnerOfNode"):
            bonds.registry.send(function, node, *args, by=by)
    with pytest.raises(Reverted, match="NotOwnerOfNode"):
        bonds.registry.send(function, bonds.node(5).address, *args, by=bonds.owner(0))


def test_parameters_are_the_owners_and_slashers_are_set_once(bonds: Bonds) -> None:
    stranger = bonds.evm.account(3)
    for function, args in (("setParameters", (PARAMETERS,)), ("setSlashers", (b"\1" * 20, b"\2" * 20))):
        with pytest.raises(Reverted, match="OwnableUnauthorizedAccount"):
            bonds.registry.send(function, *args, by=stranger)
    with pytest.raises(Reverted, match="SlashersAlreadySet"):
        bonds.registry.send("setSlashers", b"\1" * 20, b"\2" * 20)
    fresh = Bonds()
    with pytest.raises(Reverted, match="OutOfBounds"):
        fresh.registry.send("setSlashers", b"\1" * 20, bytes(20))


def test_ownership_moves_in_two_steps(bonds: Bonds) -> None:
    next_ = bonds.evm.account(3)
    bonds.registry.send("transferOwnership", next_.address)
    bonds.registry.send("setParameters", PARAMETERS)
    bonds.registry.send("acceptOwnership", by=next_)
    with pytest.raises(Reverted, match="OwnableUnauthorizedAccount"):
        bonds.registry.send("setParameters", PARAMETERS)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("unbondingSeconds", 600, 60 * DAY), ("jailSeconds", 0, 90 * DAY), ("reporterBps", 0, 5_000),
        ("providerBond", 10**6, 10**7 * ETHER), ("verifierBond", 10**6, 10**7 * ETHER),
        ("settlerBond", 10**6, 10**7 * ETHER), ("hubBond", 10**6, 10**7 * ETHER),
    ],
)  # fmt: skip
def test_each_parameter_has_its_bounds(bonds: Bonds, name: str, least: int, most: int) -> None:
    for value in (least, most):
        bonds.registry.send("setParameters", PARAMETERS | {name: value})
        assert bonds.registry.call("parameters")[name] == value
    for value in (least - 1, most + 1):
        if value >= 0:
            with pytest.raises(Reverted, match=f"OutOfBounds.*{name}"):
                bonds.registry.send("setParameters", PARAMETERS | {name: value})
            with pytest.raises(Reverted, match=f"OutOfBounds.*{name}"):
                Bonds(**{name: value})


def test_a_higher_minimum_counts_from_a_nodes_next_change(bonds: Bonds) -> None:
    node = bonds.joined(0, 100 * ETHER)
    bonds.registry.send("setParameters", PARAMETERS | {"providerBond": 101 * ETHER})
    assert bonds.registry.call("isActive", node, PROVIDER)
    bonds.registry.send("refresh", node, by=bonds.evm.account(3))
    assert not bonds.registry.call("isActive", node, PROVIDER)
    assert bonds.total(PROVIDER) == 0
    with pytest.raises(Reverted, match="UnknownNode"):
        bonds.registry.send("refresh", bonds.node(4).address)


def test_every_change_is_told_with_what_counts(bonds: Bonds) -> None:
    node, owner = bonds.register(0, PROVIDER | VERIFIER), bonds.owner(0)
    said = bonds.bond(node, 150 * ETHER, owner).event("StakeSet").values
    assert said == {"node": node, "stake": 150 * ETHER, "roles": PROVIDER}
    again = bonds.registry.send("refresh", node)
    assert again.events == ()
