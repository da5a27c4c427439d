from __future__ import annotations

from pathlib import Path

import pytest

from storage import ModelPinned, Store, StoreError, open_store

from .made import manifest


def test_a_pinned_model_cannot_be_removed_until_it_is_unpinned(path: Path) -> None:
    signed = manifest()
    with open_store(path) as store:
        store.models.put(signed)
        assert store.pins.pin(signed.model)
        assert not store.pins.pin(signed.model)
        assert store.pins.all() == {signed.model}
    with open_store(path) as store:
        with pytest.raises(ModelPinned, match="hallmark store unpin"):
            store.models.remove(signed.model)
        assert store.models.get(signed.model) == signed
        assert store.pins.unpin(signed.model)
        assert not store.pins.unpin(signed.model)
        assert store.models.remove(signed.model)
        assert store.pins.all() == set()


def test_only_what_is_here_is_pinned(store: Store) -> None:
    with pytest.raises(StoreError, match="Pull it first"):
        store.pins.pin(manifest().model)
    assert store.pins.all() == set()
