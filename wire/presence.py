"""Presence: a peer says where it can be reached and which roles it runs. Signed, sequenced, expiring; spread by gossip.

It is how a convener finds the members of a committee: the registry names keys, not addresses.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .bounds import CLOCK_SKEW_MS, MAX_OFFER_LIFE_MS, U63, Line, PublicKey, TimeMs
from .canonical import Record, decode, encode
from .eip712 import Domain, StructType
from .errors import RecordError
from .keys import NodeKey, address_of
from .signed import Signed, check_signature, sign

PRESENCE = StructType("Presence", ("address", "peer"), ("bytes32", "presence"))
Role = Literal["hub", "provider", "verifier", "settler", "gateway"]


class Presence(Record):
    """One peer's word on itself. A higher `sequence` replaces a lower one; none outlives `expires_ms`."""

    peer: PublicKey
    addresses: Annotated[tuple[Line, ...], Meta(max_length=16)]
    roles: Annotated[tuple[Role, ...], Meta(max_length=8)]
    release: Line
    sequence: U63
    issued_ms: TimeMs
    expires_ms: TimeMs

    def is_current(self, now_ms: int) -> bool:
        """Whether it holds at `now_ms`; one from the future (beyond clock skew) does not."""
        return self.issued_ms - CLOCK_SKEW_MS <= now_ms < self.expires_ms


class SignedPresence(Signed):
    """A presence's canonical bytes with the peer's signature over their hash."""


def sign_presence(presence: Presence, key: NodeKey, domain: Domain) -> SignedPresence:
    """The peer's signed presence; ValueError when `key` is another's."""
    if presence.peer != key.public:
        raise ValueError("the presence names another peer than the key that would sign it")
    return sign(SignedPresence, PRESENCE, encode(presence), key, domain)


def read_presence(signed: SignedPresence, domain: Domain) -> Presence:
    """The presence inside, its bounds and its signature checked; its time is a separate question."""
    presence = decode(signed.body, Presence)
    check_signature(signed, PRESENCE, address_of(presence.peer), domain)
    if not 0 < presence.expires_ms - presence.issued_ms <= MAX_OFFER_LIFE_MS:
        raise RecordError(f"Presence: lives longer than {MAX_OFFER_LIFE_MS} ms, or ends before it begins")
    return presence
