"""Agreement between two executions: within the tolerance, exact where it must be, closed to what is not finite."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import floats
from verify import tolerance
from verify.distance import INCOMPARABLE, bucket
from verify.tolerance import compare
from wire.arrays import from_array
from wire.errors import RecordError
from wire.tensors import Tensor, TensorHeader, join_bytes


def ints(*values: int) -> Tensor:
    return from_array("ids", np.array(values, dtype=np.int64))


def test_identical_bits_are_distance_zero() -> None:
    found = compare([floats("y", 1.0, -2.0), ints(1, 2)], [floats("y", 1.0, -2.0), ints(1, 2)], 0.0)
    assert (found.agrees, found.distance) == (True, 0)


@pytest.mark.parametrize(("delta", "agrees"), [(0.9e-5, True), (1.1e-5, False), (-0.9e-5, True), (-1.1e-5, False)])
def test_the_largest_difference_counts_against_the_largest_own_value(delta: float, agrees: bool) -> None:
    own, other = np.array([8.0, 1e-9]), np.array([8.0, 1e-9 + 8 * delta])
    found = compare([from_array("y", own)], [from_array("y", other)], 1e-5)
    assert (found.agrees, found.distance) == (agrees, bucket(abs(delta)))
    assert "y" in found.reason or agrees


def test_the_scale_is_the_verifiers_own() -> None:
    """A provider can't blow its own numbers up to make room."""
    assert not compare([floats("y", 1.0)], [floats("y", 1e9)], 0.5).agrees
    assert compare([floats("y", 1.0)], [floats("y", 1.4)], 0.5).agrees


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("sides", ["own", "other", "both"])
@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8"])
def test_what_is_not_finite_fails_closed_on_either_side_and_on_both(bad: float, sides: str, kind: str) -> None:
    good, spoilt = np.array([1.0, 2.0], dtype=kind), np.array([1.0, bad], dtype=kind)
    own, other = (spoilt if sides != "other" else good), (spoilt if sides != "own" else good)
    found = compare([from_array("y", own)], [from_array("y", other)], 1.0)
    assert (found.agrees, found.distance) == (False, INCOMPARABLE)


def test_bf16_is_widened_and_its_nan_seen() -> None:
    def bf16(*bits: int) -> Tensor:
        return from_array("y", np.array(bits, dtype=np.uint16), "BF16")

    assert compare([bf16(0x3F80)], [bf16(0x3F80)], 0.0).agrees
    assert compare([bf16(0x3F80)], [bf16(0x3F81)], 0.01).agrees  # 1.0 and 1.0078125
    assert not compare([bf16(0x3F80)], [bf16(0x3F81)], 0.005).agrees
    assert not compare([bf16(0x7FC0)], [bf16(0x7FC0)], 1.0).agrees


def test_an_all_zero_reference_is_matched_only_by_zeros() -> None:
    zeros = floats("y", 0.0, 0.0)
    assert compare([zeros], [floats("y", -0.0, 0.0)], 0.0) == tolerance.Comparison(
        True, 1, "the same within 0.0e+00, the tolerance is 0"
    )
    found = compare([zeros], [floats("y", 1e-30, 0.0)], 1.0)
    assert (found.agrees, found.distance) == (False, INCOMPARABLE)


def test_finite_numbers_infinitely_far_apart_disagree() -> None:
    own, other = np.array([1.7e308]), np.array([-1.7e308])
    assert not compare([from_array("y", own)], [from_array("y", other)], 1.0).agrees


def test_what_is_no_float_must_be_equal() -> None:
    assert not compare([ints(1, 2)], [ints(1, 3)], 1.0).agrees
    yes, no = (from_array("b", np.array([v])) for v in (True, False))
    assert compare([yes], [yes], 0.0).agrees
    assert not compare([yes], [no], 1.0).agrees
    a, b = (Tensor.of("t", "BYTES", (1,), join_bytes([v])) for v in (b"cat", b"dog"))
    assert compare([a], [a], 0.0).agrees
    assert not compare([a], [b], 1.0).agrees


def test_names_types_shapes_and_counts_must_be_alike() -> None:
    y = floats("y", 1.0, 2.0)
    others = [
        [],
        [y, y],
        [floats("z", 1.0, 2.0)],
        [floats("y", 1.0, 2.0, 3.0)],
        [from_array("y", np.array([[1.0, 2.0]]))],
        [from_array("y", np.array([1.0, 2.0], dtype=np.float32))],
    ]
    for other in others:
        found = compare([y], other, 1.0)
        assert (found.agrees, found.distance) == (False, INCOMPARABLE)


def test_the_worst_tensor_decides_and_every_tensor_is_looked_at() -> None:
    own = [floats("a", 1.0), floats("b", 1.0)]
    found = compare(own, [floats("a", 1.0 + 2e-6), floats("b", 1.0)], 1e-5)
    assert (found.agrees, found.distance) == (True, bucket(2e-6))
    assert not compare(own, [floats("a", 1.0), floats("b", 1.1)], 1e-5).agrees


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    own = np.linspace(-3, 3, 1000, dtype=np.float32)
    other = own.copy()
    other[-1] += 1e-4
    whole = compare([from_array("y", own)], [from_array("y", other)], 1e-5)
    monkeypatch.setattr(tolerance, "BLOCK", 7)
    assert compare([from_array("y", own)], [from_array("y", other)], 1e-5) == whole
    assert not whole.agrees


def test_empty_tensors_agree() -> None:
    empty = from_array("y", np.zeros((0, 3), dtype=np.float32))
    assert compare([empty], [empty], 0.0).agrees


def test_a_header_that_lies_is_an_error() -> None:
    lie = Tensor(TensorHeader(name="y", shape=(2,), datatype="FP32", binary_data_size=8), b"1234")
    with pytest.raises(RecordError):
        compare([lie], [lie], 1.0)


@settings(max_examples=60, deadline=None)
@given(st.floats(min_value=0.0, allow_nan=False), st.floats(min_value=0.0, allow_nan=False))
def test_buckets_never_fall_as_distance_grows(a: float, b: float) -> None:
    assert bucket(min(a, b)) <= bucket(max(a, b))
    assert 1 <= bucket(a) <= 255
    assert bucket(a) < 255 or a == float("inf")


def test_the_buckets_edges() -> None:
    pairs = [(0.0, 1), (1e-12, 1), (9e-12, 1), (1e-11, 2), (2.5e-7, 6), (1e-6, 7), (1e-5, 8), (1.0, 13), (1e300, 254)]
    assert [bucket(value) for value, _ in pairs] == [expected for _, expected in pairs]
    assert bucket(float("inf")) == bucket(float("nan")) == bucket(-1.0) == 255
