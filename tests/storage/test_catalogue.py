"""Models known from others: any search finds what a plain scan would, page by page, within its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Store, bounds, open_store
from wire.errors import RecordError
from wire.manifest import SignedManifest

from .made import ALICE, BOB, manifest
from .test_collection import spoil_record


def found(store: Store, text: str = "", **how: Any) -> list[SignedManifest]:
    return list(store.catalogue.search(text, **how).models)


def test_what_is_told_is_found(path: Path) -> None:
    magika = manifest("magika-v3", task="File-Type", licence="Apache-2.0", description="Tells what a file is. Größe!")
    digits = manifest("digits", key=BOB, task="image-classification", licence="MIT", description="Zahlen, 数字 file")
    with open_store(path) as store:
        assert store.catalogue.put([magika, digits]) == 2
        assert store.catalogue.put([digits]) == 0
    with open_store(path) as store:
        assert store.catalogue.count == 2
        assert store.catalogue.get(magika.model) == magika
        assert found(store) == [digits, magika]  # newest known first
        for text in ("magika", "mag", "MAGIKA v3", "größe", "tells FILE", "type", "magika-v3"):
            assert found(store, text) == [magika], text
        assert found(store, "file") == [digits, magika]
        assert found(store, "数字") == [digits]
        assert found(store, "magik zahlen") == []
        assert found(store, "desc") == []  # only a name's words by their beginnings
        assert found(store, task="file-type") == [magika]
        assert found(store, task="file") == []
        assert found(store, licence="mit") == [digits]
        assert found(store, publisher=ALICE.address) == [magika]
        assert found(store, "file", licence="MIT", publisher=ALICE.address) == []
        assert store.catalogue.remove(digits.model)
        assert not store.catalogue.remove(digits.model)
        assert found(store, "file") == [magika]
        assert found(store, publisher=BOB.address) == []
        store.catalogue.remove(magika.model)
        assert store._environment.table("words") is not None
        with store._environment.read() as txn:
            assert txn.stat(store._environment.table("words"))["entries"] == 0


def test_names_and_tags_are_found_exactly(store: Store) -> None:
    plain = manifest("digits", tags=("image", "on-device"))
    other = manifest("digits-large", key=BOB, tags=("image-text", "v2.0"))
    namesake = manifest("digits", key=BOB, description="image")
    store.catalogue.put([plain, other, namesake])
    assert found(store, name="digits") == [namesake, plain]
    assert found(store, name=" Digits ") == [namesake, plain]
    assert found(store, name="digit") == []
    assert found(store, name="digits", publisher=ALICE.address) == [plain]
    assert found(store, tag="image") == [plain]
    assert found(store, tag="Image-Text") == [other]
    assert found(store, tag="device") == []  # a tag is one word
    assert found(store, "device") == [plain]  # and in free text several
    assert found(store, "image") == [namesake, other, plain]
    assert found(store, "digits", tag="v2.0") == [other]
    assert found(store, tag="digits") == []
    store.catalogue.remove(plain.model)
    assert found(store, tag="image") == []


@pytest.mark.parametrize("text", ["x" * 600, "\udc80", "a\0b", "é" * 300])
def test_any_exact_value_may_be_asked_for(store: Store, text: str) -> None:
    store.catalogue.put([manifest(tags=("image",))])
    for kind in ("name", "task", "tag", "licence"):
        assert found(store, **{kind: text}) == []


WORDS = ("red", "green", "blue", "greenish")
MODELS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), max_size=3),
        st.sampled_from(("MIT", "Apache-2.0")),
        st.booleans(),
        st.sets(st.sampled_from(("blue", "t-a"))),
    ),
    max_size=12,
)


@given(
    models=MODELS,
    text=st.lists(st.sampled_from((*WORDS, "gre")), max_size=3),
    licence=st.sampled_from(("", "MIT")),
    tag=st.sampled_from(("", "t-a", "blue")),
    limit=st.integers(1, 5),
    seeks=st.integers(5, 9),
)
def test_pages_join_to_what_a_scan_finds(
    tmp_path_factory: pytest.TempPathFactory,
    models: Any,
    text: list[str],
    licence: str,
    tag: str,
    limit: int,
    seeks: int,
) -> None:
    made = []
    for number, (words, allowed, named, tags) in enumerate(models):
        name = f"{words[0] if named and words else 'model'}.{number}"
        signed = manifest(name, description=" ".join(words), licence=allowed, tags=tuple(sorted(tags)))
        said = {*words, *name.split("."), *"-".join(tags).split("-")}
        made.append((signed, said, name))
    with open_store(tmp_path_factory.mktemp("store")) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "MAX_SEEKS", seeks)
        for signed, _, _ in made:
            store.catalogue.put([signed])
        expected = [
            signed
            for (signed, words, name), (_, allowed, _, tags) in zip(made, models, strict=True)
            if all(t in words or name.startswith(t) for t in text) and licence in ("", allowed) and tag in ("", *tags)
        ][::-1]
        got: list[SignedManifest] = []
        cursor = None
        for _ in range(1000):
            page = store.catalogue.search(" ".join(text), licence=licence, tag=tag, limit=limit, cursor=cursor)
            got += page.models
            assert len(page.models) <= limit
            cursor = page.cursor
            if cursor is None:
                break
        assert got == expected
        assert cursor is None


def test_it_forgets_the_oldest_of_who_says_too_much(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_KNOWN", 5)
    monkeypatch.setattr(bounds, "MAX_KNOWN_PER_PUBLISHER", 3)
    loud = [manifest(f"loud{n}") for n in range(6)]
    quiet = manifest("quiet", key=BOB)
    store.catalogue.put([quiet])
    for signed in loud:
        store.catalogue.put([signed])
    assert found(store) == [loud[5], loud[4], loud[3], quiet]
    more = [manifest(f"more{n}", key=BOB) for n in range(2)]
    store.catalogue.put(more)
    assert store.catalogue.count == 5
    assert found(store) == [more[1], more[0], loud[5], loud[4], loud[3]]  # the oldest of all went


def test_its_bounds(store: Store) -> None:
    with pytest.raises(ValueError, match="the bound is 256"):
        store.catalogue.put([manifest()] * 257)
    with pytest.raises(RecordError):
        store.catalogue.put([SignedManifest(body=b"no manifest", signature=bytes(65))])
    with pytest.raises(RecordError, match="9 words, the bound is 8"):
        store.catalogue.search("a1 b1 c1 d1 e1 f1 g1 h1 i1")
    with pytest.raises(RecordError, match="only signs"):
        store.catalogue.search("!?")
    with pytest.raises(RecordError, match="cursor"):
        store.catalogue.search(cursor=b"short")
    huge = manifest("x", task="t" * 256, licence="l" * 64, description=" ".join(f"w{n}" for n in range(800)))
    longest = manifest("y", description="ю" * 4000)
    store.catalogue.put([huge, longest])
    assert found(store, task="t" * 256) == [huge]
    assert found(store, "w50") == [huge]
    assert found(store, "ю" * 40) == [longest]
    store.catalogue.remove(huge.model)
    assert found(store) == [longest]


def test_a_damaged_entry_hides_no_other_and_can_be_told_again(store: Store) -> None:
    bad, good = manifest("bad"), manifest("good")
    store.catalogue.put([bad, good])
    spoil_record(store, "known", bad.model)
    assert store.catalogue.get(bad.model) is None
    assert found(store) == [good]
    assert store.catalogue.put([bad]) == 1
    assert found(store) == [bad, good]
    assert found(store, "bad") == [bad]
