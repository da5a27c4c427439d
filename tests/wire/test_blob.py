from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.blob import CheckedChunk, Outline, outline_of, read_outline
from wire.bounds import CHUNK, MAX_BLOB
from wire.canonical import encode
from wire.cid import content_hash
from wire.errors import RecordError


@pytest.mark.parametrize("sizes", [[], [1], [CHUNK], [CHUNK, 1], [CHUNK, CHUNK, CHUNK - 1]])
def test_an_outline_names_every_chunk(sizes: list[int]) -> None:
    pieces = [bytes([i]) * size for i, size in enumerate(sizes)]
    outline = outline_of(pieces)
    assert outline.size == sum(sizes)
    assert outline.count == len(sizes)
    assert [outline.chunk(i) for i in range(outline.count)] == [content_hash(p) for p in pieces]
    assert [outline.chunk_bytes(i) for i in range(outline.count)] == sizes
    assert read_outline(encode(outline), outline.hash()) == outline


def test_another_outline_than_the_one_asked_for_is_refused() -> None:
    outline, other = outline_of([b"a"]), outline_of([b"b"])
    with pytest.raises(RecordError, match="do not match the hash"):
        read_outline(encode(other), outline.hash())


@pytest.mark.parametrize(
    "lie",
    [
        Outline(size=0, chunk_size=CHUNK, chunks=bytes(32)),
        Outline(size=1, chunk_size=CHUNK, chunks=b""),
        Outline(size=CHUNK + 1, chunk_size=CHUNK, chunks=bytes(32)),
        Outline(size=CHUNK, chunk_size=CHUNK, chunks=bytes(64)),
        Outline(size=CHUNK, chunk_size=CHUNK, chunks=bytes(33)),
        Outline(size=CHUNK, chunk_size=CHUNK, chunks=bytes(31)),
        Outline(size=1, chunk_size=1, chunks=bytes(32)),
        Outline(size=1, chunk_size=0, chunks=bytes(32)),
        Outline(size=-1, chunk_size=CHUNK, chunks=b""),
        Outline(size=MAX_BLOB + 1, chunk_size=CHUNK, chunks=bytes(32 * (MAX_BLOB // CHUNK + 1))),
    ],
)
def test_an_outline_that_contradicts_itself_is_refused(lie: Outline) -> None:
    with pytest.raises(RecordError):
        read_outline(encode(lie), content_hash(encode(lie)))


def test_the_largest_blob_has_an_outline() -> None:
    largest = Outline(size=MAX_BLOB, chunk_size=CHUNK, chunks=bytes(32 * (MAX_BLOB // CHUNK)))
    assert read_outline(encode(largest), largest.hash()) == largest


def test_pieces_that_are_no_chunks_are_refused() -> None:
    with pytest.raises(RecordError):
        outline_of([b"a", b"b"])


@given(st.binary(max_size=100))
def test_any_bytes_are_an_outline_or_a_record_error(data: bytes) -> None:
    try:
        assert encode(read_outline(data, content_hash(data))) == data
    except RecordError:
        return


def test_a_checked_chunk_is_what_its_hash_says_or_nothing() -> None:
    assert CheckedChunk(content_hash(b"a"), b"a") == (content_hash(b"a"), b"a")
    for data in (b"", b"b", bytes(CHUNK + 1)):
        with pytest.raises(RecordError, match=r"do not match the hash|the bounds are"):
            CheckedChunk(content_hash(data) if data != b"b" else content_hash(b"a"), data)
