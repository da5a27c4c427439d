"""EZKL's settings.json as far as a check depends on it. The file is kept byte for byte: its order changes the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wire.circuit import MAX_LOGROWS, MAX_SCALE, MAX_SETTINGS, Visibility
from wire.errors import RecordError
from wire.jsontext import read_json

_HELD: dict[str, Visibility] = {"Fixed": "fixed", "KZGCommit": "polycommit"}


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """What a proof shows, and how: all of it is public but the weights, which are bound as `visibility` says."""

    logrows: int
    visibility: Visibility
    input_scales: tuple[int, ...]
    output_scales: tuple[int, ...]


def read_settings(data: bytes) -> CircuitSettings:
    """The settings; RecordError when they are none, or leave anything unbound that a proof must bind."""
    found = read_json(data, MAX_SETTINGS, "settings.json", _once)
    try:
        arguments = found["run_args"]
        shown = (arguments["input_visibility"], arguments["output_visibility"])
        held, logrows = arguments["param_visibility"], arguments["logrows"]
        scales = [tuple(found[f"model_{side}_scales"]) for side in ("input", "output")]
    except (KeyError, TypeError) as error:
        raise RecordError("settings.json is not what EZKL writes") from error
    if shown != ("Public", "Public"):
        raise RecordError("settings.json: inputs and outputs are not both public, so a proof would say nothing of them")
    if not isinstance(held, str) or held not in _HELD:
        raise RecordError("settings.json: the weights are neither fixed nor committed to, so any would do")
    numbers = (logrows, *scales[0], *scales[1])
    if any(type(number) is not int for number in numbers) or not 1 <= logrows <= MAX_LOGROWS:
        raise RecordError("settings.json: its sizes and scales are no numbers within their bounds")
    if any(not 0 <= scale <= MAX_SCALE for scale in numbers[1:]):
        raise RecordError("settings.json: its sizes and scales are no numbers within their bounds")
    return CircuitSettings(logrows, _HELD[held], *scales)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once: of two, another reader might take the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
