"""BIP340 on chain: what the EVM takes for a signature is what everybody else does, to the bit."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.settle.evm import Contract
from wire.eip712 import keccak256
from wire.keys import NodeKey

from .bonds import Bonds, judged

P = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
VECTORS = Path(__file__).parents[4] / "shared/vectors/bip340/test-vectors.csv"
KEY, DIGEST = NodeKey(b"\1" * 32), keccak256(b"anything")
SIGNATURE = KEY.sign_schnorr(DIGEST)


@pytest.fixture(scope="module")
def evidence() -> Contract:
    return judged(Bonds())


def signed(evidence: Contract, key: bytes, digest: bytes, signature: bytes) -> bool:
    found: bool = evidence.call("isSchnorr", key, digest, signature)
    return found


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not here")
def test_the_vectors_of_the_bip_that_sign_32_bytes(evidence: Contract) -> None:
    seen = {True: 0, False: 0}
    for row in csv.DictReader(VECTORS.read_text().splitlines()):
        key, message, signature = (bytes.fromhex(row[c]) for c in ("public key", "message", "signature"))
        if len(message) != 32:
            continue  # a digest has 32 bytes
        valid = row["verification result"] == "TRUE"
        assert signed(evidence, key, message, signature) is valid, row["comment"]
        seen[valid] += 1
    assert seen == {True: 5, False: 10}


@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
@settings(max_examples=20)
def test_what_our_library_signs_is_signed(evidence: Contract, secret: int, digest: bytes) -> None:
    key = NodeKey(secret.to_bytes(32, "big"))
    assert signed(evidence, key.public[1:], digest, key.sign_schnorr(digest))


@given(st.integers(0, 128 * 8 - 1))
@settings(max_examples=80)
def test_no_bit_may_differ(evidence: Contract, bit: int) -> None:
    """Of the key, the digest and the signature, 128 bytes together."""
    whole = bytearray(KEY.public[1:] + DIGEST + SIGNATURE)
    whole[bit // 8] ^= 1 << bit % 8
    assert not signed(evidence, bytes(whole[:32]), bytes(whole[32:64]), bytes(whole[64:]))


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


OFF_CURVE = next(x for x in range(1, 100) if pow(x**3 + 7, (P - 1) // 2, P) != 1)
R, S = int.from_bytes(SIGNATURE[:32], "big"), int.from_bytes(SIGNATURE[32:], "big")
X = int.from_bytes(KEY.public[1:], "big")
ODD_ONES: dict[str, tuple[int, bytes]] = {
    "s is n": (X, word(R) + word(ORDER)),
    "s above n": (X, word(R) + word(2**256 - 1)),
    "s and n": (X, word(R) + word((S + ORDER) % 2**256)),
    "the negative of s": (X, word(R) + word(ORDER - S)),
    "s of zero": (X, word(R) + word(0)),
    "r is p": (X, word(P) + word(S)),
    "r above p": (X, word(2**256 - 1) + word(S)),
    "r of zero": (X, word(0) + word(S)),
    "r of no point": (X, word(OFF_CURVE) + word(S)),
    "a key of no point": (OFF_CURVE, SIGNATURE),
    "a key of zero": (0, SIGNATURE),
    "a key above n": (ORDER, SIGNATURE),
    "a key above p": (P + 1, SIGNATURE),
    "nothing": (X, b""),
    "a byte less": (X, SIGNATURE[:63]),
    "a byte more": (X, SIGNATURE + b"\0"),
    "zeros": (X, bytes(64)),
}


@pytest.mark.parametrize(("key", "signature"), ODD_ONES.values(), ids=list(ODD_ONES))
def test_what_is_out_of_bounds_is_refused(evidence: Contract, key: int, signature: bytes) -> None:
    assert not signed(evidence, word(key), DIGEST, signature)


def test_the_parity_of_a_key_is_nobodys_business(evidence: Contract) -> None:
    """As in BIP340; a registry lists a key and its negative as one."""
    twin = NodeKey(word(ORDER - int.from_bytes(KEY.secret, "big")))
    assert twin.public != KEY.public
    assert signed(evidence, KEY.public[1:], DIGEST, twin.sign_schnorr(DIGEST))


def test_an_ecdsa_signature_is_none(evidence: Contract) -> None:
    assert not signed(evidence, KEY.public[1:], DIGEST, KEY.sign(DIGEST)[:64])
