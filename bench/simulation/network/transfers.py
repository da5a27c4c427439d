"""A model on its way to many: the product's `Transfer` decides whom to ask for which piece.

Whoever fetches it serves what it has of it, and is found by the others when they look again, as with provider records.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from p2p.blobs.transfer import Ask, Cut, Finish, Store, Transfer
from wire.bounds import CHUNK
from wire.errors import ErrorCode, RemoteError

from .links import Connection
from .peers import Peer

if TYPE_CHECKING:
    from .world import World

DISK = 200.0  # bytes in a µs that are stored
TICK = 0.1  # seconds between two looks of the scheduler when nothing happens
LOOK = 2.0  # seconds between two looks for further peers


class Swarm:
    """One model: its pieces, who has it, who fetches it."""

    def __init__(self, world: World, pieces: int) -> None:
        self.world, self.pieces = world, pieces
        self.holders: dict[str, Peer] = {}  # found by who looks
        self._partly: dict[str, set[int]] = {}  # of those that fetch: what they have
        self.fetches: list[Fetch] = []
        self._uploads: dict[str, Upload] = {}
        world.on_closed.append(self._closed)

    def fetch(self, peer: Peer) -> None:
        """`peer` wants it, from now on."""
        has = self._partly[peer.name] = set()
        self.fetches.append(Fetch(self, peer, has))
        self.holders[peer.name] = peer

    def has(self, peer: Peer, piece: int) -> bool:
        """Whether the holder has it already."""
        return peer.name in self.holders and piece in self._partly.get(peer.name, range(self.pieces))

    def upload_of(self, peer: Peer) -> Upload:
        """What `peer` sends."""
        if peer.name not in self._uploads:
            self._uploads[peer.name] = Upload(self, peer)
        return self._uploads[peer.name]

    def _closed(self, connection: Connection) -> None:
        for fetch in self.fetches:
            if not fetch.over and fetch.peer in (connection.dialler, connection.listener):
                fetch.broken(connection)


class Upload:
    """One peer's: a chunk at a time, those who ask in turn, so that gossip waits for no more than one chunk."""

    def __init__(self, swarm: Swarm, peer: Peer) -> None:
        self._swarm, self._peer = swarm, peer
        self._wanted: dict[str, deque[tuple[Connection, Fetch, int, int]]] = {}
        self._busy = False

    def ask(self, connection: Connection, fetch: Fetch, number: int, pieces: tuple[int, ...]) -> None:
        """A request has come."""
        queue = self._wanted.setdefault(fetch.peer.name, deque())
        queue.extend((connection, fetch, number, piece) for piece in pieces)
        if not self._busy:
            self._next()

    def cut(self, fetch: Fetch) -> None:
        """What was asked is taken back."""
        self._wanted.pop(fetch.peer.name, None)

    def _next(self) -> None:
        world, peer = self._swarm.world, self._peer
        self._busy = False
        while self._wanted and peer.up:
            name = next(iter(self._wanted))
            queue = self._wanted.pop(name)
            connection, fetch, number, piece = queue.popleft()
            if queue:
                self._wanted[name] = queue
            if not connection.open:
                continue
            if not self._swarm.has(peer, piece):
                world.links.carry(connection, peer, 60, fetch.lacked, number, piece)
                continue
            self._busy = True
            world.links.carry(connection, peer, CHUNK, fetch.arrived, number, piece)
            world.clock.at(peer.sends_at, self._next)
            return


class Fetch:
    """One peer's fetch of the whole."""

    def __init__(self, swarm: Swarm, peer: Peer, has: set[int]) -> None:
        self.swarm, self.peer, self.started_us = swarm, peer, swarm.world.clock.us
        self._has = has
        self.done_us: int | None = None
        self.failed = False
        pieces = list(range(swarm.pieces))
        swarm.world.random.shuffle(pieces)  # as a fetch orders them, so that many who fetch at once hold different ones
        self._transfer = Transfer([CHUNK] * swarm.pieces, pieces)
        self._asked: dict[int, Connection] = {}  # by request
        self._look()
        self._tick()

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.failed or self.done_us is not None

    def arrived(self, number: int, piece: int) -> None:
        """A piece has come."""
        if not self.over:
            self._transfer.arrived(number, piece, self.swarm.world.now)
            self._go_on()

    def lacked(self, number: int, piece: int) -> None:
        """It does not have the piece."""
        if not self.over:
            self._transfer.lacked(number, piece, self.swarm.world.now)
            self._go_on()

    def broken(self, connection: Connection) -> None:
        """A connection has ended, and what was asked over it has failed."""
        for number in [n for n, asked in self._asked.items() if asked is connection]:
            self._lost(number, RemoteError(ErrorCode.LINK_LOST, "the connection ended"))

    def _look(self) -> None:
        if self.over or not self.peer.up:
            return
        others = [holder for holder in self.swarm.holders.values() if holder is not self.peer and holder.up]
        random = self.swarm.world.random
        for holder in random.sample(others, min(len(others), 16)):  # p2p.bounds.PROVIDERS of one lookup
            self._transfer.joined(holder.name, self.swarm.world.now)
        self.swarm.world.after(LOOK, self._look)

    def _tick(self) -> None:
        if not self.over and self.peer.up:
            self._go_on()
            self.swarm.world.after(TICK, self._tick)

    def _go_on(self) -> None:
        world = self.swarm.world
        for action in self._transfer.next(world.now):
            if isinstance(action, Ask):
                world.dial(self.peer, world.named[action.peer], partial(self._ask, action))
            elif isinstance(action, Cut):
                self.swarm.upload_of(world.named[action.peer]).cut(self)
            elif isinstance(action, Store):
                world.clock.at(world.clock.us + len(action.pieces) * CHUNK / DISK, self._stored, action.pieces)
            elif isinstance(action, Finish):
                self._finish(action.whole)

    def _ask(self, ask: Ask, connection: Connection | None) -> None:
        if connection is None:
            error = RemoteError(ErrorCode.UNREACHABLE, "it cannot be reached")
            self.swarm.world.clock.at(self.swarm.world.clock.us, self._lost, ask.number, error)
            return
        self._asked[ask.number] = connection
        upload = self.swarm.upload_of(connection.other(self.peer))
        self.swarm.world.links.carry(connection, self.peer, 200, upload.ask, connection, self, ask.number, ask.pieces)

    def _lost(self, number: int, error: RemoteError) -> None:
        self._asked.pop(number, None)
        if not self.over:
            self._transfer.failed(number, error, self.swarm.world.now)
            self._go_on()

    def _stored(self, pieces: Iterable[int]) -> None:
        self._has.update(pieces)
        if not self.over and self.peer.up:
            self._transfer.stored()
            self._go_on()

    def _finish(self, whole: bool) -> None:
        world = self.swarm.world
        world.say(f"fetched {self.peer.index} {whole}")
        if whole:
            self.done_us = world.clock.us
        else:
            self.failed = True
