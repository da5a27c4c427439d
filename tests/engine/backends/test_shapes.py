"""Optimisation profiles: what an engine is built for, and which inputs it takes. No TensorRT here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backends.tensorrt.shapes import Dim, check_shape, ranges_of
from engine.errors import BeyondHere, ModelFailed
from engine.messages import Sizes

DIMS = st.lists(st.one_of(st.integers(1, 9), st.sampled_from(["N", "seq", "other"]), st.none()), max_size=4)


@given(
    inputs=st.dictionaries(st.sampled_from("abc"), DIMS, min_size=1),
    rows=st.integers(1, 1024),
    length=st.integers(1, 1 << 20),
)
def test_every_range_is_one_that_an_engine_can_be_built_for(
    inputs: dict[str, list[Dim]], rows: int, length: int
) -> None:
    ranges = ranges_of(inputs, Sizes(rows=rows, length=length))
    assert ranges.keys() == inputs.keys()
    by_name: dict[str, set[tuple[int, int, int]]] = {}
    for name, dims in inputs.items():
        built = ranges[name]
        assert len(built.least) == len(built.usual) == len(built.most) == len(dims)
        for dim, *ends in zip(dims, built.least, built.usual, built.most, strict=True):
            assert 1 <= ends[0] <= ends[1] <= ends[2]
            if isinstance(dim, int):
                assert set(ends) == {dim}
            elif dim is not None:
                by_name.setdefault(dim, set()).add((ends[0], ends[1], ends[2]))
        assert built.is_free == (built.least != built.most)
        for shape in (built.least, built.usual, built.most):
            check_shape(name, shape, built)
    assert all(len(found) == 1 for found in by_name.values()), "one name, one size, wherever it stands"


def test_rows_go_as_far_as_requests_are_joined_and_lengths_as_far_as_configured() -> None:
    inputs: dict[str, list[Dim]] = {"ids": ["batch", "seq"], "mask": ["batch", "seq"], "turned": ["seq2", "batch"]}
    ranges = ranges_of(inputs, Sizes(rows=64, length=512))
    assert (ranges["ids"].least, ranges["ids"].usual, ranges["ids"].most) == ((1, 1), (64, 128), (64, 512))
    assert ranges["mask"] == ranges["ids"]
    assert ranges["turned"].most == (64, 64)  # the batch is rows also where it stands second


def test_what_is_too_large_is_beyond_this_peer_and_what_is_empty_beyond_all() -> None:
    built = ranges_of({"x": ["N", 3]}, Sizes(rows=8, length=1))["x"]
    check_shape("x", (8, 3), built)
    with pytest.raises(BeyondHere, match=r"built for up to \[8, 3\]; send less at once, or ask another peer"):
        check_shape("x", (9, 3), built)
    with pytest.raises(ModelFailed, match="size 0") as empty:
        check_shape("x", (0, 3), built)
    assert not isinstance(empty.value, BeyondHere)
