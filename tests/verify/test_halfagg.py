"""Half-aggregation against its draft's vectors, and against those who would cheat with it."""

import json
from pathlib import Path

import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import key_of, some_hash
from verify import halfagg
from verify.bounds import MAX_AGGREGATED

VECTORS = Path(__file__).parents[3] / "shared/vectors/halfagg/halfagg_verify_vectors.json"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
# The draft's two signers: secret, message and auxiliary randomness are one byte repeated; and what they aggregate to.
SIGNERS = ((1, 2, 3), (4, 5, 6))
OF_TWO = (
    "b070aafcea439a4f6f1bbfc2eb66d29d24b0cab74d6b745c3cfb009cc8fe4aa8a3afbdb45a6a34bf7c8c00f1b6d7e7d375b54540f13716c8"
    "7b62e51e2f4f22ffbf8913ec53226a34892d60252a7052614ca79ae939986828d81d2311957371ad"
)


def drafts(count: int) -> list[tuple[bytes, bytes, bytes]]:
    signed = []
    for secret, message, aux in SIGNERS[:count]:
        key, text = PrivateKey(bytes([secret]) * 32), bytes([message]) * 32
        signed.append((key.public_key.format()[1:], text, key.sign_schnorr(text, bytes([aux]) * 32)))
    return signed


def some(count: int) -> list[tuple[bytes, bytes, bytes]]:
    signed = []
    for i in range(count):
        key, message = key_of(f"verifier {i}"), some_hash(f"message {i % 3}")
        signed.append((key.public[1:], message, key.sign_schnorr(message)))
    return signed


def pairs(signed: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(key, message) for key, message, _ in signed]


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_the_drafts_vectors_verify_and_regenerate_to_the_byte() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    assert len(vectors) == 3
    for count, vector in enumerate(vectors):
        expected = bytes.fromhex(vector["aggsig"])
        asked = [(bytes.fromhex(k), bytes.fromhex(m)) for k, m in vector["pm"]]
        assert halfagg.verify(expected, asked)
        assert pairs(drafts(count)) == asked
        assert halfagg.aggregate(drafts(count)) == expected


def test_the_drafts_largest_vector_without_the_files() -> None:
    assert halfagg.aggregate(drafts(2)).hex() == OF_TWO
    assert halfagg.verify(bytes.fromhex(OF_TWO), pairs(drafts(2)))


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 12), st.data())
def test_increment_at_any_place_gives_the_same_aggregate(count: int, data: st.DataObject) -> None:
    signed = some(count)
    whole = halfagg.aggregate(signed)
    cut = data.draw(st.integers(0, count))
    first = halfagg.aggregate(signed[:cut])
    assert halfagg.increment(first, pairs(signed[:cut]), signed[cut:]) == whole
    assert len(whole) == 32 * count + 32
    assert halfagg.verify(whole, pairs(signed))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_bit_is_noticed(data: st.DataObject) -> None:
    signed = some(5)
    whole = bytearray(halfagg.aggregate(signed))
    at = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[at // 8] ^= 1 << at % 8
    assert not halfagg.verify(bytes(whole), pairs(signed))


def test_other_keys_messages_orders_and_counts_do_not_verify() -> None:
    signed = some(4)
    whole, asked = halfagg.aggregate(signed), pairs(signed)
    assert not halfagg.verify(whole, asked[::-1])
    assert not halfagg.verify(whole, asked[:3])
    assert not halfagg.verify(whole, [*asked, asked[0]])
    assert not halfagg.verify(whole, [(key_of("stranger").public[1:], asked[0][1]), *asked[1:]])
    assert not halfagg.verify(whole, [(asked[0][0], some_hash("other")), *asked[1:]])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=40)), max_size=4))
def test_no_bytes_make_it_raise(blob: bytes, asked: list[tuple[bytes, bytes]]) -> None:
    assert not halfagg.verify(blob, asked) or (blob == bytes(32) and not asked)


def test_edges_of_the_scalar_and_of_the_points() -> None:
    signed = some(2)
    whole, asked = halfagg.aggregate(signed), pairs(signed)
    scalar = int.from_bytes(whole[-32:], "big")
    if scalar + ORDER < 1 << 256:  # another spelling of the same number
        assert not halfagg.verify(whole[:-32] + (scalar + ORDER).to_bytes(32, "big"), asked)
    assert not halfagg.verify(whole[:-32] + ORDER.to_bytes(32, "big"), asked)
    assert not halfagg.verify(whole[:-32] + bytes(32), asked)
    assert not halfagg.verify(b"\xff" * 32 + whole[32:], asked)  # a nonce that is no field element
    assert not halfagg.verify(whole, [(b"\xff" * 32, asked[0][1]), asked[1]])
    assert not halfagg.verify(whole, [(bytes(32), asked[0][1]), asked[1]])  # x = 0 is on no point
    assert not halfagg.verify((1).to_bytes(32, "big"), [])
    assert halfagg.verify(bytes(32), [])


def test_bounds() -> None:
    with pytest.raises(ValueError, match="wrong length"):
        halfagg.aggregate(some(1) * (MAX_AGGREGATED + 1))
    with pytest.raises(ValueError, match="32 bytes"):
        halfagg.aggregate([(b"", b"", b"")])
    with pytest.raises(ValueError, match="32 bytes"):
        halfagg.increment(bytes(64), [(b"", b"")], [])


def test_no_more_signers_are_verified_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = some(3)
    whole = halfagg.aggregate(signed)
    monkeypatch.setattr(halfagg, "MAX_AGGREGATED", 2)
    assert not halfagg.verify(whole, pairs(signed))


def two_invalid_signatures() -> list[tuple[bytes, bytes, bytes]]:
    """Two signatures, each invalid, whose aggregate is valid: the scalars' errors cancel under the randomizers.

    The randomizers depend on the nonces, keys and messages, and not on the scalars; so whoever holds valid s₀ and s₁
    may take s₀ + d·z₁ and s₁ - d (z₀ is 1).
    """
    (k0, m0, s0), (k1, m1, s1) = some(2)
    tag = halfagg._RANDOMIZER.copy()
    tag.update(s0[:32] + k0 + m0 + s1[:32] + k1 + m1)
    z, d = int.from_bytes(tag.digest(), "big") % ORDER, 12345
    first = (int.from_bytes(s0[32:], "big") + d * z) % ORDER
    second = (int.from_bytes(s1[32:], "big") - d) % ORDER
    return [(k0, m0, s0[:32] + first.to_bytes(32, "big")), (k1, m1, s1[:32] + second.to_bytes(32, "big"))]


def test_two_invalid_signatures_can_aggregate_to_a_valid_one() -> None:
    """Why votes are verified one by one first; `test_attacks` shows that guard holding."""
    from wire.keys import schnorr_signed_by

    forged = two_invalid_signatures()
    assert not any(schnorr_signed_by(b"\x02" + k, m, s) for k, m, s in forged)
    assert halfagg.verify(halfagg.aggregate(forged), pairs(forged))
