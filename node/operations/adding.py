"""`model add`: from a file or a folder to a signed model in the store.

In this order: a worker loads the graph and says which files it needs, they are stored, the manifest is signed, what
was stored runs once, manifest and name record are kept. So its publisher hears of what is wrong, and not everybody
else. The node itself parses no ONNX.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import trio

from engine import FilesNeeded, ModelFile, ModelRefused, Signature, inspect
from storage import Hold
from storage.export import MANIFEST
from wire.cid import from_cid
from wire.errors import RecordError
from wire.generation import Interface
from wire.keys import parse_address
from wire.manifest import File, Manifest, SignedManifest, read_manifest, sign_manifest

from ..bounds import TRIAL_RATE, TRIAL_SECONDS
from ..control import Emit
from ..errors import CommandError, Exit
from ..licences import check_licence
from ..local import Local
from ..modelfiles import data_paths, load, side_paths
from ..publishing import own_record, publish_version
from ..succession import Slot, find_slot
from .examples import with_example
from .folders import add_exported, telling
from .gathering import GRAPH, Gathered, beside, gather, media_type
from .models import describe


async def add_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Publish an ONNX file, or a folder; or take over a folder that was exported, as it is.

    The model's description, whether it is new here, and the roles in which this peer runs: none where it does not.
    """
    path = Path(params["path"])
    if (path / MANIFEST).exists():
        if params["name"] or params["licence"]:
            raise CommandError(
                Exit.USAGE,
                f"{path} is an exported model, which has its name and licence from its publisher",
                f"Leave --name and --licence out; or remove {MANIFEST} to publish the files as your own.",
            )
        return await _take_over(local, path, emit)
    if not (params["name"] and params["licence"]):
        raise CommandError(Exit.USAGE, "a new model needs a name and a licence", "Say --name NAME --licence SPDX.")
    licence, slot = check_licence(params["licence"]), find_slot(local, params["name"], params["version"])
    gathered, signature = await _inspect(path, params.get("graph"), params.get("interface", "auto"), emit)
    if not signature.inputs:
        raise ModelRefused(
            "The model takes no inputs, so it says the same every time. Publish one that is asked something."
        )
    async with local.store.holding() as hold:  # until the manifest names the blobs
        with with_example(gathered, params.get("example") or {}, signature.inputs) as sources:
            files = await _store(local, sources, hold, emit)
        signed = _sign(local, params | {"licence": licence}, slot, files, signature)
        manifest = read_manifest(signed, local.network.domain)
        is_new = slot.admit(signed, f"{params['name']}@{params['version']}")
        if is_new:
            emit({"event": "trying", "text": "running it once"})
            await _try_once(local, signed.model, manifest)
        await publish_version(local, params["version"], signed, params["name"])
    return describe(signed, manifest) | {"new": is_new, "roles": list(local.roles)}


async def _take_over(local: Local, folder: Path, emit: Emit) -> dict[str, Any]:
    """Take an exported folder; one of this peer's own also comes back under its name, if that was lost."""
    found = await add_exported(local, folder, emit)
    signed = local.store.manifest(from_cid(found["cid"]))
    if signed is not None and parse_address(found["publisher"]) == local.key.address:
        record = own_record(local, found["name"])
        if record is None or record.of(found["version"]) is None:
            await publish_version(local, found["version"], signed, found["name"])
    return found | {"new": True, "roles": list(local.roles)}


async def _inspect(
    path: Path, graph: str | None, interface: Interface | Literal["auto"], emit: Emit
) -> tuple[Gathered, Signature]:
    """Find the model's files and load them in a sandboxed worker, straight from where they are."""
    with ExitStack() as closing:

        def open_file(source: Path, name: str) -> ModelFile:
            try:
                fd = os.open(source, os.O_RDONLY)
            except OSError as error:
                raise CommandError(Exit.NOT_FOUND, f"{source} cannot be read: {error.strerror}") from error
            closing.callback(os.close, fd)
            return ModelFile(name, fd)

        gathered = await trio.to_thread.run_sync(_gather, path, graph)
        source = gathered.files[gathered.graph] if gathered else path
        for text in gathered.skipped if gathered else ():
            emit({"event": "skipped", "text": f"left out: {text}"})
        emit({"event": "inspecting", "text": f"inspecting {source.name} in a sandboxed worker"})
        opened = [open_file(source, GRAPH)]
        sides = {}
        if gathered and interface != "tensors":
            sides = side_paths(gathered.graph, gathered.files)
            opened += [open_file(gathered.files[path], name) for name, path in sides.items()]
        try:
            signature = await inspect(opened, interface=interface)
        except FilesNeeded as need:
            gathered = gathered or beside(source, need.paths)
            paths = data_paths(gathered.graph, need.paths, gathered.files)
            named = zip(paths, need.paths, strict=True)
            opened += [open_file(gathered.files[path], name) for path, name in named if name not in sides]
            signature = await inspect(opened, interface=interface)
        return gathered or beside(source, ()), signature


async def _store(local: Local, sources: dict[str, Path], hold: Hold, emit: Emit) -> tuple[File, ...]:
    """Store the files; what is here already takes no more room."""
    files: list[File] = []
    try:
        total = _size(sources.values())
        for name, source in sources.items():
            progress = telling(emit, "storing", total, before=sum(file.size for file in files))
            outline = await local.store.in_thread(local.store.blobs.add, source, progress, hold)
            files.append(File(path=name, blob=outline.hash(), size=outline.size, media_type=media_type(name)))
    except OSError as error:
        raise CommandError(Exit.NOT_FOUND, f"{error.filename} cannot be read: {error.strerror}") from error
    return tuple(files)


def _sign(
    local: Local, params: dict[str, Any], slot: Slot, files: tuple[File, ...], signature: Signature
) -> SignedManifest:
    """The new model's manifest, within every bound that other peers will check."""
    manifest = Manifest(
        name=params["name"],
        version=params["version"],
        publisher=local.key.address,
        files=files,
        interface=signature.interface,
        inputs=signature.inputs,
        outputs=signature.outputs,
        task=params["task"],
        tags=tuple(sorted(set(params.get("tags") or ()))),
        licence=params["licence"],
        royalty_bps=params["royalty_bps"],
        opset=signature.opset,
        profile=params.get("profile", "fp32"),
        description=params["description"],
        previous=slot.previous,
        created_ms=slot.created_ms,
    )
    try:
        signed = sign_manifest(manifest, local.key, local.network.domain)
        read_manifest(signed, local.network.domain)
    except RecordError as error:
        rules = "Names and tags: lower-case letters, digits, dots, dashes. Versions: like 1.2.3. Texts: printable."
        raise CommandError(Exit.USAGE, str(error), rules) from error
    return signed


async def _try_once(local: Local, model: bytes, manifest: Manifest) -> None:
    """Load the stored files and let the model run once, as every provider and verifier will.

    ModelRefused when it does not end well.
    """
    loaded, seconds = False, TRIAL_SECONDS + sum(file.size for file in manifest.files) / TRIAL_RATE
    try:
        with trio.move_on_after(seconds):
            await load(local.engine, local.store, model, manifest)
            loaded = True
    finally:
        if not loaded:
            await local.engine.unload(model)
    if not loaded:
        raise ModelRefused(f"The model did not finish one run within {seconds:.0f} s. Nobody would wait for it.")


def _gather(path: Path, graph: str | None) -> Gathered | None:
    if path.is_dir():
        return gather(path, graph)
    if graph is not None:
        raise CommandError(Exit.USAGE, f"{path} is no folder", "Leave --graph out, or give the folder.")
    return None


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
