"""What the node and a worker say to each other over their socket pair, and a model's signature as both know it.

node → worker   Load                     (once, at the start; the files come as descriptors of the process)
worker → node   Platform                 (only where an engine is built: what it stands on, before it reads the model)
node → worker   Kept                     (what was built earlier, for this model, on this platform)
worker → node   Building, as it goes on; Built
worker → node   Loaded, or Needs, or Failed
node → worker   Run, then the inputs     (as often as wanted, one at a time)
worker → node   Ran, then the outputs, or Failed; a generator before that Tokens, as they come
node → worker   Stop                     (nobody wants the run's answer any more; it is answered as ever)
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wire.bounds import MAX_BLOB, MAX_FILES, MAX_TENSORS, U32, U63, Line, Name, Paragraph
from wire.canonical import Record
from wire.generation import Interface, Tokens
from wire.inference import Backend
from wire.manifest import FilePath
from wire.tensors import Headers, TensorSpec

from .bounds import MAX_LENGTH, MAX_THREADS, MIN_MEMORY, MOST_ROWS
from .profiles import BackendKind


class Signature(Record):
    """What a model takes and returns, in its own order, and the version of the standard operators it was made for: 0
    where it uses none of them.

    `interface` is what stands between these and the graph.
    """

    inputs: Annotated[tuple[TensorSpec, ...], Meta(max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Meta(max_length=MAX_TENSORS)]
    opset: U32
    interface: Interface = "tensors"


class Part(Record):
    """One of the model's files: its path relative to the graph's folder, its descriptor, its bytes."""

    path: FilePath
    fd: Annotated[int, Meta(ge=0, le=2**31)]
    size: Annotated[int, Meta(ge=0, le=MAX_BLOB)]


class Sizes(Record):
    """What free dims can be when an engine is built: up to `rows` where a dim comes first, else up to `length`."""

    rows: Annotated[int, Meta(ge=1, le=MOST_ROWS)]
    length: Annotated[int, Meta(ge=1, le=MAX_LENGTH)]


class Build(Record):
    """How an engine is built, and two memory files: what was built earlier is in `kept` once the node says so, and
    what is built now goes into the `room` bytes of `built`, which has its full size already."""

    sizes: Sizes
    kept: Annotated[int, Meta(ge=0, le=2**31)]
    built: Annotated[int, Meta(ge=0, le=2**31)]
    room: U63


class Load(Record, tag="load", tag_field="type"):
    """The graph, then the other files; threads for one operator, and the bytes of memory that the model may add: so
    many on the host, and as many on the card where it runs on one.

    Interface "auto" is for a model that is new here: the one that suits the graph and the files given with it.
    """

    files: Annotated[tuple[Part, ...], Meta(min_length=1, max_length=MAX_FILES)]
    threads: Annotated[int, Meta(ge=1, le=MAX_THREADS)]
    memory: Annotated[int, Meta(ge=MIN_MEMORY, le=2**53)]
    interface: Interface | Literal["auto"] = "tensors"
    backend: BackendKind = "onnxruntime-cpu"
    tf32: bool = False
    build: Build | None = None  # for the backend that builds
    shared: Annotated[int, Meta(ge=0, le=2**31)] | None = None  # the descriptor of engine.shared's memory


class Kept(Record, tag="kept", tag_field="type"):
    """The bytes in `Build.kept`: an engine, then how long kernels took when it was built; 0 where there is none."""

    engine: U63
    timing: U63


class Run(Record, tag="run", tag_field="type"):
    """The headers of the inputs, whose bytes follow, or lie in the shared memory."""

    inputs: Headers
    shared: bool = False


class Stop(Record, tag="stop", tag_field="type"):
    """End the run under way as soon as that can be, if there is one."""


class Platform(Record, tag="platform", tag_field="type"):
    """All that an engine depends on and no other machine may share: the builder, the card, what drives it."""

    builder: Name  # the package that builds
    version: Name
    device: Line
    compute_capability: Annotated[str, Meta(max_length=8)]
    processors: U32  # the card's streaming multiprocessors
    driver: Line
    cuda: Name


class Building(Record, tag="building", tag_field="type"):
    """How far the build is: `done` of `steps` of a phase."""

    phase: Line
    done: U32
    steps: U32


class Built(Record, tag="built", tag_field="type"):
    """The bytes in `Build.built`: an engine, then how long kernels took. It was loaded before this was said."""

    engine: U63
    timing: U63


class Loaded(Record, tag="loaded", tag_field="type"):
    """The model is ready. `sandbox` names what holds the worker.

    `example_us` is what a run took on the example that the model brings; None when it brings none. `card_memory` is all
    that the card has which it runs on, in bytes; 0 on the host's processor.
    """

    signature: Signature
    backend: Backend
    sandbox: Annotated[tuple[Line, ...], Meta(max_length=32)]
    example_us: U63 | None = None
    card_memory: U63 = 0


class Needs(Record, tag="needs", tag_field="type"):
    """The graph refers to these files, relative to its folder, and not all were given: a sentence names one."""

    message: Paragraph
    files: Annotated[tuple[FilePath, ...], Meta(max_length=MAX_FILES - 1)]


class Ran(Record, tag="ran", tag_field="type"):
    """The headers of the outputs, whose bytes follow, and how long the execution itself took.

    `tokens_in` counts what a tokeniser read: of a generator its prompt, of a text model each row, or all rows together
    where they are more than are ever joined.
    """

    outputs: Headers
    compute_us: U63
    tokens_in: Annotated[tuple[U32, ...], Meta(max_length=MOST_ROWS)] = ()
    shared: bool = False


class Failed(Record, tag="failed", tag_field="type"):
    """Nothing was done: the sentence says why. The worker stays usable after a failed Run.

    `here`: it is this peer's own limit that the input is beyond; another's may be wider.
    """

    message: Paragraph
    here: bool = False


FromNode = Load | Kept | Run | Stop
FromWorker = Platform | Building | Built | Loaded | Needs | Tokens | Ran | Failed
