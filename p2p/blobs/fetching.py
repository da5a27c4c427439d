"""Fetching a blob from many peers at once: the trio code around `Transfer`, which decides who is asked for what.

First the outline, from whoever answers first; then each request is an exchange of its own on a pooled stream, so that
one that fails or is cut off harms no other. Every chunk is hashed on arrival, and only what is on disk counts as had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import trio

from wire.blob import AskChunks, AskOutline, BlobReply, CheckedChunk, Outline, read_outline
from wire.cid import content_hash, to_cid
from wire.errors import ErrorCode, RecordError, RemoteError

from .. import bounds
from ..serving import sole
from .protocol import BLOBS, BlobStore, nobody
from .transfer import Ask, Cut, Finish, Say, Store, Transfer

if TYPE_CHECKING:
    from ..host import Host

OnProgress = Callable[[int, int, str, str], None]
"""Called with bytes on disk, bytes in all, the peer's id, and what happened.

"" is only a chunk that came from that peer; and with no peer's id, that more is on disk.
"""

_TICK = 0.1  # seconds; how late a silence, or the end of a rest, may be noticed


async def fetch_blob(
    host: Host,
    peers: Sequence[str],
    blob: bytes,
    store: BlobStore,
    progress: OnProgress,
    more: AsyncIterable[str] | None = None,
) -> None:
    """Bring the whole blob into `store`, from all of `peers` at once, from where the store stands.

    `more` gives further peers while it runs. RemoteError, naming each peer and its failure, when nobody is left who may
    have what is missing; what came by then is kept.
    """
    if (outline := store.outline(blob)) is not None and not await _missing(store, outline):
        progress(outline.size, outline.size, "", "complete")
        return
    try:
        async with trio.open_nursery() as nursery:
            found, callers = trio.open_memory_channel[str](bounds.BLOB_PEERS)
            nursery.start_soon(_announce, found, tuple(peers), more)
            failures: dict[str, RemoteError] = {}
            asked: list[str] = []
            if outline is None:
                search = _OutlineSearch(host, blob, progress)
                outline = await search.run(callers)
                failures = search.failures
                # Who lacks the outline may be about to fetch the blob as well.
                liars = {peer for peer, error in failures.items() if error.code is ErrorCode.WRONG_DATA}
                asked = [peer for peer in search.asked if peer not in liars]
                await store.put_outline(outline)
            if missing := await _missing(store, outline):
                more_failures = await _Fetch(host, outline, missing, store, progress).run(asked, callers)
                if more_failures is not None:
                    raise nobody(f"the blob {to_cid(blob)}", failures | more_failures)
                if await _missing(store, outline):
                    raise RemoteError(ErrorCode.WRONG_DATA, f"the blob {to_cid(blob)} contradicts itself")
            nursery.cancel_scope.cancel()
    except ExceptionGroup as group:
        raised = sole(group)
        raise raised from raised.__cause__
    progress(outline.size, outline.size, "", "complete")


async def _missing(store: BlobStore, outline: Outline) -> list[int]:
    # Up to 131,000 look-ups: too many for the trio thread.
    return await trio.to_thread.run_sync(store.missing, outline)


async def _announce(found: trio.MemorySendChannel[str], first: Iterable[str], more: AsyncIterable[str] | None) -> None:
    """Send each peer once; the channel ends when there will be no more."""
    seen = set[str]()
    async with found:
        for peer in dict.fromkeys(first):
            seen.add(peer)
            await found.send(peer)
        if more is not None:
            async for peer in more:
                if peer not in seen:
                    seen.add(peer)
                    await found.send(peer)
                if len(seen) >= bounds.BLOB_PEERS:
                    return


class _OutlineSearch:
    """Asks one peer after the other, each a little after the one before, or at once when that one failed."""

    def __init__(self, host: Host, blob: bytes, progress: OnProgress) -> None:
        self._host, self._blob, self._progress = host, blob, progress
        self._outline: Outline | None = None
        self._scope = trio.CancelScope()
        self._failed = trio.Event()
        self.asked: list[str] = []
        self.failures: dict[str, RemoteError] = {}

    async def run(self, callers: trio.MemoryReceiveChannel[str]) -> Outline:
        """The outline; RemoteError, naming each peer and its failure, when no peer that comes has it."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._watch_patience()
                async for peer in callers:
                    self.asked.append(peer)
                    self._failed = trio.Event()
                    self._watch_patience()
                    nursery.start_soon(self._ask, peer)
                    with trio.move_on_after(bounds.BLOB_STAGGER):
                        await self._failed.wait()
        if self._outline is None:
            raise nobody(f"the blob {to_cid(self._blob)}", self.failures)
        return self._outline

    def _watch_patience(self) -> None:
        """Further peers are waited for only so long once all that came have failed."""
        idle = len(self.failures) == len(self.asked)
        self._scope.deadline = trio.current_time() + bounds.BLOB_PATIENCE if idle else float("inf")

    async def _ask(self, peer: str) -> None:
        self._progress(0, 0, peer, "asking")
        try:
            async with self._host.exchange(peer, BLOBS) as channel:
                await channel.send(AskOutline(blob=self._blob))
                reply = await channel.receive(BlobReply, timeout=bounds.BLOB_TIMEOUT)
                data = await channel.receive_data(reply.size, timeout=bounds.BLOB_TIMEOUT)
            self._outline = read_outline(data, self._blob)
            self._scope.cancel()
        except RecordError as error:
            self._host.cut_off(peer)
            self._fail(peer, RemoteError(ErrorCode.WRONG_DATA, str(error)))
        except RemoteError as error:
            self._fail(peer, error)

    def _fail(self, peer: str, error: RemoteError) -> None:
        self.failures[peer] = error
        self._progress(0, 0, peer, f"dropped: {error.message}")
        self._failed.set()
        self._watch_patience()


class _Fetch:
    """The chunks of one blob on their way."""

    def __init__(
        self,
        host: Host,
        outline: Outline,
        missing: list[int],
        store: BlobStore,
        progress: OnProgress,
    ) -> None:
        self._host, self._outline, self._store, self._progress = host, outline, store, progress
        self._repeats = Counter(map(outline.chunk, missing))
        self._digests = list(self._repeats)
        sizes = {outline.chunk(index): outline.chunk_bytes(index) for index in missing}
        self._sizes = [sizes[digest] for digest in self._digests]
        self._done = outline.size - sum(map(outline.chunk_bytes, missing))  # on disk: what a crash now would leave
        self._transfer = Transfer(self._sizes, _from_somewhere(len(self._digests), host.peer_id))
        self._held: dict[int, CheckedChunk] = {}  # come, and not yet stored
        self._open: dict[str, set[trio.CancelScope]] = {}
        self._finished = trio.Event()
        self._whole = False

    async def run(self, peers: Iterable[str], callers: trio.MemoryReceiveChannel[str]) -> dict[str, RemoteError] | None:
        """Fetch all; None when all is on disk, else why each peer brings nothing more."""
        async with trio.open_nursery() as self._nursery:
            for peer in peers:
                self._join(peer)
            self._nursery.start_soon(self._welcome, callers)
            self._nursery.start_soon(self._keep_time)
            await self._finished.wait()
            self._nursery.cancel_scope.cancel()
        return None if self._whole else self._transfer.failures

    async def _keep_time(self) -> None:
        while True:
            self._step()
            await trio.sleep(_TICK)

    async def _welcome(self, callers: trio.MemoryReceiveChannel[str]) -> None:
        async for peer in callers:
            self._join(peer)
            self._step()
        self._transfer.no_more_peers()
        self._step()

    def _join(self, peer: str) -> None:
        self._tell(peer, "asking")
        self._transfer.joined(peer, trio.current_time(), _start(len(self._digests), peer))

    def _step(self) -> None:
        """Do what the transfer says."""
        for action in self._transfer.next(trio.current_time()):
            match action:
                case Ask():
                    self._nursery.start_soon(self._ask, action)
                case Store(pieces):
                    self._nursery.start_soon(self._keep, pieces)
                case Say(peer, text):
                    self._tell(peer, text)
                case Cut(peer, lied):
                    for scope in self._open.get(peer, ()):
                        scope.cancel()
                    if lied:
                        self._host.cut_off(peer)
                case Finish(whole):
                    self._whole = whole
                    self._finished.set()

    async def _ask(self, ask: Ask) -> None:
        left = list(ask.pieces)
        scope = trio.CancelScope()
        scopes = self._open.setdefault(ask.peer, set())
        scopes.add(scope)
        try:
            with scope:
                await self._receive(ask, left)
        except RemoteError as error:
            if error.code is ErrorCode.NOT_FOUND:
                self._transfer.lacked(ask.number, left[0], trio.current_time())
            else:
                self._transfer.failed(ask.number, error, trio.current_time())
        finally:
            scopes.remove(scope)
        self._step()

    async def _receive(self, ask: Ask, left: list[int]) -> None:
        async with self._host.exchange(ask.peer, BLOBS) as channel:
            await channel.send(AskChunks(hashes=tuple(self._digests[piece] for piece in left)))
            while left:
                piece = left[0]
                data = await channel.receive_data(self._sizes[piece], timeout=bounds.BLOB_TIMEOUT)
                try:
                    chunk = CheckedChunk(self._digests[piece], data)
                except RecordError:
                    raise RemoteError(ErrorCode.WRONG_DATA, "it sent bytes that do not match their hash") from None
                del left[0]
                if self._transfer.arrived(ask.number, piece, trio.current_time()):
                    self._held[piece] = chunk
                    self._tell(ask.peer, "")
                self._step()

    async def _keep(self, pieces: Sequence[int]) -> None:
        await self._store.put_chunks([self._held[piece] for piece in pieces])
        for piece in pieces:
            del self._held[piece]
            self._done += self._sizes[piece] * self._repeats[self._digests[piece]]
        self._transfer.stored()
        self._tell("", "")
        self._step()

    def _tell(self, peer: str, event: str) -> None:
        self._progress(self._done, self._outline.size, peer, event)


def _from_somewhere(count: int, peer_id: str) -> list[int]:
    """The pieces in order, from a place of this peer's own, so that those who fetch the same can help each other."""
    at = _start(count, peer_id)
    return [*range(at, count), *range(at)]


def _start(count: int, peer_id: str) -> int:
    """The piece that a peer begins with, if it fetches all of them."""
    return int.from_bytes(content_hash(peer_id.encode())[:8], "big") % max(count, 1)
