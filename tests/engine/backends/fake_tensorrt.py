"""A FAKE of the module `tensorrt`: it "builds" by keeping the ONNX bytes and "executes" with ONNX Runtime on the host.

Addresses are those of the fake card, so what it reads and writes went through our own staging. It shows that our calls
keep the contract (shapes before addresses, a checked result of each, names, ranges, the engine's life); of TensorRT's
own kernels it shows nothing. What it has, the real bindings have: see test_tensorrt_real.
"""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any

import numpy as np
import onnx

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__name__ = "tensorrt"  # as our code asks a module for it
__version__ = "11.4.0.FAKE"
MAGIC = b"FAKE engine\n"
_KINDS = {1: "FLOAT", 10: "HALF", 6: "INT32", 7: "INT64", 3: "INT8", 2: "UINT8", 9: "BOOL"}


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


class ILogger:
    """The severities."""

    INTERNAL_ERROR, ERROR, WARNING = "INTERNAL_ERROR", "ERROR", "WARNING"

    def log(self, severity: str, message: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    """What a build tells of itself."""


class MemoryPoolType:
    """The only pool used."""

    WORKSPACE = 0


class BuilderFlag:
    """The only flag used."""

    TF32 = "TF32"


class ITensor:
    """An input or output of a network."""

    def __init__(self, value: Any) -> None:
        tensor = value.type.tensor_type
        self.name = value.name
        self.shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
        self.is_shape_tensor = value.name.startswith("shape of")
        self._names = [d.dim_param for d in tensor.shape.dim]

    def get_dimension_name(self, index: int) -> str:
        return self._names[index]


class INetworkDefinition:
    """A parsed graph."""

    def __init__(self) -> None:
        self.model: Any = None

    @property
    def num_inputs(self) -> int:
        return len(self._inputs())

    def get_input(self, index: int) -> ITensor:
        return ITensor(self._inputs()[index])

    @property
    def num_outputs(self) -> int:
        return len(self.model.graph.output)

    def get_output(self, index: int) -> ITensor:
        return ITensor(self.model.graph.output[index])

    def _inputs(self) -> list[Any]:
        weights = {t.name for t in self.model.graph.initializer}
        return [v for v in self.model.graph.input if v.name not in weights]


class ParserError:
    """What is in the way of a parser."""

    def desc(self) -> str:
        return "no importer"

    def node_name(self) -> str:
        return "the node"

    def node_operator(self) -> str:
        return "Nope"


class OnnxParser:
    """It refuses an operator Nope, and whatever is not protobuf."""

    def __init__(self, network: INetworkDefinition, log: Any) -> None:
        self._network, self._log = network, log
        self._weights: dict[str, bytes] = {}
        self.num_errors = 0

    def load_model_proto(self, data: bytes) -> bool:
        self._network.model = onnx.load_from_string(data)
        return True

    def load_initializer(self, name: str, address: int, size: int) -> bool:
        self._weights[name] = ctypes.string_at(address, size)
        return any(t.name == name for t in self._network.model.graph.initializer)

    def parse_model_proto(self) -> bool:
        for tensor in self._network.model.graph.initializer:
            if tensor.name in self._weights:
                tensor.raw_data = self._weights[tensor.name]
                tensor.data_location = onnx.TensorProto.DEFAULT
                del tensor.external_data[:]
        self.num_errors = sum(n.op_type == "Nope" for n in self._network.model.graph.node)
        return not self.num_errors

    def get_error(self, _index: int) -> ParserError:
        return ParserError()


class IOptimizationProfile:
    """The ranges of inputs."""

    def __init__(self) -> None:
        self.ranges: dict[str, list[Any]] = {}

    def set_shape(self, name: str, least: Any, usual: Any, most: Any) -> None:
        self.ranges[name] = [list(least), list(usual), list(most)]


class ITimingCache:
    """Bytes that begin with TIMES, or are refused."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content + b"TIMES "


class IBuilderConfig:
    """What was configured."""

    def __init__(self) -> None:
        self.progress_monitor: Any = None
        self.flags = {BuilderFlag.TF32}
        self.ranges: dict[str, list[Any]] = {}

    def set_memory_pool_limit(self, _pool: int, size: int) -> None:
        assert size > 0

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self.ranges = profile.ranges
        return 0

    def create_timing_cache(self, content: bytes) -> ITimingCache | None:
        return ITimingCache(content) if not content or content.startswith(b"TIMES") else None

    def set_timing_cache(self, _cache: ITimingCache, _ignore_mismatch: bool) -> bool:
        return True


class Builder:
    """It builds whatever the parser took, but for an operator Unbuildable."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def create_network(self, flags: int) -> INetworkDefinition:
        assert flags == 0
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> bytes | None:
        monitor = config.progress_monitor
        monitor.phase_start("FAKE build", None, 2)
        for step in range(2):
            assert monitor.step_complete("FAKE build", step)
        monitor.phase_finish("FAKE build")
        if any(n.op_type == "Unbuildable" for n in network.model.graph.node):
            self._log.log(ILogger.ERROR, "no kernel for\n Unbuildable")
            return None
        head = json.dumps({"ranges": config.ranges, "tf32": BuilderFlag.TF32 in config.flags}).encode()
        return MAGIC + len(head).to_bytes(4, "little") + head + bytes(network.model.SerializeToString())


class Runtime:
    """It takes what a Builder made, and nothing else."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def deserialize_cuda_engine(self, data: bytes) -> ICudaEngine | None:
        if not data.startswith(MAGIC):
            self._log.log(ILogger.ERROR, "magic tag does not match")
            return None
        return ICudaEngine(data, self._log)


class ICudaEngine:
    """An engine."""

    device_memory_size_v2 = 1 << 20

    def __init__(self, data: bytes, log: Any) -> None:
        size = int.from_bytes(data[len(MAGIC) :][:4], "little")
        at = len(MAGIC) + 4
        about = json.loads(data[at : at + size])
        self.ranges, self.tf32, self.log = about["ranges"], about["tf32"], log
        self.session = ort.InferenceSession(data[at + size :], providers=["CPUExecutionProvider"])
        network = INetworkDefinition()
        network.model = onnx.load_from_string(data[at + size :])
        values = [*network._inputs(), *network.model.graph.output]
        self.tensors = {v.name: ITensor(v) for v in values}
        self.kinds = {v.name: v.type.tensor_type.elem_type for v in values}
        self.inputs = [v.name for v in network._inputs()]

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[::-1][index]  # in an order of its own, as the real one's is

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def get_tensor_dtype(self, name: str) -> _Named:
        return _Named(_KINDS.get(self.kinds[name], "FP8"))

    def get_tensor_profile_shape(self, name: str, _profile: int) -> list[Any]:
        return [tuple(end) for end in self.ranges[name]]

    def create_execution_context(self) -> IExecutionContext:
        return IExecutionContext(self)


class IExecutionContext:
    """Shapes, then addresses, then a run; what was not set is noticed."""

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.ranges.get(name, [shape] * 3)
        self._shapes[name] = tuple(shape)
        return all(a <= d <= b for a, d, b in zip(least, shape, most, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        free = {}
        for tensor in (self._engine.tensors[n] for n in self._engine.inputs):
            shape = self._shapes.get(tensor.name, tensor.shape)
            free |= {n: d for n, d in zip(tensor._names, shape, strict=True) if n}
        output = self._engine.tensors[name]
        return tuple(free.get(n, -1) if d < 0 else d for d, n in zip(output.shape, output._names, strict=True))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return address % 16 == 0

    def execute_async_v3(self, stream: int) -> bool:
        assert stream
        feeds = {}
        for name in self._engine.inputs:
            shape = self.get_tensor_shape(name)
            dtype = onnx.helper.tensor_dtype_to_np_dtype(self._engine.kinds[name])
            data = ctypes.string_at(self._addresses[name], int(np.prod(shape)) * dtype.itemsize)
            feeds[name] = np.frombuffer(data, dtype).reshape(shape)
        names = [n for n in self._engine.tensors if n not in self._engine.inputs]
        try:
            outputs = self._engine.session.run(names, feeds)
        except Exception as error:
            self._engine.log.log(ILogger.ERROR, f"FAKE kernel failed: {error}")
            return False
        for name, array in zip(names, outputs, strict=True):
            assert array.shape == self.get_tensor_shape(name)
            ctypes.memmove(self._addresses[name], np.ascontiguousarray(array).ctypes.data, array.nbytes)
        return True
