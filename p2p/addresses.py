"""Multiaddresses: reading those of strangers, announcing our own, remembering whose is which."""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from libp2p.peer.id import ID
from multiaddr import Multiaddr as Multiaddr
from multiaddr.utils import get_network_addrs

from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import public_of
from wire.text import one_line

from . import bounds

_HOSTS = {"ip4", "ip6", "dns", "dns4", "dns6"}
_UNSPECIFIED = {"0.0.0.0": ("ip4", 4), "::": ("ip6", 6)}


def read_address(text: str, peer_id: str | None = None) -> tuple[str, Multiaddr]:
    """The peer id and the TCP address in `text`; without `/p2p/…` in it, `peer_id` says whose it is.

    RemoteError (UNREACHABLE) says what is wrong with any other text.
    """
    if len(text) > bounds.ADDRESS_TEXT:
        raise _unreadable(text[:32] + "…", f"longer than {bounds.ADDRESS_TEXT} characters")
    try:
        address = Multiaddr(text)
        names = [protocol.name for protocol in address.protocols()]
        named = address.value_for_protocol("p2p") if "p2p" in names else None
    except Exception as error:  # multiaddr raises many kinds for bad text
        raise _unreadable(text, str(error) or "not a multiaddress") from error
    if len(names := [n for n in names if n != "p2p"]) != 2 or names[0] not in _HOSTS or names[1] != "tcp":
        raise _unreadable(text, "only addresses like /ip4/192.0.2.1/tcp/4001/p2p/16Uiu2… can be dialled")
    owner = named or peer_id
    if owner is None:
        raise _unreadable(text, "it ends without /p2p/ and the peer's id")
    if peer_id is not None and owner != peer_id:
        raise _unreadable(text, f"it is the address of another peer than {peer_id}")
    try:
        public_of(owner)
    except RecordError as error:
        raise _unreadable(text, str(error)) from error
    return owner, address.decapsulate(Multiaddr(f"/p2p/{named}")) if named else address


def _unreadable(text: str, why: str) -> RemoteError:
    message = f"the address {text} cannot be used: {why}"
    return RemoteError(ErrorCode.UNREACHABLE, one_line(message))


def announced(listening: Sequence[Multiaddr]) -> list[Multiaddr]:
    """What others may dial: 0.0.0.0 and :: become this machine's own addresses, loopback only in want of any."""
    found: OrderedDict[str, Multiaddr] = OrderedDict()
    for address in listening:
        host, port = str(address).split("/")[2], address.value_for_protocol("tcp")
        kind, version = _UNSPECIFIED.get(host, ("", 0))
        hosts = _machine_addresses(version) if version else [host]
        for each in hosts:
            text = f"/{kind or str(address).split('/')[1]}/{each}/tcp/{port}"
            found.setdefault(text, Multiaddr(text))
    return list(found.values())[: bounds.ADDRESSES]


def _machine_addresses(version: int) -> list[str]:
    own = [a for a in get_network_addrs(version) if not a.startswith(("127.", "fe80:", "169.254.")) and a != "::1"]
    return own or ["127.0.0.1" if version == 4 else "::1"]


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
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, int(port)))
            except OSError as error:
                raise OSError(error.errno, f"cannot listen on {text}: {error.strerror}; choose another port") from error
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


def parse_peer(peer_id: str) -> ID:
    """The library's form of a peer id; RemoteError (UNREACHABLE) when `peer_id` is none."""
    try:
        public_of(peer_id)
    except RecordError as error:
        raise RemoteError(ErrorCode.UNREACHABLE, str(error), retry=False) from error
    return ID.from_string(peer_id)
