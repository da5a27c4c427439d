"""Serving blobs and manifests, and fetching a manifest: everything is named by its hash, whoever sends it.

Chunks and outlines go out in turns that are shared among the peers who ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import trio

from wire.blob import (
    AskChunks,
    AskManifest,
    AskOutline,
    BlobReply,
    BlobRequest,
    ManifestReply,
    Outline,
)
from wire.canonical import encode
from wire.cid import to_cid
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.manifest import SignedManifest, read_manifest

from .. import bounds
from ..streams import Channel
from .uploads import Uploads

if TYPE_CHECKING:
    from ..host import Host

BLOBS = "blobs"


class BlobStore(Protocol):
    """What a store must do for blobs to be served and fetched."""

    def manifest(self, model: bytes) -> SignedManifest | None: ...
    def outline(self, blob: bytes) -> Outline | None: ...
    def chunk(self, digest: bytes) -> bytes | None: ...
    def missing(self, outline: Outline) -> list[int]:
        """Indexes of the chunks that are not stored."""

    async def put_outline(self, outline: Outline) -> None: ...
    async def put_chunks(self, chunks: Sequence[tuple[bytes, bytes]]) -> None:
        """Keep chunks, given as (hash, data), already checked."""


async def serve_blobs(
    channel: Channel, store: BlobStore, uploads: Uploads, on_outline: Callable[[bytes, str], None] | None = None
) -> None:
    """Answer one request of the protocol `blobs`; chunks go out in turns that `uploads` shares among all peers.

    `on_outline` is told the blob and the peer once an outline has gone out whole, which is how a fetch begins.
    """
    request: BlobRequest = await channel.receive(BlobRequest, timeout=bounds.BLOB_TIMEOUT)
    match request:
        case AskManifest():
            manifest = store.manifest(request.model)
            if manifest is None:
                raise _not_here("the model", request.model)
            await channel.send(ManifestReply(body=manifest.body, signature=manifest.signature))
        case AskOutline():
            async with uploads.turn(channel.peer) as sends:
                outline = store.outline(request.blob)
                if outline is None:
                    raise _not_here("the blob", request.blob)
                data = encode(outline)
                sends(len(data))
                await channel.send(BlobReply(size=len(data)))
                await _upload(channel, data)
            if on_outline is not None:
                on_outline(request.blob, channel.peer)
        case AskChunks():
            for digest in request.hashes:
                async with uploads.turn(channel.peer) as sends:
                    chunk = store.chunk(digest)
                    if chunk is None:
                        raise _not_here("the chunk", digest)
                    sends(len(chunk))
                    await _upload(channel, chunk)


async def _upload(channel: Channel, data: bytes) -> None:
    """Send within a time that a slow link can keep; who does not even take that gives its turn to others."""
    with trio.move_on_after(bounds.UPLOAD_TIMEOUT + len(data) / bounds.MIN_RATE) as scope:
        await channel.send_data(data)
    if scope.cancelled_caught:
        raise RemoteError(ErrorCode.TIMEOUT, "it took none of what it asked for in time")


async def fetch_manifest(host: Host, peers: Sequence[str], model: bytes) -> SignedManifest:
    """The model's manifest from the first of `peers` that has it, its hash and signature checked.

    RemoteError, naming each peer and its failure, when none has.
    """
    failures: dict[str, RemoteError] = {}
    for peer in peers[: bounds.BLOB_PEERS]:
        try:
            async with host.exchange(peer, BLOBS) as channel:
                await channel.send(AskManifest(model=model))
                reply = await channel.receive(ManifestReply, timeout=bounds.BLOB_TIMEOUT)
            signed = SignedManifest(body=reply.body, signature=reply.signature)
            read_manifest(signed, host.network.domain, model)
            return signed
        except RecordError as error:
            failures[peer] = RemoteError(ErrorCode.WRONG_DATA, str(error))
        except RemoteError as error:
            failures[peer] = error
    raise nobody(f"the model {to_cid(model)}", failures)


def _not_here(what: str, digest: bytes) -> RemoteError:
    return RemoteError(ErrorCode.NOT_FOUND, f"{what} {to_cid(digest)} is not here")


def nobody(what: str, failures: dict[str, RemoteError]) -> RemoteError:
    """What to raise when all peers failed: each is named with its failure."""
    if not failures:
        return RemoteError(ErrorCode.NOT_FOUND, f"{what}: no peer is known to ask")
    codes = {error.code for error in failures.values()}
    causes = "; ".join(f"{peer}: {error.message}" for peer, error in failures.items())
    code = codes.pop() if len(codes) == 1 else ErrorCode.UNREACHABLE
    return RemoteError(code, f"{what} could not be fetched ({causes})")
