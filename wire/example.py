"""A model's example: inputs that it runs with, from its publisher, in one file of the model beside the graph.

A model is offered only by who has run it once. Most run on zeros or ones; some take no made-up input, because one of
their inputs is another's shape, say. Their example is run instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from .bounds import MAX_TENSORS, MIB
from .canonical import Record, decode, encode
from .errors import RecordError
from .tensors import Headers, Tensor

EXAMPLE = "example.tensors"  # the file's name
MAX_EXAMPLE = 8 * MIB


class Example(Record):
    """Inputs in the order of the model's signature: their headers, and of each the raw bytes."""

    format: Annotated[int, Meta(ge=1, le=1)]
    headers: Headers
    contents: Annotated[tuple[bytes, ...], Meta(max_length=MAX_TENSORS)]


def write_example(tensors: Sequence[Tensor]) -> bytes:
    """The file's bytes; RecordError when they are over `MAX_EXAMPLE`."""
    headers, contents = tuple(t.header for t in tensors), tuple(bytes(t.data) for t in tensors)
    data = encode(Example(format=1, headers=headers, contents=contents))
    if len(data) > MAX_EXAMPLE:
        raise RecordError(f"Example: {len(data)} bytes, the bound is {MAX_EXAMPLE}")
    return data


def read_example(data: bytes) -> list[Tensor]:
    """The inputs in the file, each checked by itself; whether they are the model's inputs is a separate question."""
    example = decode(data, Example, limit=MAX_EXAMPLE)
    if len(example.headers) != len(example.contents):
        raise RecordError(f"Example: {len(example.headers)} headers with {len(example.contents)} contents")
    tensors = [Tensor(h, content) for h, content in zip(example.headers, example.contents, strict=True)]
    for tensor in tensors:
        tensor.check()
    return tensors
