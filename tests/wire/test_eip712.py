"""Every digest that is signed, against eth-account's general encoder and against the struct types written out again."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.attestation import Challenge
from wire.audit import Audit
from wire.canonical import encode
from wire.cid import content_hash
from wire.eip712 import Domain, StructType, keccak256
from wire.inference import Receipt, Request, SignedRequest
from wire.keys import NodeKey, signed_by
from wire.payment import payment_domain
from wire.tier import TIER_CODE
from wire.vote import Commit, Vote

from .records import MODULES, of

STRUCTS = {s.name: s for module in MODULES for s in vars(module).values() if isinstance(s, StructType)}
# What contracts and wallets will be told. Changing one of these breaks every signature there is.
TYPES = {
    "Manifest": "Manifest(address publisher,bytes32 manifest)",
    "Name": "Name(address publisher,bytes32 name)",
    "NetworkFile": "NetworkFile(address publisher,bytes32 file)",
    "Offer": "Offer(address provider,bytes32 offer)",
    "Presence": "Presence(address peer,bytes32 presence)",
    "Request": "Request(bytes32 nonce,bytes32 model,uint8 tier,uint16 committee,bytes32 seed,bytes32 inputs,"
    "address payer,address provider,uint128 maxPrice,uint64 issued,uint64 deadline)",
    "Receipt": "Receipt(bytes32 request,bytes32 nonce,address payer,address provider,bytes32 model,bytes32 inputs,"
    "bytes32 outputs,bytes32 runtime,uint8 tier,uint64 units,uint64 tokensIn,uint64 tokensOut,uint64 computeUs,"
    "uint128 price,uint64 started,uint64 finished)",
    "Commit": "Commit(bytes32 request,bytes32 committee,uint64 epoch,bytes32 commitment)",
    "Vote": "Vote(bytes32 receipt,bytes32 committee,uint64 epoch,uint8 verdict)",
    "Audit": "Audit(bytes32 receipt,bytes32 request,bytes32 model,address provider,bytes32 outputs,uint8 verdict,"
    "uint8 distance,uint64 checked)",
    "Challenge": "Challenge(address asker,address provider,bytes32 nonce,uint64 issued)",
    "Fraud": "Fraud(uint8 kind,address culprit,bytes32 subject,bytes32 first,bytes32 second)",
    "Circuit": "Circuit(address publisher,bytes32 circuit)",
    "Benchmark": "Benchmark(address measurer,bytes32 benchmark)",
    "Countersignature": "Countersignature(address provider,bytes32 benchmark)",
    "Bind": "Bind(address node,address owner,uint64 deadline)",
    "EpochRoot": "EpochRoot(uint64 epoch,bytes32 root,uint32 count,uint128 total,bytes32 receipts)",
    "EpochAgreement": "EpochAgreement(uint64 turn,bytes32 root)",
    "Ruling": "Ruling(bytes32 evidence,bool upheld)",
    "ChannelConfig": "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,"
    "address token,uint40 withdrawDelay,bytes32 salt)",
    "Voucher": "Voucher(bytes32 channelId,uint128 maxClaimableAmount)",
}
DOMAINS = st.one_of(
    st.builds(Domain, chain_id=st.integers(0, 2**63 - 1), contract=st.binary(min_size=20, max_size=20)),
    st.builds(payment_domain, st.integers(0, 2**63 - 1), st.binary(min_size=20, max_size=20)),
)


def typed_data(text: str, domain: Domain, message: dict[str, Any]) -> dict[str, Any]:
    """EIP-712's JSON form of a struct whose type is `text`."""
    name, fields = text.rstrip(")").split("(")
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            name: [{"type": field.split()[0], "name": field.split()[1]} for field in fields.split(",")],
        },
        "primaryType": name,
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.contract.hex(),
        },
        "message": {k: "0x" + v.hex() if isinstance(v, bytes) else v for k, v in message.items()},
    }


def ethereum_digest(text: str, domain: Domain, message: dict[str, Any]) -> bytes:
    signable = encode_typed_data(full_message=typed_data(text, domain, message))
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


def a_value(kind: str) -> st.SearchStrategy[bytes | int]:
    if kind == "bool":
        return st.booleans()
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind[4:]) - 1)
    size = {"bytes32": 32, "address": 20}[kind]
    return st.binary(min_size=size, max_size=size)


def test_every_struct_type_is_here() -> None:
    assert {name: struct.text for name, struct in STRUCTS.items()} == TYPES


@pytest.mark.parametrize("name", TYPES)
@given(domain=DOMAINS, data=st.data())
@settings(max_examples=20)
def test_a_digest_is_what_ethereum_computes(name: str, domain: Domain, data: st.DataObject) -> None:
    struct = STRUCTS[name]
    values = [data.draw(a_value(kind)) for kind, _ in struct.fields]
    message = dict(zip((field for _, field in struct.fields), values, strict=True))
    assert struct.digest(domain, *values) == ethereum_digest(TYPES[name], domain, message)


@given(of(Request), DOMAINS)
@settings(max_examples=20)
def test_a_request_signs_its_own_fields(r: Request, domain: Domain) -> None:
    assert r.digest(domain) == ethereum_digest(
        TYPES["Request"],
        domain,
        {
            "nonce": r.nonce,
            "model": r.model,
            "tier": TIER_CODE[r.tier],
            "committee": r.committee,
            "seed": r.seed,
            "inputs": r.inputs,
            "payer": r.payer,
            "provider": r.provider,
            "maxPrice": int(r.max_price),
            "issued": r.issued_ms,
            "deadline": r.deadline_ms,
        },
    )


@given(of(Receipt), DOMAINS)
@settings(max_examples=20)
def test_a_receipt_signs_its_own_fields(r: Receipt, domain: Domain) -> None:
    assert r.digest(domain) == ethereum_digest(
        TYPES["Receipt"],
        domain,
        {
            "request": r.request,
            "nonce": r.nonce,
            "payer": r.payer,
            "provider": r.provider,
            "model": r.model,
            "inputs": r.inputs,
            "outputs": r.outputs,
            "runtime": content_hash(encode(r.runtime)),
            "tier": TIER_CODE[r.tier],
            "units": r.usage.units,
            "tokensIn": r.usage.tokens_in,
            "tokensOut": r.usage.tokens_out,
            "computeUs": r.usage.compute_us,
            "price": int(r.price),
            "started": r.started_ms,
            "finished": r.finished_ms,
        },
    )


@given(of(Commit), of(Vote), DOMAINS)
@settings(max_examples=20)
def test_commits_and_votes_sign_their_own_fields(c: Commit, v: Vote, domain: Domain) -> None:
    commit = {"request": c.request, "committee": c.committee, "epoch": c.epoch, "commitment": c.commitment}
    vote = {"receipt": v.receipt, "committee": v.committee, "epoch": v.epoch, "verdict": int(v.verdict)}
    assert c.digest(domain) == ethereum_digest(TYPES["Commit"], domain, commit)
    assert v.digest(domain) == ethereum_digest(TYPES["Vote"], domain, vote)


@given(of(Audit), DOMAINS)
@settings(max_examples=20)
def test_an_audit_signs_its_own_fields(a: Audit, domain: Domain) -> None:
    message = {
        "receipt": a.receipt, "request": a.request, "model": a.model, "provider": a.provider, "outputs": a.outputs,
        "verdict": int(a.verdict), "distance": a.distance, "checked": a.checked_ms,
    }  # fmt: skip
    assert a.digest(domain) == ethereum_digest(TYPES["Audit"], domain, message)


@given(of(Challenge), DOMAINS)
@settings(max_examples=20)
def test_a_challenge_signs_its_own_fields(c: Challenge, domain: Domain) -> None:
    message = {"asker": c.asker, "provider": c.provider, "nonce": c.nonce, "issued": c.issued_ms}
    assert c.digest(domain) == ethereum_digest(TYPES["Challenge"], domain, message)


@given(of(Request), DOMAINS)
@settings(max_examples=10)
def test_a_wallet_can_sign_a_request(request: Request, domain: Domain) -> None:
    secret = b"\5" * 32
    request = Request(
        **{f: getattr(request, f) for f in request.__struct_fields__} | {"payer": NodeKey(secret).address}
    )
    message = {
        "nonce": request.nonce, "model": request.model, "tier": TIER_CODE[request.tier],
        "committee": request.committee, "seed": request.seed, "inputs": request.inputs,
        "payer": request.payer, "provider": request.provider, "maxPrice": int(request.max_price),
        "issued": request.issued_ms, "deadline": request.deadline_ms,
    }  # fmt: skip
    signed = Account.sign_typed_data(secret, full_message=typed_data(TYPES["Request"], domain, message))
    ours = bytes(signed.signature[:64]) + bytes((signed.v - 27,))
    assert SignedRequest(request=request, signature=ours).is_signed(domain)
    assert ours == NodeKey(secret).sign(request.digest(domain))


def test_nothing_signed_for_one_purpose_or_place_serves_another() -> None:
    words = {"bytes32": bytes(32), "address": bytes(20)}
    domains = [Domain(chain_id=chain, contract=bytes([contract]) * 20) for chain in (1, 2) for contract in (1, 2)]
    digests = {s.digest(d, *(words.get(kind, 0) for kind, _ in s.fields)) for s in STRUCTS.values() for d in domains}
    assert len(digests) == len(STRUCTS) * len(domains)
    key = NodeKey(b"\1" * 32)
    vote = STRUCTS["Offer"].digest(domains[0], key.address, bytes(32))
    assert signed_by(key.address, vote, key.sign(vote))
    assert not signed_by(key.address, STRUCTS["Manifest"].digest(domains[0], key.address, bytes(32)), key.sign(vote))


def test_values_that_do_not_fit_their_type_are_our_own_mistake() -> None:
    struct, domain = StructType("T", ("uint8", "a"), ("bytes32", "b")), Domain(chain_id=1, contract=bytes(20))
    for values, error in (
        ((256, bytes(32)), OverflowError),
        ((-1, bytes(32)), OverflowError),
        ((1, bytes(31)), ValueError),
        ((1, 1), TypeError),
        ((1,), ValueError),
        ((1, bytes(32), 1), ValueError),
    ):
        with pytest.raises(error):
            struct.digest(domain, *values)


def test_keccak_is_ethereums() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
