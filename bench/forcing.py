"""How far apart scores lie, of a generator's answer and of its check from its tokens: honest machines, and cheats.

Each answer of 256 tokens is made by a loop over one graph and checked in one pass over the true one. The difference of
a score is a share of the logits' size, which the tolerance of a profile is held against (1e-5 for FP32).

    python -m bench.forcing [--answers N] [--json]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import numpy as np
import onnxruntime as ort
from onnx import numpy_helper

from bench.figures import show
from bench.generation import DRAWN, GREEDY, request
from bench.models.decoder import Shape, decoder
from engine.generation.generator import Generator
from engine.signature import describe
from verify.forcing import compare_tokens
from wire.arrays import to_array

TOKENS, TOLERANCE = 256, 1e-5
SHAPES = {"2 layers, width 64": Shape(), "6 layers, width 256": Shape(layers=6, heads=16, kv_heads=4)}
ALL, NONE = ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def _int8(weights: Any) -> Any:
    scale = np.abs(weights).max(axis=0) / 127
    return np.round(weights / scale) * scale


CHEATS: Mapping[str, Callable[[Any], Any]] = {
    "FP16 weights": lambda w: w.astype(np.float16),
    "BF16 weights": lambda w: (w.view(np.uint32) + 0x8000 & 0xFFFF0000).astype(np.uint32).view(np.float32),
    "INT8 weights": _int8,
    "a tenth pruned": lambda w: np.where(np.abs(w) < np.quantile(np.abs(w), 0.1), 0, w),
}


class _Session:
    """ONNX Runtime in this process, as far as a generator knows it; who listens to a generation, too."""

    def __init__(self, model: Any, level: Any = ALL) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.graph_optimization_level, options.log_severity_level = 1, level, 4
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.generator = Generator(self, describe(model, {}), None, {})  # type: ignore[arg-type]

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        began = perf_counter_ns()
        return self._session.run(list(names), dict(feeds)), (perf_counter_ns() - began) // 1000

    def say(self, piece: object) -> None: ...

    def stopped(self) -> bool:
        return False


def _changed(shape: Shape, change: Callable[[Any], Any]) -> Any:
    model = decoder(shape)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim > 1 and weight.name not in ("cos", "sin"):
            weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(values), np.float32), weight.name))
    return model


def measure(answers: int) -> list[dict[str, object]]:
    """A row for each decoder and provider."""
    rows: list[dict[str, object]] = []
    for what, shape in SHAPES.items():
        true = _Session(decoder(shape))
        providers = {"the same": true, "no optimisation": _Session(decoder(shape), NONE)}
        providers |= {cheat: _Session(_changed(shape, change)) for cheat, change in CHEATS.items()}
        for name, provider in providers.items():
            rows.append({"decoder": what, "provider": name} | _judge(true, provider, answers))
    return rows


def _judge(true: _Session, provider: _Session, answers: int) -> dict[str, object]:
    worst, accepted, ties, seen = [], 0, 0, 0
    for number in range(answers):
        inputs = request(number + 1, TOKENS, (GREEDY, DRAWN, (1.0, 0, 1.0))[number % 3])
        made, _, _ = provider.generator.run(inputs, provider)
        found, _, _ = true.generator.run([*inputs, made[0]], true)
        scores, scales, gaps = (to_array(tensor) for tensor in found[:3])
        worst.append(float((np.abs(to_array(made[-1])[: len(scores)] - scores) / scales).max()))
        accepted += compare_tokens(found, made, TOLERANCE).agrees
        ties += int(((gaps > 0) & (gaps <= TOLERANCE)).sum())
        seen += len(gaps)
    return {
        "accepted": f"{accepted} of {answers}",
        "difference": f"{min(worst):.1e} to {max(worst):.1e}",
        "near ties": f"{ties} of {seen}",
    }


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show("Answers checked from their tokens", measure(arguments.answers), arguments.json)


if __name__ == "__main__":
    main()
