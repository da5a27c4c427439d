"""What the worker costs a decoder: tokens a second through the engine, against the plainest loop in one process.

Both run the same graph greedily with its cache, and their tokens are compared; runs are interleaved, so that the ratio
holds when the machine's speed drifts.    python -m bench.generation [--tokens N] [--runs N] [--json]
"""

from __future__ import annotations

import argparse
import os
import struct
import time
from collections.abc import Sequence
from functools import partial

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import numpy as np
import onnxruntime as ort
import trio

from bench.figures import percentile, show
from bench.models.decoder import HEAD, Shape, decoder
from engine import Engine, ModelFile, open_engine, sealed
from wire.tensors import Tensor

SHAPES = {
    "2 layers, width 64": Shape(context=2048),
    "6 layers, width 256": Shape(layers=6, heads=16, kv_heads=4, context=2048),
    "8 layers, width 768": Shape(layers=8, heads=48, kv_heads=12, context=2048),
}


class Loop:
    """The floor: ONNX Runtime, argmax, and nothing else."""

    def __init__(self, model: bytes, shape: Shape) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._past = [i.name for i in self._session.get_inputs() if i.name.startswith("past")]
        self._outputs = ["logits", *(name.replace("past_key_values", "present") for name in self._past)]
        self._empty = np.zeros((1, shape.kv_heads, 0, HEAD), np.float32)

    def generate(self, first: int, count: int) -> list[int]:
        ids = [first]
        cache = dict.fromkeys(self._past, self._empty)
        for position in range(count):
            feeds = {
                "input_ids": np.array([ids[-1:]]),
                "attention_mask": np.ones((1, position + 1), np.int64),
                "position_ids": np.array([[position]]),
            }
            logits, *state = self._session.run(self._outputs, feeds | cache)
            cache = dict(zip(self._past, state, strict=True))
            ids.append(int(logits[0, -1].argmax()))
        return ids[1:]


def request(first: int, count: int) -> list[Tensor]:
    """A generator's inputs, in order: one id, so many tokens, greedy."""
    one = (("max_tokens", "INT32", "<i", count), ("temperature", "FP32", "<f", 0), ("top_k", "INT32", "<i", 0),
           ("top_p", "FP32", "<f", 1), ("seed", "UINT64", "<Q", 0))  # fmt: skip
    return [
        Tensor.of("input_ids", "INT64", (1, 1), struct.pack("<q", first)),
        *(Tensor.of(name, kind, (1,), struct.pack(code, value)) for name, kind, code, value in one),  # type: ignore[arg-type]
        Tensor.of("stop", "BYTES", (0,), b""),
    ]


async def measure(tokens: int, runs: int) -> list[dict[str, object]]:
    """A row for each decoder."""
    rows = []
    async with open_engine() as engine:
        for name, shape in SHAPES.items():
            model = decoder(shape).SerializeToString()
            await engine.load(name.encode(), partial(_files, model), interface="generate")
            rows.append(await _compare(engine, name, Loop(model, shape), tokens, runs))
    return rows


def _files(model: bytes) -> Sequence[ModelFile]:
    return [ModelFile("model.onnx", sealed([model]))]


async def _compare(engine: Engine, name: str, loop: Loop, tokens: int, runs: int) -> dict[str, object]:
    direct, served, shares = list[float](), list[float](), list[float]()
    for run in range(runs + 1):
        began = time.perf_counter()
        expected = loop.generate(run, tokens)
        between = time.perf_counter()
        execution = await engine.execute(name.encode(), request(run, tokens), deadline=600, on_tokens=lambda _: None)
        ended = time.perf_counter()
        if struct.unpack(f"<{tokens}q", execution.outputs[0].data) != tuple(expected):
            raise SystemExit("the engine's tokens are not the direct loop's")
        if run:  # the first warms both
            direct.append(tokens / (between - began))
            served.append(tokens / (ended - between))
            shares.append((between - began) / (ended - between))
    return {
        "what": name,
        "direct tokens/s": round(percentile(direct, 50)),
        "served tokens/s": round(percentile(served, 50)),
        "share %": round(100 * percentile(shares, 50)),
    }


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = trio.run(measure, arguments.tokens, arguments.runs)
    show("A decoder in the worker, against a direct loop", rows, arguments.json)


if __name__ == "__main__":
    main()
