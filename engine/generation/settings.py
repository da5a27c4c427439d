"""What a decoder's own files say beside its graph: which tokens end a text, how many positions it was made for.

Source: Hugging Face's generation_config.json, config.json and tokenizer_config.json, read in this order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..bounds import MAX_CONTEXT, MAX_SETTINGS
from ..interface import SIDE_FILES

if TYPE_CHECKING:
    from ..tokeniser import Tokeniser

_LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx")


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """`ends`: ids that end a text; `context`: how many positions prompt and new tokens may take together."""

    ends: frozenset[int]
    context: int


def read_settings(files: Mapping[str, bytes], tokeniser: Tokeniser | None) -> DecoderSettings:
    """The settings in the files that are there; what is missing or unfit is passed over, for a graph needs none."""
    generation, config, names = (_read(files.get(name, b"")) for name in SIDE_FILES[1:])
    ends = _ids(generation.get("eos_token_id")) or _ids(config.get("eos_token_id"))
    end = names.get("eos_token")
    end = end.get("content") if isinstance(end, dict) else end
    if not ends and tokeniser and isinstance(end, str) and (found := tokeniser.id_of(end)) is not None:
        ends = frozenset((found,))
    lengths = [n for name in _LENGTHS if isinstance(n := config.get(name), int) and 0 < n <= MAX_CONTEXT]
    return DecoderSettings(ends, lengths[0] if lengths else MAX_CONTEXT)


def _ids(value: Any) -> frozenset[int]:
    values = value if isinstance(value, list) else [value]
    return frozenset(v for v in values if isinstance(v, int))


def _read(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data) if len(data) <= MAX_SETTINGS else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}
