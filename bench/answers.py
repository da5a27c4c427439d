"""What proof costs: the same model and input executed directly, answered `signed`, and answered `quorum` by four.

Real peers in processes of their own, on loopback; the client's connection is open and warm. The three are interleaved,
so that their ratio holds when the machine's speed drifts.    python -m bench.answers [--runs N] [--json]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import numpy as np
import onnxruntime as ort
import trio

from bench.figures import row, show
from node.asking import ask
from node.attempt import Answered, Question
from node.clock import now_ms
from node.config import Config
from node.demo.magika import load_magika
from node.demo.peers import ending, gather, start
from node.finding import find_model
from node.opening import open_peer
from wire.arrays import to_array
from wire.canonical import Amount
from wire.presence import Role

WARM = 10


async def measure(runs: int, place: Path) -> list[dict[str, object]]:
    """The rows: direct, signed, quorum."""
    magika = load_magika()
    tensor = magika.features(magika.model.read_bytes()[:8192])
    array = to_array(tensor)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(magika.model.read_bytes(), options, providers=["CPUExecutionProvider"])
    cast: dict[str, tuple[Role, ...]] = {"provider": ("hub", "provider")}
    cast |= {f"verifier-{i}": ("verifier",) for i in range(4)}
    members, client = gather(place, cast)
    async with ending(members):
        await start(members[0], ())
        async with trio.open_nursery() as nursery:
            for member in members[1:]:
                nursery.start_soon(start, member, members[0].addresses[:1])
        about = {"path": str(magika.model), "name": "magika", "version": "1.0.0", "licence": "Apache-2.0", "task": "",
                 "description": "", "royalty_bps": 0}  # fmt: skip
        cid = (await members[0].call("model.add", about, lambda _: None))["cid"]
        for member in members[1:]:
            await member.call("model.pull", {"model": cid}, lambda _: None)
        config = Config(bootstraps=members[0].addresses[:1])
        async with open_peer(client, config, serving=False) as peer:
            signed, manifest = await find_model(peer, cid, lambda _: None)
            while not peer.board.offers(now_ms(), signed.model):
                await peer.board_changed.wait(1.0)
            question = Question(signed, manifest, [tensor], "signed", Amount(0), 30.0)
            quorum = replace(question, tier="quorum")
            times: dict[str, list[float]] = {"direct": [], "signed": [], "quorum": []}
            full = 0
            for i in range(runs + WARM):
                began = time.perf_counter()
                expected = session.run(None, {"bytes": array})[0]
                direct = time.perf_counter()
                answer = await ask(peer, question, lambda _: None)
                answered = time.perf_counter()
                certified = await ask(peer, quorum, lambda _: None)
                proved = time.perf_counter()
                _same(expected, answer)
                _same(expected, certified)
                if i >= WARM:
                    times["direct"].append((direct - began) * 1000)
                    times["signed"].append((answered - direct) * 1000)
                    times["quorum"].append((proved - answered) * 1000)
                    full += len(certified.signers) == certified.committee
    return [
        row("onnxruntime, called directly", times["direct"]),
        row("answer, tier signed", times["signed"]),
        row("answer, tier quorum, 4 verifiers", times["quorum"], all_signed=f"{full}/{runs}"),
    ]


def _same(expected: np.ndarray, answer: Answered) -> None:
    if not np.allclose(expected, to_array(answer.outputs[0]), rtol=0, atol=1e-5):
        raise SystemExit("the peers' answer is not the direct one")


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = trio.run(measure, arguments.runs, Path(place))
    show("What proof costs (magika, one file, milliseconds)", rows, arguments.json)


if __name__ == "__main__":
    main()
