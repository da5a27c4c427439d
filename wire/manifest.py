"""The manifest: what a model is, said once by its publisher. Its hash is the model's identity everywhere."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import (
    MAX_BLOB,
    MAX_FILES,
    MAX_MANIFEST,
    MAX_TAGS,
    MAX_TENSORS,
    U32,
    Address,
    Hash32,
    Line,
    Name,
    Paragraph,
    TimeMs,
)
from .canonical import Record, decode, encode
from .cid import to_cid
from .eip712 import Domain, StructType
from .errors import RecordError
from .generation import TEXT, Interface, generator_signature
from .keys import NodeKey
from .signed import Signed, check_signature, sign
from .tensors import TensorSpec
from .version import Version

MANIFEST = StructType("Manifest", ("address", "publisher"), ("bytes32", "manifest"))
# \Z and not $: the latter would let a newline stand at the end
_NAME = r"^[a-z0-9][a-z0-9._\-]{0,63}\Z"
_TAG = r"^[a-z0-9][a-z0-9._\-]{0,31}\Z"
_PATH = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*\Z"

ModelName = Annotated[str, Meta(pattern=_NAME)]
Tag = Annotated[str, Meta(pattern=_TAG)]
FilePath = Annotated[str, Meta(min_length=1, max_length=256, pattern=_PATH)]


class File(Record):
    """One file of the model, by the name of its blob. `path` is relative, without `..`."""

    path: FilePath
    blob: Hash32
    size: Annotated[int, Meta(ge=0, le=MAX_BLOB)]
    media_type: Name


class Manifest(Record):
    """A model, in full. The first file is the ONNX graph."""

    name: ModelName
    version: Version
    publisher: Address
    files: Annotated[tuple[File, ...], Meta(min_length=1, max_length=MAX_FILES)]
    interface: Interface  # what stands before the graph; the inputs and outputs are those that it is asked with
    inputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1, max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1, max_length=MAX_TENSORS)]
    task: Line
    tags: Annotated[tuple[Tag, ...], Meta(max_length=MAX_TAGS)]
    licence: Name  # an SPDX expression
    royalty_bps: Annotated[int, Meta(ge=0, le=10_000)]
    opset: U32  # the version of the standard operators; 0 where it uses none
    profile: Name  # the runtime profile under which its answers are compared
    description: Paragraph
    previous: Hash32 | None  # the model that this one follows: the version before it, or the manifest it corrects
    created_ms: TimeMs


class SignedManifest(Signed):
    """A manifest's canonical bytes with the publisher's signature over their hash."""

    @property
    def model(self) -> bytes:
        """The model's 32-byte identity."""
        return self.hash

    @property
    def cid(self) -> str:
        """The model's identity as people write it."""
        return to_cid(self.model)


def sign_manifest(manifest: Manifest, key: NodeKey, domain: Domain) -> SignedManifest:
    """The publisher's signed manifest; ValueError when `key` is not the publisher's."""
    if manifest.publisher != key.address:
        raise ValueError("the manifest names another publisher than the key that would sign it")
    body = encode(manifest)
    if len(body) > MAX_MANIFEST:
        raise RecordError(f"Manifest: {len(body)} bytes, the bound is {MAX_MANIFEST}")
    return sign(SignedManifest, MANIFEST, body, key, domain)


def read_manifest(signed: SignedManifest, domain: Domain, model: bytes | None = None) -> Manifest:
    """The manifest inside, checked: the bytes' hash (when `model` is given), every bound, the publisher's signature."""
    if model is not None and signed.model != model:
        raise RecordError(f"Manifest: its bytes name the model {signed.cid}, not {to_cid(model)}")
    manifest = decode(signed.body, Manifest, limit=MAX_MANIFEST)
    check_signature(signed, MANIFEST, manifest.publisher, domain)
    for specs in (manifest.inputs, manifest.outputs):
        if len({s.name for s in specs}) != len(specs):
            raise RecordError("Manifest: two tensors share one name")
    _check_interface(manifest)
    if len({f.path for f in manifest.files}) != len(manifest.files):
        raise RecordError("Manifest: two files share one path")
    if list(manifest.tags) != sorted(set(manifest.tags)):
        raise RecordError("Manifest: its tags are not in order, or one stands twice")
    return manifest


def _check_interface(manifest: Manifest) -> None:
    """RecordError unless a model of that interface can be asked in this way."""
    asked = (manifest.inputs, manifest.outputs)
    if manifest.interface == "generate" and asked not in [generator_signature(has_text=t) for t in (True, False)]:
        raise RecordError("Manifest: its inputs and outputs are not those of a generator")
    if manifest.interface == "text" and manifest.inputs != (TEXT,):
        raise RecordError(f"Manifest: a text model's one input is {TEXT.name}, BYTES [batch]")
