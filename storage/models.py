"""Signed manifests by model, found by what people type: a name, a name@version, a CID or its beginning.

A manifest's bytes are decoded before they are kept. Who signed it is asked by whoever puts it here: the store belongs
to no network.
"""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from wire.canonical import decode, encode
from wire.cid import from_cid, to_cid
from wire.errors import RecordError
from wire.manifest import Manifest, SignedManifest
from wire.name import NameRecord
from wire.version import Precedence, is_prerelease, precedence

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import ModelAmbiguous, ModelPinned, StoreDamaged, StoreFull
from .holds import Holds
from .mirrored import Mirrored
from .names import Names
from .seen import SeenCounts
from .standing import contradicts

if TYPE_CHECKING:
    from .environment import Txn

_CID_HEAD = "bagaqihra"  # what the CIDs of all models begin with: base32 of five bytes, so the hash starts a character
_HASH_CHARACTERS = 52
_ADDRESS = 20  # bytes
_LONGEST_NAME = 65  # bytes, with what ends it


class Models:
    """The manifests of this peer. Reads are short; `put` and `remove` block until they are on disk."""

    def __init__(
        self, environment: Environment, holds: Holds, names: Names, seen: SeenCounts, mirrored: Mirrored
    ) -> None:
        self._environment, self._holds, self._records, self._seen = environment, holds, names, seen
        self._mirrored = mirrored
        self._models = environment.table("models")
        self._pins = environment.table("pins")
        self._names = environment.table("names")  # name \0 publisher (20) version \0 model

    def put(self, signed: SignedManifest, *, mirrored_ms: int = 0) -> None:
        """Keep a manifest. RecordError when its bytes are none; StoreFull beyond `MAX_MODELS`. Blocks.

        `mirrored_ms`: the time, when nobody here asked for the model; one that is here already stays what it is.
        """
        manifest = decode(signed.body, Manifest)
        data = encode(signed)
        decode(data, SignedManifest)  # a struct made in code has not been through its bounds
        model = signed.model

        def work(txn: Txn) -> None:
            is_new = txn.get(model, db=self._models) is None
            if is_new and txn.stat(self._models)["entries"] >= bounds.MAX_MODELS:
                raise StoreFull(f"The store already has {bounds.MAX_MODELS} models. Remove some first.")
            self._holds.arrive(file.blob for file in manifest.files)
            txn.put(model, with_hash(data), db=self._models)
            txn.put(_name_key(manifest, model), b"", db=self._names)
            self._records.settle(txn, manifest.publisher, manifest.name)
            if is_new or not mirrored_ms:
                self._mirrored.came(txn, model, mirrored_ms)

        self._environment.write(work)

    def get(self, model: bytes) -> SignedManifest | None:
        """The model's signed manifest, or None. StoreDamaged when it is here but not what was written."""
        with self._environment.read() as txn:
            return self._read(txn, model)

    def ids(self) -> Iterator[bytes]:
        """Every model here, damaged ones too; read in pages, so what comes or goes meanwhile may be in or out."""
        return chain.from_iterable(self._environment.pages(self._models, bounds.GC_BATCH))

    def all(self) -> list[SignedManifest]:
        """Every manifest that is not damaged, by name, publisher and version."""
        return self._whose_name_is("")

    def named(self, text: str) -> list[SignedManifest]:
        """Every manifest of that name, or name@version, that is not damaged; withdrawn ones too."""
        name, at, version = text.partition("@")
        return self._whose_name_is(name, version) if name and bool(at) == bool(version) else []

    def find(self, text: str) -> SignedManifest | None:
        """The one model meant by a name, a name@version, a CID or its beginning; None when there is none.

        A name never means a model that its known name record withdrew, or replaced; a bare one means its publisher's
        highest release, or pre-release where that is all there is. ModelAmbiguous, with the candidates, when several
        models fit. A whole CID never means a name: a stranger may have named a model after it.
        """
        try:
            return self.get(from_cid(text))
        except RecordError:
            pass
        named = {signed.model: signed for signed in self._newest(self.named(text))}
        found = named | {signed.model: signed for signed in self._whose_cid_begins(text)}
        if len(found) > 1:
            lines = [f"  {_describe(signed)}" for signed in list(found.values())[: bounds.MAX_CANDIDATES]]
            if len(found) > bounds.MAX_CANDIDATES:
                lines.append("  …")
            raise ModelAmbiguous(f"{text!r} can mean several models. Say which by its CID:\n" + "\n".join(lines))
        return next(iter(found.values()), None)

    def remove(self, model: bytes, *, by_hand: bool = True) -> bool:
        """Forget a manifest; False when it was not here. Its blobs stay until they are collected. Blocks.

        What is removed `by_hand` is not mirrored again. ModelPinned when it is pinned.
        """

        def work(txn: Txn) -> bool:
            if txn.get(model, db=self._pins) is not None:
                raise ModelPinned(f"The model {to_cid(model)} is pinned. Unpin it first: hallmark store unpin MODEL")
            gone = txn.delete(model, db=self._models)
            if gone:
                self._mirrored.went(txn, model, by_hand=by_hand)
            for key in [bytes(key) for key in txn.cursor(self._names).iternext(values=False)]:
                if key.endswith(b"\0" + model):
                    txn.delete(key, db=self._names)
                    name, _, rest = key.partition(b"\0")
                    self._records.settle(txn, rest[:_ADDRESS], name.decode())
            self._seen.settle(txn, model)
            return gone

        return self._environment.write(work, freeing=True)

    def _read(self, txn: Txn, model: bytes) -> SignedManifest | None:
        stored = txn.get(model, db=self._models) if model else None
        if stored is None:
            return None
        signed = decode(without_hash(stored, f"The manifest of {to_cid(model)}"), SignedManifest)
        if signed.model != model:
            raise StoreDamaged(f"The manifest of {to_cid(model)} is another model's. Pull the model again.")
        return signed

    def _intact(self, txn: Txn, models: list[bytes]) -> list[SignedManifest]:
        found = []
        for model in models:
            try:
                signed = self._read(txn, model)
            except StoreDamaged:
                continue  # one bad entry must not hide the others; `get` names it
            if signed is not None:
                found.append(signed)
        return found

    def _whose_name_is(self, name: str, version: str = "") -> list[SignedManifest]:
        """Empty means any."""
        prefix, models = f"{name}\0".encode(errors="replace") if name else b"", []
        if len(prefix) > _LONGEST_NAME:
            return []
        with self._environment.read() as txn:
            cursor = txn.cursor(self._names)
            if cursor.set_range(prefix) if prefix else cursor.first():
                for key in cursor.iternext(values=False):
                    if bytes(key[: len(prefix)]) != prefix:
                        break
                    if not version or bytes(key[len(prefix) + _ADDRESS : -33]) == version.encode(errors="replace"):
                        models.append(bytes(key[-32:]))
            return self._intact(txn, models)

    def _whose_cid_begins(self, text: str) -> list[SignedManifest]:
        tail = text.removeprefix(_CID_HEAD)
        if tail == text or not bounds.MIN_CID_PREFIX <= len(tail) < _HASH_CHARACTERS:
            return []
        try:
            lowest = b32decode(tail.ljust(_HASH_CHARACTERS, "a").upper() + "====")
        except ValueError:
            return []
        models: list[bytes] = []
        with self._environment.read() as txn:
            cursor = txn.cursor(self._models)
            if cursor.set_range(lowest):
                for key in cursor.iternext(values=False):
                    if not to_cid(bytes(key)).startswith(text) or len(models) > bounds.MAX_CANDIDATES:
                        break
                    models.append(bytes(key))
            return self._intact(txn, models)

    def _newest(self, found: list[SignedManifest]) -> list[SignedManifest]:
        """Each publisher's highest version among those that stand, by the name records that are known."""
        best: dict[bytes, tuple[tuple[bool, Precedence], list[SignedManifest]]] = {}
        for signed in found:
            manifest = decode(signed.body, Manifest)
            known = self._records.get(manifest.publisher, manifest.name)
            if known and contradicts(decode(known.body, NameRecord), manifest.version, signed.model):
                continue
            rank = not is_prerelease(manifest.version), precedence(manifest.version)
            highest, same = best.get(manifest.publisher, (None, []))
            if highest is None or rank > highest:
                best[manifest.publisher] = rank, [signed]
            elif rank == highest:
                same.append(signed)
        return [signed for _, same in best.values() for signed in same]


def _name_key(manifest: Manifest, model: bytes) -> bytes:
    return f"{manifest.name}\0".encode() + manifest.publisher + f"{manifest.version}\0".encode() + model


def _describe(signed: SignedManifest) -> str:
    manifest = decode(signed.body, Manifest)
    return f"{manifest.name}@{manifest.version}  {signed.cid}"
