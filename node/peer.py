"""What a peer has while it runs: everything a role or an operation needs, and nothing that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from p2p import Host
from wire.errors import ErrorCode, RemoteError
from wire.network import Network

from .clock import now_ms
from .distrust import Distrust
from .local import Local
from .noticeboard import Noticeboard
from .ready import ReadyModels
from .signal import Signal


@dataclass
class Peer:
    """One running peer. Made by `opening.open_peer`."""

    local: Local
    host: Host
    board: Noticeboard
    ready: ReadyModels
    roles: tuple[str, ...]
    started_ms: int
    bootstraps: int  # how many addresses the host has to start from
    draining: bool = False  # set by the first Ctrl-C: no new work is taken
    busy: int = 0  # pieces of work in hand, which draining waits for
    board_changed: Signal = field(default_factory=Signal)  # gossip brought something
    idle: Signal = field(default_factory=Signal)  # a piece of work was finished
    distrust: Distrust = field(default_factory=Distrust)  # providers whose answers did not hold

    @property
    def network(self) -> Network:
        return self.local.network

    @contextmanager
    def work(self) -> Iterator[None]:
        """Counts one piece of work in hand; RemoteError when this peer is stopping."""
        if self.draining:
            raise RemoteError(ErrorCode.OVERLOADED, "this peer is about to stop: ask another")
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
            self.idle.notify()

    def addresses_of(self, public: bytes) -> tuple[str, ...]:
        """Where the peer with this key says it can be reached: its presence, its offers, or the network file."""
        found: list[str] = []
        if presence := self.board.presence(public, now_ms()):
            found += presence.addresses
        found += [a for o in self.board.offers(now_ms()) if o.peer == public for a in o.addresses]
        found += [a for v in self.network.verifiers if v.key == public for a in v.addresses]
        return tuple(dict.fromkeys(found))
