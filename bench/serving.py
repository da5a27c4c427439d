"""What a peer costs a model: answers in tier `signed`, against ONNX Runtime called directly in one process.

python -m bench.serving [--seconds N] [--rounds N] [--part company|latency|tensors] [--json]

A provider and its worker are processes of their own, on loopback; the client, with all its askers, is this one. What
stands in one row was measured in turn within each round, so that the ratios hold when the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import numpy as np
import onnxruntime as ort
import trio
from onnx import TensorProto, numpy_helper
from onnx import helper as h

from bench.figures import percentile, show
from bench.transport import one as link
from engine import Engine, ModelFile, sealed
from node.asking import ask
from node.attempt import Question
from node.clock import now_ms
from node.config import Config
from node.demo.peers import Member, ending, gather, start
from node.finding import find_model
from node.opening import open_peer
from node.peer import Peer
from wire.arrays import from_array, to_array
from wire.canonical import Amount

CLIENTS = 64
LARGE = 4 << 20  # floats: 16 MiB
TICKS = os.sysconf("SC_CLK_TCK")

Row = dict[str, Any]


def layers(count: int, width: int) -> Any:
    """A stack of matrix products: their weights are read once a run, so that company is nearly free."""
    rng = np.random.default_rng(1)
    names = ["x", *(f"h{i}" for i in range(count - 1)), "y"]
    weights = [
        numpy_helper.from_array(rng.standard_normal((width, width), np.float32) / width**0.5, f"w{i}")
        for i in range(count)
    ]
    nodes = []
    for i in range(count):
        nodes += [h.make_node("MatMul", [names[i], f"w{i}"], [f"m{i}"]), h.make_node("Tanh", [f"m{i}"], [names[i + 1]])]
    return _model(nodes, ["N", width], weights)


def pictures(count: int) -> Any:
    """A stack of convolutions over 32 × 32: each row costs what it costs alone, so that company gains nothing."""
    rng = np.random.default_rng(2)
    names, width = ["x", *(f"h{i}" for i in range(count))], [3, *(64 for _ in range(count))]
    weights, nodes = [], []
    for i in range(count):
        kernel = rng.standard_normal((width[i + 1], width[i], 3, 3), np.float32) / (9 * width[i]) ** 0.5
        weights.append(numpy_helper.from_array(kernel, f"w{i}"))
        nodes.append(h.make_node("Conv", [names[i], f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(h.make_node("Relu", [f"c{i}"], [names[i + 1]]))
    nodes.append(h.make_node("GlobalAveragePool", [names[-1]], ["y"]))
    return _model(nodes, ["N", 3, 32, 32], weights, ["N", 64, 1, 1])


def negation() -> Any:
    """A model that does next to nothing, to as many floats as are sent."""
    return _model([h.make_node("Neg", ["x"], ["y"])], ["N", "M"], [])


def _model(nodes: Sequence[Any], shape: Sequence[int | str], weights: Sequence[Any], out: Sequence[Any] = ()) -> Any:
    x, y = (h.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", out or shape)))
    graph = h.make_graph(nodes, "bench", [x], [y], initializer=weights)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)


@dataclass
class Case:
    """One model: its direct session, the question about it, and a row of input with its output."""

    name: str
    session: ort.InferenceSession
    question: Question
    row: np.ndarray
    expected: np.ndarray
    model: bytes

    def direct(self, rows: int) -> float:
        """Seconds of one run for so many rows."""
        batch = np.concatenate([self.row] * rows)
        began = time.perf_counter()
        self.session.run(None, {"x": batch})
        return time.perf_counter() - began

    async def served(self, peer: Peer) -> tuple[float, float]:
        """Seconds of one proved answer, as `hallmark infer` gets it, and of the worker's run for it."""
        began = time.perf_counter()
        answer = await ask(peer, self.question, lambda _: None)
        took = time.perf_counter() - began
        if abs(to_array(answer.outputs[0]) - self.expected).max() > 1e-4:
            raise SystemExit(f"{self.name}: the peer's answer is not the direct one")
        return took, answer.file.receipt.receipt.usage.compute_us / 1e6


def _file(name: str) -> str:
    return name.lower().replace(" ", "-")


async def _case(peer: Peer, provider: Member, place: Path, name: str, model: Any, row: np.ndarray) -> Case:
    path = place / f"{_file(name)}.onnx"
    path.write_bytes(model.SerializeToString())
    about = {"path": str(path), "name": path.stem, "version": "1.0.0", "licence": "MIT", "task": "",
             "description": "", "royalty_bps": 0}  # fmt: skip
    cid = (await provider.call("model.add", about, lambda _: None))["cid"]
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    signed, manifest = await find_model(peer, cid, lambda _: None)
    while not peer.board.offers(now_ms(), signed.model):
        await peer.board_changed.wait(1.0)
    question = Question(signed, manifest, [from_array("x", row)], "signed", Amount(0), 60.0)
    return Case(name, session, question, row, session.run(None, {"x": row})[0], path.read_bytes())


@dataclass(frozen=True)
class Cost:
    """Seconds of processor that each process has used."""

    client: float
    node: float
    worker: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.client - other.client, self.node - other.node, self.worker - other.worker)


async def _status(provider: Member, case: Case) -> Row:
    models = (await provider.call("ps", {}, lambda _: None))["models"]
    return next(m for m in models if m["name"].startswith(_file(case.name) + "@"))


def _cost(provider: Member, worker: int) -> Cost:
    assert provider.process is not None
    return Cost(time.process_time(), _used(provider.process.pid), _used(worker))


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _crowd(peer: Peer, case: Case, clients: int, seconds: float) -> float:
    """Answers a second of so many askers, each with one request in flight."""
    answers = 0
    began = time.perf_counter()

    async def go_on() -> None:
        nonlocal answers
        while time.perf_counter() - began < seconds:
            await case.served(peer)
            answers += 1

    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(go_on)
    return answers / (time.perf_counter() - began)


def _loop(case: Case, rows: int, seconds: float) -> float:
    """Rows a second of the plainest loop in one process."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        case.direct(rows)
        done += rows
    return done / (time.perf_counter() - began)


async def _together(engine: Engine, case: Case, seconds: float) -> float:
    """Rows a second of 64 callers of an engine in this process: its queue and its worker, without a network."""
    done, began = 0, time.perf_counter()

    async def go_on() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await engine.execute(case.question.manifest.model, case.question.tensors, deadline=60)
            done += 1

    async with trio.open_nursery() as nursery:
        for _ in range(CLIENTS):
            nursery.start_soon(go_on)
    return done / (time.perf_counter() - began)


async def company(peer: Peer, provider: Member, case: Case, seconds: float, rounds: int) -> Row:
    """64 askers and one, against a loop alone and a loop over batches of the size that the 64 were executed in."""
    engine, model = peer.local.engine, case.model
    await engine.load(case.question.manifest.model, lambda: [ModelFile("model.onnx", sealed([model]))])
    await _crowd(peer, case, CLIENTS, 1.0)  # warm: streams, worker, batches
    found: list[Row] = []
    for _ in range(rounds):
        before = await _status(provider, case)
        used = _cost(provider, before["pid"])
        many = await _crowd(peer, case, CLIENTS, seconds)
        spent = _cost(provider, before["pid"]) - used
        after = await _status(provider, case)
        requests = after["requests"] - before["requests"]
        batch = requests / (after["runs"] - before["runs"])
        found.append(
            {
                "alone ms": case.direct(1) * 1000,
                "direct 1": _loop(case, 1, seconds / 4),
                "direct batch": _loop(case, round(batch), seconds / 2),
                "engine 64": await _together(engine, case, seconds / 2),
                "served 1": await _crowd(peer, case, 1, seconds / 2),
                "served 64": many,
                "batch": batch,
                "client ms": 1000 * spent.client / requests,
                "node ms": 1000 * spent.node / requests,
                "worker ms": 1000 * spent.worker / requests,
            }
        )
    middle = {key: median(row[key] for row in found) for key in found[0]}
    share = median(row["served 64"] / row["direct batch"] for row in found)
    gain = median(row["served 64"] / row["direct 1"] for row in found)
    return {"model": case.name} | {k: _round(v) for k, v in middle.items()} | {
        "share %": round(100 * share), "gain": round(gain, 1), "load": round(os.getloadavg()[0], 1)
    }  # fmt: skip


async def latency(peer: Peer, case: Case, runs: int) -> Row:
    """One asker, warm: what an answer takes beyond the direct call."""
    direct, served, within = list[float](), list[float](), list[float]()
    for i in range(runs + 10):
        one, (other, run) = case.direct(1), await case.served(peer)
        if i >= 10:
            direct.append(one * 1000)
            served.append(other * 1000)
            within.append(run * 1000)
    added = percentile(served, 50) - percentile(direct, 50)
    return {
        "model": case.name,
        "direct p50 ms": _round(percentile(direct, 50)),
        "served p50 ms": _round(percentile(served, 50)),
        "of it the worker's run ms": _round(percentile(within, 50)),
        "p99 ms": _round(percentile(served, 99)),
        "added ms": _round(added),
        "load": round(os.getloadavg()[0], 1),
    }


async def tensors(peer: Peer, provider: Member, case: Case, rounds: int, place: Path) -> Row:
    """16 MiB there and back, against the same bytes on one stream of the transport."""
    size, found = case.row.nbytes, []
    await case.served(peer)
    pid = (await _status(provider, case))["pid"]
    for _ in range(rounds):
        stream = await trio.to_thread.run_sync(link, "ours", place)
        floor = size / stream["up_MB/s"] / 1e6 + size / stream["down_MB/s"] / 1e6
        used = _cost(provider, pid)
        times = [(await case.served(peer))[0] for _ in range(10)]
        spent = _cost(provider, pid) - used
        took = median(times)
        found.append(
            {
                "direct ms": 1000 * case.direct(1),
                "link ms": 1000 * floor,
                "served ms": 1000 * took,
                "share": floor / took,
                "client ms": 100 * spent.client,
                "node ms": 100 * spent.node,
                "worker ms": 100 * spent.worker,
            }
        )
    middle = {key: median(row[key] for row in found) for key in found[0]}
    share = middle.pop("share")
    return {"model": case.name} | {k: _round(v) for k, v in middle.items()} | {
        "share %": round(100 * share), "load": round(os.getloadavg()[0], 1)
    }  # fmt: skip


def _round(value: float) -> float:
    return round(value, 2 if value < 100 else 0)


async def measure(seconds: float, rounds: int, part: str, place: Path) -> list[tuple[str, list[Row]]]:
    """The parts' titles and rows."""
    members, client = gather(place, {"provider": ("hub", "provider")})
    provider = members[0]
    rng = np.random.default_rng(3)
    models: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
        "small layers": (lambda: layers(2, 64), (1, 64)),
        "6 layers of 1024": (lambda: layers(6, 1024), (1, 1024)),
        "8 layers of 2048": (lambda: layers(8, 2048), (1, 2048)),
        "8 convolutions": (lambda: pictures(8), (1, 3, 32, 32)),
        "16 MiB": (negation, (1, LARGE)),
    }
    wanted = {
        "company": ["6 layers of 1024", "8 layers of 2048", "8 convolutions"],
        "latency": ["small layers", "6 layers of 1024"],
        "tensors": ["16 MiB"],
    }
    parts = [part] if part else list(wanted)
    found: list[tuple[str, list[Row]]] = []
    async with ending(members):
        await start(provider, ())
        config = Config(bootstraps=provider.addresses[:1])
        async with open_peer(client, config, serving=False) as peer:
            cases = {}
            for name in dict.fromkeys(n for p in parts for n in wanted[p]):
                make, shape = models[name]
                row = rng.standard_normal(shape, np.float32)
                cases[name] = await _case(peer, provider, place, name, make(), row)
            for p in parts:
                chosen = [cases[name] for name in wanted[p]]
                if p == "company":
                    rows = [await company(peer, provider, case, seconds, rounds) for case in chosen]
                    found.append(("64 askers at once, items a second", rows))
                elif p == "latency":
                    rows = [await latency(peer, case, int(40 * seconds)) for case in chosen]
                    found.append(("One asker, warm", rows))
                else:
                    rows = [await tensors(peer, provider, case, rounds, place) for case in chosen]
                    found.append(("16 MiB in, 16 MiB out", rows))
    return found


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement of a throughput")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("company", "latency", "tensors"), default="")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for title, rows in trio.run(measure, arguments.seconds, arguments.rounds, arguments.part, Path(place)):
            show(title, rows, arguments.json)


if __name__ == "__main__":
    main()
