"""The providers of one question: who was asked, what came of it, and who may be asked again. No I/O here."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from wire.errors import ErrorCode, RemoteError
from wire.keys import peer_id_of

from .bounds import LOST_RESTS, LOST_RESTS_UNMET, MAX_ATTEMPTS, MAX_UNREACHABLE, RESTS


@dataclass(frozen=True)
class Again:
    """A provider that may be asked again `at` a time of trio's clock, and why not before.

    `lost`: it may be elsewhere by then.
    """

    provider: bytes
    at: float
    why: str
    lost: bool


class Tried:
    """What is known of them, by key."""

    def __init__(self) -> None:
        self.asked: set[bytes] = set()
        self.failures: dict[str, str] = {}  # the latest of each, by peer id
        self.refused = False  # an answer came, and did not hold
        self.unwanted = False  # one came, or was to be had, that is less than the policy of who asks wants
        self.unsure: set[bytes] = set()  # they may have answered into a link that was gone, and count that as sold
        self._unreachable: set[bytes] = set()  # they cost little time: dead offers must not hide live ones
        self._lost: Counter[bytes] = Counter()
        self._again: dict[bytes, Again] = {}

    @property
    def exhausted(self) -> bool:
        """Whether enough of them were asked."""
        met = len(self.asked - self._unreachable)
        return met >= MAX_ATTEMPTS or len(self._unreachable) >= MAX_UNREACHABLE

    def ask(self, provider: bytes) -> None:
        """It is asked now."""
        self.asked.add(provider)
        self._unreachable.discard(provider)

    def failed(self, provider: bytes, error: RemoteError, now: float) -> None:
        """No answer came of it."""
        self.failures[peer_id_of(provider)] = str(error)
        match error.code:
            case ErrorCode.OVERLOADED if error.after_ms:
                self._again[provider] = Again(provider, now + _rest(error.after_ms), "is overloaded", lost=False)
            case ErrorCode.UNREACHABLE:
                self._unreachable.add(provider)
                self._miss(provider, "cannot be reached now", now)
            case ErrorCode.LINK_LOST:
                self.unsure.add(provider)
                self._miss(provider, "was lost with its link", now)
            case _:
                pass

    def again(self) -> Again | None:
        """Who is to be asked again first, taken out; None when there is nobody."""
        if not self._again:
            return None
        first = min(self._again.values(), key=lambda again: again.at)
        del self._again[first.provider]
        self.asked.discard(first.provider)
        return first

    def _miss(self, provider: bytes, why: str, now: float) -> None:
        # It may be at work still, or have another relay in a moment. One that was never met is likely gone.
        rests = LOST_RESTS if provider in self.unsure else LOST_RESTS[:LOST_RESTS_UNMET]
        if self._lost[provider] < len(rests):
            self._again[provider] = Again(provider, now + rests[self._lost[provider]], why, lost=True)
        self._lost[provider] += 1


def _rest(after_ms: int) -> float:
    """Seconds to leave an overloaded provider alone: those who were refused together shall not come back together."""
    least, most = RESTS
    return max(least, after_ms / 1000 * random.uniform(1, most))
