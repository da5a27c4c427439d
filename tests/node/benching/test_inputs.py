from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.benching.inputs import DIMS, NARROW, WIDE, draw, sizes
from node.errors import CommandError
from wire.arrays import to_array
from wire.tensors import DataType, TensorSpec, check_headers, tensor_set

MODEL = b"\7" * 32
EVERY = [TensorSpec(name=f"x{kind}", datatype=kind, shape=("batch", 3)) for kind in get_args(DataType)]


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.datatype)
def test_each_datatype_is_drawn_as_the_model_takes_it(spec: TensorSpec) -> None:
    shapes = sizes([spec], {"batch": 4})
    drawn = [draw(MODEL, number, [spec], shapes, WIDE) for number in range(3)]
    for tensors in drawn:
        check_headers([t.header for t in tensors], [spec], "inputs")
        for tensor in tensors:
            tensor.check()
            assert tensor.header.shape == (4, 3)
    hashes = {tensor_set(tensors).hash() for tensors in drawn}
    assert len(hashes) == 3
    assert {tensor_set(draw(MODEL, n, [spec], shapes, WIDE)).hash() for n in range(3)} == hashes
    assert tensor_set(draw(bytes(32), 0, [spec], shapes, WIDE)).hash() not in hashes


@given(st.integers(0, 2**40), st.sampled_from([WIDE, NARROW]))
def test_whole_numbers_stay_below_what_was_asked(number: int, below: int) -> None:
    spec = TensorSpec(name="i", datatype="INT8", shape=(50,))
    (tensor,) = draw(MODEL, number, [spec], sizes([spec], {}), below)
    assert 0 <= to_array(tensor).min() <= to_array(tensor).max() < below


def test_free_dims_are_the_users_then_the_tables_then_one() -> None:
    specs = [TensorSpec(name="x", datatype="FP32", shape=("N", "Height", 5, "seq"))]
    assert sizes(specs, {}) == [(1, DIMS["height"], 5, DIMS["seq"])]
    assert sizes(specs, {"N": 8, "seq": 3}) == [(8, DIMS["height"], 5, 3)]


def test_a_dim_the_model_lacks_and_a_request_beyond_the_bound_are_sentences() -> None:
    specs = [TensorSpec(name="x", datatype="FP32", shape=("N", 4))]
    with pytest.raises(CommandError, match="no free dim 'M'"):
        sizes(specs, {"M": 1})
    with pytest.raises(CommandError, match="the bound is"):
        sizes(specs, {"N": 2**30})
    with pytest.raises(CommandError, match="no free dim"):
        sizes([TensorSpec(name="x", datatype="FP32", shape=(4,))], {"N": 1})


def test_a_generator_is_asked_for_answers_of_one_length() -> None:
    specs = [
        TensorSpec(name="max_tokens", datatype="INT32", shape=(1,)),
        TensorSpec(name="temperature", datatype="FP32", shape=(1,)),
        TensorSpec(name="top_p", datatype="FP32", shape=(1,)),
        TensorSpec(name="stop", datatype="BYTES", shape=("stops",)),
    ]
    tensors = draw(MODEL, 0, specs, sizes(specs, {}), WIDE)
    assert [to_array(t).tolist() for t in tensors] == [[32], [0.0], [1.0], []]
