"""What TensorRT would compute in another precision than the graph says, looked for before it does.

Its parser turns 64-bit floats into 32-bit ones without a word: inputs, weights and casts alike. A model that has any is
refused here, and served by another backend. Found out with TensorRT for RTX 1.7.1; see tests/engine/backends.
"""

from __future__ import annotations

from typing import Any

import onnx

_T = onnx.TensorProto
_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype", "stash_type"}


def widest_lost(model: Any) -> str | None:
    """Where in a ModelProto 64-bit floats are; None where there are none."""
    stack: list[Any] = [model]
    while stack:
        message = stack.pop()
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto":
            if message.data_type == _T.DOUBLE:
                return f"tensor {message.name[:80]!r}"
            continue
        if kind == "Tensor" and message.elem_type == _T.DOUBLE:  # TypeProto.Tensor
            return "an input, an output or a value between"
        if kind == "AttributeProto" and message.name in _TYPE_ATTRIBUTES and message.i == _T.DOUBLE:
            return f"attribute {message.name!r} of an operator"
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack.extend(value if field.is_repeated else [value])
    return None
