"""Multiaddresses: reading those of strangers, remembering whose is which."""

from __future__ import annotations

import errno
import socket
from collections import OrderedDict
from collections.abc import Iterable

from libp2p.peer.id import ID
from multiaddr import Multiaddr as Multiaddr

from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import public_of
from wire.text import one_line

from . import bounds

_HOSTS = {"ip4", "ip6", "dns", "dns4", "dns6"}


def read_address(text: str, peer_id: str | None = None) -> tuple[str, Multiaddr]:
    """The peer id and the TCP address in `text`; without `/p2p/…` at its end, `peer_id` says whose it is.

    An address over a relay, `/ip4/…/tcp/…/p2p/RELAY/p2p-circuit/p2p/PEER`, is given back up to its `p2p-circuit`.

    RemoteError (UNREACHABLE) says what is wrong with any other text.
    """
    if len(text) > bounds.ADDRESS_TEXT:
        raise _unreadable(text[:32] + "…", f"longer than {bounds.ADDRESS_TEXT} characters")
    try:
        address = Multiaddr(text)
        relay, named = _ends(address)
    except Exception as error:  # multiaddr raises many kinds for bad text
        raise _unreadable(text, str(error) or "not a multiaddress") from error
    parts = [protocol.name for protocol in address.protocols()]
    circuit = ["p2p", "p2p-circuit"] if relay else []
    if not parts or parts[0] not in _HOSTS or parts[1:] != ["tcp", *circuit, *(["p2p"] if named else [])]:
        raise _unreadable(text, "only addresses like /ip4/192.0.2.1/tcp/4001/p2p/16Uiu2… can be dialled")
    owner = named or peer_id
    if owner is None:
        raise _unreadable(text, "it ends without /p2p/ and the peer's id")
    if peer_id is not None and owner != peer_id:
        raise _unreadable(text, f"it is the address of another peer than {peer_id}")
    try:
        for each in filter(None, (relay, owner)):
            public_of(each)
    except RecordError as error:
        raise _unreadable(text, str(error)) from error
    if owner == relay:
        raise _unreadable(text, "a peer is no relay to itself")
    return owner, Multiaddr(str(address)[: str(address).rindex("/p2p/")]) if named else address


def _ends(address: Multiaddr) -> tuple[str | None, str | None]:
    """The relay in an address, and the peer at its end, where they are named."""
    before, circuit, after = str(address).partition("/p2p-circuit")
    last = (after if circuit else before).rpartition("/p2p/")
    return (before.rpartition("/p2p/")[2] or None) if circuit else None, last[2] if last[1] else None


def is_circuit(address: Multiaddr | str) -> bool:
    """Whether the address leads over a relay."""
    return "/p2p-circuit" in str(address)


def relay_of(circuit: Multiaddr | str) -> tuple[str, Multiaddr]:
    """The relay's id and its own address in a circuit's address that `read_address` gave or took."""
    direct, _, relay = str(circuit).partition("/p2p-circuit")[0].rpartition("/p2p/")
    return relay, Multiaddr(direct)


def _unreadable(text: str, why: str) -> RemoteError:
    message = f"the address {text} cannot be used: {why}"
    return RemoteError(ErrorCode.UNREACHABLE, one_line(message))


def listenable(text: str) -> Multiaddr:
    """An address of ours to listen on. ValueError when it is none, OSError when another program listens there.

    The library shares its ports (SO_REUSEPORT), so that without this check two peers on one would each get half of
    the connections.
    """
    try:
        address = Multiaddr(text)
        _, kind, host, transport, port = str(address).split("/")
        family = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}[kind]
    except Exception as error:  # multiaddr raises many kinds for bad text
        raise ValueError(f"{text} cannot be listened on; write it like /ip4/0.0.0.0/tcp/4001") from error
    if transport != "tcp":
        raise ValueError(f"{text} cannot be listened on: only TCP is spoken here")
    if int(port):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, int(port)))
        except OSError as error:
            absent = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
            why = "this machine has no such address" if absent else f"{error.strerror}; choose another port"
            raise OSError(error.errno, f"cannot listen on {text}: {why}") from error
    return address


class AddressBook:
    """Addresses by peer, bounded both ways; the peers longest unheard of are forgotten. A machine without I/O."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._told: dict[str, tuple[str, ...]] = {}  # the last words on each: to hear them again is to hear nothing new

    def learn(self, peer_id: str, addresses: Iterable[str]) -> None:
        """Put these addresses before those known; what cannot be read is left out."""
        told, fresh = tuple(addresses), list[str]()
        if self._told.get(peer_id) == told:
            self._known.move_to_end(peer_id)
            return
        for text in told:
            try:
                _, address = read_address(text, peer_id)
            except RemoteError:
                continue
            fresh.append(str(address))
            if len(fresh) == bounds.ADDRESSES:
                break
        if fresh:
            merged = dict.fromkeys((*fresh, *self._known.pop(peer_id, ())))
            self._known[peer_id], self._told[peer_id] = tuple(merged)[: bounds.ADDRESSES], told
            if len(self._known) > bounds.KNOWN_PEERS:
                forgotten, _ = self._known.popitem(last=False)
                del self._told[forgotten]

    def of(self, peer_id: str) -> tuple[str, ...]:
        """Addresses of the peer, without `/p2p/…`, the latest first."""
        return self._known.get(peer_id, ())

    def peers(self) -> list[str]:
        """All peers of which addresses are known."""
        return list(self._known)


def parse_peer(peer_id: str) -> ID:
    """The library's form of a peer id; RemoteError (UNREACHABLE) when `peer_id` is none."""
    try:
        public_of(peer_id)
    except RecordError as error:
        raise RemoteError(ErrorCode.UNREACHABLE, str(error), retry=False) from error
    return ID.from_string(peer_id)
