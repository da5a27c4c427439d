"""The model of the demonstration: Magika, which tells a file's type from its bytes (Apache-2.0, package `magika`).

Input `bytes`: int32 [N, 2048], the first 1,024 bytes and the last 1,024, without the white space around them, padded
with 256. Output: float [N, 214], a score for each label. Source: Magika's feature extraction, version 2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from wire.arrays import from_array, to_array
from wire.tensors import Tensor

from ..errors import CommandError, Exit

_VERSION = "standard_v3_3"


@dataclass(frozen=True)
class Magika:
    """Where the model lies, and what its numbers mean."""

    model: Path
    labels: tuple[str, ...]
    side: int  # bytes taken from either end
    block: int  # bytes read at either end
    padding: int

    def features(self, content: bytes) -> Tensor:
        """The model's input for one file."""
        head = content[: self.block].lstrip()[: self.side]
        tail = content[-self.block :].rstrip()[-self.side :]
        row = np.full((1, 2 * self.side), self.padding, dtype=np.int32)
        row[0, : len(head)] = list(head)
        row[0, 2 * self.side - len(tail) :] = list(tail)
        return from_array("bytes", row)

    def read(self, output: Tensor) -> tuple[str, float]:
        """The most likely label and its score, 0 to 1."""
        scores = to_array(output)[0]
        best = int(scores.argmax())
        return self.labels[best], float(scores[best])


def load_magika() -> Magika:
    """Find the model in the installed package; CommandError when it is not installed."""
    spec = find_spec("magika")
    if spec is None or spec.origin is None:
        raise CommandError(
            Exit.CONFIG, "the demonstration's model is not installed", "Run: pip install 'hallmark[cpu,demo]'"
        )
    folder = Path(spec.origin).parent / "models" / _VERSION
    config = json.loads((folder / "config.min.json").read_text())
    return Magika(
        model=folder / "model.onnx",
        labels=tuple(config["target_labels_space"]),
        side=config["beg_size"],
        block=config["block_size"],
        padding=config["padding_token"],
    )
