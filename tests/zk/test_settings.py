"""settings.json: what is bound, or one named error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.zk.settings import CircuitSettings, read_settings
from wire.errors import RecordError

from .world import World

GOOD = {
    "run_args": {
        "input_visibility": "Public", "output_visibility": "Public", "param_visibility": "Fixed", "logrows": 9,
    },
    "model_input_scales": [13], "model_output_scales": [13],
}  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_ezkl_s_own_file_is_read(fixed: World, committed: World) -> None:
    assert read_settings(fixed.settings) == CircuitSettings(9, "fixed", (13,), (13,))
    assert read_settings(committed.settings).visibility == "polycommit"


def test_a_key_that_stands_twice_is_refused() -> None:
    text = json.dumps(GOOD)
    read_settings(text.encode())
    with pytest.raises(RecordError):
        read_settings(text.replace('"logrows": 9', '"logrows": 9, "logrows": 10').encode())


@given(st.binary(max_size=64) | values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_settings_or_a_named_error(data: bytes) -> None:
    with pytest.raises(RecordError):
        read_settings(data)


@given(
    st.sampled_from([("run_args",), ("model_input_scales",), ("model_output_scales",)])
    | st.sampled_from([("run_args", name) for name in GOOD["run_args"]]),
    values,
)
def test_anything_in_any_place_is_settings_or_a_named_error(place: tuple[str, ...], found: object) -> None:
    bent = json.loads(json.dumps(GOOD))
    (bent if len(place) == 1 else bent["run_args"])[place[-1]] = found
    try:
        settings = read_settings(json.dumps(bent).encode())
    except RecordError:
        return
    assert 1 <= settings.logrows <= 20
    assert settings.visibility in ("fixed", "polycommit")


def test_deep_nesting_is_a_named_error() -> None:
    with pytest.raises(RecordError):
        read_settings(b"[" * 100_000)
