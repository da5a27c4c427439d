"""Openings: what was sealed fits and nothing else does; and who did not compute it is found out, and nobody else."""

from __future__ import annotations

import dataclasses
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import bent, floats, key_of, some_hash
from verify import openings
from verify.openings import Outputs, accepting_fault, place_of, sealed_fault
from verify.tolerance import compare
from wire.arrays import from_array
from wire.errors import RecordError
from wire.tensors import Tensor, join_bytes
from wire.vote import BLOCK, MAX_PATH, WHOLE, Opening

KEY = key_of("verifier 0").public
TOLERANCE = 1e-5
sizes = st.lists(st.integers(0, 3 * BLOCK), min_size=1, max_size=6)


def raw(*lengths: int) -> Outputs:
    """One UINT8 tensor of each length, no two blocks alike."""
    made = np.random.default_rng(sum(lengths))
    return Outputs([from_array(f"t{i}", made.integers(0, 255, n, dtype=np.uint8)) for i, n in enumerate(lengths)])


def wide(*changes: tuple[int, float], count: int = 4096) -> Outputs:
    """FP32 of 16 blocks, the largest value 8 in block 0; some elements changed."""
    values = np.linspace(-1, 1, count, dtype=np.float32)
    values[0] = 8
    for at, value in changes:
        values[at] = value
    return Outputs([from_array("y", values)])


def fault(own: Outputs, answer: Outputs, place: int) -> str | None:
    return accepting_fault(own.opened(place), place, answer, TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(sizes, st.binary(min_size=32, max_size=32))
def test_what_was_sealed_opens_at_every_place(lengths: list[int], receipt: bytes) -> None:
    own = raw(*lengths)
    assert len(own) == sum(math.ceil(n / BLOCK) for n in lengths)
    place = place_of(receipt, KEY, len(own))
    assert 0 <= place < max(1, len(own))
    for at in {place, 0, max(0, len(own) - 1)}:
        opening = own.opened(at)
        assert sealed_fault(own.root, opening, at) is None
        assert len(opening.path) <= MAX_PATH
        assert (len(opening.blocks) == len(own)) == (own.size <= WHOLE)
        assert accepting_fault(opening, at, own, 0.0) is None


@settings(max_examples=80, deadline=None)
@given(sizes, st.data())
def test_nothing_else_does(lengths: list[int], data: st.DataObject) -> None:
    own = raw(*lengths, 2 * BLOCK)
    place = data.draw(st.integers(0, len(own) - 1))
    good = own.opened(place)
    blocks, path = good.blocks, good.path
    flipped = bytes([blocks[0][0] ^ 1]) + blocks[0][1:]
    bad = [
        bent(good, blocks=(flipped, *blocks[1:])),
        bent(good, blocks=(blocks[0][:-1] or b"\0\0", *blocks[1:])),
        bent(good, blocks=()),
        bent(good, blocks=(*blocks, b"x")),
        bent(good, count=good.count + 1),
        bent(good, count=good.count - 1),
        bent(good, path=(*path, bytes(32))),
    ]
    if path:
        bad += [bent(good, path=path[1:]), bent(good, path=(some_hash("x"), *path[1:])), bent(good, path=())]
    for opening in bad:
        assert sealed_fault(own.root, opening, place) is not None
    assert sealed_fault(some_hash("another"), good, place) is not None


def test_another_block_than_the_drawn_one_does_not_open() -> None:
    own = wide()
    for place in range(len(own)):
        assert [at for at in range(len(own)) if sealed_fault(own.root, own.opened(at), place) is None] == [place]


def test_large_outputs_are_not_opened_whole_nor_small_ones_in_part() -> None:
    large, small = wide(), wide(count=1024)
    everything = Opening(count=16, blocks=tuple(large[i] for i in range(16)), path=())
    assert sealed_fault(large.root, everything, 0) == "it opens more than it should"
    part = Opening(count=4, blocks=(small[0],), path=())
    assert "another size" in str(accepting_fault(part, 0, small, TOLERANCE))
    assert "neither" in str(sealed_fault(small.root, bent(part, blocks=(small[0], small[1])), 0))


def test_the_tree_of_the_docstring() -> None:
    own = raw(2 * BLOCK + 7)

    def leaf(i: int) -> bytes:
        return openings.content_hash(b"\0" + own[i])

    top = openings.content_hash(b"\1" + openings.content_hash(b"\1" + leaf(0) + leaf(1)) + leaf(2))
    assert own.root == openings.content_hash(b"\2" + (3).to_bytes(8, "big") + top)
    assert raw(0).root == openings.content_hash(b"\2" + bytes(8))


def test_a_block_never_reaches_over_two_tensors() -> None:
    own = raw(1, BLOCK + 1, 0, 2)
    assert [len(own[i]) for i in range(len(own))] == [1, BLOCK, 1, 2]


def test_who_is_near_passes_and_who_is_far_does_not_wherever_the_place() -> None:
    answer = wide()
    near, far = wide((700, answer_at(700) + 7e-5)), wide((700, answer_at(700) + 9e-5))
    assert [fault(near, answer, at) for at in range(16)] == [None] * 16
    found = [fault(far, answer, at) for at in range(16)]
    assert [at for at, wrong in enumerate(found) if wrong] == [700 // 256]
    assert "beyond the tolerance" in str(found[2])


def answer_at(index: int) -> float:
    (value,) = struct.unpack_from("<f", wide()[index // 256], index % 256 * 4)
    return float(value)


def test_the_honest_measure_is_never_stricter_than_this_one() -> None:
    """Relative to its own largest value a member may be a tolerance away, the largest value itself included."""
    answer = wide((0, 8 * (1 - 0.97 * TOLERANCE)))
    own = wide((700, answer_at(700) + 8 * TOLERANCE * 0.99))
    assert compare(own.tensors, answer.tensors, TOLERANCE).agrees
    assert all(fault(own, answer, at) is None for at in range(16))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_accepted(bad: float) -> None:
    for own, answer in ((wide((300, bad)), wide()), (wide(), wide((300, bad))), (wide((300, bad)), wide((300, bad)))):
        assert fault(own, answer, 1) is not None
    # and an answer that holds it anywhere has no scale
    assert fault(wide((5, 0.1)), wide((4000, bad)), 0) is not None


def test_noise_and_zeros_do_not_pass_for_an_answer() -> None:
    noise = Outputs([from_array("y", np.random.default_rng(1).standard_normal(4096).astype(np.float32))])
    for lazy in (noise, Outputs([from_array("y", np.zeros(4096, np.float32))])):
        assert all(fault(lazy, wide(), at) for at in range(16))


def test_every_float_type_is_read_as_it_is() -> None:
    made = np.array([1.0, -2.0, 0.5, 0.0])
    for kind in ("<f2", "<f4", "<f8"):
        own = Outputs([from_array("y", made.astype(kind))])
        assert own.largest(0) == 2.0
        assert fault(own, own, 0) is None
        assert fault(Outputs([from_array("y", (made + 0.01).astype(kind))]), own, 0) is not None
    bits = np.array([0x3F80, 0xC000, 0x3F00], dtype=np.uint16)  # 1, -2, 0.5
    brain = Outputs([from_array("y", bits, "BF16")])
    assert brain.largest(0) == 2.0
    assert fault(brain, brain, 0) is None
    assert fault(Outputs([from_array("y", bits + np.uint16(1), "BF16")]), brain, 0) is not None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_the_largest_value_is_numpys(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    expected, own = float(np.abs(array).max()), Outputs([from_array("y", array)])
    own.measure()
    assert own.largest(0) == expected or (math.isnan(expected) and not math.isfinite(own.largest(0)))


def test_the_largest_value_is_looked_for_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "LARGEST_AT_ONCE", 64)
    assert wide((4000, -99.0)).largest(0) == 99.0


def test_other_types_are_equal_to_the_byte() -> None:
    ids = Outputs([from_array("ids", np.arange(4, dtype=np.int64))])
    texts = Outputs([Tensor.of("text", "BYTES", (2,), join_bytes([b"a", b"bc"]))])
    assert fault(ids, ids, 0) is None
    assert fault(texts, texts, 0) is None
    assert "another thing" in str(fault(Outputs([from_array("ids", np.arange(1, 5, dtype=np.int64))]), ids, 0))
    other = Outputs([Tensor.of("text", "BYTES", (2,), join_bytes([b"b", b"bc"]))])
    assert "another thing" in str(fault(other, texts, 0))


def test_outputs_of_other_sizes_are_not_accepted() -> None:
    answer = Outputs([floats("a", 1.0, 2.0), floats("b", 3.0)])
    for own in ([floats("a", 1.0, 2.0)], [floats("a", 1.0), floats("b", 2.0, 3.0)], []):
        assert fault(Outputs(own), answer, 0) is not None


def test_a_tensor_that_lies_about_its_size_is_refused() -> None:
    whole = floats("y", 1.0, 2.0)
    with pytest.raises(RecordError):
        Outputs([dataclasses.replace(whole, data=bytes(whole.data)[:-1])])


def test_who_opens_is_drawn_for_each_receipt_and_key() -> None:
    places = {place_of(some_hash(f"receipt {i}"), key_of(f"v{j}").public, 65536) for i in range(16) for j in range(16)}
    assert len(places) > 250
