"""Every size, count and time a stranger controls in a record, in one place, and the annotated types built from them.

The numbers bound memory first: whatever a peer sends, decoding it costs at most what stands here.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

KIB = 1024
MIB = 1024 * KIB

MAX_RECORD = 256 * KIB  # one encoded record in one frame
MAX_DATA = 1 * MIB  # one frame of raw bytes
MAX_ARRAY = 4096  # elements of any array in a record
MAX_MAP = 64  # entries of any map: a record's fields
MAX_TEXT = 16 * KIB  # bytes of any string in a record

CHUNK = 256 * KIB  # a blob's chunk; LMDB and yamux both like this size (docs/protocol.md)
MAX_OUTLINE = 4 * MIB  # an encoded outline: 131,000 chunks, so blobs up to 32 GiB
MAX_BLOB = 32 * 1024 * MIB
MAX_MANIFEST = 192 * KIB  # an encoded manifest, so that it fits a record with its signature
MAX_FILES = 64  # files of one model
MAX_TAGS = 16  # of one model
MAX_NAME_RECORD = 8 * KIB  # an encoded name record: what a DHT's peers will hold for strangers
MAX_VERSIONS = 64  # of one name; older ones are found by their CIDs
MAX_NAME_LIFE_MS = 90 * 24 * 60 * 60 * 1000  # how long a publisher that fell silent is quoted, at most
MAX_TENSORS = 64  # inputs or outputs of one model
MAX_RANK = 8
MAX_ELEMENTS = 2**18  # of one BYTES tensor: each costs an object, and 64 MiB of empty ones would take 9 s to split
MAX_TENSOR_BYTES = 64 * MIB  # all tensors of one request, or of one answer
MAX_COMMITTEE = 256
MAX_RESERVES = MAX_COMMITTEE // 4  # a committee's bench
MAX_PLACES = MAX_COMMITTEE + MAX_RESERVES
MAX_VERIFIERS = 4096  # of one epoch
MAX_EPOCHS = 64  # that a network file remembers
MAX_NETWORK_FILE = 1 * MIB  # a signed network file's text
MAX_OFFER_LIFE_MS = 10 * 60 * 1000  # an offer that outlives its peer by more is a ghost
MAX_REQUEST_LIFE_MS = 10 * 60 * 1000  # so that remembering nonces until their deadline is bounded
MAX_AFTER_MS = 60 * 1000  # how long an overloaded peer can ask to be left alone: its estimate is worth no more
CLOCK_SKEW_MS = 30 * 1000  # how far a peer's clock may be ahead of ours

Hash32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Address = Annotated[bytes, Meta(min_length=20, max_length=20)]  # an EVM address
PublicKey = Annotated[bytes, Meta(min_length=33, max_length=33)]  # secp256k1, compressed (SEC 1)
Signature64 = Annotated[bytes, Meta(min_length=64, max_length=64)]  # BIP340
Signature65 = Annotated[bytes, Meta(min_length=65, max_length=65)]  # ECDSA r, s, recovery id
U8 = Annotated[int, Meta(ge=0, le=255)]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
U63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TimeMs = Annotated[int, Meta(ge=0, le=2**53)]  # milliseconds since 1970, UTC
# Text of strangers is shown on terminals: no control characters, and none that turn the writing's direction.
_UNSHOWN = r"\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
_ONE_LINE = rf"^[^\x00-\x1f{_UNSHOWN}]*\Z"
_LINES = rf"^[^\x00-\x08\x0b-\x1f{_UNSHOWN}]*\Z"
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=_ONE_LINE)]
Line = Annotated[str, Meta(max_length=256, pattern=_ONE_LINE)]
LongName = Annotated[str, Meta(min_length=1, max_length=256, pattern=_ONE_LINE)]
Paragraph = Annotated[str, Meta(max_length=4096, pattern=_LINES)]
