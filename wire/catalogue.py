"""What a peer just joining asks one that is there already: who is here, who offers what, which models are known.

Gossip carries only news; this carries what was said before. Everything in the replies is signed by its own author, so
whoever is asked can leave things out but cannot make them up.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import Hash32, Name
from .canonical import Record
from .manifest import SignedManifest
from .offer import SignedOffer
from .presence import SignedPresence

MAX_ENTRIES = 64  # of one kind in one reply
MAX_REPLY = 192 * 1024  # bytes of entries in one reply; whoever answers leaves out what does not fit


class AskPresences(Record, tag="presences", tag_field="type"):
    """Answered by `Presences`."""


class AskOffers(Record, tag="offers", tag_field="type"):
    """Answered by `Offers`: of one model, or of any."""

    model: Hash32 | None


class AskModels(Record, tag="models", tag_field="type"):
    """Answered by `Models` whose name, or `name@version`, is the text."""

    text: Name


class Presences(Record):
    """The current presences that a peer knows, newest first."""

    entries: Annotated[tuple[SignedPresence, ...], Meta(max_length=MAX_ENTRIES)]


class Offers(Record):
    """The current offers that a peer knows."""

    entries: Annotated[tuple[SignedOffer, ...], Meta(max_length=MAX_ENTRIES)]


class Models(Record):
    """Manifests that a peer holds."""

    entries: Annotated[tuple[SignedManifest, ...], Meta(max_length=8)]


CatalogueRequest = AskPresences | AskOffers | AskModels
