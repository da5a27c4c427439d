"""What is asked of a generator: read exactly, and refused with a sentence beyond its bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.bounds import MAX_NEW_TOKENS, MAX_PROMPT, MAX_PROMPT_BYTES, MAX_STOP, MAX_TEMPERATURE
from engine.errors import ModelFailed
from engine.generation.parameters import Parameters, read_wish
from wire.generation import generator_signature
from wire.tensors import Tensor, check_headers, join_bytes

from .asking import asking


@pytest.mark.parametrize("has_text", [True, False])
def test_a_request_is_read_as_it_was_meant(has_text: bool) -> None:
    inputs = asking(
        "Grüße" if has_text else [3, 1, 2], 7, temperature=0.5, top_k=9, top_p=0.25, seed=2**64 - 1, stop=["\n", "雪"]
    )
    check_headers([t.header for t in inputs], generator_signature(has_text=has_text)[0], "inputs")
    wish = read_wish(inputs)
    assert wish.prompt == ("Grüße" if has_text else (3, 1, 2))
    assert wish.parameters == Parameters(7, 0.5, 9, 0.25, 2**64 - 1, ("\n", "雪"))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"max_tokens": 0}, "max_tokens is 1 to"),
        ({"max_tokens": -(2**31)}, "max_tokens"),
        ({"max_tokens": MAX_NEW_TOKENS + 1}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": MAX_TEMPERATURE * 1.01}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.001}, "top_p"),
        ({"top_p": math.nan}, "top_p"),
        ({"stop": ["x"] * 9}, "up to 8"),
        ({"stop": ["x", ""]}, "stop is empty"),
        ({"stop": ["x" * (MAX_STOP + 1)]}, "over 256 bytes"),
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": "x" * (MAX_PROMPT_BYTES + 1)}, "prompt is over"),
        ({"prompt": ()}, "1 to"),
        ({"prompt": [0] * (MAX_PROMPT + 1)}, "1 to"),
        ({"prompt": [1, -1]}, "id"),
        ({"prompt": [2**31]}, "id"),
    ],
)
def test_what_is_out_of_bounds_is_named(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ModelFailed, match=match):
        read_wish(asking(**{"prompt": "x", **changes}))


def test_what_is_no_text_is_refused() -> None:
    inputs = asking("x")
    for at, name in ((0, "prompt"), (6, "stop")):
        broken = [*inputs]
        broken[at] = Tensor.of(name, "BYTES", (1,), join_bytes([b"\xff"]))
        with pytest.raises(ModelFailed, match=f"{name} is not UTF-8"):
            read_wish(broken)
