"""The models whose answers this provider can prove: those with a circuit that was made ready and proved once here."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import trio

from engine import EngineError
from engine.zk.running import installed
from storage import StoreError
from verify.tiers.zk import check_registration
from verify.zk.fixedpoint import quantise
from wire.bounds import MAX_AFTER_MS
from wire.cid import to_cid
from wire.circuit import Circuit, CircuitFile, SignedCircuit, count
from wire.errors import ErrorCode, RecordError, RemoteError

from ..bounds import CIRCUIT_RETRY, MAX_PROOFS_WAITING, PREPARING_SECONDS
from .knowing import fetch_files, learn
from .proving import CircuitFolder, Proved, open_circuit

if TYPE_CHECKING:
    from ..peer import Peer
    from ..ready import ReadyModel
    from ..signal import Signal

log = logging.getLogger("hallmark.provider")


@dataclass(frozen=True)
class Prover:
    """A circuit that proves here. `probe` is what its first proof took."""

    signed: SignedCircuit
    circuit: Circuit
    folder: CircuitFolder
    probe: Proved


class Provers:
    """Makes circuits ready one after another, beside all else; then one proof at a time, since it takes every core."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        """`folder` is this peer's alone; what a killed process left in it goes."""
        self._peer, self._folder = peer, folder
        self._provers: dict[bytes, Prover] = {}
        self._looked: dict[bytes, tuple[float, bytes | None]] = {}  # when (trio's clock), and the newest circuit then
        self._turn = trio.Lock()
        self._waiting = 0

    def get(self, model: bytes) -> Prover | None:
        """The model's prover, when there is one."""
        return self._provers.get(model)

    async def run(self) -> None:
        """Look for circuits of the ready models: now, whenever either changes, and from time to time."""
        if not installed():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        try:
            while True:
                seen = (self._peer.ready.changed.count, self._peer.local.circuits_changed.count)
                models = self._peer.ready.all()
                for gone in self._looked.keys() - models.keys():
                    self._forget(gone)
                for model, ready in models.items():
                    if self._is_due(model) and ready.manifest.interface == "tensors":
                        await self._look(model, ready)
                await self._changed(seen)
        finally:
            self._provers.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _changed(self, seen: tuple[int, int]) -> None:
        signals = (self._peer.ready.changed, self._peer.local.circuits_changed)
        async with trio.open_nursery() as nursery:

            async def wait(signal: Signal, since: int) -> None:
                await signal.wait(CIRCUIT_RETRY, since=since)
                nursery.cancel_scope.cancel()

            for signal, since in zip(signals, seen, strict=True):
                nursery.start_soon(wait, signal, since)

    def _newest(self, model: bytes) -> bytes | None:
        return next((signed.hash for signed in self._peer.local.store.circuits.of(model)), None)

    def _is_due(self, model: bytes) -> bool:
        """Whether the model was never looked at, not for long while it has no prover, or has a new circuit since."""
        if (looked := self._looked.get(model)) is None:
            return True
        late = trio.current_time() - looked[0] >= CIRCUIT_RETRY
        return (late and model not in self._provers) or looked[1] != self._newest(model)

    def _forget(self, model: bytes) -> None:
        self._looked.pop(model, None)
        if prover := self._provers.pop(model, None):
            prover.folder.remove()

    async def _look(self, model: bytes, ready: ReadyModel) -> None:
        """Make the newest circuit that proves ready; the one before it goes."""
        circuits = await learn(self._peer, model, ready.manifest)
        self._looked[model] = (trio.current_time(), self._newest(model))
        for record, circuit in circuits:
            if (before := self._provers.get(model)) and before.signed.hash == record.hash:
                return
            try:
                prover = await self._open_in_time(ready, record, circuit)
            except (EngineError, RecordError, RemoteError, StoreError, OSError) as error:
                log.warning("a circuit of %s does not prove here: %s", to_cid(model), error)
                continue
            if before := self._provers.get(model):
                before.folder.remove()
            self._provers[model] = prover
            took = prover.probe.took_us
            self._peer.costs.note(model, "zk", took, len(prover.probe.proof) + 8 * len(prover.probe.outputs))
            log.info("answers of %s can be proved: %.1f s each", to_cid(model), took / 1e6)
            self._peer.ready.changed.notify()  # there is more to offer
            return

    async def _open_in_time(self, ready: ReadyModel, record: SignedCircuit, circuit: Circuit) -> Prover:
        with trio.move_on_after(PREPARING_SECONDS):
            return await self._open(ready, record, circuit)
        raise EngineError(f"it was not ready to prove within {PREPARING_SECONDS:g} s")

    async def _open(self, ready: ReadyModel, record: SignedCircuit, circuit: Circuit) -> Prover:
        graph = ready.manifest.files[0]
        wanted = (CircuitFile(blob=graph.blob, size=graph.size), circuit.settings, circuit.srs)
        model, settings, srs = await fetch_files(self._peer, ready.model, wanted)
        check_registration(circuit, ready.manifest, settings)
        with self._place() as place:
            async with self._turn:
                folder = await open_circuit(place, circuit, model, settings, srs)
                zeros = [quantise(bytes(4 * count((spec,))), 0) for spec in circuit.inputs]
                probe = await folder.prove(zeros, count(circuit.outputs))
            if not probe.proof.startswith(circuit.commitment):
                raise EngineError("the registered commitment is to other weights than this model's")
            if fault := await self._peer.checked.check(folder.statement(zeros, probe)):
                raise EngineError(f"its first proof does not hold: {fault}")
        return Prover(record, circuit, folder, probe)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """A new folder, which goes when what was to be in it could not be made."""
        place = Path(mkdtemp(dir=self._folder))
        try:
            yield place
        except BaseException:  # cancelled ones too: a proving key has hundreds of megabytes
            shutil.rmtree(place, ignore_errors=True)
            raise

    def check_room(self, prover: Prover) -> None:
        """RemoteError (OVERLOADED) when too many wait for a proof already."""
        if self._waiting >= MAX_PROOFS_WAITING:
            after_ms = min(MAX_AFTER_MS, math.ceil(self._waiting * prover.probe.took_us / 1000))
            text = f"{self._waiting} requests wait for a proof here: try later or elsewhere"
            raise RemoteError(ErrorCode.OVERLOADED, text, after_ms=after_ms)

    async def prove(self, prover: Prover, numbers: Sequence[Sequence[int]], seconds: float) -> Proved:
        """A proof within so many seconds, the wait for a turn counted. RemoteError says what came in between."""
        self.check_room(prover)
        self._waiting += 1
        try:
            with trio.move_on_after(seconds):
                async with self._turn:
                    return await prover.folder.prove(numbers, count(prover.circuit.outputs))
        except EngineError as error:
            raise RemoteError(ErrorCode.FAILED, f"this input cannot be proved: {error}", retry=False) from error
        finally:
            self._waiting -= 1
        raise RemoteError(ErrorCode.DEADLINE, "the deadline passed before there was a proof")
