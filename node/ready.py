"""The models this peer can execute now: complete in its store, loaded in a worker, and run once on this machine."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import trio

import engine
from engine import (
    BeyondHere,
    EngineBusy,
    EngineError,
    Execution,
    ExecutionTimeout,
    ModelFailed,
    ModelRefused,
    NotLoaded,
)
from storage import Store
from wire.canonical import decode
from wire.cid import to_cid
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.name import NameRecord
from wire.tensors import Tensor

from .bounds import LOADS_AT_ONCE
from .local import Local
from .modelfiles import Loadable, load, reload
from .signal import Signal
from .streaming import OnTokens

log = logging.getLogger("hallmark.node")

_TOLD: dict[
    type[EngineError], tuple[ErrorCode, bool]
] = {  # what the asker hears, and whether another peer may do better
    EngineBusy: (ErrorCode.OVERLOADED, True),
    ExecutionTimeout: (ErrorCode.DEADLINE, True),
    BeyondHere: (ErrorCode.FAILED, True),
    ModelFailed: (ErrorCode.FAILED, False),
}


@dataclass(frozen=True)
class ReadyModel:
    """A model that was loaded and has executed here. `model`: its manifest's hash."""

    model: bytes
    manifest: Manifest
    loaded: engine.Ready
    loadable: Loadable


def executable(store: Store, models: Iterable[SignedManifest]) -> list[SignedManifest]:
    """Those of the models in the store that its operator wants to execute.

    Not those that are only mirrored, nor those that their publisher has withdrawn or replaced; a pinned one always.
    """
    pinned, copies = store.pins.all(), store.mirrored.copies()
    found = []
    for signed in models:
        if signed.model not in pinned:
            manifest = decode(signed.body, Manifest)
            record = store.names.get(manifest.publisher, manifest.name)
            said = decode(record.body, NameRecord).of(manifest.version) if record else None
            if signed.model in copies or (said and (said.withdrawn is not None or said.model != signed.model)):
                continue
        found.append(signed)
    return found


class ReadyModels:
    """Loads every complete model of the store; a model that is refused is named once and left alone."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._ready: dict[bytes, ReadyModel] = {}
        self._refused: dict[bytes, str] = {}
        self.changed = Signal()

    def get(self, model: bytes) -> ReadyModel | None:
        """The model, when it can be executed here."""
        return self._ready.get(model)

    async def soon(self, model: bytes, seconds: float) -> ReadyModel | None:
        """The model, waited for while it is still being loaded; None when it is not here, refused, or takes longer."""
        with trio.move_on_after(seconds):
            while model not in self._ready and model not in self._refused and self._may_come(model):
                await self.changed.wait(seconds)
        return self._ready.get(model)

    def _may_come(self, model: bytes) -> bool:
        signed = self._local.store.manifest(model)
        return signed is not None and bool(executable(self._local.store, [signed])) and self._is_complete(model)

    def _is_complete(self, model: bytes) -> bool:
        signed = self._local.store.manifest(model)
        if signed is None:
            return False
        files = decode(signed.body, Manifest).files
        return all(self._local.store.blobs.complete(f.blob) for f in files)

    def all(self) -> dict[bytes, ReadyModel]:
        """Every model that can be executed here."""
        return dict(self._ready)

    def refused(self) -> dict[bytes, str]:
        """Models in the store that this peer will not execute, each with the reason."""
        return dict(self._refused)

    async def run(self) -> None:
        """Load what is complete, now and whenever the store changes."""
        loading: set[bytes] = set()

        async def load(model: bytes) -> None:
            try:
                await self._load(model)
            finally:
                loading.discard(model)

        async with trio.open_nursery() as nursery:  # side by side: one that takes its two minutes holds nobody up
            while True:
                seen = self._local.models_changed.count
                wanted = await trio.to_thread.run_sync(self._wanted)
                await self._forget_all_but(wanted)
                for signed in wanted:
                    known = signed.model in self._ready or signed.model in self._refused
                    if not known and signed.model not in loading and len(loading) < LOADS_AT_ONCE:
                        loading.add(signed.model)
                        nursery.start_soon(load, signed.model)
                await self._local.models_changed.wait(60 if len(loading) < LOADS_AT_ONCE else 1, since=seen)

    def _wanted(self) -> list[SignedManifest]:
        return executable(self._local.store, self._local.store.models.all())

    async def _forget_all_but(self, wanted: Sequence[SignedManifest]) -> None:
        """What was removed, withdrawn or replaced is no longer executed here, nor offered."""
        kept = {signed.model for signed in wanted}
        for model in [*self._ready, *self._refused]:
            if model not in kept:
                self._refused.pop(model, None)
                if self._ready.pop(model, None):
                    await self._local.engine.unload(model)
                self.changed.notify()

    async def _load(self, model: bytes) -> None:
        store = self._local.store
        signed = store.models.get(model)
        assert signed is not None
        try:
            manifest = read_manifest(signed, self._local.network.domain, model)
            if not self._is_complete(model):
                return  # still being fetched
            loaded, loadable = await load(self._local.engine, store, model, manifest)
            if (loaded.signature.inputs, loaded.signature.outputs) != (manifest.inputs, manifest.outputs):
                await self._local.engine.unload(model)
                raise RecordError("the model's own inputs and outputs are not those that its manifest names")
        except (EngineError, RecordError) as error:
            self._refused[model] = str(error)
            log.warning("model %s is not executed here: %s", to_cid(model), error)
            self.changed.notify()
            return
        self._ready[model] = ReadyModel(model, manifest, loaded, loadable)
        log.info("model %s %s is ready (%d µs)", manifest.name, to_cid(model), loaded.compute_us)
        self.changed.notify()

    def check_room(self, model: bytes) -> None:
        """RemoteError (OVERLOADED) when too many requests wait for the model already."""
        try:
            self._local.engine.check_room(model)
        except EngineBusy as error:
            raise _told(error) from error

    async def execute(
        self, model: bytes, tensors: Sequence[Tensor], seconds: float, on_tokens: OnTokens | None = None
    ) -> Execution:
        """Run a ready model; every failure of the engine as the RemoteError that the asker is told."""
        execute = self._local.engine.execute
        try:
            try:
                return await execute(model, tensors, deadline=seconds, on_tokens=on_tokens)
            except NotLoaded:  # it made room for another model since
                await reload(self._local.engine, self._local.store, model, self._ready[model].loadable)
                return await execute(model, tensors, deadline=seconds, on_tokens=on_tokens)
        except ModelRefused as error:
            self._ready.pop(model, None)
            self._refused[model] = str(error)
            self.changed.notify()
            raise RemoteError(ErrorCode.NOT_FOUND, f"this peer no longer runs that model: {error}") from error
        except EngineError as error:
            raise _told(error) from error


def _told(error: EngineError) -> RemoteError:
    code, retry = next((told for kind, told in _TOLD.items() if isinstance(error, kind)), (ErrorCode.FAILED, True))
    after_ms = math.ceil(1000 * error.after) if isinstance(error, EngineBusy) else 0
    return RemoteError(code, str(error), retry=retry, after_ms=after_ms)
