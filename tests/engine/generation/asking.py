"""A generator's inputs, as a node would make them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from wire.tensors import Tensor, join_bytes


def asking(
    prompt: str | Sequence[int],
    max_tokens: int = 8,
    *,
    temperature: float = 0,
    top_k: int = 0,
    top_p: float = 1,
    seed: int = 0,
    stop: Sequence[str] = (),
) -> list[Tensor]:
    if isinstance(prompt, str):
        first = Tensor.of("prompt", "BYTES", (1,), join_bytes([prompt.encode()]))
    else:
        first = Tensor.of("input_ids", "INT64", (1, len(prompt)), struct.pack(f"<{len(prompt)}q", *prompt))
    return [
        first,
        Tensor.of("max_tokens", "INT32", (1,), struct.pack("<i", max_tokens)),
        Tensor.of("temperature", "FP32", (1,), struct.pack("<f", temperature)),
        Tensor.of("top_k", "INT32", (1,), struct.pack("<i", top_k)),
        Tensor.of("top_p", "FP32", (1,), struct.pack("<f", top_p)),
        Tensor.of("seed", "UINT64", (1,), struct.pack("<Q", seed)),
        Tensor.of("stop", "BYTES", (len(stop),), join_bytes([text.encode() for text in stop])),
    ]
