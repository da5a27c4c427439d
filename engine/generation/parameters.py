"""What a generator is asked: read from the request's tensors, every number held against its bound."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from wire.errors import RecordError
from wire.generation import INPUT_IDS
from wire.tensors import Tensor, split_bytes

from ..bounds import MAX_NEW_TOKENS, MAX_PROMPT, MAX_PROMPT_BYTES, MAX_STOP, MAX_STOPS, MAX_TEMPERATURE
from ..errors import ModelFailed


@dataclass(frozen=True, slots=True)
class Parameters:
    """How to draw, and when to end. `temperature` 0 is greedy, `top_k` 0 and `top_p` 1 are off."""

    max_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """One request: a text, or the ids of one, and its parameters."""

    prompt: str | tuple[int, ...]
    parameters: Parameters


def read_wish(inputs: Sequence[Tensor]) -> Wish:
    """The request in a generator's inputs, whose headers fit its signature; ModelFailed names what is out of bounds."""
    prompt, *rest, stop = inputs
    max_tokens, temperature, top_k, top_p, seed = (
        struct.unpack(f"<{code}", tensor.data)[0] for code, tensor in zip("ififQ", rest, strict=True)
    )
    _demand(1 <= max_tokens <= MAX_NEW_TOKENS, f"max_tokens is 1 to {MAX_NEW_TOKENS}, not {max_tokens}")
    fair = math.isfinite(temperature) and 0 <= temperature <= MAX_TEMPERATURE
    _demand(fair, f"temperature is 0 (greedy) to {MAX_TEMPERATURE:g}, not {temperature:g}")
    _demand(top_k >= 0, f"top_k is 0 (off) or more, not {top_k}")
    _demand(0 < top_p <= 1, f"top_p is above 0 and at most 1 (off), not {top_p:g}")  # also refuses NaN
    return Wish(
        _ids(prompt) if prompt.name == INPUT_IDS.name else _text(prompt, MAX_PROMPT_BYTES, 1)[0],
        Parameters(max_tokens, temperature, top_k, top_p, seed, _text(stop, MAX_STOP, MAX_STOPS)),
    )


def _ids(tensor: Tensor) -> tuple[int, ...]:
    count = len(tensor.data) // 8
    _demand(1 <= count <= MAX_PROMPT, f"a prompt has 1 to {MAX_PROMPT} tokens, not {count}")
    ids: tuple[int, ...] = struct.unpack(f"<{count}q", tensor.data)
    _demand(min(ids) >= 0 and max(ids) < 2**31, "a token's id is 0 or more, and below 2**31")
    return ids


def _text(tensor: Tensor, most: int, count: int) -> tuple[str, ...]:
    try:
        elements = split_bytes(tensor.data)
        _demand(len(elements) <= count, f"{tensor.name} has up to {count} elements, not {len(elements)}")
        _demand(all(len(e) <= most for e in elements), f"{tensor.name} is over {most} bytes; shorten it")
        _demand(all(elements), f"{tensor.name} is empty; say something")
        return tuple(element.decode() for element in elements)
    except (RecordError, UnicodeDecodeError) as error:
        raise ModelFailed(f"{tensor.name} is not UTF-8 text") from error


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise ModelFailed(sentence)
