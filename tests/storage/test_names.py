"""Name records: the newest counts, what it contradicts is found no more, and no flood reaches the names kept here."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import Store, bounds, open_store
from wire.errors import RecordError
from wire.keys import NodeKey
from wire.manifest import SignedManifest
from wire.name import SignedName

from .made import ALICE, BOB, manifest, name_record, named
from .test_collection import spoil_record

ONE, TWO, THREE = (manifest(version=f"{n}.0.0") for n in (1, 2, 3))
STRANGERS = [NodeKey(bytes([9, n]) * 16) for n in range(8)]


def stands(*models: SignedManifest, sequence: int = 1) -> SignedName:
    """A record that names these models, the first as the highest version."""
    versions = [named(f"{len(models) - n}.0.0", signed.model) for n, signed in enumerate(models)]
    return name_record(*versions, sequence=sequence)


def found(store: Store) -> list[SignedManifest]:
    return list(store.catalogue.search().models)


def test_the_highest_sequence_counts_and_survives_a_restart(path: Path) -> None:
    first, second = stands(ONE), stands(TWO, ONE, sequence=2)
    with open_store(path) as store:
        assert store.names.get(ALICE.address, "digits") is None
        assert store.names.put(first)
        assert not store.names.put(first)
        assert store.names.put(second)
        assert not store.names.put(first)
        assert not store.names.put(stands(THREE, sequence=2))  # the first of one sequence stays
        assert store.names.count == 1
    with open_store(path) as store:
        assert store.names.get(ALICE.address, "digits") == second
        assert store.names.get(BOB.address, "digits") is None
        assert store.names.get(ALICE.address, "digit") is None


def test_they_are_found_by_name_and_by_publisher(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        name_record(named("1.0.0", bytes([n]) * 32), name=name, key=key)
        for n, (name, key) in enumerate([("a", ALICE), ("a", BOB), ("ab", ALICE), ("b", BOB)])
    ]
    assert store.names.put_all(said) == 4
    assert store.names.put_all(said) == 0
    both = sorted([(ALICE.address, said[0]), (BOB.address, said[1])], key=lambda pair: pair[0])
    assert store.names.named("a") == [signed for _, signed in both]
    assert store.names.named("ab") == [said[2]]
    assert store.names.named("c") == []
    assert store.names.of(ALICE.address) == [said[0], said[2]]
    assert store.names.of(bytes(20)) == []
    monkeypatch.setattr(bounds, "MAX_NAMESAKES", 1)
    assert store.names.named("a") == [both[0][1]]


@pytest.mark.parametrize("name", ["", "a\0b", "é", "\udc80", "x" * 65, "x" * 5000, "../a", "-rf"])
def test_any_text_may_be_asked_for(store: Store, name: str) -> None:
    store.names.put(stands(ONE))
    assert store.names.get(ALICE.address, name) is None
    assert store.names.named(name) == []
    assert store.names.get(b"short", "digits") is None
    assert store.names.of(b"") == []


@pytest.mark.parametrize(
    "signed",
    [
        SignedName(body=b"", signature=bytes(65)),
        SignedName(body=stands(ONE).body + b"\0", signature=bytes(65)),
        SignedName(body=stands(ONE).body, signature=bytes(64)),
        SignedName(body=manifest().body, signature=bytes(65)),
    ],
)
def test_only_what_decodes_is_kept(store: Store, signed: SignedName) -> None:
    with pytest.raises(RecordError):
        store.names.put(signed)
    with pytest.raises(RecordError):
        store.names.put_all([stands(ONE), signed])
    assert store.names.count == 0


def test_a_batch_has_a_bound(store: Store) -> None:
    with pytest.raises(ValueError, match="the bound is 256"):
        store.names.put_all([stands(ONE)] * 257)


def test_what_is_withdrawn_is_found_no_more_and_does_not_come_back(store: Store) -> None:
    store.catalogue.put([ONE, TWO])
    store.names.put(name_record(named("2.0.0", TWO.model, "it was wrong"), named("1.0.0", ONE.model)))
    assert found(store) == [ONE]
    assert store.catalogue.put([TWO]) == 0
    assert store.catalogue.get(TWO.model) is None
    # its publisher may think better of it
    assert store.names.put(stands(TWO, ONE, sequence=2))
    assert store.catalogue.put([TWO]) == 1
    assert found(store) == [TWO, ONE]


def test_a_corrected_manifest_takes_the_place_of_the_one_before(store: Store) -> None:
    corrected = manifest(version="1.0.0", description="better", previous=ONE.model)
    store.names.put(stands(ONE))
    store.catalogue.put([ONE])
    assert store.catalogue.put([corrected]) == 0  # not before its publisher said so
    store.names.put(stands(corrected, sequence=2))
    assert found(store) == []
    assert store.catalogue.put([ONE, corrected]) == 1
    assert found(store) == [corrected]


def test_only_its_own_publishers_record_counts(store: Store) -> None:
    """An attack: whoever withdraws, or names, another's model says nothing of it."""
    store.catalogue.put([ONE, TWO])
    store.names.put(name_record(named("1.0.0", ONE.model, "mine now"), key=BOB))
    store.names.put(name_record(named("2.0.0", TWO.model, "mine now"), name="faces"))
    assert found(store) == [TWO, ONE]


def test_what_stands_for_the_first_time_is_the_newest_word(store: Store) -> None:
    faces = manifest("faces")
    store.catalogue.put([ONE, TWO, faces])
    assert found(store) == [faces, TWO, ONE]
    store.names.put(stands(ONE))
    assert found(store) == [ONE, faces, TWO]
    store.names.put(stands(TWO, ONE, sequence=2))
    assert found(store) == [TWO, ONE, faces]
    store.catalogue.put([manifest("new")])
    store.names.put(stands(TWO, ONE, sequence=3))  # signed anew, and nothing is new in it
    assert found(store) == [manifest("new"), TWO, ONE, faces]
    assert list(store.catalogue.search("digits").models) == [TWO, ONE]


def test_of_many_that_stand_at_once_the_highest_version_is_in_front(store: Store) -> None:
    store.catalogue.put([THREE, TWO, ONE])  # as a peer tells that lists them newest first
    assert found(store) == [ONE, TWO, THREE]
    store.names.put(stands(THREE, TWO, ONE))
    assert found(store) == [THREE, TWO, ONE]


def test_a_version_of_which_the_record_says_nothing_stands(store: Store) -> None:
    store.names.put(stands(ONE))
    assert store.catalogue.put([TWO]) == 1
    assert found(store) == [TWO]


def test_one_version_has_few_manifests_before_its_record_comes(store: Store) -> None:
    """An attack: ten thousand manifests of one version, which a single record would all send away at once."""
    many = [manifest(description=str(n)) for n in range(bounds.MAX_KNOWN_PER_VERSION + 3)]
    store.catalogue.put([manifest("faces"), *many])
    assert found(store) == [*many[: -bounds.MAX_KNOWN_PER_VERSION - 1 : -1], manifest("faces")]
    store.names.put(stands(many[-2]))
    assert found(store) == [many[-2], manifest("faces")]


def test_a_publishers_oldest_issued_goes_for_its_newest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_NAMES_PER_PUBLISHER", 2)
    said = {n: name_record(named("1.0.0", bytes(32)), name=f"n{n}", sequence=n) for n in (5, 3, 7, 1)}
    others = name_record(named("1.0.0", bytes(32)), key=BOB)
    assert store.names.put(others)
    assert [store.names.put(said[n]) for n in (5, 3, 7, 3, 1)] == [True, True, True, False, False]
    assert store.names.of(ALICE.address) == [said[5], said[7]]
    assert store.names.of(BOB.address) == [others]
    later = name_record(named("1.0.0", bytes(32)), name="n5", sequence=9)
    assert store.names.put(later)  # of a name that is here: nobody goes
    assert store.names.of(ALICE.address) == [later, said[7]]


def test_when_all_is_full_the_one_heard_longest_ago_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_NAMES", 3)
    said = [name_record(named("1.0.0", bytes(32)), sequence=9 - n, key=key) for n, key in enumerate(STRANGERS[:4])]
    store.names.put_all(said[:3])
    again = name_record(named("1.0.0", bytes(32)), sequence=20, key=STRANGERS[0])
    store.names.put(again)  # heard anew
    store.names.put(said[3])
    assert {signed.body for signed in store.names.named("digits")} == {s.body for s in (again, said[2], said[3])}


def flood(store: Store, *, name: str = "digits") -> None:
    """Many more names than there is room for, from many keys, each newer than all before."""
    for n in range(20):
        key = STRANGERS[n % len(STRANGERS)]
        store.names.put(name_record(named("1.0.0", bytes(32)), name=f"x{n}", sequence=100 + n, key=key))
        store.names.put(name_record(named("1.0.0", bytes(32)), name=name, sequence=100 + n, key=key))


def test_a_flood_of_names_does_not_reach_those_kept_here(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attack: what names the models of this store, and what its own peer signed, outlasts any number of others."""
    monkeypatch.setattr(bounds, "MAX_NAMES", 4)
    monkeypatch.setattr(bounds, "MAX_NAMES_PER_PUBLISHER", 2)
    kept, own = stands(ONE), name_record(named("1.0.0", bytes(32)), name="mine", key=BOB)
    late = name_record(named("1.0.0", manifest("late").model), name="late")
    with open_store(path) as store:
        store.models.put(ONE)
        assert store.names.put(kept)
        assert store.names.put(own, own=True)
        store.names.put(late)
        store.models.put(manifest("late"))  # its name was here before
        flood(store)
        assert store.names.count == 4 + 3
    with open_store(path) as store:
        flood(store, name="mine")
        assert store.names.of(ALICE.address) == [kept, late]
        assert store.names.of(BOB.address) == [own]
        # by the bound of its own publisher neither
        store.names.put_all([name_record(named("1.0.0", bytes(32)), name=f"y{n}", sequence=50 + n) for n in range(5)])
        assert store.names.get(ALICE.address, "digits") == kept


def test_a_name_may_be_forgotten_when_its_last_model_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_NAMES", 4)
    record = stands(TWO, ONE)
    store.models.put(ONE)
    store.models.put(TWO)
    store.names.put(record)
    store.models.remove(ONE.model)
    flood(store)
    assert store.names.get(ALICE.address, "digits") == record
    store.models.remove(TWO.model)
    assert store.names.get(ALICE.address, "digits") == record  # not at once
    assert store.names.count == 4  # another went for it
    flood(store, name="other")
    assert store.names.get(ALICE.address, "digits") is None


def test_what_was_heard_of_an_own_name_makes_it_no_less_ones_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_NAMES", 1)
    record, later = stands(ONE), stands(TWO, ONE, sequence=2)
    store.names.put(record)  # a hub told of it first
    assert not store.names.put(record, own=True)
    assert store.names.put(later)
    flood(store)
    assert store.names.get(ALICE.address, "digits") == later


@pytest.mark.parametrize("is_here", [True, False])
def test_a_damaged_record_hides_no_other_and_can_be_told_again(store: Store, is_here: bool) -> None:
    bad, good = stands(ONE, sequence=5), name_record(named("1.0.0", bytes(32)), name="good")
    if is_here:
        store.models.put(ONE)
    store.names.put_all([bad, good])
    spoil_record(store, "name_records", ALICE.address + b"digits")
    assert store.names.get(ALICE.address, "digits") is None
    assert store.names.of(ALICE.address) == [good]
    assert store.names.named("digits") == []
    assert store.catalogue.put([ONE]) == 1
    assert store.names.put(bad)
    assert store.names.get(ALICE.address, "digits") == bad
    assert store.names.count == 2


def test_a_damaged_record_goes_with_the_last_model_of_its_name(store: Store) -> None:
    store.models.put(ONE)
    store.names.put(stands(ONE))
    spoil_record(store, "name_records", ALICE.address + b"digits")
    store.models.remove(ONE.model)
    assert store.names.count == 0
    assert store.names.named("digits") == []
