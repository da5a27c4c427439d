"""Dialling back, both sides of it: asking a peer to dial us as a stranger would, and doing so for others.

Nobody can be made to attack anybody with it: only the IP address at which the asker is seen is dialled, and seldom.
And nobody can be made to believe it: an address counts as reached when our nonce came back on a connection that is new,
that came from outside, and that is not our checker's own.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field

import trio
from libp2p.abc import IMuxedConn, INetConn
from libp2p.rcmgr import Direction

from wire.errors import ErrorCode, RemoteError
from wire.reach import (
    MAX_ADDRESSES,
    NONCE,
    AskDialBack,
    DialBackReply,
    DialBackTaken,
    DialledBack,
    DialOutcome,
    DialTried,
    ReachRequest,
)
from wire.text import one_line

from .. import bounds
from ..dialling import cause_of
from ..rates import Rates
from ..streams import Channel
from .places import IP, Places, Scope, ip_of, port_of
from .poll import Ask
from .stranger import channel_of_a_stranger

NAME = "reach"


@dataclass(slots=True)
class _Waiting:
    """A question that was asked and is not yet answered."""

    ask: Ask
    began: float  # on the clock of the computer, like a connection's own
    came: set[int] = field(default_factory=set)  # which addresses were reached


class DialBack:
    """Asks, and answers. `connections`: those that stand to a peer. `protocol`: the whole name of ours."""

    def __init__(
        self,
        protocol: str,
        places: Places,
        connections: Callable[[str], list[INetConn]],
        exchange: Callable[[str, str], AbstractAsyncContextManager[Channel]],
    ) -> None:
        self._protocol, self._places, self._connections, self._exchange = protocol, places, connections, exchange
        self._waiting: dict[bytes, _Waiting] = {}
        self._peers = Rates(bounds.DIAL_BACK_RATE, bounds.DIAL_BACK_BURST)
        self._networks = Rates(bounds.DIAL_BACK_NETWORK_RATE, bounds.DIAL_BACK_NETWORK_BURST)
        self._all = Rates(bounds.DIAL_BACK_ALL_RATE, bounds.DIAL_BACK_ALL_BURST)
        self._under_way = 0

    async def ask(self, ask: Ask) -> dict[str, tuple[bool, str]]:
        """By address, whether it was reached, and why not. RemoteError when the peer gives no such answer."""
        nonce = secrets.token_bytes(NONCE)
        waiting = self._waiting[nonce] = _Waiting(ask, time.time())
        try:
            async with self._exchange(ask.peer, NAME) as channel:
                await channel.send(AskDialBack(nonce=nonce, addresses=ask.addresses[:MAX_ADDRESSES]))
                reply = await channel.receive(DialBackReply, timeout=bounds.DIAL_BACK_PATIENCE)
        finally:
            del self._waiting[nonce]
        if len(reply.tried) != len(ask.addresses):
            raise RemoteError(ErrorCode.BAD_RECORD, f"{len(reply.tried)} answers to {len(ask.addresses)} addresses")
        return {
            address: (index in waiting.came, _detail(address, tried, index in waiting.came))
            for index, (address, tried) in enumerate(zip(ask.addresses, reply.tried, strict=True))
        }

    async def serve(self, channel: Channel) -> None:
        """Answer one request of a peer's."""
        request = await channel.receive(ReachRequest, timeout=bounds.DIAL_BACK_PATIENCE)
        if isinstance(request, DialledBack):
            await channel.send(DialBackTaken(known=self._take(request, channel.peer)))
            return
        seen = {ip for c in self._connections(channel.peer) if (ip := direct_ip(c)) is not None}
        with self._admitted(channel.peer, seen):
            tried: list[DialTried] = [_REFUSED] * len(request.addresses)
            async with trio.open_nursery() as nursery:
                for index, address in enumerate(request.addresses):
                    ip = ip_of(address)
                    if ip in seen and ip is not None and self._places.scope(ip) is Scope.GLOBAL:
                        nursery.start_soon(self._try, channel.peer, request, index, ip, tried)
        await channel.send(DialBackReply(tried=tuple(tried)))

    @contextmanager
    def _admitted(self, peer: str, seen: set[IP]) -> Iterator[None]:
        """RemoteError when the peer, its network or everybody together asks more than is answered."""
        if not seen:
            raise RemoteError(ErrorCode.REFUSED, "you are not connected directly, so that there is nothing to dial")
        now = trio.current_time()
        free = (
            self._under_way < bounds.DIAL_BACKS
            and self._peers.take(peer, now)
            and all(self._networks.take(self._places.network(ip), now) for ip in seen)
            and self._all.take("", now)
        )
        if not free:
            raise RemoteError(ErrorCode.OVERLOADED, "no more dialling back now; ask another, or later")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _try(self, peer: str, request: AskDialBack, index: int, ip: IP, tried: list[DialTried]) -> None:
        address = request.addresses[index]
        failure = f"no answer within {bounds.DIAL_BACK_TIME:.0f} s"
        with trio.move_on_after(bounds.DIAL_BACK_TIME):
            try:
                async with channel_of_a_stranger(ip, port_of(address), peer, self._protocol) as channel:
                    await channel.send(DialledBack(nonce=request.nonce, address=index))
                    await channel.receive(DialBackTaken, timeout=bounds.DIAL_BACK_TIME)
                failure = ""
            except Exception as error:  # whatever stands at that address answered in a way of its own
                failure = cause_of(error)
        outcome = DialOutcome.FAILED if failure else DialOutcome.REACHED
        tried[index] = DialTried(outcome=outcome, detail=one_line(failure))

    def _take(self, word: DialledBack, stranger: str) -> bool:
        """Whether this shows that strangers get through: our nonce, from outside, on a connection made for it."""
        waiting = self._waiting.get(word.nonce)
        if waiting is None or stranger == waiting.ask.peer or word.address >= len(waiting.ask.addresses):
            return False
        connections = self._connections(stranger)
        if not connections or not all(self._is_new(connection, waiting.began) for connection in connections):
            return False
        waiting.came.add(word.address)
        return True

    def _is_new(self, connection: INetConn, since: float) -> bool:
        ip = direct_ip(connection)
        return (
            ip is not None
            and self._places.scope(ip) is Scope.GLOBAL
            and is_inbound(connection)
            and connection._created_at >= since  # type: ignore[attr-defined]  # the library offers no other way
        )


_REFUSED = DialTried(outcome=DialOutcome.REFUSED, detail="you are not seen at that address")


def direct_ip(connection: INetConn | IMuxedConn) -> IP | None:
    """Where the other side of a connection is; None when it runs over a relay."""
    for address in connection.get_transport_addresses():
        if (ip := ip_of(str(address))) is not None:
            return ip
    return None


def is_inbound(connection: INetConn) -> bool:
    """Whether the other side dialled it."""
    return connection.direction is Direction.INBOUND  # type: ignore[attr-defined]  # as above


def _detail(address: str, tried: DialTried, came: bool) -> str:
    if came:
        return address
    if tried.outcome is DialOutcome.REACHED:
        return f"{address}: said to be reached, which did not show"
    return f"{address}: {tried.detail or 'not reached'}"
