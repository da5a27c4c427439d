"""Channels under attack: hostile tokens, forged and misplaced vouchers, permits of others, amounts at the bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from settle.abi import Interface
from settle.artefacts import artefact
from tests.settle.contracts.desk import DELAY, LATER, MOST, PERMIT, Desk, evm_signature, fields, for_tests
from tests.settle.evm import CHAIN_ID, Contract, Reverted
from wire.eip712 import Domain
from wire.keys import NodeKey
from wire.payment import VOUCHER, payment_domain

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def hostile() -> Desk:
    """The same with a token that does as it is told."""
    made = Desk(token="HostileToken")
    made.token.send("mint", made.payer.address, MOST)
    return made


# Vouchers


def signed(desk: Desk, digest: bytes, most: int, key: NodeKey | None = None) -> tuple[Any, ...]:
    return ((fields(desk.config), most), evm_signature(key or desk.signer, digest), most)


def test_a_voucher_of_another_chain_is_refused(desk: Desk) -> None:
    desk.deposit(100)
    elsewhere = payment_domain(CHAIN_ID + 1, desk.channels.address)
    for channel in (desk.config.id(desk.domain), desk.config.id(elsewhere)):
        with pytest.raises(Reverted, match="BadVoucher"):
            desk.claim(signed(desk, VOUCHER.digest(elsewhere, channel, 40), 40))


def test_a_voucher_for_another_contract_is_refused(desk: Desk) -> None:
    desk.deposit(100)
    twin = desk.evm.deploy("Channels")
    elsewhere = payment_domain(CHAIN_ID, twin.address)
    for channel in (desk.config.id(desk.domain), desk.config.id(elsewhere)):
        with pytest.raises(Reverted, match="BadVoucher"):
            desk.claim(signed(desk, VOUCHER.digest(elsewhere, channel, 40), 40))


def test_a_voucher_of_another_scheme_is_refused(desk: Desk) -> None:
    desk.deposit(100)
    for domain in (
        Domain(chain_id=CHAIN_ID, contract=desk.channels.address),
        msgspec.structs.replace(desk.domain, version="2"),
    ):
        with pytest.raises(Reverted, match="BadVoucher"):
            desk.claim(signed(desk, VOUCHER.digest(domain, desk.config.id(desk.domain), 40), 40))


@pytest.mark.parametrize(
    "change",
    [
        {"salt": b"2" * 32},
        {"withdraw_delay": DELAY + 1},
        {"receiver": b"2" * 20},
        {"receiver_authorizer": b"2" * 20},
        {"token": b"2" * 20},
        {"payer": b"2" * 20},
        {"payer_authorizer": b"2" * 20},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_voucher_is_for_one_channel(desk: Desk, change: dict[str, Any]) -> None:
    desk.deposit(100)
    other = desk.other(**change)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim(signed(desk, VOUCHER.digest(desk.domain, other.id(desk.domain), 40), 40))


def test_a_vouchers_amount_is_what_was_signed(desk: Desk) -> None:
    desk.deposit(100)
    channel, signature, _ = desk.entry(40)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim(((channel[0], 41), signature, 41))


@pytest.mark.parametrize("who", ["payer", "receiver", "authorizer", "stranger"])
def test_only_the_payers_authorizer_signs_where_there_is_one(desk: Desk, who: str) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim(desk.entry(40, key=getattr(desk, who)))


def mangled(signature: bytes, kind: str) -> bytes:
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    return {
        "empty": b"",
        "short": signature[:64],
        "long": signature + b"\0",
        "zeros": bytes(65),
        "recovery from 0": signature[:64] + bytes([v - 27]),
        "other recovery": signature[:64] + bytes([55 - v]),
        "mirrored": r + (ORDER - s).to_bytes(32, "big") + bytes([55 - v]),  # the same point, but a second form of it
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "short", "long", "zeros", "recovery from 0", "other recovery", "mirrored"])
def test_a_signature_has_one_form(desk: Desk, kind: str) -> None:
    desk.deposit(100)
    voucher, signature, total = desk.entry(40)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim((voucher, mangled(signature, kind), total))
    desk.claim((voucher, signature, total))


def test_of_two_vouchers_that_contradict_each_other_both_hold_and_only_the_higher_counts(desk: Desk) -> None:
    """A payer that lost its books signs 40 and then, again from 20, 30: the receiver is never worse off."""
    desk.deposit(100)
    desk.claim(desk.entry(30))
    desk.claim(desk.entry(40))
    done = desk.claim(desk.entry(30))
    assert done.events == ()
    assert desk.state() == (100, 40)


def test_the_payer_signs_where_it_has_no_authorizer(desk: Desk) -> None:
    config = desk.other(payer_authorizer=bytes(20))
    desk.deposit(100, config)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim(desk.entry(40, config=config, key=desk.signer))
    desk.claim(desk.entry(40, config=config, key=desk.payer))
    assert desk.state(config) == (100, 40)


def a_wallet(desk: Desk) -> Contract:
    return desk.evm.deploy(for_tests("Wallet"), desk.signer.address)


def test_a_payer_may_be_a_contract(desk: Desk) -> None:
    wallet = a_wallet(desk)
    config = desk.other(payer=wallet.address, payer_authorizer=bytes(20))
    desk.deposit(100, config)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim(desk.entry(40, config=config, key=desk.payer))
    desk.claim(desk.entry(40, config=config))
    ask = desk.channels.interface.call
    wallet.send("run", desk.channels.address, ask("initiateWithdraw", fields(config), MOST))
    desk.evm.forward(DELAY)
    wallet.send("run", desk.channels.address, ask("finalizeWithdraw", fields(config)))
    assert desk.has(wallet.address) == 60


def test_a_payers_authorizer_is_a_key_and_no_contract(desk: Desk) -> None:
    config = desk.other(payer_authorizer=a_wallet(desk).address)
    desk.deposit(100, config)
    with pytest.raises(Reverted, match="BadVoucher"):
        desk.claim(desk.entry(40, config=config))


def test_a_receivers_authorizer_may_be_a_contract(desk: Desk) -> None:
    wallet = a_wallet(desk)
    config = desk.other(receiver_authorizer=wallet.address)
    desk.deposit(100, config)
    with pytest.raises(Reverted, match="BadAuthorization"):
        desk.claim_signed(desk.entry(40, config=config), key=desk.authorizer)
    desk.claim_signed(desk.entry(40, config=config), key=desk.signer)
    assert desk.state(config) == (100, 40)


# Permits


def permit(desk: Desk, owner: NodeKey, value: int, deadline: int = LATER) -> tuple[int, int, bytes, bytes]:
    """deadline, v, r, s"""
    token = Domain(chain_id=CHAIN_ID, contract=desk.token.address, name="Test", version="1")
    nonce = desk.token.call("nonces", owner.address)
    signature = evm_signature(owner, PERMIT.digest(token, owner.address, desk.channels.address, value, nonce, deadline))
    return deadline, signature[64], signature[:32], signature[32:64]


def test_a_permit_takes_the_place_of_an_approval(desk: Desk) -> None:
    desk.channels.send("depositWithPermit", fields(desk.config), 100, *permit(desk, desk.payer, 100), by=desk.payer)
    assert desk.state() == (100, 0)
    assert desk.token.call("allowance", desk.payer.address, desk.channels.address) == 0


def test_a_permit_that_somebody_used_first_is_no_obstacle(desk: Desk) -> None:
    given = permit(desk, desk.payer, 100)
    desk.token.send("permit", desk.payer.address, desk.channels.address, 100, *given, by=desk.stranger)
    desk.channels.send("depositWithPermit", fields(desk.config), 100, *given, by=desk.payer)
    assert desk.state() == (100, 0)


@pytest.mark.parametrize("wrong", ["late", "little", "another's"])
def test_a_permit_that_does_not_hold_deposits_nothing(desk: Desk, wrong: str) -> None:
    given = {
        "late": lambda: permit(desk, desk.payer, 100, deadline=desk.evm.now),
        "little": lambda: permit(desk, desk.payer, 99),
        "another's": lambda: permit(desk, desk.stranger, 100),
    }[wrong]()
    with pytest.raises(Reverted, match="ERC20InsufficientAllowance"):
        desk.channels.send("depositWithPermit", fields(desk.config), 100, *given, by=desk.payer)
    assert desk.state() == (0, 0)


def test_a_permit_is_of_no_use_to_anybody_else(desk: Desk) -> None:
    """Else who sees it could put the tokens into a channel whose vouchers it signs itself."""
    theirs = desk.other(
        payer_authorizer=desk.stranger.address,
        receiver=desk.stranger.address,
        receiver_authorizer=desk.stranger.address,
    )
    with pytest.raises(Reverted, match="ERC20InsufficientAllowance"):
        desk.channels.send("depositWithPermit", fields(theirs), 100, *permit(desk, desk.payer, 100), by=desk.stranger)
    desk.approve()
    with pytest.raises(Reverted, match="ERC20InsufficientAllowance"):  # nor is the payer's standing allowance
        desk.channels.send("deposit", fields(theirs), 100, by=desk.stranger)


# Hostile tokens


def test_a_token_that_keeps_a_part_of_a_deposit_is_refused(hostile: Desk) -> None:
    hostile.token.send("keep", 1)
    with pytest.raises(Reverted, match=r"BadTransfer\(.*expected 100, received 99\)"):
        hostile.deposit(100)
    assert hostile.state() == (0, 0)


def test_a_token_that_credits_more_than_was_deposited_is_refused(hostile: Desk) -> None:
    hostile.approve()
    gift = hostile.token.interface.call("mint", hostile.channels.address, 5)
    hostile.token.send("arm", hostile.token.address, gift)
    with pytest.raises(Reverted, match=r"BadTransfer\(.*expected 100, received 105\)"):
        hostile.channels.send("deposit", fields(hostile.config), 100, by=hostile.payer)


def test_an_address_without_a_token_is_refused(desk: Desk) -> None:
    with pytest.raises(Reverted):
        desk.deposit(1, desk.other(token=desk.stranger.address))


GUARD = Interface.of("Channels").error
ENTRIES = [
    "deposit", "depositWithPermit", "claim", "claimWithSignature", "settle", "initiateWithdraw", "finalizeWithdraw",
    "refund", "refundWithSignature",
]  # fmt: skip


def reentering(desk: Desk, function: str) -> bytes:
    """A call back into Channels that would be right at any other time. Its sender is the token, whose channel it is."""
    config = fields(
        desk.other(payer=desk.token.address, receiver=desk.token.address, receiver_authorizer=desk.token.address)
    )
    entry = desk.entry(1)
    arguments: dict[str, tuple[Any, ...]] = {
        "deposit": (config, 1),
        "depositWithPermit": (config, 1, LATER, 27, bytes(32), bytes(32)),
        "claim": ([entry],),
        "claimWithSignature": (
            [entry],
            evm_signature(desk.authorizer, desk.channels.call("getClaimBatchDigest", [entry])),
        ),
        "settle": (desk.receiver.address, desk.token.address),
        "initiateWithdraw": (config, 1),
        "finalizeWithdraw": (config,),
        "refund": (config, 1),
        "refundWithSignature": (fields(desk.config), 1, 0, bytes(65)),
    }
    return desk.channels.interface.call(function, *arguments[function])


@pytest.mark.parametrize("function", ENTRIES)
@pytest.mark.parametrize("during", ["deposit", "settle", "finalizeWithdraw", "refund"])
def test_nothing_can_be_done_from_within_a_transfer(hostile: Desk, during: str, function: str) -> None:
    hostile.deposit(100)
    hostile.claim(hostile.entry(40))
    hostile.approve()
    hostile.channels.send("initiateWithdraw", fields(hostile.config), MOST, by=hostile.payer)
    hostile.evm.forward(DELAY)
    hostile.token.send("arm", hostile.channels.address, reentering(hostile, function))
    config = fields(hostile.config)
    done = {
        "deposit": lambda: hostile.channels.send("deposit", config, 7, by=hostile.payer),
        "settle": lambda: hostile.channels.send("settle", hostile.receiver.address, hostile.token.address),
        "finalizeWithdraw": lambda: hostile.channels.send("finalizeWithdraw", config, by=hostile.payer),
        "refund": lambda: hostile.channels.send("refund", config, 7, by=hostile.authorizer),
    }[during]()
    called = done.event("Called").values
    assert not called["ok"]
    assert GUARD(called["returned"]) == "ReentrancyGuardReentrantCall"
    spent = {"deposit": (107, 40, 0), "settle": (100, 40, 40), "finalizeWithdraw": (40, 40, 0), "refund": (93, 40, 0)}[
        during
    ]
    assert (*hostile.state(), hostile.has(hostile.receiver.address)) == spent
    assert hostile.has(hostile.channels.address) == spent[0] - spent[2]


def test_every_function_that_changes_something_is_tried_from_within_a_transfer() -> None:
    abi = artefact("Channels").abi
    assert sorted(e["name"] for e in abi if e["type"] == "function" and e["stateMutability"] == "nonpayable") == sorted(
        ENTRIES
    )


def test_a_token_that_loses_what_it_held_spoils_no_other_token(hostile: Desk) -> None:
    good = hostile.evm.deploy("HallmarkToken", "Good", "GOOD", hostile.payer.address)
    config = hostile.other(token=good.address)
    hostile.deposit(100)
    good.send("approve", hostile.channels.address, 100, by=hostile.payer)
    hostile.channels.send("deposit", fields(config), 100, by=hostile.payer)
    hostile.claim(hostile.entry(100), hostile.entry(100, config=config))
    hostile.token.send("take", hostile.channels.address, 60)
    with pytest.raises(Reverted, match="ERC20InsufficientBalance"):
        hostile.channels.send("settle", hostile.receiver.address, hostile.token.address)
    hostile.channels.send("settle", hostile.receiver.address, good.address)
    assert good.call("balanceOf", hostile.receiver.address) == 100


# Amounts at the bounds


def test_a_channel_holds_up_to_the_largest_amount(hostile: Desk) -> None:
    hostile.deposit(MOST)
    assert hostile.state() == (MOST, 0)
    hostile.token.send("mint", hostile.payer.address, 1)
    with pytest.raises(Reverted, match="4e487b71"):  # arithmetic
        hostile.deposit(1)
    hostile.claim(hostile.entry(MOST))
    hostile.channels.send("settle", hostile.receiver.address, hostile.token.address)
    assert hostile.has(hostile.receiver.address) == MOST


def test_a_receiver_whose_sum_is_full_takes_no_more_and_payers_have_theirs_back(hostile: Desk) -> None:
    hostile.deposit(MOST)
    hostile.claim(hostile.entry(MOST))
    second = hostile.other(salt=b"2" * 32)
    hostile.token.send("mint", hostile.payer.address, 10)
    hostile.deposit(10, second)
    with pytest.raises(Reverted, match="4e487b71"):
        hostile.claim(hostile.entry(1, config=second))
    hostile.channels.send("initiateWithdraw", fields(second), MOST, by=hostile.payer)
    hostile.evm.forward(DELAY)
    hostile.channels.send("finalizeWithdraw", fields(second), by=hostile.payer)
    assert hostile.has(hostile.payer.address) == 10


def test_amounts_that_no_uint128_holds_never_arrive(desk: Desk) -> None:
    desk.deposit(100)
    data = desk.channels.interface.call("claim", [desk.entry(MOST, 50)])
    wide = data.replace(MOST.to_bytes(32, "big"), (2**128).to_bytes(32, "big"))
    assert wide != data
    with pytest.raises(Reverted):
        desk.evm.send(desk.channels.address, wide, desk.authorizer)
    desk.evm.send(desk.channels.address, data, desk.authorizer)
    assert desk.state() == (100, 50)
