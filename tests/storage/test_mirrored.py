from __future__ import annotations

from pathlib import Path

import pytest

from storage import ModelPinned, Store, open_store

from .made import manifest


def test_a_copy_is_one_until_somebody_here_wants_it(path: Path) -> None:
    signed = manifest()
    with open_store(path) as store:
        store.models.put(signed, mirrored_ms=7)
        assert store.mirrored.copies() == {signed.model: 7}
    with open_store(path) as store:
        store.models.put(signed, mirrored_ms=9)  # fetched twice: it is as old as it was
        assert store.mirrored.copies() == {signed.model: 7}
        store.models.put(signed)  # pulled by hand
        assert store.mirrored.copies() == {}
        store.models.put(signed, mirrored_ms=9)  # and it stays wanted, whatever the mirror does
        assert store.mirrored.copies() == {}


def test_what_was_removed_by_hand_is_refused_until_it_is_put_by_hand(store: Store) -> None:
    signed, other = manifest(), manifest("other")
    store.models.put(signed, mirrored_ms=7)
    store.models.put(other, mirrored_ms=7)
    assert store.models.remove(other.model, by_hand=False)
    assert store.models.remove(signed.model)
    assert (store.mirrored.copies(), store.mirrored.refused()) == ({}, {signed.model})
    assert not store.models.remove(other.model)  # it was not here: nothing to refuse
    assert store.mirrored.refused() == {signed.model}
    store.models.put(signed)
    assert (store.mirrored.copies(), store.mirrored.refused()) == ({}, set())


def test_a_pinned_copy_is_not_removed_by_the_mirror_either(store: Store) -> None:
    signed = manifest()
    store.models.put(signed, mirrored_ms=7)
    store.pins.pin(signed.model)
    with pytest.raises(ModelPinned):
        store.models.remove(signed.model, by_hand=False)
    assert store.mirrored.copies() == {signed.model: 7}
