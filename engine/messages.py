"""What the node and a worker say to each other over their socket pair, and a model's signature as both know it.

node → worker   Load                     (once, at the start; the model itself comes as a file descriptor)
worker → node   Loaded, or Failed
node → worker   Run, then the inputs     (as often as wanted, one at a time)
worker → node   Ran, then the outputs, or Failed
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from wire.bounds import MAX_TENSORS, U32, U63, Line, Paragraph
from wire.canonical import Record
from wire.inference import Backend
from wire.tensors import Headers, TensorSpec

from .bounds import MAX_MODEL, MAX_THREADS, MIN_MEMORY


class Signature(Record):
    """What a model takes and returns, in its own order, and the version of the standard operators it was made for."""

    inputs: Annotated[tuple[TensorSpec, ...], Meta(max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Meta(max_length=MAX_TENSORS)]
    opset: U32


class Load(Record, tag="load", tag_field="type"):
    """The model's size in bytes, threads for one operator, and the bytes of memory that the model may add."""

    size: Annotated[int, Meta(ge=0, le=MAX_MODEL)]
    threads: Annotated[int, Meta(ge=1, le=MAX_THREADS)]
    memory: Annotated[int, Meta(ge=MIN_MEMORY, le=2**53)]


class Run(Record, tag="run", tag_field="type"):
    """The headers of the inputs, whose bytes follow."""

    inputs: Headers


class Loaded(Record, tag="loaded", tag_field="type"):
    """The model is ready. `sandbox` names what holds the worker."""

    signature: Signature
    backend: Backend
    sandbox: Annotated[tuple[Line, ...], Meta(max_length=32)]


class Ran(Record, tag="ran", tag_field="type"):
    """The headers of the outputs, whose bytes follow, and how long the execution itself took."""

    outputs: Headers
    compute_us: U63


class Failed(Record, tag="failed", tag_field="type"):
    """Nothing was done: the sentence says why. The worker stays usable after a failed Run."""

    message: Paragraph


FromNode = Load | Run
FromWorker = Loaded | Ran | Failed
