"""The draw: repeatable, by weight, without who asks and who answers, and nothing else decides it."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import Scene, key_of, some_hash
from verify.committee import committee_for, draw
from wire.eip712 import keccak256
from wire.errors import RecordError
from wire.network import Network, Verifier

REGISTRY = Scene(verifiers=12, size=5).network
digests = st.binary(min_size=32, max_size=32)


def with_weights(weights: list[int], size: int) -> Network:
    verifiers = tuple(Verifier(key=key_of(f"verifier {i}").public, weight=w) for i, w in enumerate(weights))
    return msgspec.structs.replace(REGISTRY, verifiers=verifiers, committee_size=size)


@settings(max_examples=40, deadline=None)
@given(digests, st.lists(st.integers(1, 2**40), min_size=1, max_size=12), st.integers(1, 12), st.randoms())
def test_draw_is_repeatable_sorted_distinct_and_blind_to_the_files_order(
    digest: bytes, weights: list[int], size: int, shuffler: random.Random
) -> None:
    network = with_weights(weights, size)
    committee = draw(network, digest, ())
    keys = [m.key for m in committee.members]
    assert keys == sorted(set(keys))
    assert len(keys) == min(size, len(weights))
    shuffled = list(network.verifiers)
    shuffler.shuffle(shuffled)
    assert draw(msgspec.structs.replace(network, verifiers=tuple(shuffled)), digest, ()) == committee
    assert [committee.index_of(k) for k in keys] == list(range(len(keys)))
    assert committee.index_of(key_of("stranger").public) is None
    assert committee.total == sum(m.weight for m in committee.members)


@settings(max_examples=30, deadline=None)
@given(digests, st.sets(st.integers(0, 11), max_size=11))
def test_the_excluded_never_sit_and_would_not_have_mattered(digest: bytes, out: set[int]) -> None:
    addresses = [key_of(f"verifier {i}").address for i in out]
    members = {m.key for m in draw(REGISTRY, digest, addresses).members}
    assert not members & {key_of(f"verifier {i}").public for i in out}
    rest = tuple(v for i, v in enumerate(REGISTRY.verifiers) if i not in out)
    assert {m.key for m in draw(msgspec.structs.replace(REGISTRY, verifiers=rest), digest, ()).members} == members


def test_the_draw_follows_the_weights() -> None:
    network = with_weights([1, 2, 3, 4], 1)
    seats = [draw(network, some_hash(f"request {i}"), ()).members[0].weight for i in range(2000)]
    for weight in (1, 2, 3, 4):
        # the standard deviation of a share is at most 0.011: five of them
        assert abs(seats.count(weight) / 2000 - weight / 10) < 0.055


def test_the_bytes_are_those_of_the_docstring() -> None:
    network, digest = with_weights([3, 1, 2], 1), b"\x07" * 32
    pool = sorted(network.verifiers, key=lambda v: v.key)
    seed = keccak256(network.beacon + network.epoch.to_bytes(32, "big") + digest)
    ticket = int.from_bytes(keccak256(seed + bytes(32)), "big") % 6
    expected = next(v for i, v in enumerate(pool) if sum(p.weight for p in pool[: i + 1]) > ticket)
    committee = draw(network, digest, ())
    assert committee.members == (expected,)
    text = network.epoch.to_bytes(32, "big") + expected.key + expected.weight.to_bytes(32, "big")
    assert committee.root == keccak256(text)


@pytest.mark.parametrize("change", [{"beacon": b"\x09" * 32}, {"epoch": 8}])
def test_beacon_and_epoch_change_the_draw(change: dict[str, object]) -> None:
    other = msgspec.structs.replace(REGISTRY, **change)
    drawn = [(draw(REGISTRY, some_hash(str(i)), ()), draw(other, some_hash(str(i)), ())) for i in range(8)]
    assert any(a.members != b.members for a, b in drawn)


def test_asker_and_answerer_are_excluded() -> None:
    scene = Scene(verifiers=4)
    request = scene.ask(provider=key_of("verifier 1").address, payer=key_of("verifier 2").address).request
    keys = {m.key for m in committee_for(scene.network, request).members}
    assert keys == {key_of("verifier 0").public, key_of("verifier 3").public}


def test_nobody_left_is_said_plainly() -> None:
    with pytest.raises(RecordError, match="lists no verifier that may judge"):
        draw(with_weights([1], 1), bytes(32), [key_of("verifier 0").address])
    with pytest.raises(RecordError, match="lists no verifier"):
        draw(with_weights([], 1), bytes(32), ())


def test_one_signer_cannot_stand_in_the_registry_twice() -> None:
    key = key_of("verifier 0").public
    twin = bytes([key[0] ^ 1]) + key[1:]  # the other parity: the same BIP340 key
    for second in (key, twin):
        network = with_weights([1, 1], 2)
        verifiers = (network.verifiers[0], Verifier(key=second, weight=1))
        with pytest.raises(RecordError, match="listed twice"):
            draw(msgspec.structs.replace(network, verifiers=verifiers), bytes(32), ())
