"""The peer-to-peer side: a libp2p host, framed exchanges on its streams, gossip, the DHT, the peer book and blobs.

`open_host` gives a running `Host`; `Channel` is one exchange on one stream; `serve_blobs`, `fetch_manifest` and
`fetch_blob` move models. Everything here takes what strangers send and turns it into a checked value or a
`wire.errors.RemoteError`. May import `wire` and libraries, nothing else of Hallmark.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .blobs.fetching import fetch_blob
    from .blobs.protocol import BlobStore, fetch_manifest, serve_blobs
    from .blobs.uploads import Uploads
    from .contacts import PeerStatus
    from .dht.records import Judge
    from .gossip import Admission
    from .host import Host
    from .joining.bootstrap import Attempt
    from .opening import open_host
    from .reach.state import Checker, Reach, Reachability
    from .streams import ByteStream, Channel

__all__ = [
    "Admission",
    "Attempt",
    "BlobStore",
    "ByteStream",
    "Channel",
    "Checker",
    "Host",
    "Judge",
    "PeerStatus",
    "Reach",
    "Reachability",
    "Uploads",
    "fetch_blob",
    "fetch_manifest",
    "open_host",
    "serve_blobs",
]
_HOMES = {
    "blobs.fetching": ("fetch_blob",),
    "blobs.protocol": ("BlobStore", "fetch_manifest", "serve_blobs"),
    "blobs.uploads": ("Uploads",),
    "gossip": ("Admission",),
    "contacts": ("PeerStatus",),
    "host": ("Host",),
    "joining.bootstrap": ("Attempt",),
    "opening": ("open_host",),
    "reach.state": ("Checker", "Reach", "Reachability"),
    "dht.records": ("Judge",),
    "streams": ("ByteStream", "Channel"),
}


def __getattr__(name: str) -> Any:
    # On demand: libp2p takes most of a second of processor, and only who opens a host needs it.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'p2p' has no attribute {name!r}")
