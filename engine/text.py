"""A model that reads text: the tokeniser in front of its graph, `text` in, the graph's own outputs out. Worker side.

Rows are padded to the longest of their request and masked, so a row's answer does not depend on the padding beyond
rounding. A text longer than the model's own limit is cut there, as its `tokenizer.json` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wire.arrays import Array, from_array
from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.tensors import Tensor, split_bytes

from .bounds import MAX_PROMPT, MAX_TEXT_TOKENS
from .errors import ModelFailed
from .messages import Signature

if TYPE_CHECKING:
    from .backends import Session
    from .tokeniser import Tokeniser


class TextModel:
    """The graph of `session` behind `tokeniser`; `graph` is its own signature."""

    def __init__(self, session: Session, graph: Signature, tokeniser: Tokeniser) -> None:
        self._session = session
        self._tokeniser = tokeniser
        self._inputs = [spec.name for spec in graph.inputs]
        self._specs = graph.outputs
        self._outputs = [spec.name for spec in graph.outputs]

    def run(self, inputs: Sequence[Tensor], _: object) -> tuple[list[Tensor], int, tuple[int, ...]]:
        """The outputs, the microseconds that the graph took, and the tokens of each row, those that the model expects
        around a text among them, and its padding not."""
        rows = [self._tokeniser.encode(text) for text in _texts(inputs[0])]
        longest = max((len(ids) for ids, _ in rows), default=0)
        if longest > MAX_PROMPT or longest * len(rows) > MAX_TEXT_TOKENS:
            raise ModelFailed(
                f"{len(rows)} texts of up to {longest} tokens are too much at once (a text has up to {MAX_PROMPT}, all "
                f"of a request up to {MAX_TEXT_TOKENS} with their padding); send fewer or shorter ones"
            )
        arrays = _padded(rows, longest, self._tokeniser.pad)
        values, elapsed = self._session.compute({name: arrays[name] for name in self._inputs}, self._outputs)
        if (total := sum(a.nbytes for a in values)) > MAX_TENSOR_BYTES:
            raise ModelFailed(f"the outputs take {total} bytes, the bound is {MAX_TENSOR_BYTES}; send fewer texts")
        try:
            made = [
                from_array(spec.name, array, "BF16" if spec.datatype == "BF16" else None)
                for spec, array in zip(self._specs, values, strict=True)
            ]
        except RecordError as error:
            raise ModelFailed(f"the outputs cannot be sent: {error}") from error
        return made, elapsed, tuple(len(ids) for ids, _ in rows)


def _padded(rows: Sequence[tuple[list[int], list[int]]], longest: int, pad: int) -> dict[str, Array]:
    shape = (len(rows), longest)
    ids, mask, segments = np.full(shape, pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, (tokens, types) in enumerate(rows):
        ids[row, : len(tokens)], segments[row, : len(types)] = tokens, types
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}


def _texts(tensor: Tensor) -> list[str]:
    try:
        return [element.decode() for element in split_bytes(tensor.data)]
    except UnicodeDecodeError as error:
        raise ModelFailed(f"{tensor.name}: an element is not UTF-8; send text") from error
