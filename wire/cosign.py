"""Making a certificate small: those who voted alike sign their vote once more, all together, with MuSig2.

anyone → member   Cosign     (the member's own vote, as it signed it, and who shall sign together)
member → asker    Nonce
asker  → member   Nonces     (all members' nonces, added up)
member → asker    Part

A member says nothing new: it only signs again what it has signed. So it needs no memory of it, and anyone may ask.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import Hash32
from .canonical import Record
from .certificate import Signers
from .inference import SignedRequest
from .vote import SignedVote

Nonce66 = Annotated[bytes, Meta(min_length=66, max_length=66)]


class Cosign(Record, tag="cosign", tag_field="type"):
    """Sign this vote of yours together with these places of the committee that judged the request."""

    request: SignedRequest
    vote: SignedVote
    signers: Signers


class Nonce(Record, tag="nonce", tag_field="type"):
    """A signer's public nonce (BIP327), for this one signature."""

    nonce: Nonce66


class Nonces(Record, tag="nonces", tag_field="type"):
    """The signers' nonces, added up."""

    nonces: Nonce66


class Part(Record, tag="part", tag_field="type"):
    """A signer's part of the signature (BIP327)."""

    part: Hash32
