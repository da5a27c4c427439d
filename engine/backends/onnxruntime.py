"""ONNX Runtime on the CPU, under the runtime profile "fp32".

The profile fixes what changes an output's bits (the graph optimisation level) and leaves open what does not (threads,
batch). Only the provider that is named may execute: ONNX Runtime's own habit is to fall back without a word.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Container, Mapping, Sequence
from functools import cache
from mmap import mmap
from time import perf_counter_ns
from typing import Any

import numpy as np
import onnxruntime as ort

from wire.arrays import Array, from_array, to_array
from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.inference import Backend
from wire.tensors import Tensor

from ..bounds import MEMORY
from ..errors import ModelFailed, ModelRefused
from ..messages import Load
from ..sandbox import confine
from . import Graph

PROVIDER = "CPUExecutionProvider"
_BF16, _BF16_ONNX, _TEXT = "tensor(bfloat16)", 16, "tensor(string)"


class Cpu:
    """The `Runtime`."""

    card_memory = 0

    def __init__(self, wish: Load) -> None:
        self._threads = wish.threads
        self._memory = wish.memory

    def confine(self, memory: int) -> tuple[str, ...]:
        self._memory = memory
        return confine(memory)

    def session(self, graph: Graph) -> OnnxRuntime:
        return OnnxRuntime(graph.data, graph.files, self._threads, self._memory)


class OnnxRuntime:
    """One InferenceSession. ModelRefused where it cannot be created.

    `files` are those that the model keeps weights in, by path; ONNX Runtime copies what it needs of them, so they are
    needed no longer than this takes. At its peak, loading takes about three times their size.

    Tensors have three quarters of `memory`, in bytes; the rest is for all else that the process needs.
    """

    def __init__(self, model: bytes, files: Mapping[str, bytes | mmap], threads: int, memory: int = MEMORY) -> None:
        _bound_arena(memory // 4 * 3)
        options = options_for(files, threads)
        options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self._session = ort.InferenceSession(model, options, providers=[PROVIDER])
            self._session.disable_fallback()  # it would load the model again, from files that are gone by then
        except Exception as error:  # a dozen pybind types without a common base; all mean that it cannot be loaded
            raise ModelRefused(f"ONNX Runtime cannot load the model: {sentence(error)}") from error
        if self._session.get_providers() != [PROVIDER]:
            raise ModelRefused(f"ONNX Runtime would execute on {self._session.get_providers()}, not on {PROVIDER}")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._outputs = [o.name for o in outputs]
        self._bf16_in = {i.name for i in inputs if i.type == _BF16}
        self._bf16_out = {o.name for o in outputs if o.type == _BF16}
        if self._bf16_out and any(i.type == _TEXT for i in inputs):
            raise ModelRefused(
                "the model takes text and returns BF16, and ONNX Runtime gives Python no way to do both at once; cast "
                "its BF16 outputs to FP32"
            )

    @property
    def backend(self) -> Backend:
        return Backend(name="onnxruntime", version=ort.__version__, device="cpu", compute_capability="")

    def output_shapes(self) -> Mapping[str, Sequence[int | str | None]]:
        return {o.name: o.shape for o in self._session.get_outputs()}

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        arrays, elapsed = self.compute({t.name: _feed(t) for t in inputs}, self._outputs)
        return tensors_of(self._outputs, arrays, self._bf16_out), elapsed

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        started = perf_counter_ns()
        try:
            arrays = self._run(feeds, names)
        except Exception as error:  # as above: whatever it is, this input did not go through and the session stays
            raise ModelFailed(f"the model failed on this input: {sentence(error)}") from error
        elapsed = (perf_counter_ns() - started) // 1000
        if any(not isinstance(a, np.ndarray) for a in arrays):
            raise ModelFailed("the model returned something other than tensors on this input")
        return arrays, elapsed

    def _run(self, feeds: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
        """numpy has no BF16: its bits, held as uint16, go in and out as OrtValues, which can hold no text."""
        bits = {n: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(feeds[n], _BF16_ONNX) for n in self._bf16_in}
        if self._bf16_out.isdisjoint(names):
            found: list[Any] = self._session.run(names, {**feeds, **bits})
            return found
        values = {n: bits.get(n) or ort.OrtValue.ortvalue_from_numpy(a) for n, a in feeds.items()}
        return [_array(value) for value in self._session.run_with_ort_values(names, values)]


@cache
def _bound_arena(most: int) -> None:
    """The memory of all sessions of this process: up to so many bytes of it.

    By itself ONNX Runtime takes twice as much each time, up to what one input once asked for in vain: all address
    space would then go to the next small request, and the worker die of the one after. To take no more than is asked
    for would be worse: a cache that grows with each step would find no piece that it fits in, and leave one behind.
    """
    everywhere = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(everywhere, ort.OrtArenaCfg({"max_mem": most}))


def _array(value: Any) -> Array:
    if value.data_type() != _BF16:
        array: Array = value.numpy()
        return array
    bits = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(bits, "<u2").reshape(value.shape())


def options_for(files: Mapping[str, bytes | mmap], threads: int) -> Any:
    """The session options of every provider; `files` are those that the model keeps weights in."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors only
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never .ort, which skips the checks
    # Idle threads must not burn the cores that other models' workers need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if files:
        options.add_external_initializers_from_files_in_memory(
            list(files), list(files.values()), [len(content) for content in files.values()]
        )
    return options


def tensors_of(names: Sequence[str], arrays: Sequence[Array], bf16: Container[str]) -> list[Tensor]:
    """The outputs as they are sent, those of `bf16` from their bits; ModelFailed where they cannot be."""
    if (total := sum(a.nbytes for a in arrays)) > MAX_TENSOR_BYTES:
        raise ModelFailed(f"the outputs take {total} bytes, the bound is {MAX_TENSOR_BYTES}; ask for less at once")
    try:
        return [from_array(n, a, "BF16" if n in bf16 else None) for n, a in zip(names, arrays, strict=True)]
    except RecordError as error:
        raise ModelFailed(f"the outputs cannot be sent: {error}") from error


def _feed(tensor: Tensor) -> Array:
    array = to_array(tensor)
    if tensor.header.datatype != "BYTES":
        return array
    try:  # ONNX strings are UTF-8; given `bytes`, ONNX Runtime would take their Python notation for the text
        texts = [e.decode() for e in array.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise ModelFailed(f"{tensor.name}: this model takes text, and an element is not UTF-8") from error
    flat = np.empty(len(texts), dtype=object)
    flat[:] = texts
    return flat.reshape(array.shape)


def sentence(error: Exception) -> str:
    """What ONNX Runtime says, without its own numbers before it."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip())
    return text[:1500] or type(error).__name__
