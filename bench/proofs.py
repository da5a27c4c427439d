"""What a ZK proof costs: registration, proving, checking, and every size that travels, for two perceptrons.

The larger one commits to its weights. Checking is measured warm, as a node does it (a process that stays), and cold, as
`hallmark verify` does. Each proof is one that a client would accept: what does not hold ends the program.

    python -m bench.proofs [--json] [--rounds 5] [--small]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from engine.zk.files import PROVING_KEY
from engine.zk.running import open_verifier
from node.config import Config
from node.datadir import DataDir
from node.local import initialise, open_local
from node.modelfiles import load
from node.operations.adding import add_model
from node.operations.circuits import setup_circuit
from node.zk.knowing import read_file
from node.zk.proving import open_circuit
from verify.zk.fixedpoint import quantise
from wire.cid import from_cid
from wire.circuit import count, read_circuit
from wire.manifest import read_manifest

from .figures import percentile, show
from .models.perceptron import save_perceptron

MODELS = ((("small", (49, 32, 8), False)), (("large", (784, 64, 10), True)))


async def measure(folder: Path, name: str, sizes: Sequence[int], commit: bool, rounds: int) -> list[dict[str, Any]]:
    """The figures of one model, published and registered in `folder`."""
    parameters = save_perceptron(folder / "model.onnx", sizes)
    directory = DataDir(folder / "home")
    initialise(directory, None)
    steps: list[tuple[str, float]] = []

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "zk":
            steps.append((event["text"], time.perf_counter()))

    async with open_local(directory, Config()) as local:
        about = {"name": name, "version": "1.0.0", "licence": "MIT", "task": "", "royalty_bps": 0, "description": ""}
        model = from_cid((await add_model(local, about | {"path": str(folder / "model.onnx")}, lambda _: None))["cid"])
        row = ", ".join(str((i % 7 - 3) / 4) for i in range(sizes[0]))
        started = time.perf_counter()
        given = {"x": ["json", f"[[{row}]]".encode()]}
        await setup_circuit(local, {"model": name, "inputs": given, "commit": commit, "srs": ""}, emit)
        setup = time.perf_counter() - started
        string, keys = (steps[i + 1][1] - steps[i][1] for i in (2, 3))
        signed = local.store.models.get(model)
        assert signed is not None
        manifest = read_manifest(signed, local.network.domain)
        (record,) = local.store.circuits.of(model)
        circuit = read_circuit(record, local.network.domain, manifest, model)
        settings, srs = (read_file(local.store, file) for file in (circuit.settings, circuit.srs))
        ready, _ = await load(local.engine, local.store, model, manifest)
        work = Path(folder) / "work"
        await trio.Path(work).mkdir()
        graph = await trio.Path(folder / "model.onnx").read_bytes()
        made = await open_circuit(work, circuit, graph, settings, srs)
        scale = circuit.input_scales[0]
        numbers = [quantise(b"".join(b"\0\0\0\x3f" for _ in range(sizes[0])), scale)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        proofs = [await made.prove(numbers, count(circuit.outputs)) for _ in range(rounds)]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / rounds
        statements = [made.statement(numbers, proof) for proof in proofs]
        warm, cold = [], []
        for statement in statements:
            began = time.perf_counter()
            async with open_verifier() as verifier:
                await _hold(verifier, statement.files)
                cold.append((time.perf_counter() - began) * 1000)
        async with open_verifier() as verifier:
            await _hold(verifier, statements[0].files)
            for statement in statements * 5:
                began = time.perf_counter()
                await _hold(verifier, statement.files)
                warm.append((time.perf_counter() - began) * 1000)
        size = (await trio.Path(work / PROVING_KEY).stat()).st_size
    seconds = [proof.took_us / 1e6 for proof in proofs]
    return [
        {
            "model": f"{parameters:,} parameters, {circuit.visibility}",
            "rows": 2**circuit.logrows,
            "setup_s": round(setup, 2),
            "srs_s": round(string, 2),
            "keys_s": round(keys, 2),
            "prove_p50_s": round(percentile(seconds, 50), 2),
            "prove_cpu_s": round(processor, 2),
            "over_direct": f"{percentile(seconds, 50) * 1e6 / max(1, ready.compute_us):,.0f}",
            "verify_p50_ms": round(percentile(warm, 50), 1),
            "verify_p99_ms": round(percentile(warm, 99), 1),
            "cold_p50_ms": round(percentile(cold, 50), 0),
            "proof": circuit.proof_bytes,
            "key": circuit.key.size,
            "settings": circuit.settings.size,
            "srs": circuit.srs.size,
            "proving_key": size,
            "differs": f"{circuit.tolerance_ppb / 1e9:.1e}",
        }
    ]


async def _hold(verifier: Any, files: Any) -> None:
    if fault := await verifier.check(files):
        raise SystemExit(f"a proof did not hold, so these figures would mean nothing: {fault}")


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=5, help="proofs of each model")
    parser.add_argument("--small", action="store_true", help="leave the large model out, which takes two minutes")
    options = parser.parse_args()
    rows = []
    for name, sizes, commit in MODELS[: 1 if options.small else 2]:
        with TemporaryDirectory(prefix="hallmark-") as folder:
            rows += trio.run(measure, Path(folder), name, sizes, commit, options.rounds)
    show("ZK proofs", rows, options.json)


if __name__ == "__main__":
    main()
