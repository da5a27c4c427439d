"""The peer-to-peer side: a libp2p host, framed exchanges on its streams, gossip, the DHT, the peer book and blobs.

`open_host` gives a running `Host`; `Channel` is one exchange on one stream; `serve_blobs`, `fetch_manifest` and
`fetch_blob` move models. Everything here takes what strangers send and turns it into a checked value or a
`wire.errors.RemoteError`. May import `wire` and libraries, nothing else of Hallmark.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .blobs import BlobStore, fetch_manifest, serve_blobs
    from .contacts import PeerStatus
    from .fetching import fetch_blob
    from .gossip import Admission
    from .host import Host, open_host
    from .joining.bootstrap import Attempt
    from .reach.state import Checker, Reach, Reachability
    from .records import Judge
    from .streams import ByteStream, Channel
    from .uploads import Uploads

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
    "blobs": ("BlobStore", "fetch_manifest", "serve_blobs"),
    "fetching": ("fetch_blob",),
    "gossip": ("Admission",),
    "contacts": ("PeerStatus",),
    "host": ("Host", "open_host"),
    "joining.bootstrap": ("Attempt",),
    "reach.state": ("Checker", "Reach", "Reachability"),
    "records": ("Judge",),
    "streams": ("ByteStream", "Channel"),
    "uploads": ("Uploads",),
}


def __getattr__(name: str) -> Any:
    # On demand: libp2p takes most of a second of processor, and only who opens a host needs it.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'p2p' has no attribute {name!r}")
