"""The cases of the `onnx` package: a model, inputs, and the outputs that these give within the case's tolerances."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.backend.test.runner import Runner

from wire.arrays import from_array, to_array
from wire.bounds import MAX_RANK
from wire.tensors import Tensor

_T = onnx.TensorProto
_SENT = {
    _T.BOOL, _T.UINT8, _T.UINT16, _T.UINT32, _T.UINT64, _T.INT8, _T.INT16, _T.INT32, _T.INT64, _T.FLOAT16, _T.BFLOAT16,
    _T.FLOAT, _T.DOUBLE, _T.STRING,
}  # fmt: skip
Values = Sequence[Any]  # arrays, by place; lists and None where a case has sequences and optionals


@dataclass(frozen=True, eq=False)
class Case:
    """One case: `given` and `expected` stand in the order of its `inputs` and `outputs`."""

    name: str
    model: bytes
    inputs: tuple[Any, ...]  # ValueInfoProtos, weights not among them
    outputs: tuple[Any, ...]
    given: Values
    expected: Values
    rtol: float
    atol: float

    @property
    def obstacle(self) -> str | None:
        """Why a request or an answer cannot hold this case's values; None when it can."""
        for value in (*self.inputs, *self.outputs):
            kind = value.type.WhichOneof("value")
            if kind != "tensor_type":
                return str(kind).removesuffix("_type")
            if value.type.tensor_type.elem_type not in _SENT:
                return f"type {_T.DataType.Name(value.type.tensor_type.elem_type)}"
            if len(value.type.tensor_type.shape.dim) > MAX_RANK:
                return f"more than {MAX_RANK} dims"
        return None if self.inputs else "no inputs"

    def tensors(self) -> list[Tensor]:
        """The inputs as they are sent."""
        return [_tensor(info.name, value) for info, value in zip(self.inputs, self.given, strict=True)]

    def check(self, got: Values) -> None:
        """AssertionError where these outputs are not what was expected, as the package itself compares them."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            Runner.assert_similar_outputs(self.expected, got, self.rtol, self.atol)


def arrays_of(tensors: Sequence[Tensor]) -> list[Any]:
    """An answer's outputs as the package's comparison wants them: text as `str`, BF16 as its own type."""
    return [_array(tensor) for tensor in tensors]


def _tensor(name: str, value: Any) -> Tensor:
    if value.dtype.name == "bfloat16":
        return from_array(name, value.view(np.uint16), "BF16")
    return from_array(name, value)


def _array(tensor: Tensor) -> Any:
    array = to_array(tensor)
    if tensor.header.datatype == "BF16":
        return array.view(onnx.helper.tensor_dtype_to_np_dtype(_T.BFLOAT16))
    if tensor.header.datatype == "BYTES":
        texts = np.empty(array.size, dtype=object)
        texts[:] = [element.decode() for element in array.reshape(-1).tolist()]
        return texts.reshape(array.shape)
    return array


def all_cases() -> list[Case]:
    """Every case of the package, sorted by name. Making them takes a quarter of a minute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package overflows on purpose
        found = [_generated(case) for case in load_model_tests(kind="node")]
    for kind in ("simple", "pytorch-converted", "pytorch-operator", "real"):
        found += [_stored(kind, case) for case in load_model_tests(kind=kind)]
    return sorted(found, key=lambda case: case.name)


def cases_of(modules: Sequence[str]) -> Iterator[Case]:
    """The generated cases that these modules of `onnx.backend.test.case.node` define, and no others: that is quick."""
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in modules:
            import_module(f"{node.__name__}.{module}")
    yield from (_generated(case) for case in node._NodeTestCases)


def stored_case(kind: str, name: str) -> Case:
    """One of the cases that the package has on disk."""
    return next(_stored(kind, case) for case in load_model_tests(kind=kind) if case.name == name)


def _generated(case: TestCase) -> Case:
    ((given, expected),) = case.data_sets
    data = case.model.SerializeToString()
    return _case(f"node/{case.name}", case.model, data, _values(given), _values(expected), case)


def _values(values: Any) -> list[Any]:
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def _stored(kind: str, case: TestCase) -> Case:
    if case.url is not None:  # one of the real networks' topologies, with made-up weights and one expected output
        path = Path(DATA_DIR) / "light" / Path(case.url).name
    else:
        path = Path(case.model_dir) / "model.onnx"
    data = path.read_bytes()
    model = onnx.load_from_string(data)
    if case.url is not None:
        given = [Runner.generate_dummy_data(value) for value in _inputs(model)]
        expected = [_loaded(path.with_name(f"{path.stem}_output_0.pb"), model.graph.output[0])]
    else:
        (folder,) = Path(case.model_dir).glob("test_data_set*")
        given, expected = _side(folder, "input", model.graph.input), _side(folder, "output", model.graph.output)
    return _case(f"{kind}/{case.name}", model, data, given, expected, case)


def _case(name: str, model: Any, data: bytes, given: Values, expected: Values, case: TestCase) -> Case:
    return Case(name, data, _inputs(model), tuple(model.graph.output), given, expected, case.rtol, case.atol)


def _inputs(model: Any) -> tuple[Any, ...]:
    weights = {tensor.name for tensor in model.graph.initializer}  # old models list them among the inputs
    return tuple(value for value in model.graph.input if value.name not in weights)


def _side(folder: Path, what: str, infos: Any) -> list[Any]:
    count = len(list(folder.glob(f"{what}_*.pb")))
    return [_loaded(folder / f"{what}_{i}.pb", infos[i]) for i in range(count)]


def _loaded(path: Path, info: Any) -> Any:
    data = path.read_bytes()
    match info.type.WhichOneof("value"):
        case "sequence_type":
            return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
        case "optional_type":
            return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))
