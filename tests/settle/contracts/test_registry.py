"""The registry: who may enter, what stands behind a node, what counts, and that nobody's tokens are lost or locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.settle.evm import ETHER, Reverted
from wire.chain import BIND
from wire.eip712 import Domain
from wire.keys import NodeKey

from .bonds import (
    BURNED,
    DAY,
    HUB,
    PARAMETERS,
    PROVIDER,
    ROLES,
    SETTLER,
    SOME,
    VERIFIER,
    Bonds,
    bind,
    slash,
    uncompressed,
    with_slashers,
)
from .desk import for_tests

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def bonds() -> Bonds:
    return with_slashers()


# ------------------------------------------------------------------------------------------------------- registering


def test_the_domain_is_the_networks(bonds: Bonds) -> None:
    assert bonds.registry.call("domainSeparator") == bonds.domain.separator()


def test_a_node_is_its_keys_address_and_agreed_to_its_owner(bonds: Bonds) -> None:
    node = bonds.register(0, PROVIDER | HUB, 700)
    key = bonds.node(0)
    assert node == key.address
    assert bonds.registry.call("ownerOf", node) == bonds.owner(0).address
    assert bonds.registry.call("keyOf", node) == key.public[1:]
    assert bonds.registry.call("compressedKeyOf", node) == {"prefix": key.public[0], "x": key.public[1:]}
    assert bonds.registry.call("rolesOf", node) == PROVIDER | HUB
    assert bonds.registry.call("commissionOf", node) == 700
    assert [bonds.registry.call("nodeAt", i) for i in range(bonds.registry.call("nodeCount"))] == [node]


def test_the_event_has_the_whole_key(bonds: Bonds) -> None:
    node, owner, deadline = bonds.node(0), bonds.owner(0), bonds.evm.now + 60
    signature = bind(node, owner.address, deadline, bonds.domain)
    wallets = signature[:64] + bytes([signature[64] + 27])  # as wallets write the recovery id
    done = bonds.registry.send("register", uncompressed(node.public), 0, 0, deadline, wallets, by=owner)
    assert done.event("Registered").values == {
        "node": node.address, "owner": owner.address, "publicKey": uncompressed(node.public),
    }  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One try to register, each part of which can be bent."""

    bonds: Bonds
    late: int

    def __call__(self, **changes: Any) -> None:
        bonds, node, owner, late = self.bonds, self.bonds.node(0), self.bonds.owner(0), self.late
        given: dict[str, Any] = {
            "key": uncompressed(node.public), "roles": 1, "commission": 0, "deadline": late,
            "signature": bind(node, owner.address, late, bonds.domain), "by": owner,
        } | changes  # fmt: skip
        by = given.pop("by")
        bonds.registry.send("register", *given.values(), by=by)


def test_nobody_registers_a_key_that_did_not_agree(bonds: Bonds) -> None:
    node, owner, other, late = bonds.node(0), bonds.owner(0), bonds.node(1), bonds.evm.now + 60
    enter = Entry(bonds, late)
    away = Domain(chain_id=bonds.domain.chain_id, contract=b"\x99" * 20)
    elsewhere = Domain(chain_id=1, contract=bonds.domain.contract)
    signature = bind(node, owner.address, late, bonds.domain)
    for changes in (
        {"by": bonds.owner(1)},  # somebody else sends what was signed for the owner
        {"deadline": late + 1},
        {"key": uncompressed(other.public)},
        {"key": uncompressed(node.public)[:63]},
        {"key": node.public},
        {"signature": bind(other, owner.address, late, bonds.domain)},
        {"signature": bind(node, owner.address, late, away)},
        {"signature": bind(node, owner.address, late, elsewhere)},
        {"signature": signature[:64]},
        {"signature": signature[:64] + b"\x04"},
        {"signature": b""},
        {"signature": high_s(signature)},
        {"signature": node.sign(BIND.digest(bonds.domain, other.address, owner.address, late))},
    ):
        with pytest.raises(Reverted, match="KeyNotOfNode"):
            enter(**changes)
    with pytest.raises(Reverted, match="SignatureExpired"):
        enter(deadline=late - 120, signature=bind(node, owner.address, late - 120, bonds.domain))
    with pytest.raises(Reverted, match="UnknownRoles"):
        enter(roles=16)
    with pytest.raises(Reverted, match="CommissionTooHigh"):
        enter(commission=5_001)
    enter()
    with pytest.raises(Reverted, match="AlreadyRegistered"):
        enter()


def high_s(signature: bytes) -> bytes:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([signature[64] ^ 1])


def test_a_key_and_its_negative_are_one_signer_and_enter_once(bonds: Bonds) -> None:
    # Two such verifiers would make the committees' draw refuse the whole registry.
    node = bonds.node(0)
    bonds.register(0)
    twin = NodeKey((ORDER - int.from_bytes(node.secret, "big")).to_bytes(32, "big"))
    assert twin.public[1:] == node.public[1:]
    assert twin.address != node.address
    late, owner = bonds.evm.now + 60, bonds.owner(1)
    signature = bind(twin, owner.address, late, bonds.domain)
    with pytest.raises(Reverted, match="AlreadyRegistered"):
        bonds.registry.send("register", uncompressed(twin.public), 1, 0, late, signature, by=owner)


# ------------------------------------------------------------------------------------------------------------- bonding


def test_a_bond_counts_for_the_roles_that_it_is_large_enough_for(bonds: Bonds) -> None:
    node = bonds.joined(0, 250 * ETHER, sum(ROLES))
    assert [bonds.registry.call("isActive", node, role) for role in ROLES] == [True, True, False, True]
    assert [bonds.stake(node, role) for role in ROLES] == [250 * ETHER, 250 * ETHER, 0, 250 * ETHER]
    bonds.bond(node, 50 * ETHER, bonds.owner(0))
    assert bonds.stake(node, SETTLER) == 300 * ETHER
    bonds.registry.send("setRoles", node, VERIFIER, by=bonds.owner(0))
    assert [bonds.registry.call("isActive", node, role) for role in ROLES] == [False, True, False, False]


def test_what_others_delegate_counts_but_does_not_replace_the_owners_own(bonds: Bonds) -> None:
    node, friend = bonds.joined(0, 99 * ETHER, PROVIDER), bonds.evm.account(20)
    bonds.bond(node, 1_000 * ETHER, friend)
    assert not bonds.registry.call("isActive", node, PROVIDER)
    assert bonds.stake(node, PROVIDER) == 0
    bonds.bond(node, 1 * ETHER, bonds.owner(0))
    assert bonds.stake(node, PROVIDER) == 1_100 * ETHER == bonds.total(PROVIDER)


def test_a_past_block_says_what_it_said(bonds: Bonds) -> None:
    node = bonds.joined(0)
    first = bonds.evm.block
    bonds.bond(node, 5 * ETHER, bonds.owner(0))
    second = bonds.evm.block
    bonds.registry.send("setRoles", node, 0, by=bonds.owner(0))
    bonds.evm.mine()
    at = [bonds.registry.call("stakeAt", node, PROVIDER, n) for n in (0, first - 1, first, second - 1, second)]
    assert at == [0, 0, 1_000 * ETHER, 1_000 * ETHER, 1_005 * ETHER]
    assert bonds.registry.call("totalAt", PROVIDER, second) == 1_005 * ETHER
    assert bonds.registry.call("totalAt", PROVIDER, second + 1) == 0
    for call in ("stakeAt", node, PROVIDER), ("totalAt", PROVIDER):
        with pytest.raises(Reverted, match="BlockNotPast"):
            bonds.registry.send(*call, bonds.evm.block + 1)  # the block that the transaction is in
        bonds.registry.send(*call, bonds.evm.block)
    for role in (0, 3, 16):
        with pytest.raises(Reverted, match="UnknownRoles"):
            bonds.registry.call("isActive", node, role)


def test_the_owner_bonds_first_and_nobody_a_dust(bonds: Bonds) -> None:
    node, friend = bonds.register(0), bonds.evm.account(20)
    with pytest.raises(Reverted, match="OwnerBondsFirst"):
        bonds.bond(node, ETHER, friend)
    with pytest.raises(Reverted, match="BondTooSmall"):
        bonds.bond(node, 999_999, bonds.owner(0))
    with pytest.raises(Reverted, match="UnknownNode"):
        bonds.bond(bonds.node(1).address, ETHER, friend)


def test_a_share_made_dear_takes_nothing_from_who_bonds_next(bonds: Bonds) -> None:
    """The first depositor's inflation: a tiny bond, a large gift to the pool, a victim whose bond is rounded away."""
    node, owner, victim = bonds.register(0, commission=0), bonds.owner(0), bonds.evm.account(20)
    bonds.bond(node, 1_000_000, owner)
    bonds.give(owner, 10_000 * ETHER)
    bonds.registry.send("reward", node, 10_000 * ETHER, by=owner)
    with pytest.raises(Reverted, match="BondTooSmall"):
        bonds.bond(node, 1_000 * ETHER, victim)
    put = 20_000 * ETHER
    bonds.bond(node, put, victim)
    assert put - bonds.registry.call("worthOf", node, victim.address) <= put // 10**6


def test_leaving_takes_its_time_and_gives_everything_back(bonds: Bonds) -> None:
    node, friend, stranger = bonds.joined(0), bonds.evm.account(20), bonds.evm.account(21)
    bonds.bond(node, 500 * ETHER, friend)
    done = bonds.registry.send("unbond", node, 200 * ETHER, by=friend)
    said = done.event("Unbonding").values
    assert said["releaseAt"] == bonds.evm.now + 7 * DAY
    assert bonds.stake(node, PROVIDER) == 1_300 * ETHER == bonds.registry.call("stakeOf", node)
    with pytest.raises(Reverted, match="StillUnbonding"):
        bonds.registry.send("withdraw", said["id"], by=friend)
    bonds.evm.forward(7 * DAY)
    with pytest.raises(Reverted, match="NotHolder"):
        bonds.registry.send("withdraw", said["id"], by=stranger)
    with pytest.raises(Reverted, match="NotHolder"):
        bonds.registry.send("withdraw", 99, by=friend)
    bonds.registry.send("withdraw", said["id"], by=friend)
    assert bonds.has(friend.address) == 200 * ETHER
    with pytest.raises(Reverted, match="NotHolder"):
        bonds.registry.send("withdraw", said["id"], by=friend)
    assert bonds.registry.call("poolOf", node) == {
        "assets": 1_300 * ETHER, "shares": 1_300 * ETHER, "unbonding": 0,
    }  # fmt: skip


def test_nobody_unbonds_what_it_has_not(bonds: Bonds) -> None:
    node, friend = bonds.joined(0), bonds.evm.account(20)
    bonds.bond(node, 5 * ETHER, friend)
    for shares in (0, 5 * ETHER + 1):
        with pytest.raises(Reverted, match="NotEnoughShares"):
            bonds.registry.send("unbond", node, shares, by=friend)
    bonds.registry.send("unbond", node, 5 * ETHER, by=friend)
    with pytest.raises(Reverted, match="NotEnoughShares"):
        bonds.registry.send("unbond", node, 1, by=friend)


def test_an_owner_who_leaves_is_active_no_more(bonds: Bonds) -> None:
    node, friend = bonds.joined(0, 100 * ETHER), bonds.evm.account(20)
    bonds.bond(node, 500 * ETHER, friend)
    bonds.registry.send("unbond", node, 1, by=bonds.owner(0))
    assert not bonds.registry.call("isActive", node, PROVIDER)
    assert bonds.total(PROVIDER) == 0


# ------------------------------------------------------------------------------------------------------------ slashing


def test_a_slash_takes_of_everything_that_is_there_also_of_what_is_leaving(bonds: Bonds) -> None:
    node, friend = bonds.joined(0), bonds.evm.account(20)
    bonds.bond(node, 500 * ETHER, friend)
    bonds.registry.send("unbond", node, 250 * ETHER, by=friend)
    said = slash(bonds, node, 1_000)
    assert (said["amount"], said["reported"], said["rest"]) == (150 * ETHER, 30 * ETHER, 120 * ETHER)
    assert said["evidence"] == SOME
    assert bonds.has(bonds.evm.account(50).address) == 30 * ETHER
    assert bonds.has(BURNED) == 120 * ETHER
    assert bonds.registry.call("worthOf", node, bonds.owner(0).address) == 900 * ETHER
    bonds.evm.forward(7 * DAY)
    bonds.registry.send("withdraw", 0, by=friend)
    assert bonds.has(friend.address) == 225 * ETHER
    assert bonds.registry.call("worthOf", node, friend.address) == 225 * ETHER


def test_the_rest_goes_where_the_parameter_says(bonds: Bonds) -> None:
    node, treasury = bonds.joined(0), bonds.evm.account(40).address
    bonds.registry.send("setParameters", PARAMETERS | {"rest": treasury})
    slash(bonds, node, 10_000)
    assert bonds.has(treasury) == 800 * ETHER
    assert bonds.has(bonds.registry.address) == 0


def test_without_a_reporter_all_is_the_rest(bonds: Bonds) -> None:
    node = bonds.joined(0)
    bonds.registry.send("slash", node, 5_000, SOME, bytes(20), by=bonds.evm.account(2))
    assert bonds.has(BURNED) == 500 * ETHER


def test_an_owner_that_reports_itself_does_not_live_on_what_others_delegated(bonds: Bonds) -> None:
    """The reporter has at most half of what the owner loses, whatever it does with its own shares before."""
    node, owner, friend = bonds.joined(0), bonds.owner(0), bonds.evm.account(20)
    bonds.bond(node, 99_000 * ETHER, friend)
    bonds.registry.send("unbond", node, 400 * ETHER, by=owner)
    has = bonds.has(owner.address)
    said = (
        bonds.registry.send("slash", node, 5_000, SOME, owner.address, by=bonds.evm.account(1)).event("Slashed").values
    )
    assert (said["amount"], said["reported"]) == (50_000 * ETHER, 250 * ETHER)
    assert bonds.has(owner.address) == has + 250 * ETHER
    bonds.evm.forward(7 * DAY)
    bonds.registry.send("withdraw", 0, by=owner)
    again = (
        bonds.registry.send("slash", node, 5_000, SOME, owner.address, by=bonds.evm.account(1)).event("Slashed").values
    )
    assert again["reported"] == 75 * ETHER


def test_only_slashers_slash(bonds: Bonds) -> None:
    node = bonds.joined(0)
    for by in (0, 3, 10):  # the deployer, a stranger, the node's owner
        with pytest.raises(Reverted, match="NotSlasher"):
            slash(bonds, node, 100, by=by)
    with pytest.raises(Reverted, match="OutOfBounds"):
        slash(bonds, node, 10_001)
    with pytest.raises(Reverted, match="UnknownNode"):
        slash(bonds, bonds.node(1).address, 1)
    assert slash(bonds, node, 100, by=2)["amount"] == 10 * ETHER


def test_who_was_slashed_is_jailed_until_its_owner_says_so_later(bonds: Bonds) -> None:
    node = bonds.joined(0)
    with pytest.raises(Reverted, match="NotJailed"):
        bonds.registry.send("unjail", node, by=bonds.owner(0))
    slash(bonds, node, 100)
    assert bonds.registry.call("jailedUntil", node) == bonds.evm.now + DAY
    assert not bonds.registry.call("isActive", node, PROVIDER)
    assert bonds.total(PROVIDER) == 0
    with pytest.raises(Reverted, match="StillJailed"):
        bonds.registry.send("unjail", node, by=bonds.owner(0))
    bonds.evm.forward(DAY)
    with pytest.raises(Reverted, match="NotOwnerOfNode"):
        bonds.registry.send("unjail", node, by=bonds.owner(1))
    bonds.registry.send("unjail", node, by=bonds.owner(0))
    assert bonds.stake(node, PROVIDER) == 990 * ETHER
    assert bonds.registry.call("jailedUntil", node) == 0


def test_a_node_slashed_to_nothing_is_left_and_another_registered(bonds: Bonds) -> None:
    node, owner = bonds.joined(0), bonds.owner(0)
    slash(bonds, node, 10_000)
    with pytest.raises(Reverted, match="NothingLeftInPool"):
        bonds.bond(node, 100 * ETHER, owner)
    bonds.registry.send("unbond", node, 1_000 * ETHER, by=owner)
    late, fresh = bonds.evm.now + 60, bonds.node(7)
    signature = bind(fresh, owner.address, late, bonds.domain)
    bonds.registry.send("register", uncompressed(fresh.public), PROVIDER, 0, late, signature, by=owner)
    bonds.bond(fresh.address, 100 * ETHER, owner)
    assert bonds.registry.call("isActive", fresh.address, PROVIDER)
    bonds.evm.forward(8 * DAY)
    bonds.registry.send("withdraw", 0, by=owner)  # nothing, and the pool is new
    bonds.registry.send("unjail", node, by=owner)
    bonds.bond(node, 100 * ETHER, owner)
    assert bonds.stake(node, PROVIDER) == 100 * ETHER


def test_a_pool_slashed_to_almost_nothing_takes_no_more(bonds: Bonds) -> None:
    """A bond would buy more shares than there can be. What is in it can leave."""
    node, owner = bonds.joined(0, 1_000_000), bonds.owner(0)
    for _ in range(2):
        bonds.bond(node, 10_000 * ETHER, owner)
        slash(bonds, node, 9_999)
        slash(bonds, node, 9_999)
        slash(bonds, node, 9_999)
    with pytest.raises(Reverted, match="NothingLeftInPool"):
        bonds.bond(node, 10**8 * ETHER, owner)
    bonds.registry.send("unbond", node, bonds.registry.call("sharesOf", node, owner.address), by=owner)
    bonds.evm.forward(7 * DAY)
    bonds.registry.send("withdraw", 0, by=owner)
    assert bonds.has(bonds.registry.address) == 0


def test_slashing_an_empty_node_takes_nothing_and_still_jails_it(bonds: Bonds) -> None:
    node = bonds.register(0)
    assert slash(bonds, node, 10_000)["amount"] == 0
    bonds.bond(node, 1_000 * ETHER, bonds.owner(0))
    assert not bonds.registry.call("isActive", node, PROVIDER)


# --------------------------------------------------------------------------------------------------------- reentrancy


def hostile() -> tuple[Bonds, bytes]:
    """Bonds in a token that calls back, with a node in them; the token's own account may slash."""
    bonds = Bonds(hostile=for_tests("HostileToken"))
    bonds.slashers(bonds.evm.account(1).address, bonds.token.address)
    node, friend = bonds.joined(0), bonds.evm.account(20)
    bonds.bond(node, 500 * ETHER, friend)
    bonds.registry.send("unbond", node, 100 * ETHER, by=friend)
    bonds.evm.forward(7 * DAY)
    bonds.give(friend, 100 * ETHER)
    return bonds, node


def backs(bonds: Bonds, node: bytes) -> dict[str, bytes]:
    """Calls back into the registry, each of which its sender could make at another time."""
    to = bonds.evm.account(50).address
    args: dict[str, tuple[Any, ...]] = {
        "bond": (node, ETHER), "withdraw": (0,), "slash": (node, 1, SOME, to), "reward": (node, ETHER),
    }  # fmt: skip
    return {name: bonds.registry.interface.call(name, *given) for name, given in args.items()}


@pytest.mark.parametrize("back", ["bond", "withdraw", "slash", "reward"])
@pytest.mark.parametrize("during", ["bond", "withdraw", "slash", "reward"])
def test_a_token_that_calls_back_gets_nowhere(during: str, back: str) -> None:
    bonds, node = hostile()
    friend, to = bonds.evm.account(20), bonds.evm.account(50).address
    bonds.token.send("arm", bonds.registry.address, backs(bonds, node)[back])
    outer: dict[str, tuple[tuple[Any, ...], NodeKey]] = {
        "bond": ((node, 100 * ETHER), friend),
        "withdraw": ((0,), friend),
        "slash": ((node, 1_000, SOME, to), bonds.evm.account(1)),
        "reward": ((node, 100 * ETHER), friend),
    }
    args, by = outer[during]
    called = bonds.registry.send(during, *args, by=by).event("Called").values
    assert not called["ok"]
    assert bonds.registry.interface.error(called["returned"]) == "ReentrancyGuardReentrantCall"
    assert bonds.has(bonds.registry.address) == bonds.registry.call("poolOf", node)["assets"]
