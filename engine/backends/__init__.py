"""The runtimes that execute a model, one a module. Worker side only: the node never imports one.

A `Runtime` is imported before the sandbox stands and makes a `Session` of a graph within it; `runtime_of` chooses it.
`session` and `card` are their own: what a backend is told, and how one talks to a card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import TYPE_CHECKING, Any, Protocol

from wire.canonical import Record
from wire.inference import Backend
from wire.tensors import Tensor

from ..errors import EngineError
from ..messages import Kept, Load

if TYPE_CHECKING:
    from ..external import Span


@dataclass(frozen=True, slots=True)
class Graph:
    """A screened model: its bytes, the ModelProto in them, the files it keeps weights in by path, and where in them."""

    data: bytes
    model: Any
    files: Mapping[str, bytes | mmap]
    spans: Sequence[Span]


class Session(Protocol):
    """One model, loaded and ready."""

    @property
    def backend(self) -> Backend:
        """What executes here, as receipts name it."""

    def output_shapes(self) -> Mapping[str, Sequence[int | str | None]]:
        """The outputs' shapes as the runtime infers them; an empty one may be a scalar's, or not known."""

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        """The outputs in the model's order, and the microseconds the execution took; ModelFailed on this input."""

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        """As `run` for arrays, of the outputs named alone. An output may be fed again as it is: a decoder's cache."""


class Runtime(Protocol):
    """A runtime in this process, not yet confined."""

    @property
    def card_memory(self) -> int:
        """Bytes that the card has which it computes on, once that is open; 0 where it uses none."""

    def confine(self, memory: int) -> tuple[str, ...]:
        """Put on the sandbox, and open the card within it where one is used; the names of the measures."""

    def session(self, graph: Graph) -> Session:
        """The model, ready to run. ModelRefused where this runtime cannot execute it, all of it, as it is written."""


class Node(Protocol):
    """The node's end, as far as a runtime talks to it while it loads."""

    def send(self, message: Record) -> None:
        """Tell it something."""

    def kept(self) -> Kept:
        """Wait for its word on what was built earlier."""


def runtime_of(wish: Load, node: Node) -> Runtime:
    """The runtime that the node chose; EngineError, with the next step, where it is not installed."""
    if wish.backend == "onnxruntime-cpu":
        try:
            from .onnxruntime import Cpu
        except ImportError as error:
            message = f"ONNX Runtime cannot be imported ({error}); install it: pip install 'hallmark[cpu]'"
            raise EngineError(message) from error
        return Cpu(wish)
    if wish.backend == "onnxruntime-cuda":
        try:
            from .onnxruntime_cuda import Cuda
        except ImportError as error:
            message = f"ONNX Runtime cannot be imported ({error}); install it: pip install 'hallmark[gpu]'"
            raise EngineError(message) from error
        return Cuda(wish)
    from .tensorrt import TensorRT

    return TensorRT(wish, node)
