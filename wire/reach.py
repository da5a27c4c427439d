"""Dialling back: how a peer learns from others whether strangers can reach it.

The answer is never taken on trust. Who dialled back proves it by handing over the asker's nonce on the connection that
it made, under an identity made for the purpose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from .bounds import Line
from .canonical import Record

MAX_ADDRESSES = 4  # in one question
NONCE = 16

_Nonce = Annotated[bytes, Meta(min_length=NONCE, max_length=NONCE)]


class DialOutcome(StrEnum):
    """What became of one address."""

    REACHED = "reached"
    FAILED = "failed"
    REFUSED = "refused"  # not tried: the asker is not seen at that IP address


class AskDialBack(Record, tag="dial-back", tag_field="type"):
    """Answered by a `DialBackReply` once each address was tried; REFUSED or OVERLOADED when none was."""

    nonce: _Nonce
    addresses: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=MAX_ADDRESSES)]  # multiaddresses, no /p2p


class DialledBack(Record, tag="dialled-back", tag_field="type"):
    """Said on a connection made to `addresses[address]` of the question; answered by `DialBackTaken`."""

    nonce: _Nonce
    address: Annotated[int, Meta(ge=0, le=MAX_ADDRESSES - 1)]


class DialBackTaken(Record):
    """Whether the nonce was one that was waited for."""

    known: bool


class DialTried(Record):
    """One address: what became of it, and why."""

    outcome: DialOutcome
    detail: Line


class DialBackReply(Record):
    """One entry for each address asked about, in that order."""

    tried: Annotated[tuple[DialTried, ...], Meta(min_length=1, max_length=MAX_ADDRESSES)]


ReachRequest = AskDialBack | DialledBack
