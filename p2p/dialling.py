"""Reaching a peer: every address is tried, side by side, and a failure says what became of each.

The library's own dialling tries one TCP address of a peer, remembers a failure for a minute and names no cause.
"""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Sequence

import trio
from libp2p.peer.id import ID
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey

from wire.errors import ErrorCode, RemoteError

from . import bounds
from .addresses import Multiaddr, is_circuit, parse_peer
from .swarm import SafeSwarm


class _Dial:
    """A dial under way: who joins it later waits for the same end."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.failure: RemoteError | None = RemoteError(ErrorCode.UNREACHABLE, "this peer is closing down")


class Dialler:
    """Connects to peers; concurrent wishes for one peer share one dial."""

    def __init__(self, swarm: SafeSwarm, nursery: trio.Nursery) -> None:
        self._swarm, self._nursery = swarm, nursery
        self._under_way: dict[tuple[str, bool], _Dial] = {}
        self.dial_circuit: Callable[[Multiaddr, ID], Awaitable[object]] | None = None  # over a relay

    def is_connected(self, peer_id: str) -> bool:
        """Whether an open connection to the peer stands."""
        return any(not connection.is_closed for connection in self._swarm.get_connections(parse_peer(peer_id)))

    async def connect(self, peer_id: str, addresses: Sequence[Multiaddr], *, timeout: float) -> None:
        """Return when a connection stands, over a relay where need be.

        RemoteError (UNREACHABLE) names every address and why it failed.
        """
        if not self.is_connected(peer_id):
            await self._share(peer_id, addresses, timeout, direct=False)

    async def connect_directly(self, peer_id: str, addresses: Sequence[Multiaddr], *, timeout: float) -> None:
        """As `connect`, when no relay will do."""
        if not self._swarm.is_direct(parse_peer(peer_id)):
            await self._share(peer_id, [a for a in addresses if not is_circuit(a)], timeout, direct=True)

    async def _share(self, peer_id: str, addresses: Sequence[Multiaddr], timeout: float, *, direct: bool) -> None:
        dial = self._under_way.get((peer_id, direct))
        if dial is None:
            dial = self._under_way[peer_id, direct] = _Dial()
            # A task of the host's, so that the cancellation of one caller does not fail the others.
            self._nursery.start_soon(self._dial, dial, peer_id, tuple(addresses)[: bounds.ADDRESSES], direct)
        with trio.move_on_after(timeout):
            await dial.done.wait()
            if dial.failure is not None:
                raise RemoteError(dial.failure.code, dial.failure.message) from dial.failure
            return
        raise RemoteError(
            ErrorCode.UNREACHABLE,
            f"peer {peer_id} did not answer within {timeout:.0f} s; tried {_listed(addresses)}",
        )

    async def _dial(self, dial: _Dial, peer_id: str, addresses: Sequence[Multiaddr], direct: bool) -> None:
        failures: dict[str, str] = {}
        try:
            peer = parse_peer(peer_id)
            await self._race(peer, addresses, failures)
            reached = self._swarm.is_direct(peer) if direct else self.is_connected(peer_id)
            dial.failure = None if reached else RemoteError(ErrorCode.UNREACHABLE, _failed(peer_id, failures))
        except Exception as error:  # the library's dialling raises what it likes; those who wait must hear of it
            dial.failure = RemoteError(ErrorCode.UNREACHABLE, f"peer {peer_id}: dialling failed ({error})")
        finally:
            del self._under_way[peer_id, direct]
            dial.done.set()

    async def _race(self, peer: ID, addresses: Sequence[Multiaddr], failures: dict[str, str]) -> None:
        async with trio.open_nursery() as nursery:

            async def attempt(address: Multiaddr, failed: trio.Event) -> None:
                try:
                    with trio.fail_after(bounds.DIAL_TIMEOUT):
                        await self._reach(address, peer)
                    self._swarm.unblock_peer(peer)  # the library may hold an earlier failure against it
                    failures[str(address)] = "it answers, and ends the connection at once"  # unless it still stands
                    nursery.cancel_scope.cancel()
                except trio.TooSlowError:
                    failures[str(address)] = f"no answer within {bounds.DIAL_TIMEOUT:.0f} s"
                except Exception as error:  # TCP, noise and yamux fail in kinds of their own: all are this one's cause
                    failures[str(address)] = cause_of(error)
                failed.set()

            async def over_relays(all_failed: trio.Event) -> None:
                # A dead direct address must not keep a peer from being reached at once; one that works is a little
                # faster than a relay, and wins.
                with trio.move_on_after(bounds.CIRCUIT_STAGGER):
                    await all_failed.wait()
                await in_turn([address for address in addresses if is_circuit(address)])

            async def in_turn(addresses: Sequence[Multiaddr]) -> list[trio.Event]:
                ends = []
                for address in addresses:
                    failed = trio.Event()
                    nursery.start_soon(attempt, address, failed)
                    with trio.move_on_after(bounds.DIAL_STAGGER):
                        await failed.wait()
                    ends.append(failed)
                return ends

            all_failed = trio.Event()
            nursery.start_soon(over_relays, all_failed)
            for failed in await in_turn([address for address in addresses if not is_circuit(address)]):
                await failed.wait()
            all_failed.set()

    async def _reach(self, address: Multiaddr, peer: ID) -> None:
        if not is_circuit(address):
            await self._swarm.dial_addr(address, peer)
        elif self.dial_circuit is not None:
            await self.dial_circuit(address, peer)


def cause_of(error: BaseException) -> str:
    """The innermost reason that says anything: 'connection refused' and not 'failed to connect'."""
    inner: BaseException = error
    for _ in range(8):
        if isinstance(inner, BaseExceptionGroup):
            inner = inner.exceptions[0]
        if isinstance(inner, PeerIDMismatchesPubkey):
            return "another peer answers there"
        if inner.__cause__ is None:
            break
        inner = inner.__cause__
    said = str(inner)
    if said.startswith("Failed to resolve DNS"):  # with the whole address once more
        return "DNS does not know that name, or does not answer"
    return (_of_system(inner) or said or type(inner).__name__)[:200]


def _of_system(error: BaseException) -> str:
    """What the operating system says, in its words alone: the address stands beside it already."""
    if not isinstance(error, OSError) or error.errno is None or error.errno not in errno.errorcode:
        return ""
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # of IPv6 addresses, where that is off
        return "this machine has no address of that kind"
    return os.strerror(error.errno).lower()


def _failed(peer_id: str, failures: dict[str, str]) -> str:
    if not failures:
        return f"peer {peer_id} cannot be reached: no address of it is known"
    causes = "; ".join(f"{address}: {cause}" for address, cause in failures.items())
    return f"peer {peer_id} cannot be reached ({causes})"


def _listed(addresses: Sequence[Multiaddr]) -> str:
    return ", ".join(dict.fromkeys(map(str, addresses))) or "no address, for none is known"
