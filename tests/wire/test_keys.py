from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path

import pytest
from coincurve import PrivateKey, PublicKey, PublicKeyXOnly
from coincurve._libsecp256k1 import ffi, lib
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.peer.id import ID

from wire.errors import RecordError
from wire.keys import (
    _SIGNATURES,
    NodeKey,
    _signers,
    address_of,
    parse_address,
    peer_id_of,
    public_of,
    recover,
    schnorr_signed_by,
    show_address,
    signed_by,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRETS = st.integers(1, ORDER - 1).map(lambda n: n.to_bytes(32, "big"))
DIGESTS = st.binary(min_size=32, max_size=32)
KEY = NodeKey(b"\1" * 32)
VECTORS = Path(__file__).parents[3] / "shared/vectors/bip340/test-vectors.csv"


@given(SECRETS)
@settings(max_examples=20)
def test_a_key_is_the_same_peer_and_the_same_account_everywhere(secret: bytes) -> None:
    key = NodeKey(secret)
    assert key.peer_id == str(ID.from_pubkey(create_new_key_pair(secret).public_key))
    assert key.peer_id.startswith("16Uiu2HA")
    assert public_of(key.peer_id) == key.public
    assert peer_id_of(key.public) == key.peer_id
    assert show_address(key.address) == Account.from_key(secret).address
    assert parse_address(show_address(key.address)) == address_of(key.public) == key.address
    assert key.secret == secret
    assert secret.hex() not in repr(key)


def test_only_so_many_signatures_are_remembered_and_those_forgotten_still_hold() -> None:
    digests = [n.to_bytes(32, "big") for n in range(_SIGNATURES + 2)]
    signatures = [KEY.sign(digest) for digest in digests]
    assert len(_signers) == _SIGNATURES
    assert signed_by(KEY.address, digests[0], signatures[0])
    assert not signed_by(KEY.address, digests[1], signatures[0])


@given(SECRETS, DIGESTS, DIGESTS)
@settings(max_examples=30)
def test_a_signature_is_for_its_key_and_digest_only(secret: bytes, digest: bytes, other: bytes) -> None:
    key = NodeKey(secret)
    ecdsa, schnorr = key.sign(digest), key.sign_schnorr(digest)
    assert ecdsa == key.sign(digest)
    assert recover(digest, ecdsa) == key.public
    _signers.clear()  # of another's signature nothing is known
    assert recover(digest, ecdsa) == key.public
    assert recover(digest, ecdsa) == key.public
    assert signed_by(key.address, digest, ecdsa)
    assert schnorr_signed_by(key.public, digest, schnorr)
    assert signed_by(key.address, other, ecdsa) == (other == digest)
    assert schnorr_signed_by(key.public, other, schnorr) == (other == digest)
    assert signed_by(KEY.address, digest, ecdsa) == (key.address == KEY.address)
    assert schnorr_signed_by(KEY.public, digest, schnorr) == (key.public[1:] == KEY.public[1:])


@given(DIGESTS)
def test_a_signature_has_no_second_form(digest: bytes) -> None:
    signature = KEY.sign(digest)
    s = int.from_bytes(signature[32:64], "big")
    assert s <= ORDER // 2
    high = signature[:32] + (ORDER - s).to_bytes(32, "big") + bytes((signature[64] ^ 1,))
    # mathematically as valid as the one it was made from
    assert PrivateKey(KEY.secret).public_key.format() == _recover_anyhow(digest, high)
    with pytest.raises(RecordError):
        recover(digest, high)
    for recovery in set(range(256)) - {signature[64]}:
        assert not signed_by(KEY.address, digest, signature[:64] + bytes((recovery,)))
    for other in (signature[:64], signature + b"\0", b""):
        assert not signed_by(KEY.address, digest, other)


def _recover_anyhow(digest: bytes, signature: bytes) -> bytes:
    return PublicKey.from_signature_and_message(signature, digest, hasher=None).format()


@given(st.binary(max_size=70) | st.binary(min_size=65, max_size=65), DIGESTS)
def test_any_bytes_for_a_signature_give_an_answer(signature: bytes, digest: bytes) -> None:
    assert not signed_by(KEY.address, digest, signature)
    assert not schnorr_signed_by(KEY.public, digest, signature)
    with suppress(RecordError):
        assert len(recover(digest, signature)) == 33


@pytest.mark.parametrize("r", [0, 1, ORDER - 1, ORDER, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, ORDER // 2, ORDER // 2 + 1, ORDER, 2**256 - 1])
def test_the_edges_of_a_signature(r: int, s: int) -> None:
    for recovery in range(4):
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((recovery,))
        assert not signed_by(KEY.address, bytes(32), signature)


@given(st.binary(max_size=70) | st.binary(min_size=33, max_size=33))
def test_any_bytes_for_a_public_key_give_an_answer(public: bytes) -> None:
    assert not schnorr_signed_by(public, bytes(32), KEY.sign_schnorr(bytes(32)))
    with suppress(RecordError):
        assert len(address_of(public)) == 20


def test_a_public_key_has_one_form() -> None:
    signature = KEY.sign_schnorr(bytes(32))
    assert schnorr_signed_by(KEY.public, bytes(32), signature)
    for alias in (b"\7" + KEY.public[1:], KEY.public[1:], KEY.public[:-1], KEY.public + b"\0"):
        assert not schnorr_signed_by(alias, bytes(32), signature)


@given(st.text(max_size=60))
def test_any_text_for_a_name_gives_an_answer(text: str) -> None:
    for read, size in ((public_of, 33), (parse_address, 20)):
        with suppress(RecordError):
            assert len(read(text)) == size


@pytest.mark.parametrize(
    "text",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    ],
)
def test_addresses_carry_eip55s_checksum(text: str) -> None:
    assert show_address(parse_address(text)) == text
    assert parse_address(text.lower()) == parse_address("0x" + text[2:].upper()) == parse_address(text)
    with pytest.raises(RecordError, match="mistyped"):
        parse_address(text[:-1] + text[-1].swapcase() if text[-1].isalpha() else text[:3] + text[3:].swapcase())
    for bad in (
        text[:-1],
        text + "0",
        text[:10] + " " + text[10:],
        text[:12] + "  " + text[14:],
        text[:-2].lower() + "  ",
        "0x",
        "",
        "0xg" + text[3:],
    ):
        with pytest.raises(RecordError):
            parse_address(bad)


@pytest.mark.parametrize(
    "other", ["12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp", "QmYyQSo1c1Ym7orWxLYvCrM2", "", "0"]
)
def test_ids_of_other_kinds_of_key_are_refused(other: str) -> None:
    with pytest.raises(RecordError):
        public_of(other)


def vectors() -> list[dict[str, str]]:
    if not VECTORS.exists():
        return []
    with VECTORS.open() as file:
        return list(csv.DictReader(file))


def test_bip340s_vectors_are_all_here() -> None:
    if not VECTORS.exists():
        pytest.skip(f"BIP340's public vectors are not at {VECTORS} (bitcoin/bips, bip-0340/test-vectors.csv)")
    assert len(vectors()) == 19


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["index"])
def test_bip340(vector: dict[str, str]) -> None:
    public, message = bytes.fromhex(vector["public key"]), bytes.fromhex(vector["message"])
    signature, valid = bytes.fromhex(vector["signature"]), vector["verification result"] == "TRUE"
    if secret := bytes.fromhex(vector["secret key"]):
        assert NodeKey(secret).public[1:] == public
        assert _sign(secret, message, bytes.fromhex(vector["aux_rand"])) == signature
    try:
        assert PublicKeyXOnly(public).verify(signature, message) == valid
    except ValueError:
        assert not valid  # the key is no point
    assert schnorr_signed_by(b"\2" + public, message, signature) == valid
    assert schnorr_signed_by(b"\3" + public, message, signature) == valid


def _sign(secret: bytes, message: bytes, aux: bytes) -> bytes:
    """BIP340's signing of a message of any length; coincurve's own method takes 32 bytes only."""
    if len(message) == 32:
        return PrivateKey(secret).sign_schnorr(message, aux)
    context = PrivateKey(secret).context.ctx
    pair, out = ffi.new("secp256k1_keypair *"), ffi.new("unsigned char[64]")
    assert lib.secp256k1_keypair_create(context, pair, secret)
    randomness = ffi.new("unsigned char[32]", aux)
    extra = ffi.new("secp256k1_schnorrsig_extraparams *")
    extra.magic, extra.noncefp, extra.ndata = b"\xda\x6f\xb3\x8c", ffi.NULL, randomness
    assert lib.secp256k1_schnorrsig_sign_custom(context, out, message, len(message), pair, extra)
    return bytes(ffi.buffer(out))
