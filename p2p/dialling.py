"""Reaching a peer: every address is tried, side by side, and a failure says what became of each.

The library's own dialling tries one TCP address of a peer, remembers a failure for a minute and names no cause.
"""

# ruff: noqa: ASYNC109 — a timeout here has a meaning of its own: it becomes a RemoteError
from __future__ import annotations

from collections.abc import Sequence

import trio
from libp2p.peer.id import ID
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey

from wire.errors import ErrorCode, RemoteError

from . import bounds
from .addresses import Multiaddr, parse_peer
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
        self._under_way: dict[str, _Dial] = {}

    def is_connected(self, peer_id: str) -> bool:
        """Whether an open connection to the peer stands."""
        return any(not connection.is_closed for connection in self._swarm.get_connections(parse_peer(peer_id)))

    async def connect(self, peer_id: str, addresses: Sequence[Multiaddr], *, timeout: float) -> None:
        """Return when a connection stands. RemoteError (UNREACHABLE) names every address and why it failed."""
        if self.is_connected(peer_id):
            return
        dial = self._under_way.get(peer_id)
        if dial is None:
            dial = self._under_way[peer_id] = _Dial()
            # A task of the host's, so that the cancellation of one caller does not fail the others.
            self._nursery.start_soon(self._dial, dial, peer_id, tuple(addresses)[: bounds.ADDRESSES])
        with trio.move_on_after(timeout):
            await dial.done.wait()
            if dial.failure is not None:
                raise RemoteError(dial.failure.code, dial.failure.message) from dial.failure
            return
        raise RemoteError(
            ErrorCode.UNREACHABLE,
            f"peer {peer_id} did not answer within {timeout:.0f} s; tried {_listed(addresses)}",
        )

    async def _dial(self, dial: _Dial, peer_id: str, addresses: Sequence[Multiaddr]) -> None:
        failures: dict[str, str] = {}
        try:
            await self._race(parse_peer(peer_id), addresses, failures)
            reached = self.is_connected(peer_id)
            dial.failure = None if reached else RemoteError(ErrorCode.UNREACHABLE, _failed(peer_id, failures))
        except Exception as error:  # the library's dialling raises what it likes; those who wait must hear of it
            dial.failure = RemoteError(ErrorCode.UNREACHABLE, f"peer {peer_id}: dialling failed ({error})")
        finally:
            del self._under_way[peer_id]
            dial.done.set()

    async def _race(self, peer: ID, addresses: Sequence[Multiaddr], failures: dict[str, str]) -> None:
        async with trio.open_nursery() as nursery:

            async def attempt(address: Multiaddr, failed: trio.Event) -> None:
                try:
                    with trio.fail_after(bounds.DIAL_TIMEOUT):
                        await self._swarm.dial_addr(address, peer)
                    self._swarm.unblock_peer(peer)  # the library may hold an earlier failure against it
                    nursery.cancel_scope.cancel()
                except trio.TooSlowError:
                    failures[str(address)] = f"no answer within {bounds.DIAL_TIMEOUT:.0f} s"
                except Exception as error:  # TCP, noise and yamux fail in kinds of their own: all are this one's cause
                    failures[str(address)] = _cause(error)
                failed.set()

            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(bounds.DIAL_STAGGER):
                    await failed.wait()


def _cause(error: BaseException) -> str:
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
    return (str(inner) or type(inner).__name__)[:200]


def _failed(peer_id: str, failures: dict[str, str]) -> str:
    if not failures:
        return f"peer {peer_id} cannot be reached: no address of it is known"
    causes = "; ".join(f"{address}: {cause}" for address, cause in failures.items())
    return f"peer {peer_id} cannot be reached ({causes})"


def _listed(addresses: Sequence[Multiaddr]) -> str:
    return ", ".join(map(str, addresses)) or "no address, for none is known"
