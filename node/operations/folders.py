"""`model export`, and the way back: `model add` of a folder that it wrote"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from storage import export_model, import_files, read_exported
from wire.canonical import decode
from wire.errors import RecordError
from wire.manifest import Manifest, read_manifest

from ..control import Emit
from ..errors import CommandError, Exit
from ..local import Local
from ..meaning import find_here
from .models import describe
from .pace import Pace


async def export_folder(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write a model of the store into a new or empty folder, with its signed manifest."""
    signed = find_here(local, params["model"])
    if signed is None:
        raise CommandError(
            Exit.NOT_FOUND,
            f"no model {params['model']!r} is in the store",
            f"Pull it first: hallmark model pull {params['model']}",
        )
    manifest, directory = decode(signed.body, Manifest), Path(params["directory"])
    progress = telling(emit, "exporting", sum(file.size for file in manifest.files))
    async with local.store.holding([file.blob for file in manifest.files]):
        # not a write to the store: no other has to wait for it
        await trio.to_thread.run_sync(export_model, local.store.blobs, signed, directory, progress)
    return describe(signed, manifest) | {"directory": str(directory)}


async def add_exported(local: Local, directory: Path, emit: Emit) -> dict[str, Any]:
    """Take an exported folder into the store: the same CID, the same signature, every file checked."""
    store = local.store
    try:
        signed = await trio.to_thread.run_sync(read_exported, directory)
        manifest = read_manifest(signed, local.network.domain)
    except RecordError as error:
        raise CommandError(
            Exit.MODEL, f"{directory} holds no model of this network: {error}", "Export it again, or copy it again."
        ) from error
    progress = telling(emit, "importing", 2 * sum(file.size for file in manifest.files))
    async with store.holding() as hold:
        await store.in_thread(import_files, store.blobs, signed, directory, hold, progress)
        await store.in_thread(store.models.put, signed)
    local.models_changed.notify()
    return describe(signed, manifest)


def telling(emit: Emit, event: str, total: int, before: int = 0) -> Callable[[int], None]:
    """A progress callback for a worker thread; `before` bytes of the total were done by others."""
    pace = Pace()

    def tell(done: int) -> None:
        if pace.is_time() or done == total:
            emit({"event": event, "done": done, "total": total})

    return lambda done: trio.from_thread.run_sync(tell, before + done)
