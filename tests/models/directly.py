"""A model executed by ONNX Runtime in this process, to compare with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort


def directly(model: bytes, feeds: Mapping[str, Any]) -> list[Any]:
    """All outputs in the model's order."""
    found: list[Any] = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, dict(feeds))
    return found
