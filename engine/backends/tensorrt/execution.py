"""One engine, executed: shapes set, addresses given, enqueued on our own stream, waited for.

Every call that can fail says so with None or False, and each is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from time import perf_counter_ns
from typing import Any

import numpy as np

from wire.arrays import to_array
from wire.bounds import MAX_TENSOR_BYTES
from wire.inference import Backend
from wire.tensors import ITEM_SIZE, DataType, Tensor

from ...errors import ModelFailed, ModelRefused
from ..card import Card, Staging
from .module import name_of
from .shapes import Range, check_shape

_TYPES: dict[str, DataType] = {
    "FLOAT": "FP32", "HALF": "FP16", "BF16": "BF16", "INT32": "INT32", "INT64": "INT64", "INT8": "INT8",
    "UINT8": "UINT8", "BOOL": "BOOL",
}  # fmt: skip


class BadEngine(Exception):
    """These bytes are no engine for this card and this TensorRT: build it anew."""


class EngineSession:
    """An engine with its execution context. BadEngine where TensorRT takes it not; ModelRefused where it is too much.

    `memory` is how many bytes of the card the engine and its context may take. The names are the ONNX graph's, in its
    order.
    """

    def __init__(
        self, trt: Any, log: Any, card: Card, engine: Any, names: tuple[Sequence[str], Sequence[str]], memory: int
    ) -> None:
        self._trt, self._log, self._card = trt, log, card
        self._runtime = trt.Runtime(log)  # outlives the engine, which does not keep it alive
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise BadEngine(log.said())
        needs = len(engine) + self._engine.device_memory_size_v2
        if needs > memory:
            raise ModelRefused(f"the engine takes {needs} bytes of the card, a model may have {memory} here")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise ModelRefused(f"TensorRT cannot make the engine ready: {log.said()}")
        self._inputs, self._outputs = list(names[0]), list(names[1])
        held = {self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)}
        if held != {*self._inputs, *self._outputs}:
            raise BadEngine("its tensors are not the model's")
        self._types = {name: self._type_of(name) for name in held}
        self._ranges = {name: self._range_of(name) for name in self._inputs}
        self._in, self._out = Staging(card), Staging(card)

    @property
    def backend(self) -> Backend:
        return Backend(
            name=name_of(self._trt),
            version=self._trt.__version__,
            device=self._card.name,
            compute_capability=self._card.compute_capability,
        )

    def output_shapes(self) -> Mapping[str, Sequence[int | str | None]]:
        shapes = {name: tuple(self._engine.get_tensor_shape(name)) for name in self._outputs}
        return {name: [None if d < 0 else d for d in shape] for name, shape in shapes.items()}

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        by_name = {t.name: t for t in inputs}
        ordered = [by_name[name] for name in self._inputs]
        return self._execute([t.header.shape for t in ordered], [t.data for t in ordered])

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        arrays = [np.ascontiguousarray(feeds[name]) for name in self._inputs]
        tensors, elapsed = self._execute([a.shape for a in arrays], arrays)
        found = {t.name: to_array(t) for t in tensors}
        return [found[name] for name in names], elapsed

    def _execute(self, shapes: Sequence[Sequence[int]], data: Sequence[Any]) -> tuple[list[Tensor], int]:
        for name, shape in zip(self._inputs, shapes, strict=True):
            check_shape(name, shape, self._ranges[name])
            self._yes(self._context.set_input_shape(name, tuple(shape)), f"take {name} of shape {list(shape)}")
        places = self._in.lay([memoryview(d).nbytes for d in data])
        made = [tuple(self._context.get_tensor_shape(name)) for name in self._outputs]
        sizes = [self._bytes_of(name, shape) for name, shape in zip(self._outputs, made, strict=True)]
        if (total := sum(sizes)) > MAX_TENSOR_BYTES:
            raise ModelFailed(f"the outputs take {total} bytes, the bound is {MAX_TENSOR_BYTES}; ask for less at once")
        places += self._out.lay(sizes)
        for name, place in zip((*self._inputs, *self._outputs), places, strict=True):
            self._yes(self._context.set_tensor_address(name, place), f"take the address of {name}")
        self._in.send(data)
        self._card.wait()  # so that the time is the execution's own
        started = perf_counter_ns()
        self._yes(self._context.execute_async_v3(self._card.stream), "execute this input")
        self._card.wait()
        elapsed = (perf_counter_ns() - started) // 1000
        found = zip(self._outputs, made, self._out.fetch(), strict=True)
        return [Tensor.of(name, self._types[name], shape, content) for name, shape, content in found], elapsed

    def _yes(self, done: bool, what: str) -> None:
        if not done:
            self._card.wait()  # CardLost, if that is why
            raise ModelFailed(f"TensorRT could not {what}: {self._log.said()}")

    def _bytes_of(self, name: str, shape: Sequence[int]) -> int:
        if any(d < 0 for d in shape):
            raise ModelFailed(f"the shape of output {name} depends on the input's values, which this backend cannot do")
        return prod(shape) * ITEM_SIZE[self._types[name]]

    def _type_of(self, name: str) -> DataType:
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in _TYPES:
            raise ModelRefused(f"{name[:80]!r} is of TensorRT's type {kind}, which tensors do not have")
        return _TYPES[kind]

    def _range_of(self, name: str) -> Range:
        shape = tuple(self._engine.get_tensor_shape(name))
        if all(d >= 0 for d in shape):
            return Range(shape, shape, shape)
        return Range(*(tuple(end) for end in self._engine.get_tensor_profile_shape(name, 0)))
