"""A record's bytes with its author's signature over their hash: the one shape of all that spreads on its author's word.

The bytes are kept as they were signed, so that whoever passes them on need not know how to write them again.
"""

from __future__ import annotations

from typing import TypeVar

from .bounds import Signature65
from .canonical import Record
from .cid import content_hash
from .eip712 import Domain, StructType
from .errors import RecordError
from .keys import NodeKey, signed_by


class Signed(Record):
    """Each kind of record has a subclass of its own, so that none can be taken for another."""

    body: bytes
    signature: Signature65

    @property
    def hash(self) -> bytes:
        """The 32-byte name of the body."""
        return content_hash(self.body)


S = TypeVar("S", bound=Signed)


def sign(shape: type[S], struct: StructType, body: bytes, key: NodeKey, domain: Domain) -> S:
    """`body` under the signature of `key`; `struct` has two fields, the author's address and the body's hash."""
    return shape(body=body, signature=key.sign(struct.digest(domain, key.address, content_hash(body))))


def check_signature(signed: Signed, struct: StructType, author: bytes, domain: Domain) -> None:
    """RecordError unless the author with this address signed it, for this network."""
    if not signed_by(author, struct.digest(domain, author, signed.hash), signed.signature):
        who = struct.fields[0][1]
        raise RecordError(f"{struct.name}: the signature is not its {who}'s, or not for this network")
