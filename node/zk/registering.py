"""Registering a circuit: the model made into one, proved once and checked once, then signed by its publisher.

In this order, so that what is registered is known to work: settings from an input, the reference string, keys, a proof,
its check as any client would make it, the distance from the float model's answer. The files become blobs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from engine import EngineError
from engine.zk import files
from engine.zk.messages import MakeKeys, MakeSrs, Settle
from engine.zk.running import ProofWorker, open_proof_worker, open_verifier
from storage import Hold
from verify.zk import srs
from verify.zk.fixedpoint import dequantise, quantise
from verify.zk.settings import CircuitSettings, read_settings
from wire.bounds import Name
from wire.circuit import (
    MAX_INSTANCES,
    MAX_KEY,
    MAX_SETTINGS,
    MAX_SRS,
    POINT,
    Circuit,
    CircuitFile,
    SignedCircuit,
    Visibility,
    count,
    read_circuit,
    sign_circuit,
)
from wire.errors import RecordError
from wire.manifest import Manifest, SignedManifest
from wire.tensors import Tensor, TensorSpec

from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..local import Local
from ..modelfiles import load
from .distance import distance_ppb
from .knowing import read_file
from .proving import THREADS, CircuitFolder, Proved, read, write

_STEPS = ("executing the model", "finding settings", "the reference string", "keys", "a first proof", "its check")


async def register(
    local: Local,
    signed: SignedManifest,
    manifest: Manifest,
    inputs: Sequence[Tensor],
    visibility: Visibility,
    given_srs: bytes | None,
    emit: Emit,
) -> SignedCircuit:
    """The circuit for inputs of these shapes, registered and kept in the store.

    CommandError when the model can have none, EngineError when EZKL refuses it. `given_srs` is used instead of a new
    one, and may have more rows than are needed.
    """
    check_model(local, manifest, inputs)

    def tell(step: int) -> None:
        emit(
            {"event": "zk", "step": step + 1, "steps": len(_STEPS), "text": f"{step + 1}/{len(_STEPS)} {_STEPS[step]}"}
        )

    tell(0)
    floats = await _execute(local, signed, manifest, inputs)
    specs = tuple(_fixed(t) for t in inputs), tuple(_fixed(t) for t in floats)
    check_size(*specs)
    graph = await trio.to_thread.run_sync(
        read_file, local.store, CircuitFile(blob=manifest.files[0].blob, size=manifest.files[0].size)
    )
    with TemporaryDirectory(prefix="hallmark-zk-") as folder:
        path = Path(folder)
        write(path, files.GRAPH, graph)
        write(path, files.INPUT, _calibration(inputs))
        async with open_proof_worker(path, threads=THREADS) as worker:
            tell(1)
            await worker.do(Settle(visibility=visibility, sizes=_sizes(manifest, inputs)))
            settings = read(path, files.SETTINGS, MAX_SETTINGS)
            found = read_settings(settings)
            tell(2)
            string = await _srs(worker, path, found, given_srs)
            tell(3)
            await worker.do(MakeKeys())
            system = worker.system
        key = read(path, files.VERIFICATION_KEY, MAX_KEY)
        numbers = [quantise(t.data, scale) for t, scale in zip(inputs, found.input_scales, strict=True)]
        made = CircuitFolder(path, settings, key, srs.cut_down(string))
        tell(4)
        proved = await made.prove(numbers, count(specs[1]))
        tell(5)
        await _check(made, numbers, proved)
        points = _points(path) if visibility == "polycommit" else 0
    outputs = dequantise_all(proved.outputs, specs[1], found.output_scales)
    async with local.store.holding() as hold:
        circuit = Circuit(
            model=signed.model,
            publisher=local.key.address,
            system=system,
            graph=manifest.files[0].blob,
            settings=await _keep(local, settings, hold),
            key=await _keep(local, key, hold),
            srs=await _keep(local, string, hold),
            verifier_srs=made.verifier_srs,
            logrows=found.logrows,
            visibility=visibility,
            commitment=proved.proof[: points * POINT],
            inputs=specs[0],
            outputs=specs[1],
            input_scales=found.input_scales,
            output_scales=found.output_scales,
            tolerance_ppb=distance_ppb(outputs, [bytes(t.data) for t in floats]),
            proof_bytes=len(proved.proof),
            prove_us=proved.took_us,
            created_ms=now_ms(),
        )
        registered = sign_circuit(circuit, local.key, local.network.domain)
        read_circuit(registered, local.network.domain, manifest, signed.model)  # as everybody will
        await local.store.in_thread(local.store.circuits.put, registered)
    local.circuits_changed.notify()
    return registered


def check_model(local: Local, manifest: Manifest, inputs: Sequence[Tensor]) -> None:
    """CommandError unless answers of this model can be proved, and this peer may say how."""
    if manifest.publisher != local.key.address:
        raise CommandError(
            Exit.USAGE,
            "only its publisher can register a circuit for a model",
            "Publish the model yourself first: hallmark model add",
        )
    wrong = ""
    if manifest.interface != "tensors":
        wrong = f"it is asked through the interface {manifest.interface}, and only the graph can be proved"
    elif any(spec.datatype != "FP32" for spec in (*manifest.inputs, *manifest.outputs)):
        wrong = "some of its inputs or outputs are no FP32 tensors"
    elif not all(t.header.binary_data_size for t in inputs):
        wrong = "an input is empty"
    if wrong:
        raise CommandError(Exit.USAGE, f"answers of this model cannot be proved: {wrong}")


def check_size(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """CommandError over the bound on what one proof shows."""
    if (shown := count(inputs) + count(outputs)) > MAX_INSTANCES:
        text = f"a proof would show {shown} numbers of inputs and outputs, the bound is {MAX_INSTANCES}"
        raise CommandError(Exit.USAGE, text, "Give smaller inputs; a batch of one, say.")


def dequantise_all(numbers: Sequence[int], specs: tuple[TensorSpec, ...], scales: Sequence[int]) -> list[bytes]:
    """Each output's bytes."""
    found, at = [], 0
    for spec, scale in zip(specs, scales, strict=True):
        found.append(dequantise(numbers[at : at + count((spec,))], scale))
        at += count((spec,))
    return found


async def _execute(
    local: Local, signed: SignedManifest, manifest: Manifest, inputs: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    await load(local.engine, local.store, signed.model, manifest)
    return (await local.engine.execute(signed.model, inputs, deadline=60.0)).outputs


def _fixed(tensor: Tensor) -> TensorSpec:
    return TensorSpec(name=tensor.name, datatype=tensor.header.datatype, shape=tensor.header.shape)


def _sizes(manifest: Manifest, inputs: Sequence[Tensor]) -> tuple[tuple[Name, int], ...]:
    """What the named dims are here."""
    found: dict[str, int] = {}
    for spec, tensor in zip(manifest.inputs, inputs, strict=True):
        found |= {dim: size for dim, size in zip(spec.shape, tensor.header.shape, strict=True) if isinstance(dim, str)}
    return tuple(found.items())


def _calibration(inputs: Sequence[Tensor]) -> bytes:
    """EZKL's file of inputs, as floats: it compares with the model's own answer."""
    return json.dumps({"input_data": [list(struct.unpack(f"<{len(t.data) // 4}f", t.data)) for t in inputs]}).encode()


async def _srs(worker: ProofWorker, path: Path, found: CircuitSettings, given: bytes | None) -> bytes:
    if given is None:
        await worker.do(MakeSrs(logrows=found.logrows))
        return read(path, files.SRS, MAX_SRS)
    if srs.rows_of(given) < found.logrows:
        raise CommandError(
            Exit.USAGE,
            f"this circuit needs an SRS of 2^{found.logrows} rows, the one given has 2^{srs.rows_of(given)}",
            "Give a larger one of the same ceremony.",
        )
    write(path, files.SRS, given)
    return given


async def _check(made: CircuitFolder, numbers: Sequence[Sequence[int]], proved: Proved) -> None:
    async with open_verifier() as verifier:
        if fault := await verifier.check(made.statement(numbers, proved).files):
            raise EngineError(f"the first proof does not hold, so this circuit is not registered: {fault}")


def _points(path: Path) -> int:
    """With how many points the weights are committed to: the proof begins with these."""
    try:
        found = json.loads(read(path, files.WITNESS, MAX_SRS))
        (points,) = found["processed_params"]["polycommit"]
        return len(points)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EngineError("EZKL does not say what it committed to") from error


async def _keep(local: Local, data: bytes, hold: Hold) -> CircuitFile:
    outline = await local.store.in_thread(local.store.blobs.add, BytesIO(data), None, hold)
    return CircuitFile(blob=outline.hash(), size=len(data))


def read_srs(path: Path) -> bytes:
    """An SRS file of the user's; CommandError when it is none."""
    try:
        if path.stat().st_size > MAX_SRS:
            raise CommandError(Exit.USAGE, f"{path} is over {MAX_SRS} bytes", "Give an SRS with fewer rows.")
        data = path.read_bytes()
        srs.cut_down(data)
    except OSError as error:
        raise CommandError(Exit.NOT_FOUND, f"{path} cannot be read: {error.strerror}") from error
    except RecordError as error:
        raise CommandError(Exit.USAGE, f"{path}: {error}", "Give raw KZG parameters, as EZKL reads them.") from error
    return data
