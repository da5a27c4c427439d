"""The token: all of it made once, permits and votes by signature, and nothing more to it."""

from __future__ import annotations

import pytest

from settle.artefacts import artefact
from tests.settle.contracts.desk import LATER, MOST, PERMIT, Desk, evm_signature
from tests.settle.evm import CHAIN_ID, Evm, Reverted
from wire.eip712 import Domain, StructType

SUPPLY = 10**9 * 10**18
DELEGATION = StructType("Delegation", ("address", "delegatee"), ("uint256", "nonce"), ("uint256", "expiry"))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def domain(desk: Desk) -> Domain:
    return Domain(chain_id=CHAIN_ID, contract=desk.token.address, name="Test", version="1")


def test_name_and_symbol_are_the_deployers_choice() -> None:
    evm = Evm()
    token = evm.deploy("HallmarkToken", "Some network", "SOME", evm.account(7).address)
    assert (token.call("name"), token.call("symbol"), token.call("decimals")) == ("Some network", "SOME", 18)
    assert token.call("eip712Domain")["name"] == "Some network"


def test_the_first_holder_has_all_of_it(desk: Desk) -> None:
    assert desk.token.call("totalSupply") == desk.token.call("SUPPLY") == desk.has(desk.payer.address) == SUPPLY
    assert SUPPLY < MOST  # so that any amount of it fits the channels' and the epochs' sums


def test_nobody_makes_more_and_nobody_rules_it() -> None:
    """What can change anything is what an ERC-20 with permits and votes has, and nothing beside."""
    changing = {
        e["name"]
        for e in artefact("HallmarkToken").abi
        if e["type"] == "function" and e["stateMutability"] not in ("view", "pure")
    }
    assert changing == {"approve", "transfer", "transferFrom", "permit", "delegate", "delegateBySig"}


def test_tokens_move_and_their_sum_stays(desk: Desk) -> None:
    done = desk.token.send("transfer", desk.stranger.address, 5, by=desk.payer)
    assert done.event("Transfer").values == {"from": desk.payer.address, "to": desk.stranger.address, "value": 5}
    with pytest.raises(Reverted, match="ERC20InsufficientBalance"):
        desk.token.send("transfer", desk.payer.address, 6, by=desk.stranger)
    with pytest.raises(Reverted, match="ERC20InvalidReceiver"):  # nor is any lost that way
        desk.token.send("transfer", bytes(20), 1, by=desk.stranger)
    assert desk.token.call("totalSupply") == SUPPLY


def test_a_permit_allows_what_it_says_once_and_in_time(desk: Desk) -> None:
    owner, spender = desk.payer, desk.stranger.address

    def signed(value: int, nonce: int, deadline: int, at: Domain) -> tuple[int, bytes, bytes]:
        signature = evm_signature(owner, PERMIT.digest(at, owner.address, spender, value, nonce, deadline))
        return signature[64], signature[:32], signature[32:64]

    def bring(value: int, deadline: int, signature: tuple[int, bytes, bytes]) -> None:
        desk.token.send("permit", owner.address, spender, value, deadline, *signature, by=desk.receiver)

    here = domain(desk)
    with pytest.raises(Reverted, match="ERC2612ExpiredSignature"):
        bring(7, desk.evm.now, signed(7, 0, desk.evm.now, here))
    elsewhere = Domain(chain_id=CHAIN_ID + 1, contract=desk.token.address, name="Test", version="1")
    with pytest.raises(Reverted, match="ERC2612InvalidSigner"):
        bring(7, LATER, signed(7, 0, LATER, elsewhere))
    with pytest.raises(Reverted, match="ERC2612InvalidSigner"):
        bring(8, LATER, signed(7, 0, LATER, here))
    bring(7, LATER, signed(7, 0, LATER, here))
    assert desk.token.call("allowance", owner.address, spender) == 7
    with pytest.raises(Reverted, match="ERC2612InvalidSigner"):
        bring(7, LATER, signed(7, 0, LATER, here))


def test_votes_are_the_tokens_of_who_delegated_at_a_past_block(desk: Desk) -> None:
    assert desk.token.call("getVotes", desk.payer.address) == 0  # who has not delegated has no votes
    desk.token.send("delegate", desk.payer.address, by=desk.payer)
    desk.token.send("transfer", desk.stranger.address, 10, by=desk.payer)
    before = desk.evm.block
    desk.token.send("delegate", desk.receiver.address, by=desk.stranger)
    desk.token.send("transfer", desk.authorizer.address, 4, by=desk.stranger)
    desk.evm.mine()
    assert desk.token.call("getPastVotes", desk.payer.address, before) == SUPPLY - 10
    assert desk.token.call("getPastVotes", desk.receiver.address, before) == 0
    assert desk.token.call("getVotes", desk.receiver.address) == 6
    assert desk.token.call("getPastTotalSupply", before) == SUPPLY


def test_a_delegation_may_be_signed_and_shares_its_counter_with_permits(desk: Desk) -> None:
    digest = DELEGATION.digest(domain(desk), desk.receiver.address, 0, LATER)
    signature = evm_signature(desk.payer, digest)
    given = (desk.receiver.address, 0, LATER, signature[64], signature[:32], signature[32:64])
    desk.token.send("delegateBySig", *given, by=desk.stranger)
    assert desk.token.call("getVotes", desk.receiver.address) == SUPPLY
    assert desk.token.call("nonces", desk.payer.address) == 1
    with pytest.raises(Reverted, match="InvalidAccountNonce"):
        desk.token.send("delegateBySig", *given, by=desk.stranger)
