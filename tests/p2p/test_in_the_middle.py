"""Somebody on the link relays, changes, drops, swaps, repeats, inserts or withholds bytes, at any point of either
direction: never a wrong byte, never a wait without end, and the connection is over on both sides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamError

from p2p import Host, bounds, open_host
from p2p.yamux.connection import Yamux
from tests.clock import jumping_clock
from wire.errors import RemoteError
from wire.keys import NodeKey

from .hosts import LOOPBACK, NETWORK, ask, echo
from .muxers import LEFT, RIGHT, MemoryConnection, exactly, secured, security, serve
from .pairs import MemoryStream, stream_pair

LENGTH = 40  # bytes that are meddled with at once
MEDDLING: dict[str, Callable[[bytes], bytes]] = {
    "flips": lambda data: bytes([data[0] ^ 4]) + data[1:],
    "drops": lambda _: b"",
    "swaps": lambda data: data[LENGTH // 2 :] + data[: LENGTH // 2],
    "repeats": lambda data: data + data,
    "inserts": lambda data: bytes(LENGTH) + data,
}
KINDS = [*MEDDLING, "withholds", "cuts"]  # all that follows; the last one with an end


class Meddler:
    """What one direction lets through. A machine without I/O; None is the end."""

    def __init__(self, kind: str, at: int) -> None:
        self._kind, self._at, self._held = kind, at, bytearray()
        self.meddled = False

    @property
    def touched(self) -> bool:
        """Whether what comes out is not what came in."""
        return self.meddled or bool(self._held)

    def relay(self, data: bytes) -> bytes | None:
        self._held += data
        if self.meddled and self._kind in ("withholds", "cuts"):
            return b"" if self._kind == "withholds" else None
        if self.meddled or self._at >= len(self._held):
            self._at -= 0 if self.meddled else len(self._held)
            through = bytes(self._held)
            self._held.clear()
            return through
        before, rest = bytes(self._held[: self._at]), bytes(self._held[self._at :])
        if self._kind in MEDDLING:
            if len(rest) < LENGTH:  # what is swapped must have come
                self._held, self._at = bytearray(rest), 0
                return before
            before += MEDDLING[self._kind](rest[:LENGTH]) + rest[LENGTH:]
        self._held.clear()
        self.meddled = True
        return before


async def relay(source: MemoryStream, target: MemoryStream, meddler: Meddler) -> None:
    with suppress(trio.BrokenResourceError):
        while data := await source.read(1 << 16):
            through = meddler.relay(data)
            if through is None:
                break
            await target.write(through)
    for stream in (source, target):
        await stream.reset()


async def told_apart(kind: str, forward: bool, at: int) -> None:
    """Two muxers through a relay that meddles at one place; everything asserted."""
    left, near = stream_pair()
    far, right = stream_pair()
    there, back = Meddler(kind, at if forward else 1 << 40), Meddler(kind, 1 << 40 if forward else at)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, near, far, there)
        nursery.start_soon(relay, far, near, back)
        ends = (MemoryConnection(left, True), MemoryConnection(right, False))
        try:
            sessions = await secured(security(True, LEFT), security(True, RIGHT), ends)
        except Exception:  # noise and the link fail in kinds of their own, on either side or both
            assert there.touched or back.touched
            nursery.cancel_scope.cancel()
            return
        muxers = [Yamux(session, session.get_remote_peer(), i == 0) for i, session in enumerate(sessions)]
        for muxer in muxers:
            nursery.start_soon(muxer.start)
            await muxer.event_started.wait()
        nursery.start_soon(serve, muxers[1])
        for number in range(6):
            await _one(muxers[0], bytes([number]) * (1 << 2 * number + 2))
        if there.touched or back.touched:
            for muxer in muxers:
                await muxer.event_closed.wait()
        nursery.cancel_scope.cancel()


async def _one(muxer: Any, data: bytes) -> None:
    """An echo: the same bytes come back, or an end."""

    async def write() -> None:
        with suppress(MuxedStreamError):
            await stream.write(data)

    with suppress(MuxedConnUnavailable):
        stream = await muxer.open_stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            with suppress(MuxedStreamError):
                assert await exactly(stream, len(data)) == data
        await stream.reset()


@given(st.sampled_from(KINDS), st.booleans(), st.one_of(st.integers(0, 700), st.integers(0, 12_000)))
@example("flips", True, 700)
@example("withholds", False, 2000)
def test_meddling_gives_no_wrong_byte_and_no_endless_wait(kind: str, forward: bool, at: int) -> None:
    async def bounded() -> None:
        with trio.fail_after(600):  # of a clock that jumps
            await told_apart(kind, forward, at)

    trio.run(bounded, clock=jumping_clock())


@asynccontextmanager
async def between(server: Host, kind: str, forward: bool, at: int) -> AsyncIterator[str]:
    """A relay on a port of its own before the server; its address."""

    async def serve_one(client: trio.SocketStream) -> None:
        onward = await trio.open_tcp_stream("127.0.0.1", int(server.addresses[0].split("/")[4]))
        async with client, onward, trio.open_nursery() as nursery:
            nursery.start_soon(pass_on, client, onward, Meddler(kind, at if forward else 1 << 40), nursery)
            nursery.start_soon(pass_on, onward, client, Meddler(kind, 1 << 40 if forward else at), nursery)

    async def pass_on(
        source: trio.SocketStream, target: trio.SocketStream, meddler: Meddler, nursery: trio.Nursery
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                if (through := meddler.relay(bytes(data))) is None:
                    break
                await target.send_all(through)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve_one, [listener])
        yield f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}/p2p/{server.peer_id}"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["flips", "repeats", "cuts"])
@pytest.mark.parametrize("forward", [True, False])
async def test_whole_hosts_meet_meddling_with_an_error_and_then_go_on(
    kind: str, forward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "OPEN_TIMEOUT", 1.0)  # bytes that came twice can pass for the length of a long frame
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as server,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as client,
    ):
        server.handle("echo", echo)
        for at in (90, 600, 2000):  # in the handshake, in the negotiation after it, in what follows
            async with between(server, kind, forward, at) as address:
                with trio.fail_after(20):
                    with suppress(RemoteError):
                        await client.connect([address], timeout=0.5)
                        for _ in range(20):
                            await ask(client, server.peer_id)
        await client.connect(server.addresses)
        await ask(client, server.peer_id)
