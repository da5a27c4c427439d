"""Which models of its store a peer executes: those its operator wants, as long as their publisher stands by them."""

from __future__ import annotations

from pathlib import Path

from node.ready import executable
from storage import Store, open_store

from .records import named, signed_manifest, signed_name


def executed(store: Store) -> set[bytes]:
    return {signed.model for signed in executable(store, store.models.all())}


def test_a_copy_is_executed_only_when_somebody_wants_it(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        own, copy, pinned = (signed_manifest(name=name) for name in ("own", "copy", "pinned"))
        store.models.put(own)
        store.models.put(copy, mirrored_ms=1)
        store.models.put(pinned, mirrored_ms=1)
        store.pins.pin(pinned.model)
        assert executed(store) == {own.model, pinned.model}
        store.models.put(copy)  # pulled by hand
        assert copy.model in executed(store)


def test_what_its_publisher_took_back_is_not_executed_unless_it_is_pinned(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        stands, withdrawn = signed_manifest(name="a"), signed_manifest(name="b")
        old, new = signed_manifest(name="c"), signed_manifest(name="c", description="corrected")
        for signed in (stands, withdrawn, old, new):
            store.models.put(signed)
        assert executed(store) == {stands.model, withdrawn.model, old.model, new.model}
        store.names.put(signed_name(name="a", versions=named(stands)))
        store.names.put(signed_name(name="b", versions=named(withdrawn, withdrawn="wrong labels")))
        store.names.put(signed_name(name="c", versions=named(new)))
        assert executed(store) == {stands.model, new.model}
        store.pins.pin(withdrawn.model)
        assert executed(store) == {stands.model, new.model, withdrawn.model}
