"""MuSig2 against BIP327's own vectors, and against who would cheat with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import key_of
from verify import musig
from verify.musig import NONCE, PART, Group, SecretNonce, Signing, add_nonces
from wire.errors import RecordError
from wire.keys import NodeKey, schnorr_signed_by

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "bip327"
MESSAGE = bytes(range(32))
KEYS = [key_of(f"signer {i}") for i in range(5)]
SIGNERS = Group(tuple(k.public for k in KEYS))

published = pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not beside the project")


def vectors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / f"{name}_vectors.json").read_text())
    return found


def chosen(values: list[str], indices: list[int]) -> list[bytes]:
    return [bytes.fromhex(values[i]) for i in indices]


def secret_nonce(text: str, signers: Group, message: bytes) -> SecretNonce:
    """A nonce whose numbers are given: k₁, k₂ and the 33-byte key, as the vectors have it; only here, never in use."""
    raw, made = bytes.fromhex(text), SecretNonce.__new__(SecretNonce)
    public = musig._public(raw[64:])
    made._secret = musig._ffi.new("secp256k1_musig_secnonce *")
    inside = bytes.fromhex("220edcf1") + raw[:64] + bytes(musig._ffi.buffer(public, 64))
    musig._ffi.memmove(made._secret, inside, 132)
    made._message, made._signers = message, signers
    return made


@published
class TestVectors:
    def test_keys_add_up(self) -> None:
        found = vectors("key_agg")
        for case in found["valid_test_cases"]:
            keys = chosen(found["pubkeys"], case["key_indices"])
            if len(set(keys)) < len(keys):
                with pytest.raises(RecordError, match="different"):  # BIP327 lets them; a set of signers has no twins
                    Group(tuple(keys))
            else:
                assert Group(tuple(keys)).public.hex().upper() == case["expected"]
        for case in found["error_test_cases"]:
            if not case["tweak_indices"]:
                with pytest.raises(RecordError):
                    Group(tuple(chosen(found["pubkeys"], case["key_indices"])))

    def test_nonces_add_up(self) -> None:
        found = vectors("nonce_agg")
        for case in found["valid_test_cases"]:
            assert add_nonces(chosen(found["pnonces"], case["pnonce_indices"])).hex().upper() == case["expected"]
        for case in found["error_test_cases"]:
            with pytest.raises(RecordError, match=f"signer {case['error']['signer']}"):
                add_nonces(chosen(found["pnonces"], case["pnonce_indices"]))

    def test_parts_are_made_and_checked(self) -> None:
        found = vectors("sign_verify")
        key, tried = NodeKey(bytes.fromhex(found["sk"])), 0
        for case in found["valid_test_cases"]:
            message = bytes.fromhex(found["msgs"][case["msg_index"]])
            keys, nonces = (
                chosen(found["pubkeys"], case["key_indices"]),
                chosen(found["pnonces"], case["nonce_indices"]),
            )
            if len(message) != 32 or len(set(keys)) < len(keys):
                continue  # the library signs digests only
            signers, total = Group(tuple(keys)), bytes.fromhex(found["aggnonces"][case["aggnonce_index"]])
            part = secret_nonce(found["secnonces"][0], signers, message).sign(key, total)
            assert part.hex().upper() == case["expected"]
            own = case["signer_index"]
            assert Signing(signers, message, add_nonces(nonces)).fits(part, nonces[own], keys[own])
            tried += 1
        assert tried >= 3

    @staticmethod
    def sign(found: dict[str, Any], case: dict[str, Any], key: NodeKey) -> None:
        signers = Group(tuple(chosen(found["pubkeys"], case["key_indices"])))
        nonce = secret_nonce(found["secnonces"][0], signers, bytes.fromhex(found["msgs"][case["msg_index"]]))
        nonce.sign(key, bytes.fromhex(found["aggnonces"][case["aggnonce_index"]]))

    def test_what_must_not_sign_or_verify(self) -> None:
        found = vectors("sign_verify")
        key = NodeKey(bytes.fromhex(found["sk"]))
        for case in found["sign_error_test_cases"]:
            if case.get("secnonce_index"):
                continue  # a nonce of zeros: SecretNonce makes none
            with pytest.raises(RecordError):
                self.sign(found, case, key)
        for case in (*found["verify_fail_test_cases"], *found["verify_error_test_cases"]):
            message = bytes.fromhex(found["msgs"][case["msg_index"]])
            keys, own = chosen(found["pubkeys"], case["key_indices"]), case["signer_index"]
            nonces = chosen(found["pnonces"], case["nonce_indices"])
            try:
                signing = Signing(Group(tuple(keys)), message, add_nonces(nonces))
            except RecordError:
                continue
            assert not signing.fits(bytes.fromhex(case["sig"]), nonces[own], keys[own])

    def test_parts_add_up(self) -> None:
        found, tried = vectors("sig_agg"), 0
        for case in found["valid_test_cases"]:
            if case["tweak_indices"]:
                continue
            signers = Group(tuple(chosen(found["pubkeys"], case["key_indices"])))
            signing = Signing(signers, bytes.fromhex(found["msg"]), bytes.fromhex(case["aggnonce"]))
            parts = chosen(found["psigs"], case["psig_indices"])
            assert signing.finish(parts).hex().upper() == case["expected"]
            tried += 1
        assert tried
        with pytest.raises(RecordError, match="below the group's order"):
            signing.finish([parts[0], b"\xff" * 32])


def signing_of(keys: list[NodeKey], message: bytes = MESSAGE) -> tuple[Signing, list[SecretNonce]]:
    signers = Group(tuple(k.public for k in keys))
    nonces = [SecretNonce(key, message, signers) for key in keys]
    return Signing(signers, message, add_nonces([n.public for n in nonces])), nonces


@given(st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_all_together_make_one_plain_signature(count: int) -> None:
    keys = [key_of(f"signer {i}") for i in range(count)]
    signing, nonces = signing_of(keys)
    parts = [nonce.sign(key, signing.nonces) for key, nonce in zip(keys, nonces, strict=True)]
    assert all(signing.fits(p, n.public, k.public) for p, n, k in zip(parts, nonces, keys, strict=True))
    signature = signing.finish(parts)
    assert schnorr_signed_by(b"\x02" + signing.signers.public, MESSAGE, signature)
    assert not signing.signers.signed(bytes(32), signature)
    assert not Group((*signing.signers.keys, key_of("another").public)).signed(MESSAGE, signature)


def test_a_nonce_signs_once() -> None:
    signing, nonces = signing_of(KEYS)
    held = nonces[0]._secret
    nonces[0].sign(KEYS[0], signing.nonces)
    assert bytes(musig._ffi.buffer(held, 132)) == bytes(132)  # erased, not only forgotten
    with pytest.raises(RecordError, match="has signed"):
        nonces[0].sign(KEYS[0], signing.nonces)


def test_a_failed_attempt_uses_the_nonce_up_too() -> None:
    signing, nonces = signing_of(KEYS)
    for nonce, key, total in ((nonces[0], KEYS[1], signing.nonces), (nonces[1], KEYS[1], b"\x04" * NONCE)):
        with pytest.raises(RecordError):
            nonce.sign(key, total)
        with pytest.raises(RecordError, match="has signed"):
            nonce.sign(key, signing.nonces)


def test_no_nonce_is_made_twice_nor_shown() -> None:
    made = [SecretNonce(KEYS[0], MESSAGE, SIGNERS) for _ in range(50)]
    assert len({nonce.public for nonce in made}) == 50
    assert {repr(nonce) for nonce in made} == {"SecretNonce(unused)"}


def test_a_missing_part_a_false_part_and_a_part_of_another_message() -> None:
    signing, nonces = signing_of(KEYS)
    other, others = signing_of(KEYS, bytes(32))
    parts = [n.sign(k, signing.nonces) for n, k in zip(nonces, KEYS, strict=True)]
    foreign = others[0].sign(KEYS[0], other.nonces)
    for bad in (parts[:-1], [foreign, *parts[1:]], [*parts, parts[0]], [bytes(32), *parts[1:]], []):
        with pytest.raises(RecordError):
            signing.finish(bad)
    assert not signing.fits(foreign, nonces[0].public, KEYS[0].public)
    assert not signing.fits(parts[0], nonces[1].public, KEYS[0].public)
    assert not signing.fits(parts[0], nonces[0].public, KEYS[1].public)
    assert not signing.fits(parts[0], nonces[0].public, key_of("nobody").public)


def test_a_rogue_key_cancels_nobody() -> None:
    """A key made from another's so that their plain sum is the rogue's own: MuSig2 weighs keys, so it isn't."""
    rogue = key_of("rogue")
    cancelling = musig._ffi.new("secp256k1_pubkey *")
    negated = musig._public(KEYS[0].public)
    musig._lib.secp256k1_ec_pubkey_negate(musig._context, negated)
    musig._lib.secp256k1_ec_pubkey_combine(musig._context, cancelling, [musig._public(rogue.public), negated], 2)
    out, size = musig._ffi.new("unsigned char[33]"), musig._ffi.new("size_t *", 33)
    musig._lib.secp256k1_ec_pubkey_serialize(musig._context, out, size, cancelling, 258)
    signers = Group((KEYS[0].public, bytes(musig._ffi.buffer(out))))
    assert not signers.signed(MESSAGE, rogue.sign_schnorr(MESSAGE))


@pytest.mark.parametrize(
    "keys",
    [(), (KEYS[0].public,) * 2, (KEYS[0].public, b"\x02" * 32), (bytes(33),), (b"\x02" + b"\xff" * 32,)],
)
def test_what_is_no_group(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(RecordError):
        Group(keys)


def test_a_key_and_its_negative_are_one_signer() -> None:
    public = KEYS[0].public
    with pytest.raises(RecordError):
        Group((public, bytes([public[0] ^ 1]) + public[1:]))


@given(st.binary(max_size=70), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_nonce_or_a_part_or_an_error(nonce: bytes, part: bytes) -> None:
    signing = Signing(SIGNERS, MESSAGE, add_nonces([SecretNonce(KEYS[0], MESSAGE, SIGNERS).public]))
    assert not signing.fits(part, nonce, KEYS[0].public)
    for attempt in (lambda: add_nonces([nonce]), lambda: signing.finish([part])):
        with pytest.raises(RecordError):
            attempt()
    with pytest.raises(RecordError):
        SecretNonce(KEYS[0], MESSAGE, SIGNERS).sign(KEYS[0], nonce)
    assert PART == 32
