"""A model's files as the engine takes them: the graph, those in which it keeps weights, its example, its tokeniser.

Where its weights are only a worker finds out, since the node parses no ONNX. Whatever else travels with a model (a
licence, a README) is never opened for it.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from posixpath import basename, dirname, join

from engine import SIDE_FILES, Engine, FilesNeeded, ModelFile, ModelRefused, OpenModel, Ready
from storage import Store, StoreError
from storage.sealed import open_sealed
from wire.example import EXAMPLE
from wire.generation import Interface
from wire.manifest import File, Manifest


def data_paths(graph: str, names: Iterable[str], files: Container[str]) -> list[str]:
    """The paths in the model that a graph at `graph` means by `names`; ModelRefused where a name means none of `files`.

    Names are relative to the graph's folder, and lead nowhere else: see `engine.FilesNeeded`.
    """
    folder = dirname(graph)
    paths = [f"{folder}/{name}" if folder else name for name in names]
    for path in paths:
        if path == graph:
            raise ModelRefused(f"{graph} names itself as the file with its weights; export the model again")
        if path not in files:
            raise ModelRefused(
                f"{graph} keeps its data in another file, {path}, which is not among the model's files; add the folder "
                "that has them all, or save the model with its weights inside"
            )
    return paths


def side_paths(graph: str, files: Container[str]) -> dict[str, str]:
    """The paths in the model of its side files (see `engine.SIDE_FILES`) by their plain names, in that order.

    An exporter may put the graph into a folder of its own: what is not there is looked for in the model's root.
    """
    found = {}
    for name in SIDE_FILES:
        if path := next((p for p in (join(dirname(graph), name), name) if p in files), None):
            found[name] = path
    return found


def opener(store: Store, files: Mapping[str, File]) -> OpenModel:
    """What the engine calls for a model's files, by the names it knows them by, the graph first, at every start of a
    worker."""

    def open_files() -> Sequence[ModelFile]:
        with ExitStack() as on_failure:
            opened = []
            for name, file in files.items():
                try:
                    fd = open_sealed(store.blobs, file.blob)
                except StoreError as error:  # to the engine a model's file that cannot be opened is an OSError
                    raise OSError(str(error)) from error
                on_failure.callback(os.close, fd)
                opened.append(ModelFile(name, fd))
            on_failure.pop_all()
        return opened

    return open_files


@dataclass(frozen=True, slots=True)
class Loadable:
    """What the engine is given to load a model, also again after it had to make room: see `Engine.load`."""

    open_files: OpenModel
    interface: Interface
    profile: str
    size: int


async def load(engine: Engine, store: Store, model: bytes, manifest: Manifest) -> tuple[Ready, Loadable]:
    """Load a model that is complete in the store; and what its worker was given.

    EngineError as `Engine.load` has them; ModelRefused also when the graph refers to files that are not the model's.
    """
    by_path = {file.path: file for file in manifest.files}
    graph = manifest.files[0].path
    files = {basename(graph): by_path[graph]}
    if example := by_path.get(join(dirname(graph), EXAMPLE)):
        files[EXAMPLE] = example
    if manifest.interface != "tensors":
        files |= {name: by_path[path] for name, path in side_paths(graph, by_path).items()}
    loadable = _loadable(engine, store, files, manifest)
    try:
        return await reload(engine, store, model, loadable), loadable
    except FilesNeeded as need:
        paths = data_paths(graph, need.paths, by_path)
        files |= {name: by_path[path] for name, path in zip(need.paths, paths, strict=True)}
    loadable = _loadable(engine, store, files, manifest)
    return await reload(engine, store, model, loadable), loadable


def _loadable(engine: Engine, store: Store, files: Mapping[str, File], manifest: Manifest) -> Loadable:
    size = sum(file.size for file in files.values())
    loadable = Loadable(opener(store, dict(files)), manifest.interface, manifest.profile, size)
    engine.check_memory(loadable.size)
    return loadable


async def reload(engine: Engine, store: Store, model: bytes, loadable: Loadable) -> Ready:
    """As `load`, of a model that was loaded before. A pinned one makes room for no other."""
    pinned = store.pins.has(model)
    return await engine.load(
        model,
        loadable.open_files,
        interface=loadable.interface,
        profile=loadable.profile,
        size=loadable.size,
        pinned=pinned,
    )
