"""Reading everything back: what is damaged is found, kept apart, and comes back when it is mended."""

from __future__ import annotations

import io
from pathlib import Path

from storage import ModelState, Store, Verified, open_store
from wire.bounds import CHUNK
from wire.cid import content_hash

from .made import ALICE, manifest, model_of, name_record, named, piece, receipt_file
from .test_blobs import spoil
from .test_collection import spoil_record


def verified(store: Store) -> Verified:
    return list(store.verification())[-1]


def keep_words_of_others(store: Store) -> None:
    store.catalogue.put([manifest()])
    store.names.put(name_record(named("1.0.0", manifest().model)))
    store.seen.add({manifest().model: (1, 2)})


def test_a_healthy_store(store: Store) -> None:
    assert verified(store) == Verified()
    store.blobs.add(io.BytesIO(piece(1) + piece(2) + piece(3, 7)))
    store.models.put(manifest())
    store.receipts.put(*receipt_file(1))
    store.ballots.put(bytes(32), b"word", 1)
    keep_words_of_others(store)
    assert verified(store) == Verified(chunks=3, total=3, size=2 * CHUNK + 7)


def test_a_damaged_chunk_is_missing_from_then_on_until_it_is_put_again(path: Path) -> None:
    digest = content_hash(piece(2))
    with open_store(path) as store:
        outline = store.blobs.add(io.BytesIO(piece(1) + piece(2)))
        signed = model_of(outline.hash())
        store.models.put(signed)
        spoil(store, digest)
        assert store.missing(outline) == []  # nobody read it yet
        assert verified(store).damaged == 1
        assert store.missing(outline) == [1]
        assert store.chunk(digest) is None
        assert store.blobs.statistics().damaged == 1
    with open_store(path) as store:  # nor does a restart forget
        assert store.missing(outline) == [1]
        assert store.blobs.statistics().damaged == 1
        assert store.states() == [ModelState(signed.model, signed, (outline.hash(),), damaged=1, missing=1)]
        assert verified(store).damaged == 1
        store.blobs.put_chunks([(digest, piece(2))])
        assert store.blobs.statistics().damaged == 0
        assert store.states() == [ModelState(signed.model, signed, (), 0, 0)]
        assert verified(store) == Verified(chunks=2, total=2, size=2 * CHUNK)


def test_what_reads_well_again_comes_back(store: Store) -> None:
    """As after a failing cable: the bytes on disk were right all along."""
    outline = store.blobs.add(io.BytesIO(piece(1)))
    spoil(store, outline.chunk(0))
    assert store.chunk(outline.chunk(0)) is None
    assert verified(store).damaged == 1
    spoil(store, outline.chunk(0))  # a second time: the bit flips back
    assert store.missing(outline) == [0]
    assert (verified(store).restored, verified(store).restored) == (1, 0)
    assert store.missing(outline) == []


def test_what_reading_found_before_is_counted_once(store: Store) -> None:
    outline = store.blobs.add(io.BytesIO(piece(1)))
    spoil(store, outline.chunk(0))
    for _ in range(2):
        assert store.chunk(outline.chunk(0)) is None
        assert store.blobs.statistics().damaged == 1
        assert verified(store).damaged == 1


def test_a_quarantined_chunk_that_nobody_needs_is_collected(store: Store) -> None:
    outline = store.blobs.add(io.BytesIO(piece(1) + piece(2)))
    spoil(store, outline.chunk(0))
    verified(store)
    freed = list(store.collection())[-1]
    assert (freed.chunks, freed.size) == (2, CHUNK)
    assert store.blobs.statistics().damaged == 0


def test_records_are_read_back_as_well(store: Store) -> None:
    outline = store.blobs.add(io.BytesIO(piece(1)))
    signed, (digest, data) = model_of(outline.hash()), receipt_file(1)
    store.models.put(signed)
    store.receipts.put(digest, data)
    store.ballots.put(b"r" * 32, b"word", 1)
    for table, key in (("outlines", outline.hash()), ("receipts", digest), ("ballots", b"r" * 32)):
        spoil_record(store, table, key)
    found = verified(store)
    assert (found.outlines, found.receipts, found.ballots, found.damaged) == (1, (digest,), 1, 0)
    assert store.states() == [ModelState(signed.model, signed, (outline.hash(),), 0, 0)]
    spoil_record(store, "models", signed.model)
    assert store.states() == [ModelState(signed.model, None, (), 0, 0)]


def test_the_words_of_others_are_read_back_as_well(store: Store) -> None:
    keep_words_of_others(store)
    model = manifest().model
    for table, key in (("known", model), ("name_records", ALICE.address + b"digits"), ("counts", model)):
        spoil_record(store, table, key)
    assert verified(store) == Verified(known=1, names=1, counts=1)
    keep_words_of_others(store)  # told again
    assert verified(store) == Verified()


async def test_it_runs_beside_the_others(store: Store) -> None:
    store.blobs.add(io.BytesIO(b"".join(piece(n) for n in range(130))))
    seen: list[int] = []
    found = await store.verify(lambda step: seen.append(step.chunks))
    assert seen[:3] == [64, 128, 130]
    assert found == Verified(chunks=130, total=130, size=130 * CHUNK)
