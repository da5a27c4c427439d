"""The draw: repeatable, by weight, without who asks and who answers, and nothing else decides it."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import NOW, Scene, key_of, some_hash
from verify.committee import committee_for, draw
from wire.eip712 import keccak256
from wire.errors import RecordError
from wire.network import Network, Registry, Verifier

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
    assert len(committee.bench) <= 1
    text = network.epoch.to_bytes(32, "big") + (1).to_bytes(32, "big")
    text += b"".join(v.key + v.weight.to_bytes(32, "big") for v in (expected, *committee.bench))
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


QUORUMS = st.sampled_from([(1, 2), (2, 3), (3, 4), (1, 3)])


@settings(max_examples=60, deadline=None)
@given(digests, st.lists(st.integers(1, 2**40), min_size=1, max_size=40), st.integers(1, 40), QUORUMS)
def test_the_bench_is_drawn_after_the_members_and_gives_no_second_majority(
    digest: bytes, weights: list[int], size: int, quorum: tuple[int, int]
) -> None:
    numerator, denominator = quorum
    rules = {"quorum_numerator": numerator, "quorum_denominator": denominator}
    network = msgspec.structs.replace(with_weights(weights, size), **rules)
    committee = draw(network, digest, ())
    members, bench, total = committee.members, committee.bench, committee.total
    assert len({v.key for v in committee.places}) == len(committee.places)
    assert len(members) == min(size, len(weights))
    assert len(bench) <= min(-(-size // 4), len(weights) - len(members))
    reserves = committee.counts[len(members) :]
    assert reserves == tuple(min(v.weight, total // len(members)) for v in bench)
    if bench:
        # two disjoint sets of places never both exceed the quorum, and liars need over 1 - q of the members
        assert denominator * sum(committee.counts) <= 2 * numerator * total
        # a larger committee for the same request would have had them as members
        larger = draw(network, digest, (), size + len(bench))
        assert {v.key for v in larger.members} == {v.key for v in committee.places}


def test_a_reserve_that_weighs_more_than_the_members_counts_their_mean() -> None:
    network = with_weights([1] * 20 + [4], 8)
    drawn = [draw(network, some_hash(f"request {n}"), ()) for n in range(60)]
    heavy = [committee for committee in drawn if any(v.weight > 1 for v in committee.bench)]
    assert heavy
    assert all(committee.counts == (1,) * 10 for committee in heavy)


def test_small_committees_have_no_bench_that_could_outvote_them() -> None:
    sizes = {size: len(draw(with_weights([1] * 40, size), some_hash("x"), ()).bench) for size in range(1, 18)}
    assert [sizes[k] for k in (1, 2, 3, 4, 5, 6, 8, 12, 16, 17)] == [0, 0, 1, 1, 1, 2, 2, 3, 4, 5]


def test_the_payer_says_how_many_members_it_wants_and_gets_all_where_there_are_fewer() -> None:
    scene = Scene(verifiers=12, size=5)
    for asked, members, bench in ((0, 5, 1), (1, 1, 0), (8, 8, 2), (11, 11, 1), (12, 12, 0), (256, 12, 0)):
        committee = committee_for(scene.network, scene.ask(committee=asked).request)
        assert (len(committee.members), len(committee.bench)) == (members, bench)


def test_the_registry_is_that_of_the_time_the_request_was_issued() -> None:
    scene = Scene(verifiers=4)
    network = scene.network
    was = Registry(**{name: getattr(network, name) for name in Registry.__struct_fields__})
    later = msgspec.structs.replace(
        network, epoch=8, from_ms=NOW + 1, beacon=bytes(32), past=(was,), quorum_numerator=1, quorum_denominator=2,
        verifiers=with_weights([1] * 9, 1).verifiers[4:],
    )  # fmt: skip
    assert committee_for(later, scene.request.request) == scene.committee
    after = committee_for(later, scene.ask(issued_ms=NOW + 1).request)
    assert (after.epoch, after.quorum) == (8, (1, 2))
    assert not {v.key for v in after.members} & {v.key for v in scene.committee.members}
    with pytest.raises(RecordError, match="before epoch 8"):
        committee_for(msgspec.structs.replace(later, past=()), scene.request.request)
