"""Which files of a folder make a model, and under which paths: the same folder gives the same files on every machine.

Nothing is read here but directories. A model is published for good, so what is not plainly meant is refused with a
sentence or named as skipped, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from msgspec import ValidationError, convert

from wire.bounds import MAX_FILES
from wire.manifest import FilePath

from ..errors import CommandError, Exit

GRAPH = "model.onnx"
_MEDIA_TYPES = {
    ".onnx": "application/onnx",
    ".json": "application/json",
    ".txt": "text/plain",
    ".md": "text/markdown",
}


@dataclass(frozen=True)
class Gathered:
    """A model's files by their paths in it, the graph first, and what of the folder is left out, with the reason."""

    graph: str
    files: dict[str, Path]
    skipped: tuple[str, ...] = ()


def media_type(path: str) -> str:
    """What a file is, by its ending."""
    return _MEDIA_TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")


def gather(folder: Path, graph: str | None) -> Gathered:
    """All regular files below `folder`, but for hidden ones. `graph` is the ONNX graph's path, where that is not plain.

    CommandError where a file cannot be taken: a link out of the folder, a name that no manifest can have, too many.
    """
    found, skipped = {}, []
    for directory, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        place = Path(directory)
        hidden = [name for name in folders if name.startswith(".")]
        folders[:] = sorted(set(folders) - set(hidden))
        for name in folders:
            check_inside(folder, place / name)
        for name in sorted([*hidden, *names]):
            path = place / name
            shown = path.relative_to(folder).as_posix()
            if name.startswith("."):
                skipped.append(f"{shown} (hidden)")
                continue
            check_inside(folder, path)
            if not path.is_file():
                skipped.append(f"{shown} (no regular file)")
                continue
            found[_named(shown)] = path
            if len(found) > MAX_FILES:
                raise CommandError(
                    Exit.MODEL, f"{folder} has more than {MAX_FILES} files, the most of a model", "Leave some out."
                )
    chosen = _graph(folder, found, graph)
    return Gathered(chosen, {path: found[path] for path in _graph_first(chosen, found)}, tuple(skipped))


def beside(graph: Path, names: Sequence[str]) -> Gathered:
    """An ONNX file by itself, and the files that it refers to by these paths relative to its folder.

    CommandError where one is not there, or is a link out of the folder.
    """
    files = {GRAPH: graph}
    for name in names:
        path = graph.parent / name
        if name == GRAPH or not path.is_file() or path.samefile(graph):
            raise CommandError(
                Exit.MODEL,
                f"{graph.name} keeps its data in another file, {name}, which is not there",
                "Put it beside the graph, or save the model with its weights inside.",
            )
        check_inside(graph.parent, path)
        files[name] = path
    return Gathered(GRAPH, {path: files[path] for path in _graph_first(GRAPH, files)})


def check_inside(folder: Path, path: Path) -> None:
    """CommandError when `path` is, by a link, outside of `folder`: who was sent the folder did not choose that file."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CommandError(
            Exit.MODEL,
            f"{path} is a link to {path.resolve()}, outside of the folder",
            f"If that file is meant, copy it there: cp -L --remove-destination {path.resolve()} {path}",
        )


def _graph(folder: Path, found: Iterable[str], wanted: str | None) -> str:
    if wanted is not None:
        path = PurePosixPath(wanted).as_posix()
        if path not in found:
            raise CommandError(Exit.MODEL, f"{folder} has no file {wanted}", "Give --graph a path inside the folder.")
        return path
    graphs = sorted(path for path in found if path.endswith(".onnx"))
    if not graphs:
        raise CommandError(Exit.MODEL, f"{folder} has no ONNX file", "Give a folder with one, or say --graph PATH.")
    named = [path for path in graphs if PurePosixPath(path).name == GRAPH]
    for candidates in (graphs, [path for path in named if path == GRAPH], named):
        if len(candidates) == 1:
            return candidates[0]
    raise CommandError(
        Exit.MODEL, f"{folder} has several ONNX files: {', '.join(graphs)}", f"Say which: --graph {graphs[0]}"
    )


def _graph_first(graph: str, paths: Iterable[str]) -> list[str]:
    return [graph, *sorted(set(paths) - {graph})]


def _named(path: str) -> str:
    try:
        return convert(path, FilePath)
    except ValidationError as error:
        raise CommandError(
            Exit.MODEL,
            f"{path!r} is no name that a model's file can have",
            "Use letters, digits, '_', '-' and '.' only, and 256 characters at most.",
        ) from error


def _unreadable(error: OSError) -> None:
    raise CommandError(Exit.MODEL, f"{error.filename} cannot be read: {error.strerror}") from error
