"""A model as a folder: its files under their own paths, and its signed manifest beside them.

The manifest's bytes are those that were signed, so the model keeps its CID wherever the folder is taken. It is written
last: a folder without it is an export that was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wire.blob import outline_of
from wire.bounds import CHUNK, MAX_RECORD
from wire.canonical import decode, encode
from wire.cid import to_cid
from wire.errors import RecordError
from wire.manifest import File, Manifest, SignedManifest

from .blobs import Blobs, Progress
from .errors import StoreDamaged, StoreError
from .holds import Hold

MANIFEST = "manifest.hallmark"


def export_model(blobs: Blobs, signed: SignedManifest, directory: Path, progress: Progress | None = None) -> None:
    """Write the model into `directory`, which is new or empty. Every chunk is checked; each file is on disk. Blocks.

    StoreError when a file is not all here or cannot be written, StoreDamaged when a chunk is damaged.
    """
    files = decode(signed.body, Manifest).files
    if any(file.path == MANIFEST for file in files):
        raise StoreError(f"The model has a file named {MANIFEST} of its own, so it cannot be exported.")
    for file in files:
        if not blobs.complete(file.blob):
            raise StoreError(f"{file.path} is not all here. Pull the model first: hallmark model pull {signed.cid}")
    done = 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise StoreError(f"{directory} is not empty. Choose a new folder, or empty this one.")
        for file in files:
            for size in _write(directory / file.path, _content(blobs, file)):
                done += size
                if progress is not None:
                    progress(done)
        for _ in _write(directory / MANIFEST, iter([encode(signed)])):
            pass
    except OSError as error:
        raise StoreError(f"{directory} cannot be written: {error.strerror}. Choose another folder.") from error


def read_exported(directory: Path) -> SignedManifest:
    """The signed manifest of an exported folder; who signed it is for the caller to check.

    StoreError when there is none that can be read, RecordError when it is no manifest.
    """
    try:
        with (directory / MANIFEST).open("rb") as stream:
            data = stream.read(MAX_RECORD + 1)
    except OSError as error:
        raise StoreError(
            f"{directory / MANIFEST} cannot be read: {error.strerror}. Give a folder that `hallmark model export` made."
        ) from error
    signed = decode(data, SignedManifest)
    decode(signed.body, Manifest)
    return signed


def import_files(
    blobs: Blobs, signed: SignedManifest, directory: Path, hold: Hold, progress: Progress | None = None
) -> None:
    """Store the files of an exported folder, after checking every one against the manifest; all or none. Blocks.

    `progress` counts every byte twice: once checked, once stored. `hold` keeps them until the manifest is stored.
    StoreError names the file that differs or cannot be read.
    """
    files, done = decode(signed.body, Manifest).files, 0

    def tell(size: int) -> None:
        if progress is not None:
            progress(done + size)

    try:
        for file in files:
            _check(directory / file.path, file, tell)
            done += file.size
        for file in files:
            if blobs.add(directory / file.path, tell, hold=hold).hash() != file.blob:
                raise _differs(directory / file.path, "it changed while it was read")
            done += file.size
    except OSError as error:
        raise StoreError(f"{error.filename or directory} cannot be read: {error.strerror}.") from error


def _check(path: Path, file: File, tell: Progress) -> None:
    size = path.stat().st_size
    if size != file.size:
        raise _differs(path, f"it has {size} bytes, the manifest says {file.size}")

    def pieces() -> Iterator[bytes]:
        done = 0
        with path.open("rb") as stream:
            while piece := stream.read(CHUNK):
                done += len(piece)
                tell(done)
                yield piece

    try:
        found = outline_of(pieces()).hash()
    except RecordError as error:  # a file that changes its size while it is read
        raise _differs(path, str(error)) from error
    if found != file.blob:
        raise _differs(path, f"its content is {to_cid(found)}, the manifest says {to_cid(file.blob)}")


def _differs(path: Path, how: str) -> StoreError:
    return StoreError(f"{path} is not the file that was exported: {how}. Nothing of the model was kept. Copy it again.")


def _content(blobs: Blobs, file: File) -> Iterator[bytes]:
    outline = blobs.outline(file.blob)
    for index in range(0 if outline is None else outline.count):
        assert outline is not None
        data = blobs.chunk(outline.chunk(index))
        if data is None:
            raise StoreDamaged(
                f"Chunk {index} of {file.path} is damaged on disk. Mend it, then export again: hallmark store verify "
                "--repair"
            )
        yield data


def _write(path: Path, pieces: Iterator[bytes]) -> Iterator[int]:
    """A new file of these pieces, on disk when this ends; yields how many bytes were written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        for piece in pieces:
            stream.write(piece)
            yield len(piece)
        stream.flush()
        os.fsync(stream.fileno())
