"""Yamux as a libp2p muxer: the trio side of `Machine`, safe to cancel at every await.

Three rules hold it together. Sending is synchronous: what the machine says goes out whole, with no await between a
state's change and its frame. After every await the state is looked at again before a task parks. And the loop that
reads never waits for one that writes.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.security.noise.exceptions import NoiseFailure
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable

from .. import bounds
from ..addresses import Multiaddr
from ..noise.cipher import Bytes
from ..noise.transport import NoiseSession
from ..standing.ledger import Ledger
from .frames import ProtocolError
from .machine import INTERNAL_ERROR, NORMAL, PROTOCOL_ERROR, Machine
from .stream import YamuxStream
from .windows import Flow

log = logging.getLogger(__name__)


class Yamux(IMuxedConn):
    """Streams over one `NoiseSession`. `start` runs until the connection is over, and never raises for a peer."""

    def __init__(
        self,
        secured_conn: ISecureConn,
        peer_id: ID,
        is_initiator: bool | None = None,
        on_close: Callable[[], Awaitable[object]] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        if not isinstance(secured_conn, NoiseSession):
            raise TypeError("this muxer seals and sends in one step, which only our own noise can")
        self.secured_conn, self.peer_id, self.on_close = secured_conn, peer_id, on_close
        self.event_started, self.event_closed = trio.Event(), trio.Event()
        self._session = secured_conn
        self._initiator = secured_conn.is_initiator if is_initiator is None else is_initiator
        self._machine = Machine(self._initiator, trio.current_time())
        self._ledger = ledger or Ledger()
        # Of empty frames: how many may still come, when that was so, and how many had come then.
        self._allowance, self._allowed, self._empty = bounds.EMPTY_BURST, trio.current_time(), 0
        self._ended = False
        self._scope = trio.CancelScope()
        self._news = trio.lowlevel.ParkingLot()  # of those who open and those who accept

    @property
    def is_initiator(self) -> bool:
        """Whether this side dialled."""
        return self._initiator

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return self.event_started.is_set() and not self._ended

    @property
    def is_closed(self) -> bool:
        """Whether all is over."""
        return self.event_closed.is_set()

    @property
    def streams(self) -> int:
        """How many streams have not ended on both sides."""
        return len(self._machine.flows)

    def rtt(self) -> float:
        """Seconds of a round trip, smoothed; 0 while not yet measured."""
        return self._machine.rtt

    async def start(self) -> None:
        """Serve the connection until it ends."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for part in (self._session.pump, self._keep_time, self._read_in):
                        nursery.start_soon(self._fenced, part)
                    self.event_started.set()
        finally:
            self.event_started.set()
            await self._finish_off()
        if self.on_close is not None:
            try:
                await self.on_close()
            except Exception:  # whoever is told may fail; the task that runs us is the swarm's, and everybody's
                log.warning("telling of the end of the connection to %s failed", self.peer_id, exc_info=True)

    async def close(self) -> None:
        """Say goodbye, let what was written leave within a bound, and end. Done even when this call is cancelled."""
        if self._ended:
            await trio.lowlevel.checkpoint()
            return
        self._machine.go_away(NORMAL)
        self._flush()
        deadline = trio.current_time() + bounds.CLOSE_TIMEOUT
        with trio.CancelScope(shield=True, deadline=deadline):
            try:
                while self._session.queued:
                    await self._session.flush()
            except ConnectionClosedError as error:
                log.debug("connection to %s was gone before it was closed: %s", self.peer_id, error)
        self._end()
        await self._finish_off()

    async def open_stream(self) -> YamuxStream:
        """A new stream; waits while the peer has 256 to take. MuxedConnUnavailable when the connection is over."""
        await trio.lowlevel.checkpoint()
        while not self._machine.may_open and not self._ended:
            await self._news.park()
        self._check()
        stream = YamuxStream(self, self._machine.open())
        self._flush()
        self._check()
        return stream

    async def accept_stream(self) -> YamuxStream:
        """The next stream of the peer's. MuxedConnUnavailable when the connection is over."""
        await trio.lowlevel.checkpoint()
        while True:
            self._check()
            if (flow := self._machine.accept()) is not None:
                stream = YamuxStream(self, flow)
                self._flush()
                return stream
            await self._news.park()

    def get_transport_addresses(self) -> list[Multiaddr]:
        """The addresses that the connection really uses."""
        return self._session.get_transport_addresses()

    def get_connection_type(self) -> ConnectionType:
        """Direct or relayed."""
        return self._session.get_connection_type()

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's host and port."""
        return self._session.get_remote_address()

    # What streams ask of their connection. None of it waits, but for `room`.

    def holds_up(self, size: int) -> bool:
        """Whether a write of so many bytes should wait for `room`."""
        return self._session.holds_up(size)

    async def room(self) -> None:
        """Wait until less is queued or the connection is over; look again afterwards."""
        await self._session.room()

    def take(self, flow: Flow, limit: int) -> bytes:
        """What has come, up to `limit` bytes, and the peer is told that there is room again."""
        data = self._machine.read(flow, limit, trio.current_time())
        if self._machine.speaks:
            self._flush()
        return data

    def put(self, flow: Flow, data: memoryview) -> int:
        """Send as much of `data` as one frame may carry now; how many bytes that was."""
        if size := self._machine.spend(flow, len(data)):
            self._flush(data[:size])
            if self._session.queued:
                self._weigh()
        return size

    def finish(self, flow: Flow) -> None:
        """End our direction of the stream."""
        self._machine.finish(flow, trio.current_time())
        self._flush()

    def cut(self, flow: Flow) -> None:
        """Reset the stream."""
        self._machine.reset(flow)
        self._flush()

    def _check(self) -> None:
        if self._ended:
            raise MuxedConnUnavailable("the connection is over")

    def _flush(self, *body: Bytes) -> None:
        """Send what the machine says, and wake those whom its changes concern. Never raises."""
        output = self._machine.output()
        if output and not self._ended:
            try:
                self._session.send([b"".join(output), *body])
            except (ConnectionClosedError, NoiseFailure) as error:
                log.debug("connection to %s is gone: %s", self.peer_id, error)
                self._end()
        changed = self._machine.changed()
        for flow in changed:
            flow.wake()
        if changed:
            self._news.unpark_all()

    async def _read_in(self) -> None:
        session, machine = self._session, self._machine
        while not machine.gone:
            await session.fill()
            now, waiting, most = trio.current_time(), len(machine.backlog), bounds.FRAMES_AT_ONCE
            try:
                for plain in session.opened():
                    before, taken = machine.frames, machine.receive(plain, now, most) if most else 0
                    most -= machine.frames - before
                    if taken < len(plain):
                        await self._take_turns(memoryview(bytes(plain[taken:])))
            finally:
                self._flush()
            if len(machine.backlog) > waiting:
                self._news.unpark_all()
            self._weigh()
            await self._slow_down()

    async def _take_turns(self, data: memoryview) -> None:
        """Look at very many frames, some at a time, and of all connections with as many one at a time."""
        machine = self._machine
        while data and not machine.gone:
            async with self._ledger.turn:
                data = data[machine.receive(data, trio.current_time(), bounds.FRAMES_AT_ONCE) :]
                self._flush()
            await self._slow_down()

    async def _slow_down(self) -> None:
        """Frames that carry nothing cost as much as any: whoever sends too many is read only as fast as it may send."""
        now, empty = trio.current_time(), self._machine.empty
        if empty == self._empty:
            return
        passed, self._allowed = now - self._allowed, now
        self._allowance = min(bounds.EMPTY_BURST, self._allowance + passed * bounds.EMPTY_RATE) - (empty - self._empty)
        self._empty = empty
        if self._allowance < 0:
            owed = -self._allowance / bounds.EMPTY_RATE
            self._ledger.flooded(str(self.peer_id), owed)
            await trio.sleep(owed)

    def weight(self) -> int:
        """Bytes held for this connection: unread here, not taken by the peer, and what its streams are made of."""
        return self._machine.unread + self._session.queued + bounds.STREAM_WEIGHT * len(self._machine.flows)

    def shed(self) -> None:
        """Give up what takes most room: a stream that nobody reads, or the connection when the peer does not read."""
        flow = self._machine.heaviest()
        if flow is None or flow.inbox.size < self._session.queued:
            log.debug("connection to %s ended: memory is short, and the peer takes nothing", self.peer_id)
            self._end()
        else:
            log.debug("stream %d of %s was reset: memory is short", flow.number, self.peer_id)
            self.cut(flow)

    def _weigh(self) -> None:
        if not self._ended:
            self._ledger.weigh(self, self.weight())

    async def _keep_time(self) -> None:
        await trio.sleep(bounds.PING_FIRST)
        while True:
            self._machine.tick(trio.current_time())
            self._flush()
            await trio.sleep(bounds.PING_EVERY / 2)

    async def _fenced(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except (ConnectionClosedError, NoiseFailure, TimeoutError) as error:
            log.debug("connection to %s ended: %s", self.peer_id, error)
        except ProtocolError as error:
            log.debug("connection to %s ended, for %s", self.peer_id, error)
            self._machine.go_away(PROTOCOL_ERROR)
        except Exception:  # a fault of ours; it may cost this connection, and not the swarm, which is everybody's
            log.warning("connection to %s failed in the muxer", self.peer_id, exc_info=True)
            self._machine.go_away(INTERNAL_ERROR)
        self._flush()
        self._end()

    def _end(self) -> None:
        """The connection is over: everybody who waits for it is told."""
        if self._ended:
            return
        self._ended = True
        self._ledger.forget(self)
        self._machine.end()
        self._flush()
        self._news.unpark_all()
        self._scope.cancel()

    async def _finish_off(self) -> None:
        self._end()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + bounds.CLOSE_TIMEOUT):
            try:
                await self._session.close()
            except Exception:  # the library's sockets end in kinds of their own; it is over either way
                log.debug("closing the connection to %s", self.peer_id, exc_info=True)
        self.event_closed.set()
