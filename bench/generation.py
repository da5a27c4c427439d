"""What worker and peer cost a decoder: tokens a second through the engine, and of a proved answer from a provider in a
process of its own, against the plainest loop in one process.

All run the same graph greedily with its cache, and their tokens are compared; runs are interleaved, so that the ratio
holds when the machine's speed drifts. And what a check of an answer from its tokens costs, of what the same worker took
to make it: greedy, and drawn (temperature 0.8, top-k 40, top-p 0.95).

    python -m bench.generation [--tokens N] [--runs N] [--json]
"""

from __future__ import annotations

import argparse
import os
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import numpy as np
import onnxruntime as ort
import trio

from bench.figures import show
from bench.models.decoder import HEAD, Shape, decoder
from engine import Engine, ModelFile, open_engine, sealed
from node.asking import ask
from node.attempt import Question
from node.clock import now_ms
from node.config import Config
from node.control import Event
from node.demo.peers import Member, ending, gather, start
from node.finding import find_model
from node.opening import open_peer
from node.peer import Peer
from wire.canonical import Amount
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


GREEDY = (0.0, 0, 1.0)
DRAWN = (0.8, 40, 0.95)


def request(first: int, count: int, way: tuple[float, int, float] = GREEDY) -> list[Tensor]:
    """A generator's inputs, in order: one id, so many tokens, temperature, top-k and top-p."""
    temperature, top_k, top_p = way
    one = (
        ("max_tokens", "INT32", "<i", count), ("temperature", "FP32", "<f", temperature),
        ("top_k", "INT32", "<i", top_k), ("top_p", "FP32", "<f", top_p), ("seed", "UINT64", "<Q", first),
    )  # fmt: skip
    return [
        Tensor.of("input_ids", "INT64", (1, 1), struct.pack("<q", first)),
        *(Tensor.of(name, kind, (1,), struct.pack(code, value)) for name, kind, code, value in one),  # type: ignore[arg-type]
        Tensor.of("stop", "BYTES", (0,), b""),
    ]


async def measure(tokens: int, runs: int, place: Path) -> list[dict[str, object]]:
    """A row for each decoder."""
    rows = []
    members, client = gather(place, {"provider": ("hub", "provider")})
    async with ending(members), open_engine() as engine:
        await start(members[0], ())
        config = Config(bootstraps=members[0].addresses[:1])
        async with open_peer(client, config, serving=False) as peer:
            for name, shape in SHAPES.items():
                model = decoder(shape).SerializeToString()
                await engine.load(name.encode(), partial(_files, model), interface="generate")
                served = await _served(peer, members[0], place, name, model)
                rows.append(await _compare(engine, served, name, Loop(model, shape), tokens, runs))
    return rows


def _files(model: bytes) -> Sequence[ModelFile]:
    return [ModelFile("model.onnx", sealed([model]))]


async def _served(peer: Peer, provider: Member, place: Path, name: str, model: bytes) -> Served:
    path = place / f"{name.replace(',', '').replace(' ', '-')}.onnx"
    path.write_bytes(model)
    about = {"path": str(path), "name": path.stem, "version": "1.0.0", "licence": "MIT", "task": "",
             "description": "", "royalty_bps": 0}  # fmt: skip
    cid = (await provider.call("model.add", about, lambda _: None))["cid"]
    signed, manifest = await find_model(peer, cid, lambda _: None)
    while not peer.board.offers(now_ms(), signed.model):
        await peer.board_changed.wait(1.0)
    return Served(peer, Question(signed, manifest, (), "signed", Amount(0), 600.0))


@dataclass
class Served:
    """A decoder at a provider in a process of its own, asked as `hallmark infer` asks."""

    peer: Peer
    question: Question

    async def generate(self, inputs: Sequence[Tensor]) -> tuple[tuple[int, ...], float]:
        """The tokens of a proved answer, and the seconds until the first of them was seen."""
        began, first = time.perf_counter(), list[float]()

        def emit(event: Event) -> None:
            if event["event"] == "tokens" and not first:
                first.append(time.perf_counter() - began)

        answer = await ask(self.peer, replace(self.question, tensors=inputs), emit)
        return _ids(answer.outputs[0]), first[0] if first else time.perf_counter() - began


def _ids(tensor: Tensor) -> tuple[int, ...]:
    return struct.unpack(f"<{tensor.header.shape[0]}q", tensor.data)


async def check(engine: Engine, name: str, first: int, tokens: int, way: tuple[float, int, float]) -> float:
    """The seconds of a check, of those of the generation that it checks; both in the same worker."""
    inputs, began = request(first, tokens, way), time.perf_counter()
    made = await engine.execute(name.encode(), inputs, deadline=600, on_tokens=lambda _: None)
    marked = time.perf_counter()
    found = await engine.execute(name.encode(), [*inputs, made.outputs[0]], deadline=600)
    ended = time.perf_counter()
    gaps = found.outputs[2]
    if gaps.header.shape != (tokens,) or any(bytes(gaps.data)):
        raise SystemExit("a check found other tokens than were drawn")
    return (ended - marked) / (marked - began)


async def _compare(engine: Engine, served: Served, name: str, loop: Loop, tokens: int, runs: int) -> dict[str, object]:
    times: dict[str, list[float]] = {"direct": [], "worker": [], "peer": [], "first": []}
    checks: dict[str, list[float]] = {"check %": [], "check % (drawn)": []}
    for run in range(runs + 1):
        marks = [time.perf_counter()]
        expected = tuple(loop.generate(run, tokens))
        marks.append(time.perf_counter())
        execution = await engine.execute(name.encode(), request(run, tokens), deadline=600, on_tokens=lambda _: None)
        marks.append(time.perf_counter())
        answered, first = await served.generate(request(run, tokens))
        marks.append(time.perf_counter())
        if not _ids(execution.outputs[0]) == answered == expected:
            raise SystemExit("the tokens are not the direct loop's")
        for what, way in zip(checks, (GREEDY, DRAWN), strict=True):
            checks[what].append(await check(engine, name, run, tokens, way))
        if run:  # the first warms all
            for what, seconds in zip(times, [*(b - a for a, b in pairwise(marks)), first], strict=True):
                times[what].append(seconds)
    shares = {
        f"{what} %": round(100 * median(d / t for d, t in zip(times["direct"], times[what], strict=True)))
        for what in ("worker", "peer")
    }
    rates = {f"{what} tokens/s": round(tokens / median(times[what])) for what in ("direct", "worker", "peer")}
    costs: dict[str, object] = {what: round(100 * median(found[1:]), 1) for what, found in checks.items()}
    first_ms = round(1000 * median(times["first"]), 1)
    return {"what": name} | rates | shares | costs | {"first token ms": first_ms, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = trio.run(measure, arguments.tokens, arguments.runs, Path(place))
    show("A decoder in a worker, and at a peer, against a direct loop", rows, arguments.json)


if __name__ == "__main__":
    main()
