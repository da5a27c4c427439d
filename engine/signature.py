"""A model's signature, read from the model itself, so that every runtime and every release of one agree on it.

Worker side. Only where an output declares no shape is the runtime's own inference asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx

from wire.bounds import MAX_RANK, MAX_TENSORS
from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.tensors import DataType, TensorSpec

from .errors import ModelRefused
from .messages import Signature

Shape = Sequence[int | str | None]
_T = onnx.TensorProto
# Absent is what the Open Inference Protocol has no name for: 8-bit floats, 2- and 4-bit numbers, complex ones.
_DATATYPE: dict[int, DataType] = {
    _T.BOOL: "BOOL", _T.UINT8: "UINT8", _T.UINT16: "UINT16", _T.UINT32: "UINT32", _T.UINT64: "UINT64",
    _T.INT8: "INT8", _T.INT16: "INT16", _T.INT32: "INT32", _T.INT64: "INT64", _T.FLOAT16: "FP16", _T.BFLOAT16: "BF16",
    _T.FLOAT: "FP32", _T.DOUBLE: "FP64", _T.STRING: "BYTES",
}  # fmt: skip


def describe(model: Any, inferred: Mapping[str, Shape]) -> Signature:
    """The signature of a ModelProto; `inferred` holds the runtime's shapes of the outputs, by name.

    A dim keeps its name; one without becomes `dim_0`, `dim_1`, … in order. ModelRefused for what tensors cannot hold.
    """
    graph = model.graph
    weights = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    inputs = [v for v in graph.input if v.name not in weights]  # before IR 4, weights were listed as inputs too
    taken = {d.dim_param for v in (*inputs, *graph.output) for d in v.type.tensor_type.shape.dim}
    fresh = (name for i in range(1 << 20) if (name := f"dim_{i}") not in taken)
    signature = Signature(
        inputs=_specs(inputs, "inputs", {}, fresh),
        outputs=_specs(graph.output, "outputs", inferred, fresh),
        opset=_opset(model),
    )
    try:
        return decode(encode(signature), Signature)  # a record's bounds hold only where it is decoded
    except RecordError as error:
        raise ModelRefused(f"the model's inputs and outputs cannot be described: {error}") from error


def _specs(values: Any, what: str, inferred: Mapping[str, Shape], fresh: Iterator[str]) -> tuple[TensorSpec, ...]:
    if len(values) > MAX_TENSORS:
        raise ModelRefused(f"the model has {len(values)} {what}, the most is {MAX_TENSORS}; join some of them")
    if len({v.name for v in values}) != len(values):
        raise ModelRefused(f"two of the model's {what} share one name; rename one")
    return tuple(_spec(v, inferred, fresh) for v in values)


def _spec(value: Any, inferred: Mapping[str, Shape], fresh: Iterator[str]) -> TensorSpec:
    name = value.name[:80]
    if value.type.WhichOneof("value") != "tensor_type":
        raise ModelRefused(f"{name!r} is no plain tensor (a sequence, map or optional); return its tensors instead")
    tensor = value.type.tensor_type
    datatype = _DATATYPE.get(tensor.elem_type)
    if datatype is None:
        kind = _T.DataType.Name(tensor.elem_type) if tensor.elem_type in _T.DataType.values() else tensor.elem_type
        raise ModelRefused(f"{name!r} has type {kind}, which cannot be sent; cast it to one of FP32, FP16, INT8 …")
    if tensor.HasField("shape"):
        shape: Shape = [_dim(d) for d in tensor.shape.dim]
    else:
        shape = inferred.get(value.name, ())
        if not shape:
            raise ModelRefused(f"{name!r} declares no shape; export the model with one, dynamic dims by name")
    if len(shape) > MAX_RANK:
        raise ModelRefused(f"{name!r} has {len(shape)} dims, the most is {MAX_RANK}; reshape it")
    return TensorSpec(name=value.name, datatype=datatype, shape=tuple(next(fresh) if _free(d) else d for d in shape))  # type: ignore[misc]  # _free has ruled None out


def _dim(dim: Any) -> int | str | None:
    return int(dim.dim_value) if dim.WhichOneof("value") == "dim_value" else str(dim.dim_param) or None


def _free(dim: int | str | None) -> bool:
    return dim is None or (dim < 0 if isinstance(dim, int) else not 0 < len(dim) <= 64)


def _opset(model: Any) -> int:
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not versions and model.opset_import:
        return 0  # it uses none of the standard operators, only those of another domain (ai.onnx.ml)
    if not versions or not 0 < versions[0] < 1 << 16:
        raise ModelRefused("the model does not say which version of the ONNX operators it uses; export it again")
    return int(versions[0])
