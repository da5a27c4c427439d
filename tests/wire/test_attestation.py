"""Attestations on the wire: what the hardware signs, to the byte, and that the largest of all fits its frame."""

from __future__ import annotations

from hashlib import sha512
from typing import Any

import msgspec
import pytest
from msgspec import inspect as types

from wire.attestation import (
    REPORT_DATA,
    AskCollateral,
    Bound,
    Challenge,
    TeeEvidence,
    gpu_nonce,
    sign_challenge,
    sign_dev_quote,
)
from wire.bounds import MAX_RECORD
from wire.canonical import decode, encode
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.keys import NodeKey

KEY, OTHER = NodeKey(b"\x01" * 32), NodeKey(b"\x02" * 32)
DOMAIN = Domain(chain_id=31337, contract=b"\x11" * 20)
ASKED = Challenge(asker=KEY.address, provider=OTHER.address, nonce=b"\x03" * 32, issued_ms=1_800_000_000_000)


def test_report_data_is_what_the_document_says_to_the_byte() -> None:
    bound, digest = Bound(key=KEY.public, runtime=b"\x04" * 32, models=b"\x05" * 32), ASKED.digest(DOMAIN)
    data = bound.report_data(digest)
    assert data == sha512(b"hallmark tee 1" + KEY.public + b"\x04" * 32 + b"\x05" * 32 + digest).digest()
    assert len(data) == REPORT_DATA
    assert len(gpu_nonce(data)) == 32


def test_a_challenge_is_its_askers_and_of_one_network() -> None:
    signed = sign_challenge(ASKED, KEY, DOMAIN)
    assert signed.is_signed(DOMAIN)
    assert not signed.is_signed(Domain(chain_id=1, contract=DOMAIN.contract))
    assert not sign_challenge(ASKED, OTHER, DOMAIN).is_signed(DOMAIN)


def test_a_development_quote_is_its_attesters() -> None:
    quote = sign_dev_quote(b"\x06" * 32, bytes(64), KEY)
    assert quote.is_signed()
    for change in ({"attester": OTHER.public}, {"measurement": bytes(32)}, {"report_data": b"\x01" * 64}):
        assert not msgspec.structs.replace(quote, **change).is_signed()


@pytest.mark.parametrize(
    "platform", ["../../node.key", "tdx-", "tdx-B0C06F000000", "tdx-b0c06f000000\n", "snp-b0c06f000000", ""]
)
def test_a_platform_names_a_file_and_nothing_else(platform: str) -> None:
    good = encode(AskCollateral(platform="tdx-b0c06f000000"))
    assert decode(good, AskCollateral)
    with pytest.raises(RecordError):
        decode(encode(AskCollateral(platform=platform)), AskCollateral)


def largest(info: types.Type) -> Any:
    """The value of a field that takes the most bytes."""
    match info:
        case types.StructType():
            return info.cls(**{field.name: largest(field.type) for field in info.fields})
        case types.UnionType(types=several):
            return max((largest(one) for one in several if not isinstance(one, types.NoneType)), key=size)
        case types.VarTupleType(item_type=item):
            return (largest(item),) * (info.max_length or 0)
        case types.LiteralType(values=values):
            return max(values, key=len)
        case types.IntType():
            return info.le
        case types.BytesType():
            assert info.max_length is not None
            return bytes(info.max_length)
    raise NotImplementedError(f"{info}")


def size(record: Any) -> int:
    return len(encode(record))


def test_the_largest_attestation_leaves_the_larger_half_of_a_frame_to_other_evidence() -> None:
    evidence = largest(types.type_info(TeeEvidence))
    assert 64 * 1024 < size(evidence) < MAX_RECORD * 2 // 5
    assert decode(encode(evidence), TeeEvidence) == evidence
