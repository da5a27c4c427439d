"""`zk setup | check`: register a circuit for a model of one's own; make a registered one again and compare."""

from __future__ import annotations

from pathlib import Path
from posixpath import dirname, join
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import trio

from engine import EngineError
from verify.tiers.zk import check_registration
from verify.zk import srs
from verify.zk.fixedpoint import quantise
from wire.canonical import decode
from wire.cid import to_cid
from wire.circuit import Circuit, CircuitFile, SignedCircuit, Visibility, count, read_circuit
from wire.errors import RecordError
from wire.example import EXAMPLE, read_example
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.tensors import Tensor, check_headers

from ..control import Emit
from ..errors import CommandError, Exit
from ..local import Local
from ..meaning import find_here
from ..zk.knowing import read_file
from ..zk.proving import open_circuit
from ..zk.registering import read_srs, register

if TYPE_CHECKING:
    from collections.abc import Sequence


async def setup_circuit(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Register a circuit; its description."""
    signed, manifest = _find(local, params["model"])
    inputs = await trio.to_thread.run_sync(_inputs, local, manifest, params.get("inputs") or {})
    given = await trio.to_thread.run_sync(read_srs, Path(params["srs"])) if params.get("srs") else None
    visibility: Visibility = "polycommit" if params.get("commit") else "fixed"
    registered = await register(local, signed, manifest, inputs, visibility, given, emit)
    return describe_circuit(registered)


async def check_circuits(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Make the key of each registered circuit again, from the model in the store; whether it is the registered one."""
    signed, manifest = _find(local, params["model"])
    rows = []
    for record in local.store.circuits.of(signed.model):
        emit({"event": "zk", "text": f"making {record.hash.hex()[:16]}… again"})
        wrong = ""
        try:
            await _check(local, record, manifest, signed.model)
        except (EngineError, RecordError) as error:
            wrong = str(error)
        rows.append(describe_circuit(record) | {"ok": not wrong, "problem": wrong})
    if not rows:
        raise CommandError(
            Exit.NOT_FOUND,
            "no circuit of this model is here",
            "Pull it again, or register one: hallmark zk setup",
        )
    return {"circuits": rows}


async def _check(local: Local, record: SignedCircuit, manifest: Manifest, model: bytes) -> None:
    circuit = read_circuit(record, local.network.domain, manifest, model)
    graph = CircuitFile(blob=manifest.files[0].blob, size=manifest.files[0].size)
    wanted = (graph, circuit.settings, circuit.srs)
    onnx, settings, string = [await trio.to_thread.run_sync(read_file, local.store, file) for file in wanted]
    check_registration(circuit, manifest, settings)
    if srs.cut_down(string) != circuit.verifier_srs:
        raise RecordError("proofs would be checked with another SRS than they are made with")
    with TemporaryDirectory(prefix="hallmark-zk-") as folder:
        made = await open_circuit(Path(folder), circuit, onnx, settings, string)
        if circuit.visibility == "polycommit":  # the key says nothing of the weights; a proof does
            zeros = [quantise(bytes(4 * count((spec,))), 0) for spec in circuit.inputs]
            proved = await made.prove(zeros, count(circuit.outputs))
            if not proved.proof.startswith(circuit.commitment):
                raise RecordError("the registered commitment is to other weights than this model's")


def describe_circuit(signed: SignedCircuit) -> dict[str, Any]:
    """A circuit record as plain values."""
    circuit = decode(signed.body, Circuit)
    return {
        "circuit": signed.hash.hex(),
        "model": to_cid(circuit.model),
        "system": circuit.system,
        "srs": srs.origin(circuit.verifier_srs),
        "rows": 2**circuit.logrows,
        "weights": circuit.visibility,
        "inputs": {spec.name: list(spec.shape) for spec in circuit.inputs},
        "tolerance": circuit.tolerance_ppb / 1e9,
        "proof_bytes": circuit.proof_bytes,
        "prove_us": circuit.prove_us,
        "key_bytes": circuit.key.size,
        "srs_bytes": circuit.srs.size,
    }


def _find(local: Local, text: str) -> tuple[SignedManifest, Manifest]:
    signed = find_here(local, text)
    if signed is None:
        raise CommandError(Exit.NOT_FOUND, f"the model {text} is not here", "Add it first: hallmark model add")
    return signed, read_manifest(signed, local.network.domain)


def _inputs(local: Local, manifest: Manifest, given: dict[str, Any]) -> Sequence[Tensor]:
    """Those given, or the model's example. They fix the circuit's shapes. Blocks."""
    if given:
        from ..inputs import make_tensors  # numpy: a node that only hosts does without

        return make_tensors({name: (how, data) for name, (how, data) in given.items()}, manifest.inputs)
    path = join(dirname(manifest.files[0].path), EXAMPLE)
    if file := next((f for f in manifest.files if f.path == path), None):
        tensors = read_example(read_file(local.store, CircuitFile(blob=file.blob, size=file.size)))
        check_headers([t.header for t in tensors], manifest.inputs, "the model's example")
        return tensors
    raise CommandError(
        Exit.USAGE,
        "the circuit needs an input, which fixes its shapes and the range of its numbers",
        "Give a typical one: --input NAME=VALUE|@FILE. Or publish the model with an example.",
    )
