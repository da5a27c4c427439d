"""ONNX Runtime on the CPU, under the runtime profile "fp32".

The profile fixes what changes an output's bits (the graph optimisation level) and leaves open what does not (threads,
batch). Only the provider that is named may execute: ONNX Runtime's own habit is to fall back without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from time import perf_counter_ns

import numpy as np
import onnxruntime as ort

from wire.arrays import Array, from_array, to_array
from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import RecordError
from wire.inference import Backend
from wire.tensors import Tensor

from ..errors import ModelFailed, ModelRefused

PROVIDER = "CPUExecutionProvider"


class OnnxRuntime:
    """One InferenceSession. ModelRefused where it cannot be created."""

    def __init__(self, model: bytes, threads: int) -> None:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry("session.load_model_format", "ONNX")  # never .ort, which skips the checks
        # Idle threads must not burn the cores that other models' workers need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=[PROVIDER])
        except Exception as error:  # a dozen pybind types without a common base; all mean that it cannot be loaded
            raise ModelRefused(f"ONNX Runtime cannot load the model: {_sentence(error)}") from error
        if self._session.get_providers() != [PROVIDER]:
            raise ModelRefused(f"ONNX Runtime would execute on {self._session.get_providers()}, not on {PROVIDER}")
        self._outputs = [o.name for o in self._session.get_outputs()]

    @property
    def backend(self) -> Backend:
        return Backend(name="onnxruntime", version=ort.__version__, device="cpu", compute_capability="")

    def output_shapes(self) -> Mapping[str, Sequence[int | str | None]]:
        return {o.name: o.shape for o in self._session.get_outputs()}

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        feeds = {t.name: _feed(t) for t in inputs}
        started = perf_counter_ns()
        try:
            arrays = self._session.run(self._outputs, feeds)
        except Exception as error:  # as above: whatever it is, this input did not go through and the session stays
            raise ModelFailed(f"the model failed on this input: {_sentence(error)}") from error
        elapsed = (perf_counter_ns() - started) // 1000
        if any(not isinstance(a, np.ndarray) for a in arrays):
            raise ModelFailed("the model returned something other than tensors on this input")
        if (total := sum(a.nbytes for a in arrays)) > MAX_TENSOR_BYTES:
            raise ModelFailed(f"the outputs take {total} bytes, the bound is {MAX_TENSOR_BYTES}; ask for less at once")
        try:
            return [from_array(n, a) for n, a in zip(self._outputs, arrays, strict=True)], elapsed
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


def _sentence(error: Exception) -> str:
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip())
    return text[:1500] or type(error).__name__
