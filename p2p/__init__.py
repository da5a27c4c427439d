"""The peer-to-peer side: a libp2p host, framed exchanges on its streams, gossip, the DHT, the peer book and blobs.

`open_host` gives a running `Host`; `Channel` is one exchange on one stream; `serve_blobs`, `fetch_manifest` and
`fetch_blob` move models. Everything here takes what strangers send and turns it into a checked value or a
`wire.errors.RemoteError`. May import `wire` and libraries, nothing else of Hallmark.
"""

from .blobs import BlobStore, fetch_manifest, serve_blobs
from .bootstrap import Attempt
from .fetching import fetch_blob
from .gossip import Admission
from .host import Host, PeerStatus, open_host
from .records import Judge
from .streams import ByteStream, Channel
from .uploads import Uploads

__all__ = [
    "Admission",
    "Attempt",
    "BlobStore",
    "ByteStream",
    "Channel",
    "Host",
    "Judge",
    "PeerStatus",
    "Uploads",
    "fetch_blob",
    "fetch_manifest",
    "open_host",
    "serve_blobs",
]
