"""What a known name record says of a model: how it is kept, and when it contradicts.

Here because both sides need it: the catalogue lets nobody in whom a record contradicts, and a new record sends away
who is there already.
"""

from __future__ import annotations

from wire.canonical import decode
from wire.name import NameRecord, SignedName

from .checked import without_hash
from .errors import StoreDamaged

HEAD = 9  # bytes in front of a kept record: its place among those that may go (zeros: it may not), whether it is ours


def record_key(publisher: bytes, name: str) -> bytes:
    """Under which key the table of name records has it."""
    return publisher + name.encode()


def read_record(stored: memoryview | bytes | None) -> SignedName | None:
    """The record in a value of that table; None when there is none, or it is damaged (then it is told again)."""
    try:
        return None if stored is None else decode(without_hash(memoryview(stored)[HEAD:], "A name record"), SignedName)
    except StoreDamaged:
        return None


def contradicts(record: NameRecord, version: str, model: bytes) -> bool:
    """Whether, by this record, that version of its name is another model, or withdrawn.

    A version of which it says nothing is not contradicted: long histories do not fit into a record.
    """
    named = record.of(version)
    return named is not None and (named.model != model or named.withdrawn is not None)
