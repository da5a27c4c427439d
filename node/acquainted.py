"""Which providers answered this peer's own questions, and which gave nothing: whom it asks first.

Keys and offers are free, so that anybody can be the cheapest many times over. Whoever gave a proved answer before comes
first; among those the noticeboard's order stays. Newcomers begin one question in `EXPLORE_EVERY`, if they ask for no
more, and have all that the others leave. So an attacker with any number of keys costs one failed attempt in twenty
questions, and an honest newcomer is tried while the others are still there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from storage import StoreError
from wire.keys import address_of
from wire.offer import Offer

from .bounds import EXPLORE_EVERY, FAILURES_BORNE, GAVE_NOTHING_MS, MAX_ANSWERED, MAX_DISTRUSTED, RECALLED
from .local import Local

log = logging.getLogger("hallmark.node")

_ANSWERED, _UNKNOWN, _NOTHING = range(3)


class Acquainted:
    """Providers by address. A machine without I/O."""

    def __init__(self, answered: Sequence[bytes] = (), questions: int = 0) -> None:
        """`answered`: who did before, the latest last; `questions`: how many were."""
        self._answered = dict.fromkeys(answered[-MAX_ANSWERED:])
        self._failed: dict[bytes, tuple[int, int]] = {}  # how often since its last answer, and until when that counts
        self._questions = questions

    def begins(self) -> bool:
        """A question begins; whether a newcomer is to be asked first."""
        self._questions += 1
        return self._questions % EXPLORE_EVERY == 0

    def answered(self, provider: bytes) -> None:
        """Its answer was proved."""
        self._failed.pop(provider, None)
        self._answered.pop(provider, None)
        self._answered[provider] = None
        if len(self._answered) > MAX_ANSWERED:
            del self._answered[next(iter(self._answered))]

    def failed(self, provider: bytes, now_ms: int) -> None:
        """It was asked, and gave nothing that holds."""
        times = self._times_failed(provider, now_ms) + 1
        self._failed.pop(provider, None)
        self._failed[provider] = times, now_ms + GAVE_NOTHING_MS
        if len(self._failed) > MAX_DISTRUSTED:
            del self._failed[next(iter(self._failed))]

    def order(
        self, offers: Sequence[Offer], cost: Callable[[Offer], int], now_ms: int, *, explore: bool
    ) -> list[Offer]:
        """The offers in the order to ask them, else in the order given; `explore`: with a newcomer first."""
        ranks = {offer.peer: self._rank(address_of(offer.peer), now_ms) for offer in offers}
        ordered = sorted(offers, key=lambda offer: ranks[offer.peer])
        if explore and ordered and ranks[ordered[0].peer] == _ANSWERED:
            most = cost(ordered[0])
            new = [offer for offer in ordered if ranks[offer.peer] == _UNKNOWN and cost(offer) <= most]
            if new:
                first = new[self._questions // EXPLORE_EVERY % len(new)]
                ordered.remove(first)
                ordered.insert(0, first)
        return ordered

    def _rank(self, provider: bytes, now_ms: int) -> int:
        failures = self._times_failed(provider, now_ms)
        if provider in self._answered:
            return _ANSWERED if failures < FAILURES_BORNE else _UNKNOWN
        return _NOTHING if failures else _UNKNOWN

    def _times_failed(self, provider: bytes, now_ms: int) -> int:
        times, until = self._failed.get(provider, (0, 0))
        return times if now_ms < until else 0


def recall(local: Local) -> Acquainted:
    """What the receipts here say of it. Reads for milliseconds."""
    receipts, own = local.store.receipts, local.key.address
    try:
        found = [receipt.provider for receipt in receipts.all(RECALLED) if receipt.payer == own]
        return Acquainted(found[::-1], receipts.count)
    except StoreError as error:
        log.warning("who answered before is not known: %s", error)
        return Acquainted()
