"""Channels and vouchers against the x402 package and against the contract itself: three hands, the same 32 bytes.

`test_eip712` holds the struct types against eth-account's encoder.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from settle.artefacts import artefact
from tests.settle.contracts.desk import Desk, evm_signature, fields
from wire.canonical import Amount
from wire.eip712 import Domain, keccak256
from wire.keys import NodeKey, recover
from wire.payment import (
    MAX_WITHDRAW_DELAY,
    MIN_WITHDRAW_DELAY,
    ChannelConfig,
    SignedVoucher,
    Voucher,
    payment_domain,
    sign_voucher,
)

from . import oracle
from .records import of

ADDRESSES = st.binary(min_size=20, max_size=20)
AMOUNTS = st.integers(0, 2**128 - 1).map(Amount)
DOMAINS = st.builds(payment_domain, st.integers(1, 2**63 - 1), ADDRESSES)
KEYS = st.binary(min_size=32, max_size=32).map(lambda seed: NodeKey(keccak256(seed)))


def placed(patch: pytest.MonkeyPatch, domain: Domain) -> str:
    """Lets the package believe that its contract stands where ours does; the chain's name as it writes it."""
    patch.setattr(oracle.utils, "BATCH_SETTLEMENT_ADDRESS", "0x" + domain.contract.hex())
    return f"eip155:{domain.chain_id}"


def plain(signature: str) -> bytes:
    """Their signature in our form: recovery from 0."""
    data = bytes.fromhex(signature.removeprefix("0x"))
    return data[:64] + bytes([data[64] - 27])


@given(of(ChannelConfig), DOMAINS)
def test_a_channels_id_is_theirs(config: ChannelConfig, domain: Domain) -> None:
    with pytest.MonkeyPatch.context() as patch:
        chain = placed(patch, domain)
        assert oracle.utils.compute_channel_id(oracle.their_config(config), chain) == "0x" + config.id(domain).hex()


@given(of(ChannelConfig), AMOUNTS, DOMAINS, KEYS)
def test_a_vouchers_signature_is_theirs(config: ChannelConfig, amount: Amount, domain: Domain, key: NodeKey) -> None:
    channel = config.id(domain)
    ours = sign_voucher(Voucher(channel=channel, amount=amount), key, domain)
    with pytest.MonkeyPatch.context() as patch:
        chain = placed(patch, domain)
        signer = oracle.EthAccountSigner(Account.from_key(key.secret))
        theirs = oracle.voucher.sign_voucher(signer, "0x" + channel.hex(), int(amount), chain)
    assert plain(theirs.signature) == ours.signature
    assert SignedVoucher(voucher=ours.voucher, signature=plain(theirs.signature)).is_signed(key.address, domain)


def test_the_domain_and_the_delays_bounds_are_theirs() -> None:
    from x402.mechanisms.evm.batch_settlement import constants

    domain = payment_domain(7, bytes(range(20)))
    assert (domain.name, domain.version) == (
        constants.BATCH_SETTLEMENT_DOMAIN_NAME,
        constants.BATCH_SETTLEMENT_DOMAIN_VERSION,
    )
    assert (MIN_WITHDRAW_DELAY, MAX_WITHDRAW_DELAY) == (constants.MIN_WITHDRAW_DELAY, constants.MAX_WITHDRAW_DELAY)


@given(of(ChannelConfig), AMOUNTS, KEYS)
def test_a_voucher_holds_on_one_chain_for_one_contract_and_one_channel(
    config: ChannelConfig, amount: Amount, key: NodeKey
) -> None:
    here = payment_domain(1, b"1" * 20)
    signed = sign_voucher(Voucher(channel=config.id(here), amount=amount), key, here)
    assert signed.is_signed(key.address, here)
    for elsewhere in (
        payment_domain(2, b"1" * 20),
        payment_domain(1, b"2" * 20),
        Domain(chain_id=1, contract=b"1" * 20),
    ):
        assert not signed.is_signed(key.address, elsewhere)
        assert config.id(elsewhere) != config.id(here)
    other = Voucher(channel=signed.voucher.channel, amount=Amount(amount ^ 1))
    assert not SignedVoucher(voucher=other, signature=signed.signature).is_signed(key.address, here)


# The contract's own word


@cache
def desk() -> Desk:
    return Desk()


@given(of(ChannelConfig), AMOUNTS)
def test_the_contract_computes_the_same(config: ChannelConfig, amount: Amount) -> None:
    at, channel = desk(), config.id(desk().domain)
    assert at.channels.call("getChannelId", fields(config)) == channel
    voucher = Voucher(channel=channel, amount=amount)
    assert at.channels.call("getVoucherDigest", channel, amount) == voucher.digest(at.domain)


@given(st.lists(st.tuples(of(ChannelConfig), AMOUNTS, AMOUNTS), min_size=1, max_size=4), KEYS)
@settings(max_examples=25)
def test_the_contract_takes_their_signature_over_a_batch(batch: list[Any], key: NodeKey) -> None:
    at = desk()
    claims = [
        oracle.types.VoucherClaim(oracle.their_config(config), str(most), "0x", str(total))
        for config, most, total in batch
    ]
    with pytest.MonkeyPatch.context() as patch:
        chain = placed(patch, at.domain)
        signer = oracle.authorizer_signer.LocalAuthorizerSigner("0x" + key.secret.hex())
        signature = oracle.authorizer_signer.sign_claim_batch(signer, claims, chain)
    digest = at.channels.call(
        "getClaimBatchDigest", [((fields(config), most), b"", total) for config, most, total in batch]
    )
    assert recover(digest, plain(signature)) == key.public
    assert bytes.fromhex(signature.removeprefix("0x")) == evm_signature(key, digest)


@given(of(ChannelConfig), AMOUNTS, st.integers(0, 2**256 - 1), KEYS)
@settings(max_examples=25)
def test_the_contract_takes_their_signature_over_a_refund(
    config: ChannelConfig, amount: Amount, nonce: int, key: NodeKey
) -> None:
    at, channel = desk(), config.id(desk().domain)
    with pytest.MonkeyPatch.context() as patch:
        chain = placed(patch, at.domain)
        signer = oracle.authorizer_signer.LocalAuthorizerSigner("0x" + key.secret.hex())
        signature = oracle.authorizer_signer.sign_refund(signer, "0x" + channel.hex(), int(amount), nonce, chain)
    digest = at.channels.call("getRefundDigest", channel, nonce, amount)
    assert bytes.fromhex(signature.removeprefix("0x")) == evm_signature(key, digest)


def shape(item: dict[str, Any]) -> Any:
    """An ABI's type, structs spelled out."""
    return (item["type"], [shape(part) for part in item.get("components", [])])


def test_the_contract_is_spoken_to_as_theirs_is() -> None:
    """Deposits aside: theirs are collected by other contracts, ours are taken from the caller."""
    from x402.mechanisms.evm.batch_settlement.abi import BATCH_SETTLEMENT_ABI

    ours = {entry["name"]: entry for entry in artefact("Channels").abi if "name" in entry}
    for entry in BATCH_SETTLEMENT_ABI:
        if entry["name"] in ("deposit", "multicall"):
            continue
        assert entry["type"] == ours[entry["name"]]["type"]
        for side in ("inputs", "outputs"):
            assert [*map(shape, entry.get(side, []))] == [*map(shape, ours[entry["name"]].get(side, []))], entry["name"]


def test_their_clients_voucher_is_claimed_with_their_servers_signature() -> None:
    at = Desk()
    at.deposit(100)
    channel = "0x" + at.config.id(at.domain).hex()
    with pytest.MonkeyPatch.context() as patch:
        chain = placed(patch, at.domain)
        client = oracle.EthAccountSigner(Account.from_key(at.signer.secret))
        voucher = oracle.voucher.sign_voucher(client, channel, 60, chain)
        claim = oracle.types.VoucherClaim(oracle.their_config(at.config), "60", voucher.signature, "45")
        server = oracle.authorizer_signer.LocalAuthorizerSigner("0x" + at.authorizer.secret.hex())
        batch = bytes.fromhex(oracle.authorizer_signer.sign_claim_batch(server, [claim], chain)[2:])
    entry = ((fields(at.config), 60), bytes.fromhex(voucher.signature[2:]), 45)
    at.channels.send("claimWithSignature", [entry], batch, by=at.stranger)
    assert at.state() == (100, 45)
