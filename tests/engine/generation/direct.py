"""A decoder run by ONNX Runtime in this process, in the two ways to be compared: with its cache, and all anew."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np

from engine.generation.layout import layout_of
from engine.messages import Signature
from engine.signature import describe

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort


class Direct:
    """A `Session` as far as a generator knows it."""

    def __init__(self, model: Any) -> None:
        self.graph: Signature = describe(model, {})
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.steps: list[int] = []

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        self.steps.append(feeds["input_ids"].shape[1])
        started = perf_counter_ns()
        return self._session.run(list(names), dict(feeds)), (perf_counter_ns() - started) // 1000

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The likeliest next tokens, each from everything before it computed anew, without a cache."""
        ids = list(prompt)
        for _ in range(count):
            ids.append(int(self.logits(ids)[-1].argmax()))
        return ids[len(prompt) :]

    def logits(self, ids: Sequence[int]) -> Any:
        layout, length = layout_of(self.graph), len(ids)
        feeds: dict[str, Any] = {"input_ids": np.array([ids], np.int32 if layout.ids == "INT32" else np.int64)}
        if layout.mask:
            feeds["attention_mask"] = np.ones((1, length), np.int64)
        if layout.positions:
            feeds["position_ids"] = np.arange(length)[None]
        feeds |= {slot.past: np.zeros(slot.at(0), np.float32) for slot in layout.slots}
        return self._session.run(["logits"], feeds)[0][0]
