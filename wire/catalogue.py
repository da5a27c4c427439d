"""What a peer just joining asks one that is there already: who is here, who offers what, which models are known.

Gossip carries only news; this carries what was said before. Everything in the replies is signed by its own author, so
whoever is asked can leave things out but cannot make them up; only what it says of itself (`Listed`) is its own word.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import U63, Address, Hash32, Line
from .canonical import Record
from .manifest import SignedManifest
from .name import SignedName
from .offer import SignedOffer
from .presence import SignedPresence

MAX_ENTRIES = 64  # of one kind in one reply
MAX_GONE = 8  # name records in one reply under which nothing stands
MAX_REPLY = 192 * 1024  # bytes of entries in one reply; whoever answers leaves out what does not fit

Cursor = Annotated[bytes, Meta(min_length=8, max_length=8)]  # where a reply ended, in words of whoever gave it


class AskPresences(Record, tag="presences", tag_field="type"):
    """Answered by `Presences`."""


class AskOffers(Record, tag="offers", tag_field="type"):
    """Answered by `Offers`: of one model, or of any."""

    model: Hash32 | None


class AskModels(Record, tag="models", tag_field="type"):
    """Answered by `Models`: those that have every word of `text`, and the rest exactly; what is empty asks nothing.

    `cursor` asks for what follows a reply.
    """

    text: Line
    name: Line
    task: Line
    tag: Line
    licence: Line
    publisher: Address | None
    cursor: Cursor | None


class AskName(Record, tag="name", tag_field="type"):
    """Answered by `NameReply`: the newest record of one publisher's name."""

    publisher: Address
    name: Line


class Presences(Record):
    """The current presences that a peer knows, newest first."""

    entries: Annotated[tuple[SignedPresence, ...], Meta(max_length=MAX_ENTRIES)]


class Offers(Record):
    """The current offers that a peer knows."""

    entries: Annotated[tuple[SignedOffer, ...], Meta(max_length=MAX_ENTRIES)]


class Listed(Record):
    """A model that a peer knows of, and what that peer itself has seen of it."""

    manifest: SignedManifest
    name: SignedName | None  # the newest that it has
    held: bool  # whether all of the files can be had from it
    pulls: U63  # how often others fetched the model from it
    calls: U63  # how many answers it gave with the model, or got


class Models(Record):
    """Models that a peer knows, newest word first. `cursor`: there is more.

    `gone`: to a question about nothing but a name, where there are no entries: the records of publishers that withdrew
    all that had it.
    """

    entries: Annotated[tuple[Listed, ...], Meta(max_length=MAX_ENTRIES)]
    cursor: Cursor | None
    gone: Annotated[tuple[SignedName, ...], Meta(max_length=MAX_GONE)]


class NameReply(Record):
    """The newest record that a peer has of the name asked for."""

    record: SignedName | None


CatalogueRequest = AskPresences | AskOffers | AskModels | AskName
