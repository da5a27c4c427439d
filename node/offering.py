"""Which offer is said next: what changed at once, the others before their last word ends. A machine without I/O.

Receivers take only so many messages of one author (`p2p.bounds.ORIGIN_RATE`) and drop the rest in silence, so nothing
is said faster than that. Words are said in the order of the moment by which each is due:

- an offer that is new or changed is due at once;
- one that stays is renewed `every` so often where nothing changed meanwhile, and due half as late again: whoever
  changes all the time must not have the others end;
- one that is gone is said once more, with a life of moments, after all of that. It can't be taken back otherwise.

Renewals leave a part of the burst alone, so that a change finds room in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from wire.offer import Offer


@dataclass(frozen=True, slots=True)
class Word:
    """Say this, with a sequence and times of now. `last`: the model is gone, and so is the offer in a moment."""

    offer: Offer
    last: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    offer: Offer
    at: float
    heard: bool


class Offering:
    """This provider's offers, and when each was said last. Times are seconds of any one clock that never goes back."""

    def __init__(self, *, every: float, life: float, pause: float, burst: int, most: int) -> None:
        """`every`: seconds after which the same is said again. `life`: how long others believe a word. `burst` words
        at once, one in `pause` seconds after that. `most` offers: beyond them nobody keeps any of one provider."""
        self._every, self._life, self._pause, self._burst, self._most = every, life, pause, burst, most
        self._offers: dict[bytes, Offer] = {}
        self._changed: dict[bytes, float] = {}  # since when what is held differs from what was said
        self._said: dict[bytes, _Said] = {}
        self._left, self._then = float(burst), 0.0

    def hold(self, offers: Iterable[Offer], now: float) -> int:
        """These are all there are now, whatever their sequence and times; how many of them are one too many.

        Those that are offered already stay, whoever comes first now.
        """
        given = {offer.model: offer for offer in offers}
        places = sorted(given, key=lambda model: model not in self._offers)[: self._most]
        self._offers = {model: given[model] for model in places}
        for model, offer in self._offers.items():
            said = self._said.get(model)
            if said is not None and _substance(said.offer) == _substance(offer):
                self._changed.pop(model, None)
            else:
                self._changed.setdefault(model, now)
        self._changed = {model: since for model, since in self._changed.items() if model in self._offers}
        # What others have forgotten by itself need not be taken back.
        kept = {m: said for m, said in self._said.items() if m in self._offers or now < said.at + self._life}
        self._said = kept
        return len(given) - len(places)

    def next(self, now: float) -> Word | None:
        """What is to be said now; None where nothing is, or the rate has no room for it."""
        model = min((m for m in self._known() if self._ready_at(m) <= now), key=self._due, default=None)
        if model is None:
            return None
        offer = self._offers.get(model)
        return Word(self._said[model].offer, last=True) if offer is None else Word(offer)

    def wait(self, now: float) -> float:
        """Seconds until `next` has one, if nothing changes; a time without end when there is nothing to say."""
        return max(0.0, min(map(self._ready_at, self._known()), default=float("inf")) - now)

    def said(self, word: Word, now: float, *, heard: bool) -> None:
        """The word was said. `heard`: there was somebody to hear it; else it is said again soon, and costs nothing."""
        if heard:
            self._left, self._then = self._room(now) - 1, now
        model = word.offer.model
        self._changed.pop(model, None)
        if word.last:
            self._said.pop(model, None)
        else:
            self._said[model] = _Said(word.offer, now, heard)

    def _known(self) -> set[bytes]:
        return self._offers.keys() | self._said.keys()

    def _due(self, model: bytes) -> float:
        """By when it should be said: the earliest is said first."""
        if model in self._changed:
            return self._changed[model]
        said = self._said[model]
        return said.at + (1.5 * self._every if model in self._offers else self._life)

    def _ready_at(self, model: bytes) -> float:
        """From when it may be said, as far as the rate has room."""
        if model in self._changed or model not in self._offers:
            return self._room_at(1)
        said = self._said[model]
        if not said.heard:
            return max(said.at + self._pause, self._room_at(1))
        eager, late = self._room_at(1 + self._burst // 2), max(self._room_at(1), self._due(model))
        return max(said.at + self._every, min(eager, late))

    def _room(self, now: float) -> float:
        return min(self._burst, self._left + (now - self._then) / self._pause)

    def _room_at(self, words: int) -> float:
        """When so many may be said at once."""
        return self._then + max(0.0, (words - self._left) * self._pause)


def _substance(offer: Offer) -> Offer:
    """What makes it worth saying at once: not how busy the peer is, nor what its proofs took lately."""
    tiers = tuple(replace(terms, added_us=0, added_bytes=0) for terms in offer.tiers)
    return replace(offer, tiers=tiers, queue_depth=0, sequence=0, issued_ms=0, expires_ms=0)
