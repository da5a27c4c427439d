"""Sampled answers: the payer is held to its secret, and the draw can be repeated by anyone."""

from __future__ import annotations

from blake3 import blake3
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.records import of
from wire.audit import UNSEEDED, Audit, SignedAudit, seed_of, sign_audit, ticket
from wire.eip712 import Domain
from wire.keys import NodeKey
from wire.vote import Verdict

HASHES = st.binary(min_size=32, max_size=32)
HOME, AWAY = Domain(chain_id=1, contract=b"\1" * 20), Domain(chain_id=2, contract=b"\1" * 20)
ALICE, BOB = NodeKey(b"\1" * 32), NodeKey(b"\2" * 32)


def audit(auditor: NodeKey) -> Audit:
    return Audit(
        auditor=auditor.public, receipt=b"\1" * 32, request=b"\2" * 32, model=b"\3" * 32, provider=BOB.address,
        outputs=b"\4" * 32, verdict=Verdict.ACCEPT, distance=0, checked_ms=1,
    )  # fmt: skip


@given(HASHES)
def test_a_seed_hides_its_secret_and_is_no_hash_of_anything_else(secret: bytes) -> None:
    assert seed_of(secret) == blake3(b"hallmark sampled 1" + secret).digest()
    assert seed_of(secret) not in (UNSEEDED, secret, blake3(secret).digest())


@given(HASHES, HASHES)
def test_a_ticket_is_what_a_contract_computes(secret: bytes, receipt: bytes) -> None:
    assert ticket(secret, receipt) == keccak(secret + receipt)


def test_an_audit_is_its_verifiers_word_in_one_network() -> None:
    signed = sign_audit(audit(ALICE), ALICE, HOME)
    assert signed.is_signed(HOME)
    assert not signed.is_signed(AWAY)
    assert not sign_audit(audit(ALICE), BOB, HOME).is_signed(HOME)


@given(of(Audit))
def test_no_other_audit_is_under_a_signature(other: Audit) -> None:
    good = sign_audit(audit(ALICE), ALICE, HOME)
    assert not SignedAudit(audit=other, signature=good.signature).is_signed(HOME)
