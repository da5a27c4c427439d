"""What each rung of the ladder costs: the same model and input executed directly, and answered in every tier.

Real peers in processes of their own, on loopback; the client's connections are open and warm. The tiers are
interleaved, so that their ratios hold when the machine's speed drifts. CPU is of a peer and its workers; bytes are all
that loopback carried, so run it where nothing else uses it: unshare -n sh -c 'ip link set lo up; …'.

    python -m bench.tiers [--model mlp|magika] [--rounds N] [--json]

`mlp` has 1,864 parameters, so that it can also be proved in zero knowledge. `tee` is the development attester's: it
costs what a quote costs that is there already, and proves nothing. `sampled` is checked at the network's default rate.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session
os.environ["HALLMARK_ATTESTER"] = "dev"

import numpy as np
import onnxruntime as ort
import psutil
import trio

from bench.figures import percentile, show
from bench.models.perceptron import save_perceptron
from node.asking import ask
from node.attempt import Answered, Question
from node.auditing.after import Given, have_checked, is_to_be_checked
from node.clock import now_ms
from node.config import Config
from node.demo.magika import load_magika
from node.demo.peers import Member, ending, gather, start
from node.finding import find_model
from node.opening import open_peer
from node.peer import Peer
from verify.policy import Policy
from verify.teepolicy import TeePolicy
from verify.zk.policy import ZkPolicy
from wire.arrays import from_array, to_array
from wire.canonical import Amount
from wire.presence import Role
from wire.tensors import Tensor
from wire.tier import Tier

WARM, ROUND = 2, 10  # rounds that do not count; answers of a tier in one round
TIERS: tuple[Tier, ...] = ("signed", "sampled", "tee", "quorum", "zk")
BELIEVED = Policy(tee=TeePolicy(kinds=("dev",), measurements=("any",)), zk=ZkPolicy(dev_srs=True))
INTERFACES = Path("/proc/self/net/dev")  # of this process's own network namespace


@dataclass
class Spent:
    """What answers of one tier took. Times in milliseconds, CPU in seconds by who spent it."""

    milliseconds: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=lambda: {"client": 0.0, "provider": 0.0, "verifiers": 0.0})
    moved: int = 0
    receipt: int = 0
    checked: int = 0


class Town:
    """A provider and four verifiers, each a process with its workers, and what all of it has spent so far."""

    def __init__(self, members: list[Member]) -> None:
        self._members = {m.name: psutil.Process(m.process.pid) for m in members if m.process}

    def cpu(self) -> dict[str, float]:
        """CPU seconds by who spent them. The members are children of this process, and not the client's work."""
        members = {name: _cpu([member, *member.children(recursive=True)]) for name, member in self._members.items()}
        apart = {member.pid for member in self._members.values()}
        own = [child for child in psutil.Process().children() if child.pid not in apart]
        client = _cpu([psutil.Process(), *own, *(inner for child in own for inner in child.children(recursive=True))])
        return {"client": client, "provider": members.pop("provider"), "verifiers": sum(members.values())}

    @contextmanager
    def counting(self, spent: Spent) -> Iterator[None]:
        """Add what is spent inside."""
        cpu, moved = self.cpu(), _moved()
        yield
        moved = _moved() - moved
        for who, seconds in self.cpu().items():
            spent.cpu[who] += seconds - cpu[who]
        spent.moved += moved


def _moved() -> int:
    """Bytes that loopback has carried."""
    line = next(line for line in INTERFACES.read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


def _cpu(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()  # with those of children that have ended: a prover lives for one proof
            total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(frozen=True)
class Subject:
    """What is asked: an ONNX file, one input for it, and the input's name."""

    name: str
    path: Path
    tensor: Tensor


def _subject(which: str, place: Path) -> Subject:
    if which == "magika":
        magika = load_magika()
        return Subject("magika", magika.model, magika.features(magika.model.read_bytes()[:8192]))
    save_perceptron(place / "mlp.onnx", (49, 32, 8))
    numbers = np.array([[(i % 7 - 3) / 4 for i in range(49)]], dtype=np.float32)
    return Subject("mlp", place / "mlp.onnx", from_array("x", numbers))


async def measure(which: str, rounds: int, place: Path) -> list[dict[str, object]]:
    """A row a tier, after that of the direct call."""
    subject = _subject(which, place)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(subject.path.read_bytes(), options, providers=["CPUExecutionProvider"])
    cast: dict[str, tuple[Role, ...]] = {"provider": ("hub", "provider")}
    cast |= {f"verifier-{i}": ("verifier",) for i in range(4)}
    members, client = gather(place, cast)
    async with ending(members):
        await start(members[0], ())
        async with trio.open_nursery() as nursery:
            for member in members[1:]:
                nursery.start_soon(start, member, members[0].addresses[:1])
        cid = await _publish(members, subject, zk=which == "mlp")
        config = Config(bootstraps=members[0].addresses[:1])
        async with open_peer(client, config, serving=False) as peer:
            signed, manifest = await find_model(peer, cid, lambda _: None)
            tiers = await _offered(peer, signed.model, [t for t in TIERS if t != "zk" or which == "mlp"])
            question = Question(signed, manifest, [subject.tensor], "signed", Amount(0), 60.0, policy=BELIEVED)
            spent = {tier: Spent() for tier in tiers}
            direct: list[float] = []
            town, seconds = Town(members), 0.0
            for i in range(rounds + WARM):
                for _ in range(ROUND):
                    began, burnt = time.perf_counter(), time.process_time()
                    expected = session.run(None, {subject.tensor.name: to_array(subject.tensor)})[0]
                    if i >= WARM:
                        direct.append((time.perf_counter() - began) * 1000)
                        seconds += time.process_time() - burnt
                for tier in tiers:
                    tally = spent[tier] if i >= WARM else Spent()
                    await _some(peer, town, replace(question, tier=tier), expected, tally)
    return _rows(direct, seconds / len(direct), spent)


async def _publish(members: list[Member], subject: Subject, *, zk: bool) -> str:
    about = {"path": str(subject.path), "name": subject.name, "version": "1.0.0", "licence": "Apache-2.0", "task": "",
             "description": "", "royalty_bps": 0}  # fmt: skip
    cid = str((await members[0].call("model.add", about, lambda _: None))["cid"])
    if zk:
        row = ["json", str(to_array(subject.tensor).tolist()).encode()]
        params = {"model": cid, "inputs": {subject.tensor.name: row}, "commit": False, "srs": ""}
        await members[0].call("zk.setup", params, lambda _: None)
    for member in members[1:]:
        await member.call("model.pull", {"model": cid}, lambda _: None)
    return cid


async def _offered(peer: Peer, model: bytes, wanted: list[Tier]) -> list[Tier]:
    """Return once the provider offers every tier that is wanted."""
    with trio.fail_after(120):
        while True:
            offers = peer.board.offers(now_ms(), model)
            if offers and all(offers[0].terms(tier) for tier in wanted):
                return wanted
            await peer.board_changed.wait(1.0)


async def _some(peer: Peer, town: Town, question: Question, expected: Any, spent: Spent) -> None:
    """A round: several answers, since looking at every process's clock costs as much as an answer."""
    with town.counting(spent):
        for _ in range(ROUND if question.tier != "zk" else 1):
            began = time.perf_counter()
            answer = await ask(peer, question, lambda _: None)
            spent.milliseconds.append((time.perf_counter() - began) * 1000)
            _same(expected, answer, 0.05 if question.tier == "zk" else 1e-5)
            if is_to_be_checked(peer, answer.file):
                given = Given(answer.file, question.tensors, answer.outputs, answer.provider)
                spent.checked += (await have_checked(peer, given)).agreed is True
    spent.receipt = len(answer.encoded)


def _same(expected: Any, answer: Answered, tolerance: float) -> None:
    if not np.allclose(expected, to_array(answer.outputs[0]), rtol=0, atol=tolerance):
        raise SystemExit("the peers' answer is not the direct one")


def _rows(direct: list[float], seconds: float, spent: dict[Tier, Spent]) -> list[dict[str, object]]:
    first = {"tier": "none: the model called directly", "p50_ms": round(percentile(direct, 50), 3),
             "client_cpu_ms": round(seconds * 1000, 3), "cost": 1.0}  # fmt: skip
    rows: list[dict[str, object]] = [first]
    for tier, tally in spent.items():
        runs = len(tally.milliseconds)
        cpu = {f"{who}_cpu_ms": round(burnt / runs * 1000, 1) for who, burnt in tally.cpu.items()}
        rows.append(
            {"tier": tier, "p50_ms": round(percentile(tally.milliseconds, 50), 1),
             "p99_ms": round(percentile(tally.milliseconds, 99), 1)}
            | cpu
            | {"bytes": tally.moved // runs, "receipt_bytes": tally.receipt,
               "cost": round(sum(tally.cpu.values()) / runs / seconds, 1),
               "checked": tally.checked if tier == "sampled" else ""}
        )  # fmt: skip
    return rows


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "magika"), default="mlp")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = trio.run(measure, arguments.model, arguments.rounds, Path(place))
    show(f"What each tier costs ({arguments.model}, one row)", rows, arguments.json)


if __name__ == "__main__":
    main()
