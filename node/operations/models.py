"""`model add | ls | show | pull`"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import trio

from engine import ModelRefused, Signature, inspect
from p2p import fetch_blob
from wire.blob import Outline
from wire.cid import to_cid
from wire.errors import RecordError, RemoteError
from wire.keys import peer_id_of, show_address
from wire.manifest import File, Manifest, SignedManifest, read_manifest, sign_manifest
from wire.tensors import TensorSpec

from ..bounds import TRIAL_SECONDS
from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..finding import find_model, holders
from ..local import Local
from ..peer import Peer
from ..pulling import QUIET, Pulling
from ..ready import graph_opener

LOOK_EVERY = 5.0  # seconds between two looks for further peers while a model is pulled


async def add_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Inspect the file in a sandboxed worker, store it, sign its manifest. Returns the description of the new model."""
    path = Path(params["path"])
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise CommandError(Exit.NOT_FOUND, f"{path} cannot be read: {error.strerror}") from error
    try:
        size = os.fstat(handle).st_size
        emit({"event": "inspecting", "text": f"inspecting {path.name} in a sandboxed worker"})
        signature = await inspect(handle)
    finally:
        os.close(handle)

    def progress(done: int) -> None:
        trio.from_thread.run_sync(emit, {"event": "storing", "done": done, "total": size})

    async with local.store.holding() as hold:  # until the manifest names the blob
        outline = await local.store.in_thread(local.store.blobs.add, path, progress, hold)
        return await _publish(local, params, outline, signature, emit)


async def _publish(
    local: Local, params: dict[str, Any], outline: Outline, signature: Signature, emit: Emit
) -> dict[str, Any]:
    """Sign the manifest, let the model run once, store it."""
    manifest = Manifest(
        name=params["name"],
        version=params["version"],
        publisher=local.key.address,
        files=(File(path="model.onnx", blob=outline.hash(), size=outline.size, media_type="application/onnx"),),
        inputs=signature.inputs,
        outputs=signature.outputs,
        task=params["task"],
        licence=params["licence"],
        royalty_bps=params["royalty_bps"],
        opset=signature.opset,
        profile="fp32",
        description=params["description"],
        previous=None,
        created_ms=now_ms(),
    )
    try:
        signed = sign_manifest(manifest, local.key, local.network.domain)
        read_manifest(signed, local.network.domain)  # its bounds, as every other peer will check them
    except RecordError as error:
        rules = "Names have lower-case letters, digits, dots, dashes; versions are like 1.2.3; texts are printable."
        raise CommandError(Exit.USAGE, str(error), rules) from error
    emit({"event": "trying", "text": "running it once"})
    await _try_once(local, signed.model, outline.hash())
    await local.store.in_thread(local.store.models.put, signed)
    local.models_changed.notify()
    return describe(signed, manifest)


async def _try_once(local: Local, model: bytes, graph: bytes) -> None:
    """Load the model and let it run once, as every provider and verifier will; ModelRefused when it does not end well.

    So its publisher hears of it, and not everybody else.
    """
    loaded = False
    try:
        with trio.move_on_after(TRIAL_SECONDS):
            await local.engine.load(model, graph_opener(local.store, graph))
            loaded = True
    finally:
        if not loaded:
            await local.engine.unload(model)
    if not loaded:
        raise ModelRefused(f"The model did not finish one run within {TRIAL_SECONDS:.0f} s. Nobody would wait for it.")


async def list_models(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Every model of the store, newest first, and whether all of its bytes are here."""
    rows = []
    for signed in local.store.models.all():
        manifest = read_manifest(signed, local.network.domain)
        complete = all(local.store.blobs.complete(f.blob) for f in manifest.files)
        rows.append(describe(signed, manifest) | {"complete": complete})
    return {"models": sorted(rows, key=lambda r: -r["created_ms"])}


async def show_model(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """One model in full, with the providers that offer it and the peers that hold it."""
    signed, manifest = await find_model(peer, params["model"], emit)
    offers = [
        {
            "peer_id": peer_id_of(o.peer),
            "tiers": list(o.tiers),
            "price": int(o.price),
            "backend": f"{o.backend.name} {o.backend.version} on {o.backend.device}",
            "compute_us": o.compute_us,
        }
        for o in peer.board.offers(now_ms(), signed.model)
    ]
    held = await peer.host.find_providers(signed.model) if peer.host.connected() else []
    here = all(peer.local.store.blobs.complete(f.blob) for f in manifest.files)
    extra = {"offers": offers, "holders": held, "complete": here}
    if reason := peer.ready.refused().get(signed.model):
        extra["refused"] = reason
    return describe(signed, manifest) | extra


async def pull_model(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Fetch a model from all peers that have it, chunk by verified chunk; what is here already is not fetched again."""
    signed, manifest = await find_model(peer, params["model"], emit)
    async with peer.local.store.holding([f.blob for f in manifest.files]):  # not garbage, though no manifest names them
        return await _pull(peer, signed, manifest, emit)


async def _pull(peer: Peer, signed: SignedManifest, manifest: Manifest, emit: Emit) -> dict[str, Any]:
    store = peer.local.store
    missing = [f for f in manifest.files if not store.blobs.complete(f.blob)]
    started = trio.current_time()
    fetched = 0
    if missing:
        peers = await holders(peer, signed.model)
        for file in missing:
            pulling = Pulling()

            def progress(
                done: int, total: int, peer_id: str, text: str, path: str = file.path, pulling: Pulling = pulling
            ) -> None:
                pulling.note(done, total, peer_id, text, trio.current_time())
                step = {"event": "pulling", "file": path, "done": done, "total": total, "peer": peer_id}
                step |= pulling.figures(total, trio.current_time())
                emit(step | ({"text": f"{path}: {peer_id}: {text}"} if text not in QUIET else {}))

            await fetch_blob(peer.host, peers, file.blob, store, progress, _more_holders(peer, signed.model))
            fetched += pulling.fetched
    await store.in_thread(store.models.put, signed)
    peer.local.models_changed.notify()
    seconds = trio.current_time() - started
    return describe(signed, manifest) | {"fetched": fetched, "seconds": round(seconds, 3)}


async def _more_holders(peer: Peer, model: bytes) -> AsyncIterator[str]:
    """Peers that turn up while a pull runs, for ever."""
    while True:
        await trio.sleep(LOOK_EVERY)
        try:
            found = await holders(peer, model)
        except RemoteError:
            continue  # nobody now; the pull itself knows when to give up
        for peer_id in found:
            yield peer_id


def describe(signed: SignedManifest, manifest: Manifest) -> dict[str, Any]:
    """A model's manifest as plain values."""
    return {
        "cid": signed.cid,
        "name": manifest.name,
        "version": manifest.version,
        "publisher": show_address(manifest.publisher),
        "size": sum(f.size for f in manifest.files),
        "files": [{"path": f.path, "size": f.size, "blob": to_cid(f.blob)} for f in manifest.files],
        "inputs": [_spec(s) for s in manifest.inputs],
        "outputs": [_spec(s) for s in manifest.outputs],
        "task": manifest.task,
        "licence": manifest.licence,
        "royalty_bps": manifest.royalty_bps,
        "opset": manifest.opset,
        "profile": manifest.profile,
        "description": manifest.description,
        "created_ms": manifest.created_ms,
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
