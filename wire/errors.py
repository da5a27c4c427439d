"""Whose fault a failure is decides what happens next, so there are exactly two kinds here.

`RecordError`: bytes or values that break a record's rules, wherever they came from.
`RemoteError`: a peer failed us, or the link to it did. It is an ordinary result of talking to strangers: roles turn it
into a retry elsewhere, a penalty or a sentence for the user, and never let it escape into the host's loop.
"""

from __future__ import annotations

from enum import StrEnum


class RecordError(ValueError):
    """A record breaks one of its bounds; the text names the record, the field and the bound."""


class ErrorCode(StrEnum):
    """Stable names of what went wrong between two peers; they travel in error frames and never change meaning."""

    BAD_FRAME = "bad_frame"  # not our framing, or over a size bound
    BAD_RECORD = "bad_record"  # framed well, but the record inside breaks a rule
    UNSUPPORTED = "unsupported"  # well formed, and this peer does not do that (protocol, tier, role)
    NOT_FOUND = "not_found"  # no such model, blob, chunk or vote here
    REFUSED = "refused"  # understood and declined: expired, replayed, not for this peer, price too low
    OVERLOADED = "overloaded"  # too busy now; try later or elsewhere
    DEADLINE = "deadline"  # the request's own deadline passed
    FAILED = "failed"  # the model failed on this input, or its worker died
    PAYMENT = "payment"  # what should pay for it is missing, wrong, or not enough; another may hold other books
    REJECTED = "rejected"  # the committee did not accept the answer
    WRONG_DATA = "wrong_data"  # bytes that do not match the hash they were asked by
    TIMEOUT = "timeout"  # the peer said nothing in time (never sent, only concluded)
    LINK_LOST = "link_lost"  # the connection or the stream ended early (never sent, only concluded)
    UNREACHABLE = "unreachable"  # no address of the peer answered (never sent, only concluded)
    INTERNAL = "internal"  # the peer's own fault, logged there


class RemoteError(Exception):
    """A peer, or the link to it, failed: a stable code, a sentence for a person, whether another may do better.

    `after_ms`: the milliseconds after which the same peer expects to do better itself; 0 where it does not say.
    """

    def __init__(self, code: ErrorCode, message: str, *, retry: bool = True, after_ms: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry = retry
        self.after_ms = after_ms

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"
