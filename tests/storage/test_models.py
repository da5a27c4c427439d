from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import ModelAmbiguous, Store, StoreDamaged, StoreFull, bounds, open_store
from wire.cid import RAW, to_cid
from wire.errors import RecordError
from wire.manifest import SignedManifest

from .made import BOB, manifest, name_record, named


def test_a_manifest_comes_back_and_survives_a_restart(path: Path) -> None:
    signed = manifest()
    with open_store(path) as store:
        assert store.models.get(signed.model) is None
        store.models.put(signed)
        store.models.put(signed)
    with open_store(path) as store:
        assert store.models.get(signed.model) == signed
        assert store.manifest(signed.model) == signed
        assert store.models.all() == [signed]


@pytest.mark.parametrize(
    "signed",
    [
        SignedManifest(body=b"", signature=bytes(65)),
        SignedManifest(body=b"\x80", signature=bytes(65)),
        SignedManifest(body=manifest().body + b"\0", signature=bytes(65)),
        SignedManifest(body=manifest().body, signature=bytes(64)),
    ],
)
def test_only_what_decodes_is_kept(store: Store, signed: SignedManifest) -> None:
    with pytest.raises(RecordError):
        store.models.put(signed)
    assert store.models.all() == []


def test_find_by_every_name_people_use(store: Store) -> None:
    digits, faces = manifest("digits"), manifest("faces", "0.1.0")
    store.models.put(digits)
    store.models.put(faces)
    cid = to_cid(digits.model)
    for text in ("digits", "digits@1.0.0", cid, f" {cid}\n", cid[:20], cid[:-1], to_cid(digits.model, RAW)):
        assert store.models.find(text) == digits, text
    for text in (
        "",
        "digit",
        "digits@1.0",
        "digits@",
        "@1.0.0",
        "digits@1.0.0@",
        "b",
        cid[:9],
        cid[:12],
        cid + "a",
        "é",
    ):
        assert store.models.find(text) is None, text


def test_a_bare_name_means_the_highest_version(store: Store) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        store.models.put(manifest(version=version))
    assert store.models.find("digits") == manifest(version="1.10.0")
    assert store.models.find("digits@1.2.0") == manifest(version="1.2.0")
    assert len(store.models.named("digits")) == 3


def test_versions_stand_in_the_standards_order(store: Store) -> None:
    for version in ("2.0.0-rc.2", "2.0.0-rc.10"):
        store.models.put(manifest(version=version))
    assert store.models.find("digits") == manifest(version="2.0.0-rc.10")
    store.models.put(manifest(version="1.0.0"))
    assert store.models.find("digits") == manifest(version="1.0.0")  # a pre-release only when there is nothing else
    assert store.models.find("digits@2.0.0-rc.2") == manifest(version="2.0.0-rc.2")
    assert store.models.find("digits@2.0.0") is None


def test_a_name_means_only_what_its_record_lets_stand(store: Store) -> None:
    bad, old, corrected = manifest(version="2.0.0"), manifest(), manifest(description="better")
    for signed in (bad, old, corrected):
        store.models.put(signed)
    with pytest.raises(ModelAmbiguous):
        store.models.find("digits@1.0.0")
    store.names.put(name_record(named("2.0.0", bad.model, "it was wrong"), named("1.0.0", corrected.model)))
    assert store.models.find("digits") == store.models.find("digits@1.0.0") == corrected
    assert store.models.find("digits@2.0.0") is None
    assert store.models.find(bad.cid) == bad
    assert store.models.find(old.cid[:30]) == old
    assert {signed.model for signed in store.models.named("digits")} == {bad.model, old.model, corrected.model}


@pytest.mark.parametrize("text", ["x" * 600, "\udc80", "digits@" + "1" * 600, "digits@\udc80"])
def test_any_text_may_be_asked_for(store: Store, text: str) -> None:
    store.models.put(manifest())
    assert store.models.find(text) is None


def test_two_publishers_of_one_name_are_ambiguous(store: Store) -> None:
    ours, theirs = manifest(), manifest(key=BOB, version="9.0.0")
    store.models.put(ours)
    store.models.put(theirs)
    with pytest.raises(ModelAmbiguous) as caught:
        store.models.find("digits")
    assert ours.cid in str(caught.value)
    assert theirs.cid in str(caught.value)
    assert store.models.find("digits@9.0.0") == theirs


def test_a_model_named_after_anothers_cid_gets_nobody(store: Store) -> None:
    victim = manifest("victim")
    thief = manifest(victim.cid, key=BOB)
    store.models.put(victim)
    store.models.put(thief)
    assert store.models.find(victim.cid) == victim
    store.models.remove(victim.model)
    assert store.models.find(victim.cid) is None
    store.models.put(victim)
    store.models.put(manifest(victim.cid[:20], key=BOB))
    with pytest.raises(ModelAmbiguous):
        store.models.find(victim.cid[:20])


def test_a_common_cid_prefix_lists_a_bounded_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MIN_CID_PREFIX", 0)
    for number in range(bounds.MAX_CANDIDATES + 3):
        store.models.put(manifest(f"model-{number}"))
    with pytest.raises(ModelAmbiguous, match="several models") as caught:
        store.models.find("bagaqihra")
    assert str(caught.value).count("bagaqihra") == 1 + bounds.MAX_CANDIDATES


def test_remove_forgets_the_name_too(store: Store) -> None:
    store.models.put(manifest())
    store.models.put(manifest("faces"))
    assert store.models.remove(manifest().model)
    assert not store.models.remove(manifest().model)
    assert store.models.find("digits") is None
    assert store.models.all() == [manifest("faces")]
    with store._environment.read() as txn:
        assert txn.stat(store._environment.table("names"))["entries"] == 1


def test_no_more_models_than_the_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_MODELS", 1)
    store.models.put(manifest())
    store.models.put(manifest())
    with pytest.raises(StoreFull, match="Remove some"):
        store.models.put(manifest("faces"))


def test_damage_is_named_and_hides_nothing_else(store: Store) -> None:
    digits, faces = manifest(), manifest("faces")
    store.models.put(digits)
    store.models.put(faces)
    table = store._environment.table("models")

    def spoil(txn: Any) -> None:
        stored = bytearray(txn.get(digits.model, db=table))
        stored[-1] ^= 1  # a byte of the signature
        txn.put(digits.model, bytes(stored), db=table)

    store._environment.write(spoil)
    with pytest.raises(StoreDamaged, match=digits.cid):
        store.models.get(digits.model)
    assert store.manifest(digits.model) is None
    assert store.models.all() == [faces]
    store.models.put(digits)
    assert store.manifest(digits.model) == digits
