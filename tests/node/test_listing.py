"""Pages of models: a walk from cursor to cursor meets each one once, whatever its size, and no page is too long."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import node.listing
from node.catalogue import about
from node.listing import list_models, unlisted
from storage import Store, open_store
from tests.node.records import DOMAIN, named, signed_manifest, signed_name
from tests.verify.scenes import bent, key_of
from wire.bounds import MAX_RECORD
from wire.canonical import decode, encode
from wire.catalogue import MAX_GONE, AskModels, Models
from wire.errors import RecordError
from wire.manifest import SignedManifest, read_manifest
from wire.name import SignedName
from wire.tensors import TensorSpec


def long_one(number: int, specs: int) -> SignedManifest:
    """A model whose manifest has `specs` inputs of a long name."""
    inputs = tuple(TensorSpec(name=f"{i}" + "x" * 200, datatype="FP32", shape=("n" * 60,) * 8) for i in range(specs))
    return signed_manifest(name=f"m{number}", inputs=inputs)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 64), max_size=30), most=st.integers(2_000, 196_608))
def test_a_walk_meets_every_model_once(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int) -> None:
    models = [long_one(number, specs) for number, specs in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch, open_store(tmp_path_factory.mktemp("s") / "store") as store:
        patch.setattr(node.listing, "MAX_REPLY", most)
        store.catalogue.put(models)
        met: list[bytes] = []
        cursor: bytes | None = None
        for _ in range(len(models) + 1):
            page = list_models(store, about(cursor=cursor), lambda _: False)
            data = encode(page)
            assert len(data) <= MAX_RECORD
            assert len(page.entries) <= 1 or len(data) <= most + 64
            assert decode(data, Models) == page
            met += [entry.manifest.model for entry in page.entries]
            cursor = page.cursor
            if cursor is None:
                break
        assert cursor is None
        assert sorted(met) == sorted(signed.model for signed in models)


def test_an_entry_says_what_is_known_of_it(store: Store) -> None:
    here, other = signed_manifest(), signed_manifest(version="2.0.0")
    record = signed_name(versions=named(other, here))
    store.names.put(record)
    store.catalogue.put([here, other])
    store.seen.add({here.model: (3, 4)})
    entries = list_models(store, about("digits"), lambda signed: signed == here).entries
    assert {(e.manifest, e.name, e.held, e.pulls, e.calls) for e in entries} == {
        (here, record, True, 3, 4),
        (other, record, False, 0, 0),
    }
    assert all(read_manifest(e.manifest, DOMAIN) for e in entries)


def test_a_name_that_nothing_stands_under_is_said_to_be_gone_by_its_record(store: Store) -> None:
    mine = signed_name(versions=named(signed_manifest(), withdrawn="bad"))
    hers = signed_name("eve", versions=named(signed_manifest("eve"), withdrawn="worse"))
    for record in (mine, hers):
        store.names.put(record)

    def gone(question: AskModels) -> set[SignedName]:
        return set(list_models(store, question, lambda _: False).gone)

    assert gone(about("digits")) == {mine, hers}
    assert gone(about("digits", key_of("eve").address)) == {hers}
    assert gone(about("letters")) == gone(about()) == gone(bent(about("digits"), tag="x")) == set()
    store.catalogue.put([standing := signed_manifest("bob")])
    page = list_models(store, about("digits"), lambda _: False)
    assert ([e.manifest for e in page.entries], page.gone) == ([standing], ())
    for n in range(MAX_GONE + 1):
        store.names.put(signed_name(f"p{n}", name="vowels", versions=named(signed_manifest(), withdrawn="")))
    assert len(gone(about("vowels"))) == MAX_GONE


def test_a_question_that_asks_too_much_is_refused(store: Store) -> None:
    text = " ".join(f"w{n}" for n in range(60))
    with pytest.raises(RecordError):
        list_models(
            store,
            AskModels(text=text, name="", task="", tag="", licence="", publisher=None, cursor=None),
            lambda _: False,
        )


def test_what_the_store_holds_and_the_catalogue_lacks(store: Store) -> None:
    first, second = signed_manifest(), signed_manifest(version="2.0.0")
    for signed in (first, second):
        store.models.put(signed)
    store.catalogue.put([first])
    assert unlisted(store, ()) == [second]
    assert unlisted(store, {second.model}) == []
