"""A signed network file: the text of a file, and its publisher's signature on its last line.

The text itself is signed, so that a program of any release can check it and hand it on, whatever else stands in there.
The version stands in the text; the network, as for every signature, in the domain.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import MAX_NETWORK_FILE, U63
from .canonical import Record
from .eip712 import Domain, StructType
from .errors import RecordError
from .keys import NodeKey
from .signed import Signed, check_signature, sign

NETWORK_FILE = StructType("NetworkFile", ("address", "publisher"), ("bytes32", "file"))
_MARK = "# signature 0x"


class AskNetwork(Record):
    """The network file that comes after this version, please."""

    version: U63


class NetworkReply(Record):
    """A signed network file of so many bytes follows; 0 where there is none that is newer."""

    size: Annotated[int, Meta(ge=0, le=MAX_NETWORK_FILE)]


class SignedNetwork(Signed):
    """A network file's text in UTF-8 with a publisher's signature over its hash."""

    @property
    def text(self) -> str:
        """The whole file, its signature on the last line."""
        return f"{self.body.decode()}{_MARK}{self.signature.hex()}\n"

    def is_by(self, publisher: bytes, domain: Domain) -> bool:
        """Whether this address signed it, for this network."""
        try:
            check_signature(self, NETWORK_FILE, publisher, domain)
        except RecordError:
            return False
        return True


def sign_file(text: str, key: NodeKey, domain: Domain) -> SignedNetwork:
    """The file under the signature of `key`."""
    return sign(SignedNetwork, NETWORK_FILE, (text.rstrip("\n") + "\n").encode(), key, domain)


def read_file(text: str) -> SignedNetwork | None:
    """The signed file in `text`, whoever signed it; None where nobody did. RecordError for a broken signature."""
    at = text.rfind(_MARK)
    if at < 0 or (at and text[at - 1] != "\n"):
        return None
    try:
        signature = bytes.fromhex(text[at + len(_MARK) :].rstrip())
    except ValueError:
        signature = b""
    if len(signature) != 65:
        raise RecordError("the signature on its last line cannot be read: was something written below it?")
    if len(text.encode()) > MAX_NETWORK_FILE:
        raise RecordError(f"it has over {MAX_NETWORK_FILE} bytes")
    return SignedNetwork(body=text[:at].encode(), signature=signature)
