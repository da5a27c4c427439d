"""JSON that somebody else wrote. Python's parser goes down a level of the C stack for each bracket, and some libraries
raise the interpreter's limit on that: so how deep it goes is asked before."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .errors import RecordError

MAX_NESTING = 32
_BRACKETS = re.compile(rb"[\[\]{}]")


def read_json(
    data: bytes, most: int, name: str, pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None
) -> Any:
    """The value in `data`; `pairs` makes its objects. RecordError, which says `name`, when it is no JSON, has more than
    `most` bytes, or is nested deeper than `MAX_NESTING`."""
    if len(data) > most:
        raise RecordError(f"{name} has {len(data)} bytes, the bound is {most}")
    if _nesting(data) > MAX_NESTING:
        raise RecordError(f"{name} is nested deeper than {MAX_NESTING} levels")
    try:
        return json.loads(data, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{name} is no JSON: {error}") from error


def _nesting(data: bytes) -> int:
    """How deep the brackets go at the most; brackets within texts are counted too."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(data):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
