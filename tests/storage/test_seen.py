"""What was seen of a model: added up, kept with the model, and never more of it than there are models."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import Seen, Store, bounds, open_store

from .made import manifest, name_record, named
from .test_collection import spoil_record

HERE, KNOWN, BOTH = manifest("here"), manifest("known"), manifest("both")


def test_counts_add_up_and_survive_a_restart(path: Path) -> None:
    with open_store(path) as store:
        store.models.put(HERE)
        store.catalogue.put([KNOWN])
        assert store.seen.get(HERE.model) == Seen(pulls=0, calls=0)
        store.seen.add({HERE.model: (1, 2), KNOWN.model: (0, 3)})
        store.seen.add({HERE.model: (4, 0)})
        store.seen.add({})
    with open_store(path) as store:
        assert store.seen.get(HERE.model) == Seen(pulls=5, calls=2)
        assert store.seen.get(KNOWN.model) == Seen(pulls=0, calls=3)
        assert store.seen.get(b"") == Seen(pulls=0, calls=0)


def test_nothing_is_counted_of_what_nobody_knows(store: Store) -> None:
    store.seen.add({bytes(32): (1, 1)})
    assert store.seen.get(bytes(32)) == Seen(pulls=0, calls=0)


def test_counts_go_with_the_last_place_that_knows_the_model(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_KNOWN", 2)
    store.models.put(BOTH)
    store.catalogue.put([BOTH, KNOWN])
    store.seen.add({BOTH.model: (1, 1), KNOWN.model: (1, 1)})
    store.catalogue.put([manifest("a"), manifest("b")])  # pushes both out
    assert store.seen.get(KNOWN.model) == Seen(pulls=0, calls=0)
    assert store.seen.get(BOTH.model) == Seen(pulls=1, calls=1)
    store.models.remove(BOTH.model)
    assert store.seen.get(BOTH.model) == Seen(pulls=0, calls=0)
    store.catalogue.put([BOTH])
    assert store.seen.get(BOTH.model) == Seen(pulls=0, calls=0)


def test_counts_of_what_is_withdrawn_go_unless_it_is_here(store: Store) -> None:
    store.models.put(HERE)
    store.catalogue.put([HERE, KNOWN])
    store.seen.add({HERE.model: (1, 1), KNOWN.model: (1, 1)})
    for signed, name in ((HERE, "here"), (KNOWN, "known")):
        store.names.put(name_record(named("1.0.0", signed.model, "bad"), name=name))
    assert store.catalogue.count == 0
    assert store.seen.get(HERE.model) == Seen(pulls=1, calls=1)
    assert store.seen.get(KNOWN.model) == Seen(pulls=0, calls=0)


def test_a_new_word_on_a_model_keeps_its_counts(store: Store) -> None:
    store.catalogue.put([KNOWN])
    store.seen.add({KNOWN.model: (1, 1)})
    store.names.put(name_record(named("1.0.0", KNOWN.model), name="known"))  # moves it to the front
    assert store.seen.get(KNOWN.model) == Seen(pulls=1, calls=1)


def test_they_stop_at_their_bound_and_never_fall(store: Store) -> None:
    store.models.put(HERE)
    store.seen.add({HERE.model: (bounds.MAX_COUNT, 1)})
    store.seen.add({HERE.model: (5, 1)})
    assert store.seen.get(HERE.model) == Seen(pulls=bounds.MAX_COUNT, calls=2)
    with pytest.raises(ValueError, match="less"):
        store.seen.add({HERE.model: (0, -1)})


def test_a_damaged_count_begins_again(store: Store) -> None:
    store.models.put(HERE)
    store.seen.add({HERE.model: (9, 9)})
    spoil_record(store, "counts", HERE.model)
    assert store.seen.get(HERE.model) == Seen(pulls=0, calls=0)
    store.seen.add({HERE.model: (1, 0)})
    assert store.seen.get(HERE.model) == Seen(pulls=1, calls=0)
