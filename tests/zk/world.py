"""A publisher with two small models of one shape, their circuits registered, and a prover that proves what it is told.

Made once a session and a visibility (two seconds); every record an attacker bends is signed anew here.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Queue
from tempfile import mkdtemp
from typing import Any

import msgspec
import numpy as np
import onnx
import trio
from onnx import TensorProto
from onnx import helper as h

from engine.zk.running import open_verifier
from node.config import Config
from node.datadir import DataDir
from node.local import Local, initialise, open_local
from node.operations.adding import add_model
from node.operations.circuits import setup_circuit
from node.zk.knowing import read_file
from node.zk.proving import CircuitFolder, Proved, make_keys
from node.zk.registering import dequantise_all
from tests.engine.models import build, value
from tests.verify.scenes import NOW, key_of
from verify.checks import Check
from verify.tiers.claim import Claim
from verify.tiers.zk import check
from verify.zk.arithmetic import checked_by
from verify.zk.fixedpoint import pack_numbers, quantise
from verify.zk.policy import ZkPolicy
from verify.zk.statement import Statement
from wire.audit import UNSEEDED
from wire.canonical import Amount
from wire.certificate import Certificate
from wire.cid import from_cid
from wire.circuit import Circuit, SignedCircuit, Visibility, ZkEvidence, ZkFiles, read_circuit, sign_circuit
from wire.inference import (
    Backend,
    Receipt,
    Request,
    Runtime,
    SignedReceipt,
    SignedRequest,
    Usage,
    sign_receipt,
    sign_request,
)
from wire.keys import NodeKey
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.network import Network
from wire.tensors import Tensor, tensor_set

ROW, OTHER_ROW = (0.5, -1.25, 2.0, 0.125), (0.5, -1.25, 2.0, 0.25)
INPUT = {"x": ["json", b"[[0.5, -1.25, 2.0, 0.125]]"]}
ALLOWED = ZkPolicy(dev_srs=True)


def network_of_floats(seed: int = 7, sign: float = 1.0) -> Any:
    """Four inputs, three hidden, two outputs; `sign` negates every weight."""
    rng = np.random.default_rng(seed)
    shapes = {"w0": (4, 3), "b0": (3,), "w1": (3, 2), "b1": (2,)}
    weights = [
        h.make_tensor(n, TensorProto.FLOAT, s, (sign * rng.standard_normal(s)).astype(np.float32).tobytes(), raw=True)
        for n, s in shapes.items()
    ]
    nodes = [
        h.make_node("MatMul", ["x", "w0"], ["m0"]),
        h.make_node("Add", ["m0", "b0"], ["a0"]),
        h.make_node("Relu", ["a0"], ["r0"]),
        h.make_node("MatMul", ["r0", "w1"], ["m1"]),
        h.make_node("Add", ["m1", "b1"], ["y"]),
    ]
    x, y = value("x", TensorProto.FLOAT, ["N", 4]), value("y", TensorProto.FLOAT, ["N", 2])
    return build([x], [y], nodes, initializer=weights)


def row(*numbers: float) -> Tensor:
    return Tensor.of("x", "FP32", (1, len(numbers)), struct.pack(f"<{len(numbers)}f", *numbers))


@dataclass(frozen=True)
class World:
    """The publisher's records, the registered files, and the folder that a prover works in."""

    home: DataDir
    publisher: NodeKey
    network: Network
    signed: SignedManifest
    manifest: Manifest
    registered: SignedCircuit
    circuit: Circuit
    settings: bytes
    key: bytes
    srs: bytes
    graph: bytes
    folder: CircuitFolder

    def prove(self, tensor: Tensor, folder: CircuitFolder | None = None) -> Proved:
        """What EZKL proves about this input, with this model's circuit or another's."""
        numbers = [quantise(tensor.data, self.circuit.input_scales[0])]
        return trio.run((folder or self.folder).prove, numbers, 2)

    def other(self, model: Any) -> CircuitFolder:
        """Another model made ready under this circuit's own settings and SRS."""
        path = Path(mkdtemp(dir=self.folder.path.parent))
        key = trio.run(make_keys, path, model.SerializeToString(), self.settings, self.srs)
        return CircuitFolder(path, self.settings, key, self.circuit.verifier_srs)

    def outputs(self, proved: Proved) -> tuple[Tensor, ...]:
        (data,) = dequantise_all(proved.outputs, self.circuit.outputs, self.circuit.output_scales)
        return (Tensor.of("y", "FP32", (1, 2), data),)

    def ask(self, tensor: Tensor, **changes: Any) -> SignedRequest:
        request = Request(
            nonce=b"\x44" * 32,
            model=self.signed.model,
            tier="zk",
            committee=0,
            seed=UNSEEDED,
            inputs=tensor_set([tensor]).hash(),
            payer=key_of("payer").address,
            provider=key_of("provider").address,
            max_price=Amount(0),
            issued_ms=NOW,
            deadline_ms=NOW + 60_000,
        )
        return sign_request(msgspec.structs.replace(request, **changes), key_of("payer"), self.network.domain)

    def answer(self, asked: SignedRequest, outputs: Sequence[Tensor]) -> SignedReceipt:
        request = asked.request
        receipt = Receipt(
            chain_id=self.network.chain_id,
            request=request.digest(self.network.domain),
            nonce=request.nonce,
            payer=request.payer,
            provider=request.provider,
            model=request.model,
            inputs=request.inputs,
            outputs=tensor_set(outputs).hash(),
            runtime=Runtime(
                profile="fp32",
                backend=Backend(name="ezkl", version="23.0.5", device="cpu", compute_capability=""),
                together=1,
            ),
            tier="zk",
            usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=900),
            price=Amount(0),
            started_ms=NOW + 10,
            finished_ms=NOW + 20,
        )
        return sign_receipt(receipt, key_of("provider"), self.network.domain)

    def files(self, tensor: Tensor, **changes: Any) -> ZkFiles:
        files = ZkFiles(circuit=self.registered, settings=self.settings, key=self.key, inputs=(bytes(tensor.data),))
        return msgspec.structs.replace(files, **changes)

    def claim(self, tensor: Tensor, proved: Proved, **evidence: Any) -> Claim:
        """The claim that a provider with this proof makes of this input; `evidence` bends the certificate's part."""
        asked, outputs = self.ask(tensor), self.outputs(proved)
        receipt = self.answer(asked, outputs)
        part = ZkEvidence(
            circuit=self.registered.hash,
            proof=proved.proof,
            outputs=pack_numbers(proved.outputs),
            files=self.files(tensor),
        )
        part = msgspec.structs.replace(part, **evidence)
        digest = receipt.receipt.digest(self.network.domain)
        certificate = Certificate(tier="zk", receipt=digest, zk=part)
        return Claim(self.network, self.manifest, asked, receipt, certificate, (), tensor_set([tensor]), outputs)

    def sign(self, signer: NodeKey | None = None, **changes: Any) -> SignedCircuit:
        """The circuit's record with fields changed before its publisher, or `signer`, signs it."""
        record = msgspec.structs.replace(self.circuit, **changes)
        return sign_circuit(record, signer or self.publisher, self.network.domain)


def build_world(path: Path, visibility: Visibility) -> World:
    """A publisher in `path` that adds the model and registers its circuit, as its commands would. Blocks."""
    onnx.save(network_of_floats(), str(path / "model.onnx"))
    directory = DataDir(path / "home")
    initialise(directory, None)
    return trio.run(_build, path, directory, visibility)


async def _build(path: Path, directory: DataDir, visibility: Visibility) -> World:
    async with open_local(directory, Config()) as local:
        params = {"path": str(path / "model.onnx"), "name": "tiny", "version": "1.0.0", "licence": "MIT", "task": ""}
        params |= {"tags": [], "royalty_bps": 0, "description": ""}  # type: ignore[dict-item]
        model = from_cid((await add_model(local, params, lambda _: None))["cid"])
        setup = {"model": "tiny", "inputs": INPUT, "commit": visibility == "polycommit", "srs": ""}
        await setup_circuit(local, setup, lambda _: None)
        return await _world(local, model, path / "folder")


async def _world(local: Local, model: bytes, folder: Path) -> World:
    store, domain = local.store, local.network.domain
    signed = store.models.get(model)
    assert signed is not None
    manifest = read_manifest(signed, domain)
    (registered,) = store.circuits.of(model)
    circuit = read_circuit(registered, domain, manifest, model)
    settings, key, srs = (read_file(store, file) for file in (circuit.settings, circuit.key, circuit.srs))
    graph = (folder.parent / "model.onnx").read_bytes()
    folder.mkdir()  # noqa: ASYNC240
    made = await make_keys(folder, graph, settings, srs)
    assert made == key
    return World(
        home=local.directory,
        publisher=local.key, network=local.network, signed=signed, manifest=manifest, registered=registered,
        circuit=circuit, settings=settings, key=key, srs=srs, graph=graph,
        folder=CircuitFolder(folder, settings, key, circuit.verifier_srs),
    )  # fmt: skip


class _Warm(threading.Thread):
    """One verifier for all tests, in a thread with a loop of its own: a process for each check costs far more."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._asked: Queue[tuple[Statement, Queue[str]]] = Queue()

    def run(self) -> None:
        trio.run(self._serve)

    async def _serve(self) -> None:
        async with open_verifier() as verifier:
            while True:
                statement, told = await trio.to_thread.run_sync(self._asked.get, abandon_on_cancel=True)
                told.put(await verifier.check(statement.files))

    def check(self, statement: Statement) -> str:
        told: Queue[str] = Queue()
        self._asked.put((statement, told))
        return told.get(timeout=60)


@cache
def _warm() -> _Warm:
    thread = _Warm()
    thread.start()
    return thread


def arithmetic(statement: Statement) -> str:
    """What EZKL says of a proof, in a real process."""
    return _warm().check(statement)


def checks(claim: Claim, policy: ZkPolicy = ALLOWED) -> list[Check]:
    """Every check of the rung."""
    with checked_by(arithmetic):
        return check(claim, policy)


def refused(claim: Claim, policy: ZkPolicy = ALLOWED) -> set[str]:
    """The names of the checks that do not hold."""
    return {c.name for c in checks(claim, policy) if not c.ok}
