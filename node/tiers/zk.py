"""Rung `zk` in a node: the provider answers with what it proved; who asks checks that with its own circuit's files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from typing_extensions import override

from engine import EngineError, Execution
from storage import StoreError
from verify.policy import Policy
from verify.tiers.claim import Claim
from verify.tiers.zk import check_srs, examine, split
from verify.zk.fixedpoint import dequantise, pack_numbers, quantise
from verify.zk.policy import ZkPolicy
from wire.circuit import ZkEvidence, ZkFiles
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.inference import Backend
from wire.manifest import read_manifest
from wire.tensors import Tensor, tensor_set

from ..clock import now_ms
from ..peer import Peer
from ..ready import ReadyModel
from ..zk.knowing import fetch_files, known, learn
from ..zk.provers import Prover, Provers
from .rung import Evidence, Giver, Job, NotProved, Wanted, hold


def offered(peer: Peer, ready: ReadyModel) -> bool:
    """Whether a circuit of the model has proved here."""
    return peer.provers is not None and peer.provers.get(ready.model) is not None


class _Proof(Giver):
    def __init__(self, provers: Provers, prover: Prover, job: Job) -> None:
        self._provers, self._prover, self._job = provers, prover, job
        self._evidence: ZkEvidence | None = None

    @override
    async def execute(self, execute: Callable[[], Awaitable[Execution]]) -> Execution:
        """The circuit's outputs in place of the model's: they are what the proof is about."""
        del execute
        circuit, job = self._prover.circuit, self._job
        try:
            pairs = zip(job.inputs, circuit.input_scales, strict=True)
            numbers = [quantise(tensor.data, scale) for tensor, scale in pairs]
        except RecordError as error:
            raise RemoteError(ErrorCode.FAILED, str(error), retry=False) from error
        seconds = (job.request.request.deadline_ms - now_ms()) / 1000
        proved = await self._provers.prove(self._prover, numbers, max(0.0, seconds))
        self.proved_us = proved.took_us
        self._evidence = ZkEvidence(
            circuit=self._prover.signed.hash, proof=proved.proof, outputs=pack_numbers(proved.outputs)
        )
        parts = zip(circuit.outputs, circuit.output_scales, split(proved.outputs, circuit), strict=True)
        try:
            outputs = tuple(
                Tensor.of(spec.name, spec.datatype, [int(dim) for dim in spec.shape], dequantise(part, scale))
                for spec, scale, part in parts
            )
        except RecordError as error:
            raise RemoteError(ErrorCode.FAILED, str(error), retry=False) from error
        name, _, version = circuit.system.partition(" ")
        backend = Backend(name=name, version=version or "?", device="cpu", compute_capability="")
        return Execution(outputs=outputs, compute_us=proved.took_us, backend=backend, company=1)

    @override
    async def evidence(self) -> Evidence:
        return Evidence(self._evidence)


@asynccontextmanager
async def give(job: Job) -> AsyncIterator[Giver]:
    """The proof is made before the answer is signed. RemoteError when none can be made for this request."""
    provers = job.peer.provers
    prover = provers.get(job.ready.model) if provers else None
    if provers is None or prover is None:
        raise RemoteError(ErrorCode.UNSUPPORTED, "answers of this model are not proved here")
    for tensor, spec in zip(job.inputs, prover.circuit.inputs, strict=True):
        if tensor.header.shape != spec.shape:
            shapes = f"{spec.name}: shape {list(tensor.header.shape)}, its circuit takes {list(spec.shape)}"
            raise RemoteError(ErrorCode.BAD_RECORD, shapes, retry=False)
    provers.check_room(prover)
    yield _Proof(provers, prover, job)


async def prepare(peer: Peer, model: bytes, policy: Policy) -> None:
    """Whether any circuit of the model is good enough, before one proof is paid for. NotProved when none is."""
    signed = peer.local.store.manifest(model) or peer.local.store.catalogue.get(model)
    if signed is None:
        return
    manifest = read_manifest(signed, peer.network.domain, model)
    if any(check_srs(circuit, policy.zk).ok for _, circuit in known(peer, model, manifest)):
        return
    checks = [check_srs(circuit, policy.zk) for _, circuit in await learn(peer, model, manifest)]
    if not checks:
        raise NotProved("its publisher is not known to have registered a circuit", dishonest=False)
    if not any(check.ok for check in checks):
        hold(checks[:1])


async def get(wanted: Wanted) -> Evidence:
    """The provider's proof with the registered files of one's own, checked. NotProved when it cannot hold.

    RemoteError when there is no proof, or the publisher's files cannot be had.
    """
    evidence, peer = wanted.certificate.zk, wanted.peer
    if evidence is None:
        raise RemoteError(ErrorCode.FAILED, f"no proof came: {wanted.reason or 'and it does not say why'}")
    model = wanted.request.request.model
    circuits = known(peer, model, wanted.manifest)
    if not any(signed.hash == evidence.circuit for signed, _ in circuits):
        circuits = await learn(peer, model, wanted.manifest)
    registered = next((one for one in circuits if one[0].hash == evidence.circuit), None)
    if registered is None:
        raise NotProved("it proved under a circuit that the model's publisher is not known to have registered")
    signed, circuit = registered
    try:
        settings, key = await fetch_files(peer, model, (circuit.settings, circuit.key))
    except (StoreError, RecordError) as error:
        raise RemoteError(ErrorCode.FAILED, f"the circuit's files cannot be used: {error}") from error
    files = ZkFiles(circuit=signed, settings=settings, key=key, inputs=tuple(bytes(t.data) for t in wanted.inputs))
    evidence = msgspec.structs.replace(evidence, files=files)
    await _check(wanted, evidence)
    return Evidence(evidence)


async def _check(wanted: Wanted, evidence: ZkEvidence) -> None:
    """Have the arithmetic checked now, so that `verify` finds it done; what else is wrong, it says itself."""
    claim = Claim(
        network=wanted.peer.network,
        manifest=wanted.manifest,
        request=wanted.request,
        receipt=wanted.receipt,
        certificate=msgspec.structs.replace(wanted.certificate, zk=evidence),
        ballots=(),
        inputs=tensor_set(wanted.inputs),
        outputs=wanted.outputs,
    )
    _, statement = examine(claim, ZkPolicy(dev_srs=True))  # whether dev will do is a question of its own
    if statement is not None:
        try:
            await wanted.peer.checked.check(statement)
        except EngineError as error:
            raise RemoteError(ErrorCode.FAILED, f"the proof could not be checked here: {error}") from error
