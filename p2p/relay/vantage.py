"""Where a relay sees us: connections to relays that leave from the port that we listen on, and what they say of it.

A router that maps a port the same way for every destination lets others in by what one of them sees.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Sequence

import trio
from libp2p.abc import INetConn
from libp2p.custom_types import TProtocol
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.utils.varint import read_length_prefixed_protobuf

from wire.errors import ErrorCode, RemoteError

from .. import bounds
from ..addresses import Multiaddr, parse_peer
from ..dialling import cause_of
from ..guard import SafeHost, reset
from ..reach.dialback import direct_ip
from ..reach.places import Places, ip_of
from .home_port import HomePort

log = logging.getLogger(__name__)

_OURS = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL}  # what ails the port and not the way


class Vantage:
    """Connects to relays. `otherwise` does so from any port, where ours cannot be used."""

    def __init__(self, host: SafeHost, otherwise: Callable[[str, Sequence[Multiaddr]], Awaitable[None]]) -> None:
        self._host, self._swarm, self._otherwise = host, host.swarm, otherwise
        self.home = HomePort(host.listening)
        self._seen: dict[str, str] = {}  # by relay: where it sees us, on `_connections`
        self._connections: dict[str, INetConn] = {}  # by relay: those that left from our port
        self._dialling: dict[str, trio.Lock] = {}  # by relay

    async def reach(self, relay: str, addresses: Sequence[Multiaddr]) -> None:
        """Connect to a relay, from our port where that can be. RemoteError (UNREACHABLE) says why it cannot."""
        if self._swarm.is_direct(parse_peer(relay)):
            return
        failures: list[RemoteError] = []
        with trio.move_on_after(bounds.DIAL_TIMEOUT):
            for address in addresses:
                try:
                    if ip_of(str(address)) is not None and await self._dial(relay, str(address)) is not None:
                        return
                except RemoteError as error:
                    failures.append(error)
            if not addresses or len(failures) < len(addresses):
                await self._otherwise(relay, addresses)
                return
        causes = "; ".join(error.message for error in failures) or f"no answer within {bounds.DIAL_TIMEOUT:.0f} s"
        raise RemoteError(ErrorCode.UNREACHABLE, f"the relay cannot be reached ({causes})")

    async def seen(self, relay: str, address: Multiaddr, places: Places) -> str | None:
        """Where the relay sees us, as a multiaddress; None when it does not tell, or tells what it cannot see: us in
        a LAN, say, while it stands outside. A peer that is met there would be let in on what else stands there."""
        try:
            connection = await self._dial(relay, str(address))
            if connection is not None and relay not in self._seen:
                with trio.fail_after(bounds.RELAY_TIMEOUT):
                    self._seen[relay] = await _observed(self._host, connection)
        except Exception as error:  # yamux and the library's negotiation have kinds of their own
            log.debug("%s does not say where we are: %s", relay, error)
            return None
        if connection is None or (text := self._seen.get(relay)) is None:
            return None
        far, own = direct_ip(connection), ip_of(text)
        return text if far is not None and own is not None and places.scope(own) >= places.scope(far) else None

    def close(self) -> None:
        """Let go of our port."""
        self.home.close()

    async def _dial(self, relay: str, address: str) -> INetConn | None:
        """The connection to the relay that leaves from our port; None when the port cannot be used for that now.

        RemoteError (UNREACHABLE) when nobody answers at that address, or another peer does.
        """
        lock = self._dialling.setdefault(relay, trio.Lock())  # twice from one port to one address is one connection
        try:
            async with lock:
                known = self._connections.get(relay)
                if known is not None and not known.is_closed:
                    return known
                with trio.fail_after(bounds.RELAY_TIMEOUT):
                    connection = await self._swarm.adopt(await self.home.dial(address), parse_peer(relay))
                self._connections = {r: c for r, c in self._connections.items() if not c.is_closed}
                self._connections[relay] = connection
                self._seen = {r: text for r, text in self._seen.items() if r in self._connections and r != relay}
                return connection
        except Exception as error:  # the socket, noise and yamux have kinds of their own
            if isinstance(error, OSError) and error.errno in _OURS:
                return None
            raise RemoteError(ErrorCode.UNREACHABLE, f"{address}: {cause_of(error)}") from error
        finally:
            if not lock.statistics().tasks_waiting:
                self._dialling.pop(relay, None)


async def _observed(host: SafeHost, connection: INetConn) -> str:
    """Our address as the peer at the other end of this very connection sees it."""
    stream = await connection.new_stream()
    try:
        communicator = MultiselectCommunicator(stream)
        await host.multiselect_client.select_one_of([TProtocol(IDENTIFY)], communicator, int(bounds.RELAY_TIMEOUT))
        said = Identify()
        said.ParseFromString(await read_length_prefixed_protobuf(stream, max_length=bounds.IDENTIFY))
        return str(Multiaddr(said.observed_addr))
    finally:
        await reset(stream)
