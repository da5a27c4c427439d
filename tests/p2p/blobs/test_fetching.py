"""Blobs over in-memory streams: honest peers, absent ones, and those that lie, stall or die."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trio
import trio.testing

from p2p import bounds
from p2p.blobs.fetching import fetch_blob
from p2p.blobs.protocol import fetch_manifest, serve_blobs
from p2p.blobs.uploads import Uploads
from p2p.host import Host
from p2p.serving import Server
from p2p.streams import Channel
from wire.blob import AskChunks, AskManifest, AskOutline, BlobReply, BlobRequest, ManifestReply, outline_of
from wire.bounds import CHUNK
from wire.canonical import encode
from wire.cid import content_hash
from wire.errors import ErrorCode, RemoteError

from ..hosts import NETWORK
from ..pairs import stream_pair
from .made import BLOB, OUTLINE, PIECES, SIZE, Store, signed

Handler = Callable[[Channel], Awaitable[None]]


class Streets:
    """A host whose peers are handlers behind in-memory streams."""

    network = NETWORK
    peer_id = "me"

    def __init__(self, nursery: trio.Nursery, peers: dict[str, Handler]) -> None:
        self._nursery, self._peers = nursery, peers
        self.visits: list[str] = []
        self.cut: list[str] = []

    def cut_off(self, peer: str) -> None:
        self.cut.append(peer)

    @asynccontextmanager
    async def exchange(self, peer: str, protocol: str) -> AsyncIterator[Channel]:
        assert protocol == "blobs"
        self.visits.append(peer)
        if peer not in self._peers:
            raise RemoteError(ErrorCode.UNREACHABLE, "nobody is there")
        near, far = stream_pair()
        self._nursery.start_soon(Server().serve, protocol, self._peers[peer], Channel(far, "me"))
        channel = Channel(near, peer)
        try:
            yield channel
        finally:
            await channel.reset()


def honest(store: Store) -> Handler:
    uploads = Uploads()

    async def handler(channel: Channel) -> None:
        await serve_blobs(channel, store, uploads)

    return handler


def telling(told: list[tuple[int, int, str, str]]) -> Callable[[int, int, str, str], None]:
    return lambda done, total, peer, event: told.append((done, total, peer, event))


async def fetch(nursery: trio.Nursery, peers: dict[str, Handler], store: Store) -> tuple[list[str], list[str]]:
    """Fetch from all of them in order: whom it visited, and what it said."""
    streets = Streets(nursery, peers)
    told: list[tuple[int, int, str, str]] = []
    try:
        await fetch_blob(cast(Host, streets), list(peers), BLOB, store, telling(told))
    finally:
        dones = [done for done, _, _, _ in told]
        assert dones == sorted(dones)  # progress never goes back
    assert told[-1] == (SIZE, SIZE, told[-1][2], "complete")
    assert not store.missing(OUTLINE)
    return streets.visits, [f"{peer} {event}" for _, _, peer, event in told if event]


async def test_a_blob_comes_over_whole(nursery: trio.Nursery) -> None:
    store = Store()
    visits, events = await fetch(nursery, {"a": honest(Store(full=True))}, store)
    assert set(visits) == {"a"}
    assert set(events) == {"a asking", " complete"}
    assert max(store.puts) <= bounds.BLOB_UNSTORED[0] + 8 * CHUNK
    assert sum(store.puts) == SIZE  # nothing came twice


async def test_a_blob_comes_from_all_peers_at_once_and_from_one_that_joins_late(nursery: trio.Nursery) -> None:
    halves = [Store(full=True), Store(full=True)]
    halves[0].chunks = {content_hash(p): p for p in PIECES[:20]}
    halves[1].chunks = {content_hash(p): p for p in PIECES[20:]}
    streets = Streets(nursery, {"first": honest(halves[0]), "late": honest(halves[1])})
    store, told = Store(), list[tuple[int, int, str, str]]()
    give = trio.Event()

    async def more() -> AsyncIterator[str]:
        await give.wait()
        yield "first"
        yield "late"

    def progress(done: int, total: int, peer: str, event: str) -> None:
        told.append((done, total, peer, event))
        if done == 20 * CHUNK:  # all that the first one has
            give.set()

    await fetch_blob(cast(Host, streets), ["first"], BLOB, store, progress, more())
    assert not store.missing(OUTLINE)
    assert {peer for _, _, peer, _ in told if peer} == {"first", "late"}
    assert sum(store.puts) == SIZE


async def test_a_fetch_resumes_from_what_is_there(nursery: trio.Nursery) -> None:
    store, asked = Store(), []
    store.outlines[BLOB] = OUTLINE
    store.chunks = {content_hash(p): p for p in PIECES[:30]}
    full = Store(full=True)

    async def noting(channel: Channel) -> None:
        asked.append(1)
        await serve_blobs(channel, full, Uploads())

    await fetch(nursery, {"a": noting}, store)
    assert sum(store.puts) == SIZE - 30 * CHUNK
    assert len(asked) < 11  # eleven chunks, no outline
    visits, _ = await fetch(nursery, {"a": noting}, store)
    assert visits == []


async def test_an_empty_blob_and_a_repeating_one(nursery: trio.Nursery) -> None:
    for pieces in ([], [bytes(CHUNK)] * 5 + [b"tail"]):
        outline, theirs, mine = outline_of(pieces), Store(), Store()
        theirs.outlines[outline.hash()] = outline
        theirs.chunks = {content_hash(p): p for p in pieces}
        told: list[tuple[int, int, str, str]] = []
        streets = Streets(nursery, {"a": honest(theirs)})
        await fetch_blob(cast(Host, streets), ["a"], outline.hash(), mine, telling(told))
        assert not mine.missing(outline)
        assert told[-1][:2] == (outline.size, outline.size)


async def liar(channel: Channel) -> None:
    request: BlobRequest = await channel.receive(BlobRequest, timeout=5)
    assert not isinstance(request, AskManifest)
    if isinstance(request, AskOutline):
        data = encode(OUTLINE)
        await channel.send(BlobReply(size=len(data)))
        await channel.send_data(data)
    else:
        for digest in request.hashes:
            await channel.send_data(bytes(len(Store(full=True).chunks[digest])))


async def test_a_liar_is_named_and_never_asked_again(nursery: trio.Nursery) -> None:
    half = Store(full=True)
    half.chunks = {content_hash(p): p for p in PIECES[:20]}
    peers = {"liar": liar, "half": honest(half), "all": honest(Store(full=True))}
    store = Store()
    streets, told = Streets(nursery, peers), list[tuple[int, int, str, str]]()
    await fetch_blob(cast(Host, streets), list(peers), BLOB, store, telling(told))
    assert not store.missing(OUTLINE)
    assert streets.cut == ["liar"]
    assert streets.visits.count("liar") == 2  # for the outline, and once for chunks
    assert any(peer == "liar" and "do not match their hash" in event for _, _, peer, event in told)

    streets = Streets(nursery, {"liar": liar, "half": honest(half)})
    with pytest.raises(RemoteError) as caught:
        await fetch_blob(cast(Host, streets), ["liar", "half"], BLOB, Store(), lambda *_: None)
    assert streets.visits.count("liar") == 2
    assert "liar: " in caught.value.message
    assert "half: " in caught.value.message


async def test_a_false_outline_is_wrong_data(nursery: trio.Nursery) -> None:
    async def false(channel: Channel) -> None:
        await channel.receive(AskOutline, timeout=5)
        data = encode(outline_of([b"another"]))
        await channel.send(BlobReply(size=len(data)))
        await channel.send_data(data)

    streets = Streets(nursery, {"a": false})
    with pytest.raises(RemoteError) as caught:
        await fetch_blob(cast(Host, streets), ["a"], BLOB, Store(), lambda *_: None)
    assert caught.value.code is ErrorCode.WRONG_DATA
    assert streets.cut == ["a"]


async def test_a_peer_that_dies_midway_leaves_what_it_sent(nursery: trio.Nursery) -> None:
    full = Store(full=True)
    answered = 0

    async def dying(channel: Channel) -> None:
        nonlocal answered
        answered += 1
        if answered < 3:
            await serve_blobs(channel, full, Uploads())
        else:
            request = await channel.receive(AskChunks, timeout=5)
            await channel.send_data(full.chunks[request.hashes[0]])
            await channel.reset()

    store = Store()
    _, events = await fetch(nursery, {"dying": dying, "b": honest(full)}, store)
    assert sum(store.puts) == SIZE  # what came before the death was kept, and nothing came twice
    assert any("dying failed" in event or "dying dropped" in event for event in events)


async def test_a_stalling_peer_loses_its_turn(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    async def stalling(channel: Channel) -> None:
        await channel.receive(AskOutline, timeout=5)
        await channel.send(BlobReply(size=100))
        await trio.sleep_forever()

    began = trio.current_time()
    visits, _ = await fetch(nursery, {"slow": stalling, "b": honest(Store(full=True))}, Store())
    assert visits[:2] == ["slow", "b"]
    assert trio.current_time() - began < 2 * bounds.BLOB_STAGGER
    nursery.cancel_scope.cancel()


async def test_when_all_fail_each_is_named(nursery: trio.Nursery) -> None:
    streets = Streets(nursery, {"empty": honest(Store())})
    with pytest.raises(RemoteError) as caught:
        await fetch_blob(cast(Host, streets), ["gone", "empty"], BLOB, Store(), lambda *_: None)
    assert caught.value.code is ErrorCode.UNREACHABLE
    assert "gone: nobody is there" in caught.value.message
    assert "is not here" in caught.value.message
    with pytest.raises(RemoteError, match="no peer is known"):
        await fetch_blob(cast(Host, streets), [], BLOB, Store(), lambda *_: None)


async def test_a_manifest_is_checked_before_it_is_believed(nursery: trio.Nursery) -> None:
    async def false(channel: Channel) -> None:
        await channel.receive(AskManifest, timeout=5)
        other = signed("other")
        await channel.send(ManifestReply(body=other.body, signature=other.signature))

    async def forged(channel: Channel) -> None:
        await channel.receive(AskManifest, timeout=5)
        await channel.send(ManifestReply(body=signed().body, signature=bytes(65)))

    peers = {"false": false, "forged": forged, "empty": honest(Store()), "true": honest(Store(full=True))}
    streets = Streets(nursery, peers)
    assert await fetch_manifest(cast(Host, streets), list(peers), signed().model) == signed()
    with pytest.raises(RemoteError, match=r"false: .*forged: .*empty: "):
        await fetch_manifest(cast(Host, streets), ["false", "forged", "empty"], signed().model)


class Paused(Store):
    """A store whose disk takes its time."""

    async def put_chunks(self, chunks: Sequence[tuple[bytes, bytes]]) -> None:
        await trio.sleep(1)
        await super().put_chunks(chunks)


async def test_a_slow_disk_bounds_what_is_asked_for(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    store, full, given = Paused(), Store(full=True), 0

    async def counting(channel: Channel) -> None:
        nonlocal given
        request: BlobRequest = await channel.receive(BlobRequest, timeout=5)
        if isinstance(request, AskChunks):
            for digest in request.hashes:
                given += len(full.chunks[digest])
                await channel.send_data(full.chunks[digest])
                assert given - sum(store.puts) <= bounds.BLOB_UNSTORED[0] + 9 * CHUNK
        else:
            data = encode(OUTLINE)
            await channel.send(BlobReply(size=len(data)))
            await channel.send_data(data)

    await fetch(nursery, {"a": counting}, store)
    nursery.cancel_scope.cancel()


async def test_what_is_said_to_be_done_is_on_disk(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    store, told, came = Paused(), list[int](), Counter[str]()

    def progress(done: int, _: int, peer: str, event: str) -> None:
        assert done <= sum(store.puts)  # and not what has come, and waits for the disk
        told.append(done)
        came[peer] += event == ""

    await fetch_blob(cast(Host, Streets(nursery, {"a": honest(Store(full=True))})), ["a"], BLOB, store, progress)
    assert told == sorted(told)
    assert len(set(told)) > 2  # it is told while it runs
    assert came["a"] == len(PIECES)  # and who brings what, as it comes
    nursery.cancel_scope.cancel()


async def test_a_cancelled_fetch_keeps_what_is_stored_and_a_failing_store_is_the_callers(nursery: trio.Nursery) -> None:
    class Full(Store):
        async def put_chunks(self, chunks: Sequence[tuple[bytes, bytes]]) -> None:
            raise OSError(f"no space for {len(chunks)}")

    streets = Streets(nursery, {"a": honest(Store(full=True))})
    with pytest.raises(OSError, match="no space"):
        await fetch_blob(cast(Host, streets), ["a"], BLOB, Full(), lambda *_: None)

    store = Store()
    with trio.CancelScope() as scope:

        def progress(done: int, _: int, __: str, ___: str) -> None:
            if done > SIZE // 2:
                scope.cancel()

        await fetch_blob(cast(Host, streets), ["a"], BLOB, store, progress)
    assert scope.cancelled_caught
    assert store.missing(OUTLINE)
    await fetch(nursery, {"a": honest(Store(full=True))}, store)
    assert sum(store.puts) == SIZE


async def test_whoever_took_an_outline_is_told_of_and_nobody_else(nursery: trio.Nursery) -> None:
    full, empty, told = Store(full=True), Store(), list[tuple[bytes, str]]()

    def serving(store: Store) -> Handler:
        async def handler(channel: Channel) -> None:
            await serve_blobs(channel, store, Uploads(), lambda blob, peer: told.append((blob, peer)))

        return handler

    await fetch(nursery, {"empty": serving(empty), "full": serving(full)}, Store())
    assert told == [(BLOB, "me")]
    store = Store()
    store.outlines[BLOB] = OUTLINE
    await fetch(nursery, {"full": serving(full)}, store)  # only chunks are asked for
    assert told == [(BLOB, "me")]
