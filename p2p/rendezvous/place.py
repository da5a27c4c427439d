"""Where a network's peers meet in the public DHT, and what its peers' ids and addresses look like. No I/O."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable
from hashlib import sha256

from libp2p.peer.id import ID

from wire.network import Network

from .. import bounds
from ..addresses import Multiaddr
from ..reach.places import Places, Scope, scope_of

_PREFIX = b"hallmark rendezvous\0"
_SHA2_256 = b"\x12\x20"  # multihash: SHA2-256, 32 bytes; the public DHT's peers know no BLAKE3
_RAW = b"\x01\x55"  # CIDv1, raw


def key_of(network: Network) -> bytes:
    """The multihash under which the network's peers say where they are, 34 bytes."""
    content = _PREFIX + network.name.encode() + b"\0" + network.domain.separator()
    return _SHA2_256 + sha256(content).digest()


def cid_of(key: bytes) -> str:
    """The same as a CID, for people and their tools."""
    return "b" + b32encode(_RAW + key).decode().rstrip("=").lower()


def read_seed(text: str) -> tuple[ID, Multiaddr] | None:
    """The peer, whose key may be of any kind, and its TCP address in `text`; None for any other text."""
    try:
        address = Multiaddr(text)
        peer = address.value_for_protocol("p2p")
        names = [protocol.name for protocol in address.protocols()]
        if names[1:] != ["tcp", "p2p"] or names[0] not in {"ip4", "ip6", "dns", "dns4", "dns6"} or peer is None:
            return None
        return ID.from_string(peer), address.decapsulate(Multiaddr(f"/p2p/{peer}"))
    except Exception:  # multiaddr raises many kinds for bad text
        return None


def usable_seed(text: str, wanted: str | None) -> str | None:
    """The text, if it is a seed's address as `read_seed` takes it, and the wanted peer's, if one is wanted."""
    seed = read_seed(text)
    return text if seed is not None and wanted in (None, str(seed[0])) else None


def dialable(raws: Iterable[bytes], places: Places, scope: Scope) -> list[Multiaddr]:
    """The TCP addresses among `raws` that a peer in `scope` may send us to: nothing nearer to us than it is itself.

    Else anybody in the world could have us knock on the doors of our own LAN. Names are left out for the same reason.
    """
    found = []
    for raw in raws:
        address = _tcp(raw) if len(raw) <= bounds.ADDRESS_TEXT else None
        if address is not None and scope_of(str(address), places) >= scope:
            found.append(address)
        if len(found) == bounds.RENDEZVOUS_ADDRESSES:
            break
    return found


def _tcp(raw: bytes) -> Multiaddr | None:
    """The address of an IP and a TCP port; None for any other."""
    try:
        address = Multiaddr(raw)
        names = [protocol.name for protocol in address.protocols()]
        if names[:1] in (["ip4"], ["ip6"]) and names[1:] in (["tcp"], ["tcp", "p2p"]):
            return Multiaddr(str(address).partition("/p2p/")[0])
    except Exception:  # multiaddr raises many kinds for bad bytes
        return None
    return None
