"""A blob of a model's, and the model: what peers of these tests fetch from each other."""

from __future__ import annotations

from wire.blob import outline_of
from wire.bounds import CHUNK
from wire.cid import content_hash
from wire.keys import NodeKey
from wire.manifest import File, Manifest, SignedManifest, sign_manifest
from wire.tensors import TensorSpec

from ..hosts import NETWORK
from .memory import MemoryStore

PUBLISHER = NodeKey(bytes([7]) * 32)
PIECES = [bytes([n]) * CHUNK for n in range(40)] + [b"the end"]
OUTLINE = outline_of(PIECES)
BLOB = OUTLINE.hash()
SIZE = OUTLINE.size


def signed(name: str = "model") -> SignedManifest:
    spec = TensorSpec(name="x", datatype="FP32", shape=(1,))
    manifest = Manifest(
        name=name,
        version="1.0.0",
        publisher=PUBLISHER.address,
        files=(File(path="m.onnx", blob=BLOB, size=SIZE, media_type="application/onnx"),),
        interface="tensors",
        inputs=(spec,),
        outputs=(spec,),
        task="",
        tags=(),
        licence="MIT",
        royalty_bps=0,
        opset=17,
        profile="cpu",
        description="",
        previous=None,
        created_ms=1,
    )
    return sign_manifest(manifest, PUBLISHER, NETWORK.domain)


class Store(MemoryStore):
    """With the model and its blob in it, or with nothing."""

    def __init__(self, full: bool = False) -> None:
        super().__init__()
        if full:
            self.outlines[BLOB] = OUTLINE
            self.chunks = {content_hash(p): p for p in PIECES}
            self.manifests[signed().model] = signed()
