"""ONNX Runtime called directly: which cases it passes by itself. A process of its own, for a case may end it.

`python -m tests.conformance.reference [AFTER]` says a line of JSON a case, in the order of their names, those behind
AFTER alone. The session has the options that a worker's has, and nothing of our code stands between it and the case.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import

import numpy as np
import onnxruntime as ort
from onnx import helper

from .cases import Case, all_cases

PROVIDERS = ["CPUExecutionProvider"]


def directly(case: Case) -> str | None:
    """None when ONNX Runtime passes the case; else what is in the way: `cannot load`, `fails`, `other outputs`."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is counted, not told
    try:
        session = ort.InferenceSession(case.model, options, providers=PROVIDERS)
    except Exception:  # a dozen kinds without a common base
        return "cannot load"
    try:
        outputs = _run(session, case)
    except Exception:
        return "fails"
    try:
        case.check(outputs)
    except Exception:  # the comparison itself trips over some types
        return "other outputs"
    return None


def _run(session: Any, case: Case) -> list[Any]:
    feeds = {info.name: _feed(value) for info, value in zip(case.inputs, case.given, strict=True)}
    names = [output.name for output in session.get_outputs()]
    if not any(_small(value) for value in (*case.given, *case.expected)):
        found: list[Any] = session.run(names, feeds)
        return found
    values = {n: f if isinstance(f, ort.OrtValue) else ort.OrtValue.ortvalue_from_numpy(f) for n, f in feeds.items()}
    return [_array(value) for value in session.run_with_ort_values(names, values)]


def _small(value: Any) -> bool:
    """Whether numpy itself has no such type: BF16, and the 8-bit floats. (Those below a byte are not handed over.)"""
    return isinstance(value, np.ndarray) and value.dtype.isbuiltin == 2


def _feed(value: Any) -> Any:
    if not _small(value):
        return value
    bits = value.view(np.uint16 if value.dtype.itemsize == 2 else np.uint8)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, helper.np_dtype_to_tensor_dtype(value.dtype))


def _array(value: Any) -> Any:
    kind = helper.tensor_dtype_to_np_dtype(value.element_type())
    if kind.isbuiltin != 2:
        return value.numpy()
    data = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(data, kind).reshape(value.shape())


def main() -> None:
    """Every case's verdict, a line each."""
    after = sys.argv[1] if len(sys.argv) > 1 else ""
    for case in all_cases():
        if case.name > after:
            print(json.dumps({"name": case.name, "why": directly(case)}), flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main()
