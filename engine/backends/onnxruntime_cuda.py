"""ONNX Runtime on a card: every node on it or none, TF32 only where the profile says so.

Tensors travel through pinned memory in one copy each way; a decoder's cache stays on the card. Where all shapes are
fixed, the run is recorded once as a CUDA graph and replayed, which changes its time and nothing else.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import onnxruntime as ort

from wire.arrays import to_array
from wire.bounds import MAX_TENSOR_BYTES
from wire.inference import Backend
from wire.tensors import ITEM_SIZE, DataType, Tensor

from ..double import DOUBLE
from ..errors import EngineError, ModelFailed, ModelRefused
from ..messages import Load
from ..sandbox import confine_beside_card
from . import Graph
from .card import Card, Staging, forbid_tf32, import_cuda
from .onnxruntime import options_for, sentence

PROVIDER = "CUDAExecutionProvider"
# ONNX Runtime's name of a type, ONNX's number of it, ours. Text cannot lie on a card.
_TYPES: dict[str, tuple[int, DataType]] = {
    "tensor(float)": (1, "FP32"), "tensor(uint8)": (2, "UINT8"), "tensor(int8)": (3, "INT8"),
    "tensor(uint16)": (4, "UINT16"), "tensor(int16)": (5, "INT16"), "tensor(int32)": (6, "INT32"),
    "tensor(int64)": (7, "INT64"), "tensor(bool)": (9, "BOOL"), "tensor(float16)": (10, "FP16"),
    "tensor(double)": (11, "FP64"), "tensor(uint32)": (12, "UINT32"), "tensor(uint64)": (13, "UINT64"),
    "tensor(bfloat16)": (16, "BF16"),
}  # fmt: skip
_RECORDING_RUNS = 3  # ONNX Runtime runs a graph once or twice before it records it


class Cuda:
    """The `Runtime`."""

    def __init__(self, wish: Load) -> None:
        self._wish = wish
        if not wish.tf32:
            forbid_tf32()
        self._cuda = import_cuda()
        if PROVIDER not in ort.get_available_providers():
            raise EngineError(
                "this onnxruntime is the one for CPUs; pip uninstall -y onnxruntime, then pip install 'hallmark[gpu]'"
            )

    @property
    def card_memory(self) -> int:
        return self._card.memory

    def confine(self, memory: int) -> tuple[str, ...]:
        return confine_beside_card(memory, self._open)

    def _open(self) -> None:
        ort.preload_dlls()
        self._card = Card(self._cuda)
        try:
            self.session(Graph(DOUBLE, None, {}, ())).compute({"x": np.ones(3, np.float32)}, ["y"])
        except EngineError as error:
            raise EngineError(f"ONNX Runtime cannot use {self._card.name}: {_missing() or error}") from error

    def session(self, graph: Graph) -> OnnxRuntimeCuda:
        wish = self._wish
        return OnnxRuntimeCuda(graph, self._card, threads=wish.threads, memory=wish.memory, tf32=wish.tf32)


def _missing() -> str:
    """The library that the provider lacks, which ONNX Runtime itself says in its log alone."""
    folder = Path(ort.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
    except OSError as error:
        return f"{error}; install CUDA and cuDNN with it: pip install 'hallmark[gpu]'"
    return ""


@dataclass(frozen=True, slots=True)
class OnCard:
    """An output that was left on the card, for the next step's input."""

    value: Any  # an OrtValue
    shape: tuple[int, ...]


class OnnxRuntimeCuda:
    """One InferenceSession on a card. ModelRefused where not all of the model can run there.

    `memory` bounds ONNX Runtime's own arena on the card, in bytes.
    """

    device = "cuda"

    def __init__(self, graph: Graph, card: Card, *, threads: int, memory: int, tf32: bool) -> None:
        self._card = card
        self._provider_options = {
            "device_id": "0",
            "gpu_mem_limit": str(memory),
            # Doubling, within the limit. To take no more than is asked for leaves a piece behind at each step of a
            # decoder, whose cache fits into none of those before: on the CPU it grew with the square of the steps.
            "arena_extend_strategy": "kNextPowerOfTwo",
            "use_tf32": str(int(tf32)),
            "cudnn_conv_algo_search": "HEURISTIC",  # by rule: timing would choose another one at another start
            "user_compute_stream": str(card.stream),
        }
        self._options = options_for(graph.files, threads)
        self._options.use_deterministic_compute = True
        self._options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self._in, self._out = Staging(card), Staging(card)
        self._recorded: Any = None
        self._create(graph.data)
        self._inputs = {i.name: _type_of(i) for i in self._session.get_inputs()}
        self._outputs = {o.name: _type_of(o) for o in self._session.get_outputs()}
        has_past = any(name.startswith("past") for name in self._inputs)
        self._stays = {name for name in self._outputs if has_past and name.startswith("present")}
        if (shapes := self._fixed_shapes()) is not None:
            self._record(graph.data, *shapes)

    @property
    def backend(self) -> Backend:
        card = self._card
        return Backend(
            name="onnxruntime",
            version=ort.__version__,
            device=card.name,
            compute_capability=card.compute_capability,
        )

    def output_shapes(self) -> Mapping[str, Sequence[int | str | None]]:
        return {o.name: o.shape for o in self._session.get_outputs()}

    def run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], int]:
        feeds = {t.name: (t.header.shape, t.data) for t in inputs}
        if self._recorded is not None:
            return self._replay([data for _, data in feeds.values()])
        values, elapsed = self._execute(feeds, {}, list(self._outputs))
        return self._fetch(list(self._outputs), values), elapsed

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        held = {name: value.value for name, value in feeds.items() if isinstance(value, OnCard)}
        arrays = {n: np.ascontiguousarray(v) for n, v in feeds.items() if n not in held}
        values, elapsed = self._execute({n: (a.shape, a) for n, a in arrays.items()}, held, names)
        found = dict(zip(names, values, strict=True))
        fetched = [name for name in names if name not in self._stays]
        made: dict[str, Any] = {n: OnCard(v, tuple(v.shape())) for n, v in found.items() if n in self._stays}
        for tensor in self._fetch(fetched, [found[name] for name in fetched]):
            made[tensor.name] = to_array(tensor)
        return [made[name] for name in names], elapsed

    def _create(self, data: bytes) -> None:
        try:
            self._session = ort.InferenceSession(data, self._options, providers=self._providers())
            self._session.disable_fallback()
        except Exception as error:  # a dozen pybind types without a common base
            where = f"ONNX Runtime cannot run all of the model on {self._card.name}"
            raise ModelRefused(f"{where}: {sentence(error)}") from error
        elsewhere = {part.ep_name for part in self._session.get_provider_graph_assignment_info()} - {self._expected()}
        if elsewhere:
            raise ModelRefused(f"ONNX Runtime would execute some of the model on {', '.join(sorted(elsewhere))}")

    def _providers(self) -> list[Any]:
        self._options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return [(PROVIDER, self._provider_options)]

    def _expected(self) -> str:
        return PROVIDER

    def _execute(
        self, feeds: Mapping[str, tuple[Sequence[int], Any]], held: Mapping[str, Any], names: Sequence[str]
    ) -> tuple[list[Any], int]:
        """The outputs where the run left them, and its microseconds."""
        binding = self._session.io_binding()
        addresses = self._in.lay([memoryview(data).nbytes for _, data in feeds.values()])
        self._in.send([data for _, data in feeds.values()])
        for (name, (shape, _)), address in zip(feeds.items(), addresses, strict=True):
            binding.bind_input(name, self.device, 0, self._inputs[name][0], list(shape), address)
        for name, value in held.items():
            binding.bind_ortvalue_input(name, value)
        for name in names:
            binding.bind_output(name, self.device, 0)
        elapsed = self._run(binding)
        return binding.get_outputs(), elapsed

    def _run(self, binding: Any) -> int:
        self._card.wait()  # so that the time is the execution's own
        started = perf_counter_ns()
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # as above
            self._card.wait()  # CardLost, if that is what happened
            raise ModelFailed(f"the model failed on this input: {sentence(error)}") from error
        self._card.wait()
        return (perf_counter_ns() - started) // 1000

    def _fetch(self, names: Sequence[str], values: Sequence[Any]) -> list[Tensor]:
        shapes = [tuple(value.shape()) for value in values]
        types = [self._outputs[name][1] for name in names]
        sizes = [prod(shape) * ITEM_SIZE[kind] for shape, kind in zip(shapes, types, strict=True)]
        if (total := sum(sizes)) > MAX_TENSOR_BYTES:
            raise ModelFailed(f"the outputs take {total} bytes, the bound is {MAX_TENSOR_BYTES}; ask for less at once")
        self._out.lay(sizes)
        data = self._out.fetch([value.data_ptr() for value in values])
        return [Tensor.of(n, k, s, d) for n, k, s, d in zip(names, types, shapes, data, strict=True)]

    def _fixed_shapes(self) -> tuple[list[Sequence[int]], list[Sequence[int]]] | None:
        ins = [i.shape for i in self._session.get_inputs()]
        outs = [o.shape for o in self._session.get_outputs()]
        fixed = ins and all(isinstance(d, int) for shape in (*ins, *outs) for d in shape)
        return (ins, outs) if fixed else None

    def _record(self, data: bytes, inputs: list[Sequence[int]], outputs: list[Sequence[int]]) -> None:
        """Have runs recorded, at addresses that stay; where that cannot be, runs are what they were."""
        if sum(self._sizes(self._outputs, outputs)) > MAX_TENSOR_BYTES:
            return
        self._provider_options["enable_cuda_graph"] = "1"
        binding = None
        try:
            self._create(data)
            binding = self._session.io_binding()
            sizes = self._sizes(self._inputs, inputs)
            for bind, names, shapes, addresses in (
                (binding.bind_input, self._inputs, inputs, self._in.lay(sizes)),
                (binding.bind_output, self._outputs, outputs, self._out.lay(self._sizes(self._outputs, outputs))),
            ):
                for (name, (number, _)), shape, address in zip(names.items(), shapes, addresses, strict=True):
                    bind(name, self.device, 0, number, list(shape), address)
            self._in.send([bytes(size) for size in sizes])
            for _ in range(_RECORDING_RUNS):
                self._run(binding)
        except EngineError:
            del binding
            self._session = None
            self._card.renew_stream()  # a recording that broke off leaves its stream unusable
            self._provider_options |= {"enable_cuda_graph": "0", "user_compute_stream": str(self._card.stream)}
            self._create(data)
            return
        self._recorded, self._shapes = binding, outputs

    def _replay(self, data: Sequence[Any]) -> tuple[list[Tensor], int]:
        self._in.send(data)
        elapsed = self._run(self._recorded)
        made = zip(self._outputs.items(), self._shapes, self._out.fetch(), strict=True)
        return [Tensor.of(name, kind, tuple(shape), found) for (name, (_, kind)), shape, found in made], elapsed

    def _sizes(self, types: Mapping[str, tuple[int, DataType]], shapes: Sequence[Sequence[int]]) -> list[int]:
        return [prod(shape) * ITEM_SIZE[kind] for (_, kind), shape in zip(types.values(), shapes, strict=True)]


def _type_of(value: Any) -> tuple[int, DataType]:
    if value.type not in _TYPES:
        raise ModelRefused(f"{value.name[:80]!r} is a {value.type}, which cannot lie on a card")
    return _TYPES[value.type]
