"""One peer that a blob is fetched from: how fast it is, how much may be asked of it at once, and how it failed.

No I/O here. The window follows the measured rate as in BBR: twice what the peer delivers in the shortest time that it
was ever seen to answer in. So it doubles while that makes the peer faster, and stays small where it does not.
Source: Cardwell et al., BBR, ACM Queue 14(5), 2016 (delivery rate samples and the bandwidth-delay product).
"""

from __future__ import annotations

from dataclasses import dataclass

from wire.blob import MAX_CHUNKS_ASKED
from wire.bounds import CHUNK
from wire.errors import ErrorCode, RemoteError

from .. import bounds

# Asking again would change nothing: it lies, does not do this, or does not want to.
_FINAL = (
    ErrorCode.WRONG_DATA,
    ErrorCode.BAD_FRAME,
    ErrorCode.BAD_RECORD,
    ErrorCode.UNSUPPORTED,
    ErrorCode.REFUSED,
)


@dataclass(slots=True)
class Request:
    """Pieces asked of one peer at once, which come in this order."""

    number: int
    peer: str
    left: list[int]
    asked: float  # when
    delivered: int  # bytes that the peer had delivered by then


class Source:
    """What is known of one peer. Times are in seconds."""

    def __init__(self, peer: str, now: float, *, fetches: bool = False) -> None:
        """`fetches`: if it lacks some, it is asked for pieces in the order in which it likely fetches them."""
        self.peer = peer
        self.fetches = fetches
        self.rate = 0.0  # bytes a second; 0 while not yet measured
        self.latency = 0.0  # of a request's first piece, the shortest seen
        self.requests: dict[int, Request] = {}
        self.outstanding = 0  # bytes asked for
        self.delivered = 0  # bytes
        self.heard = now  # when the last piece came, or the first was asked for after a rest
        self._came = float("-inf")  # when the last piece did
        self.told = False  # whether the user was told of its silence
        self.rest_until = now
        self.error: RemoteError | None = None  # the last failure
        self.gone = False  # not asked any more
        self.lacking_since: float | None = None  # since when it is known to lack some pieces
        self._failures = self._misses = 0  # since the last piece
        self._failed = float("-inf")  # when it last failed

    def window(self) -> int:
        """Bytes that may be asked of it at once."""
        least = min(max(self.rate / 2, CHUNK), 8 * CHUNK) if self.rate else 2 * CHUNK
        return int(min(max(2 * self.rate * self.latency, least), bounds.BLOB_WINDOW))

    def pieces_at_once(self) -> int:
        """Pieces of one request: a quarter of the window, so that several are on their way; one while it misses."""
        if not self.rate:
            return 2  # one request, so that an unknown peer is dialled once
        return 1 if self._misses else min(max(self.window() // (2 * CHUNK), 1), MAX_CHUNKS_ASKED)

    def asked(self, request: Request, size: int, now: float) -> None:
        """A request of `size` bytes goes out."""
        if not self.requests:
            self.heard = now
        self.requests[request.number] = request
        self.outstanding += size

    def arrived(self, request: Request, size: int, now: float) -> None:
        """A right piece of `size` bytes came for `request`."""
        took = max(now - request.asked, 1e-6)
        self.delivered += size
        self.outstanding -= size
        sample = (self.delivered - request.delivered) / took
        self.rate += (sample - self.rate) / 4 if self.rate else sample
        self.latency = min(self.latency or took, took)
        self.heard = self._came = now
        self.told = False
        self._failures = self._misses = 0
        self.error = None

    def missed(self, now: float, others: bool) -> None:
        """It lacks a piece. While `others` are at work, one that lacks much is asked more and more rarely, and one that
        fetches as well is given the time to get on."""
        self._misses += 1
        self.heard = now
        self.lacking_since = now if self.lacking_since is None else self.lacking_since
        if others and self.fetches:
            self.rest_until = now + bounds.BLOB_REST / 2
        elif others and self._misses > 4:
            self.rest_until = now + min(0.02 * 2 ** min(self._misses - 4, 10), bounds.BLOB_REST)

    def failed(self, error: RemoteError, asked: float, now: float) -> None:
        """A request that was made at `asked` failed; requests that fail together count once."""
        self.error = error
        self.rate = self.latency = 0.0  # it has to show again what it can do
        if error.code in _FINAL:
            self.gone = True
        elif asked > self._failed:
            self._failures += 1
            self._failed = now
            self.rest_until = now + min(0.25 * 2**self._failures, bounds.BLOB_REST)
            self.gone = self._failures >= bounds.BLOB_TRIES

    def is_at_work(self, now: float) -> bool:
        """Whether it delivers, or was asked for the first time and has not answered yet."""
        if not self.rate:
            return bool(self.requests) and not self._misses
        return now - self._came < min(max(1.0, 3 * CHUNK / self.rate), bounds.BLOB_SILENCE)

    def is_silent(self, now: float) -> bool:
        """Whether it delivered before, and should have again by now. For a first answer it has the request's time."""
        if not self.requests or not self.rate:
            return False
        return now - self.heard > max(bounds.BLOB_SILENCE, 3 * CHUNK / self.rate)

    def wait_for(self, size: int, now: float) -> float:
        """How long it may still take to deliver all that it was asked for, and `size` bytes more."""
        queue = (self.outstanding + size) / self.rate if self.rate else 1.0
        return queue + self.latency + (now - self.heard if self.requests else 0.0)
