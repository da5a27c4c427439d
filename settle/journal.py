"""What is written down of an account's transactions before they are sent, and of how they ended.

A journal is what makes a transaction happen once: who crashed between writing and sending finds the signed bytes here
and sends them; who is asked for the same purpose again finds the outcome.
"""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta

from wire.bounds import U63, Hash32
from wire.canonical import Amount, Record

from . import bounds

Target = Annotated[bytes, Meta(max_length=20)]  # 20 bytes, or none for a contract's creation
Data = Annotated[bytes, Meta(max_length=bounds.MAX_CALL_DATA)]
Versions = Annotated[tuple[Hash32, ...], Meta(max_length=bounds.MAX_VERSIONS)]


Purpose = Annotated[str, Meta(min_length=1, max_length=bounds.MAX_PURPOSE)]


class Outcome(Record):
    """How a transaction ended, `confirmations` deep. `fee` in wei; not `good`: it reverted, its fee alone is gone."""

    hash: Hash32
    block: U63
    gas: U63
    fee: Amount
    good: bool


class Entry(Record):
    """One transaction of an account: what it does, for which purpose, and every version of it that was signed.

    Versions have the same nonce and effect and differ in fees, so only one of them can ever count. `raw` is the newest,
    signed; it and `data` are dropped with the outcome. `displaced`: its nonce went to another transaction.
    """

    purpose: Purpose
    nonce: U63
    to: Target
    value: Amount
    data: Data
    gas: U63
    cap: Amount
    tip: Amount
    versions: Versions = ()
    raw: Data = b""
    outcome: Outcome | None = None
    displaced: bool = False


class Journal(Protocol):
    """Where entries are kept, encoded. `whose` names a chain and an account; every method may block."""

    def put(self, whose: bytes, purpose: str, data: bytes) -> None:
        """Keep it in place of what was there; return when a crash cannot take it back."""

    def get(self, whose: bytes, purpose: str) -> bytes | None:
        """What was put last."""

    def all(self, whose: bytes) -> list[bytes]:
        """Everything of this account."""
