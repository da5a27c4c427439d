"""Real hosts on loopback: relays, and peers that are reached over them only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from p2p import Host, open_host
from p2p.addresses import is_circuit
from p2p.options import OVER_RELAYS
from p2p.relay.messages import R, Readable, receive, send
from wire.keys import NodeKey

from ..hosts import LOOPBACK, NETWORK, echo, until


@asynccontextmanager
async def a_relay() -> AsyncIterator[Host]:
    """A peer that relays for others."""
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, relay=True) as host:
        yield host


@asynccontextmanager
async def a_client(*relays: Host, listen: Sequence[str] = ()) -> AsyncIterator[Host]:
    """A peer that knows nobody but these relays."""
    known = [address for relay in relays for address in relay.addresses]
    async with open_host(NodeKey.generate(), NETWORK, listen=listen, relays=known) as host:
        yield host


@asynccontextmanager
async def behind(*relays: Host, listen: Sequence[str] = ()) -> AsyncIterator[Host]:
    """A server of `echo` that is reached over these relays, once each holds its reservation."""
    async with a_client(*relays, listen=[*listen, OVER_RELAYS]) as host:
        host.handle("echo", echo)
        await until(lambda: len(circuits(host)) >= len(relays))
        yield host


def circuits(host: Host) -> list[str]:
    """The addresses of a peer's that lead over relays."""
    return [address for address in host.addresses if is_circuit(address)]


def is_relayed(host: Host, peer: str) -> bool:
    """Whether the best connection to a connected peer goes over a relay."""
    return next(status.relayed for status in host.connected() if status.peer_id == peer)


class Doomed:
    """Hosts that can be closed in the middle of a test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._ends: dict[str, trio.Event] = {}

    async def relay(self) -> Host:
        """A relay, until `end`."""
        host: Host = await self._nursery.start(self._run)
        return host

    async def _run(self, *, task_status: trio.TaskStatus[Host]) -> None:
        async with a_relay() as host:
            self._ends[host.peer_id] = trio.Event()
            task_status.started(host)
            await self._ends[host.peer_id].wait()

    def end(self, host: Host) -> None:
        """It closes, and all its connections with it."""
        self._ends[host.peer_id].set()


async def say(stream: Readable, data: bytes, read: Callable[[bytes], R]) -> R:
    """Send a message, and take the answer to it."""
    await send(stream, data)
    return await receive(stream, read)
