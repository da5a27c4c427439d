"""`store verify | stat | gc | pin | unpin`, and `model rm`"""

from __future__ import annotations

import logging
from typing import Any

import trio

from p2p import fetch_blob, fetch_manifest
from storage import Collected, ModelPinned, ModelState, Verified
from wire.canonical import decode
from wire.cid import from_cid, to_cid
from wire.errors import RecordError, RemoteError
from wire.manifest import Manifest, SignedManifest

from ..control import Emit, Event
from ..errors import CommandError, Exit
from ..finding import holders
from ..local import Local
from ..meaning import find_here
from ..peer import Peer
from .pace import Pace

log = logging.getLogger("hallmark.node")


async def verify_store(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Read the whole store back; what is damaged is quarantined, and counts as missing. Says how each model is."""
    pace, started = Pace(), trio.current_time()
    total = local.store.blobs.statistics().chunk_bytes  # whole pages: a little more than their content

    def progress(step: Verified) -> None:
        if pace.is_time():
            emit({"event": "verifying", "done": step.size, "total": max(total, step.size)})

    found = await local.store.verify(progress)
    emit({"event": "verifying", "done": found.size, "total": found.size})
    seconds = trio.current_time() - started
    return _report(found, seconds, await _states(local))


async def repair_store(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """As `verify_store`; then what is damaged is fetched again from peers. `failed` says what could not be."""
    local = peer.local
    report = await verify_store(local, params, emit)
    failed: dict[str, str] = {}
    for state in await _states(local):
        if state.signed is None or state.damaged or _is_unknown(local, state):
            try:
                await _mend(peer, state, emit)
            except (RemoteError, CommandError, RecordError) as error:
                failed[to_cid(state.model)] = str(error)
                emit({"event": "failed", "text": f"{to_cid(state.model)}: {error}"})
    local.models_changed.notify()
    states = [_state(state) for state in await _states(local)]
    return report | {"models": states, "sound": not failed and _is_sound(report, states), "failed": failed}


def _is_unknown(local: Local, state: ModelState) -> bool:
    """Whether a file's outline itself is damaged or gone, so that nobody can tell which chunks it lacks."""
    return any(local.store.outline(blob) is None for blob in state.blobs)


async def _mend(peer: Peer, state: ModelState, emit: Emit) -> None:
    store, name = peer.local.store, to_cid(state.model)
    emit({"event": "mending", "text": f"fetching what is damaged of {name}"})
    peers = await holders(peer, state.model)
    if state.signed is None:
        await store.in_thread(store.models.put, await fetch_manifest(peer.host, peers, state.model))
    signed = store.models.get(state.model)
    if signed is None:
        return  # removed meanwhile
    async with store.holding(state.blobs):
        for file in decode(signed.body, Manifest).files:

            def progress(done: int, total: int, peer_id: str, text: str, path: str = file.path) -> None:
                step: Event = {"event": "pulling", "file": path, "done": done, "total": total, "peer": peer_id}
                emit(step | ({"text": f"{path}: {peer_id}: {text}"} if text.startswith("dropped") else {}))

            if not store.blobs.complete(file.blob):
                await fetch_blob(peer.host, peers, file.blob, store, progress)


async def _states(local: Local) -> list[ModelState]:
    return await trio.to_thread.run_sync(local.store.states)


def _state(state: ModelState) -> dict[str, Any]:
    manifest = None if state.signed is None else decode(state.signed.body, Manifest)
    return {
        "cid": to_cid(state.model),
        "name": "" if manifest is None else f"{manifest.name}@{manifest.version}",
        "state": "damaged" if manifest is None or state.damaged else "incomplete" if state.blobs else "whole",
        "damaged_chunks": state.damaged,
        "missing_chunks": state.missing,
    }


def _report(found: Verified, seconds: float, states: list[ModelState]) -> dict[str, Any]:
    report = {
        "chunks": found.chunks,
        "bytes": found.size,
        "seconds": round(seconds, 3),
        "damaged_chunks": found.damaged,
        "restored_chunks": found.restored,
        "damaged_outlines": found.outlines,
        "damaged_receipts": [digest.hex() for digest in found.receipts],
        "damaged_ballots": found.ballots,
        "damaged_frauds": found.frauds,
    }
    models = [_state(state) for state in states]
    damaged = found.damaged or found.outlines or not _is_sound(report, models)
    return report | {"models": models, "sound": not damaged}


def _is_sound(report: dict[str, Any], models: list[dict[str, Any]]) -> bool:
    lost = report["damaged_receipts"] or report["damaged_ballots"] or report["damaged_frauds"]
    return not lost and all(model["state"] != "damaged" for model in models)


async def stat_store(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """What the store holds, and what it takes."""
    store = local.store
    blobs, pinned, copies = store.blobs.statistics(), store.pins.all(), store.mirrored.copies()
    return {
        "path": str(local.directory.store),
        "models": sum(1 for _ in store.models.ids()),
        "pinned": [to_cid(model) for model in sorted(pinned)],
        "mirrored": len(copies),
        "mirrored_bytes": sum(_size(store.manifest(model)) for model in copies),
        "mirroring": local.mirroring.text,
        "known_models": store.catalogue.count,
        "known_names": store.names.count,
        "receipts": store.receipts.count,
        "blobs": blobs.outlines,
        "chunks": blobs.chunks,
        "damaged_chunks": blobs.damaged,
        "chunk_bytes": blobs.chunk_bytes,
        "disk_bytes": store.disk_bytes,
        "quota": store.quota or 0,
    }


def _size(signed: SignedManifest | None) -> int:
    return 0 if signed is None else sum(file.size for file in decode(signed.body, Manifest).files)


async def collect_garbage(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Free what no model needs: blobs of removed models, and what interrupted adds and pulls left."""
    pace = Pace(1.0)

    def progress(step: Collected) -> None:
        if pace.is_time():
            text = f"{step.seen} of {step.total} chunks looked at, {step.size >> 20} MiB freed"
            emit({"event": "collecting", "seen": step.seen, "chunks": step.total, "text": text})

    freed = await local.store.collect(progress, dry_run=params["dry_run"])
    return {"blobs": freed.blobs, "chunks": freed.chunks, "bytes": freed.size, "dry_run": params["dry_run"]}


async def pin_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Protect a model of the store from being removed."""
    model = _here(local, params["model"])
    changed = await local.store.in_thread(local.store.pins.pin, model)
    return {"cid": to_cid(model), "pinned": True, "changed": changed}


async def unpin_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Take a model's protection away."""
    model = _here(local, params["model"])
    changed = await local.store.in_thread(local.store.pins.unpin, model)
    return {"cid": to_cid(model), "pinned": False, "changed": changed}


async def remove_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Forget a model's manifest; its files stay until garbage is collected."""
    model = _here(local, params["model"])
    try:
        removed = await local.store.in_thread(local.store.models.remove, model)
    except ModelPinned as error:
        raise CommandError(Exit.USAGE, str(error)) from error
    if not removed:
        raise _nowhere(params["model"])
    local.models_changed.notify()
    return {"cid": to_cid(model)}


def _here(local: Local, text: str) -> bytes:
    """The model meant, also one whose manifest is damaged when it is given by its whole CID."""
    try:
        return from_cid(text)
    except RecordError:
        signed = find_here(local, text)
    if signed is None:
        raise _nowhere(text)
    return signed.model


def _nowhere(text: str) -> CommandError:
    return CommandError(Exit.NOT_FOUND, f"no model {text!r} is in the store", "See what is: hallmark model ls")
