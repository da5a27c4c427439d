"""Which offer is said next, against what receivers take of one author and what they then believe."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.bounds import (
    ANNOUNCE_PAUSE,
    MAX_OFFERS_PER_PROVIDER,
    OFFER_BURST,
    OFFER_EVERY,
    OFFER_LIFE_MS,
    OFFER_PAUSE,
    PRESENCE_EVERY,
)
from node.offering import Offering, Word
from p2p.bounds import ORIGIN_BURST, ORIGIN_RATE
from p2p.rates import Rates
from tests.node.records import model, offer, terms
from wire.canonical import Amount
from wire.offer import Offer, Terms

START = 1000.0


def offering() -> Offering:
    """As a provider has it."""
    return Offering(
        every=OFFER_EVERY,
        life=OFFER_LIFE_MS / 1000,
        pause=OFFER_PAUSE,
        burst=OFFER_BURST,
        most=MAX_OFFERS_PER_PROVIDER,
    )


def said_until(one: Offering, now: float, end: float) -> list[tuple[float, Word]]:
    """Every word until `end`, each said as soon as it may be."""
    words = []
    while now <= end:
        if word := one.next(now):
            one.said(word, now, heard=True)
            words.append((now, word))
        else:
            assert one.wait(now) > 0
            now += max(one.wait(now), 1e-6)
    return words


def offers(count: int, **changes: Any) -> list[Offer]:
    return [offer(model=model(str(n)), **changes) for n in range(count)]


def test_receivers_take_every_word_of_a_provider_with_names_whose_models_come_all_at_once_and_change() -> None:
    one, held, taken = offering(), offers(MAX_OFFERS_PER_PROVIDER), Rates(ORIGIN_RATE, ORIGIN_BURST)
    words: list[float] = []
    for second in range(600):
        now = START + second
        held[second % 7] = offer(model=held[second % 7].model, tiers=(terms("signed", second),))
        one.hold(held, now)
        words += [at for at, _ in said_until(one, now, now + 0.999)]
    names = [START + n * ANNOUNCE_PAUSE for n in range(600)]
    presences = [START + n * PRESENCE_EVERY for n in range(5)]
    assert len(words) > 400
    assert all(taken.take("author", now) for now in sorted([*words, *names, *presences]))


def test_who_changes_all_the_time_does_not_have_the_other_offers_end() -> None:
    one, held = offering(), offers(MAX_OFFERS_PER_PROVIDER)
    heard: list[float] = []  # of the one that stays as it is
    for second in range(1800):
        for n in (2 * second % 62, 2 * second % 62 + 1):  # two a second, more than may be said
            held[n] = offer(model=held[n].model, tiers=(terms("signed", second),))
        one.hold(held, START + second)
        words = said_until(one, START + second, START + second + 0.999)
        heard += [at for at, word in words if word.offer == held[-1]]
    assert max(b - a for a, b in zip(heard, [*heard[1:], START + 1800], strict=True)) < OFFER_LIFE_MS / 1000


def test_a_change_among_many_offers_is_said_at_once_and_alone() -> None:
    one, held = offering(), offers(50)
    one.hold(held, START)
    words = said_until(one, START, START + 1000)
    now = words[-1][0] + 0.01
    assert one.next(now) is None
    for price in range(5):  # as when five models are loaded, one after the other
        held[price] = offer(model=held[price].model, tiers=(terms("signed", 100 + price),))
        one.hold(held, now)
        word = one.next(now)
        assert word == Word(held[price])
        one.said(word, now, heard=True)
        assert one.next(now) is None


def test_how_busy_a_provider_is_and_what_its_proofs_take_waits_for_the_renewal() -> None:
    one = offering()
    one.hold([offer()], START)
    (_, first), *none = said_until(one, START, START + 1)
    assert not none
    busy = offer(
        queue_depth=9, tiers=(Terms(tier="signed", price=Amount(10), added_us=7, added_bytes=7), terms("quorum"))
    )
    one.hold([busy], START + 2)
    assert said_until(one, START + 2, START + OFFER_EVERY - 1) == []
    ((at, renewed),) = said_until(one, START + OFFER_EVERY, START + OFFER_EVERY + 1)
    assert (at, first.offer, renewed) == (START + OFFER_EVERY, offer(), Word(busy))


def test_a_model_that_is_gone_is_said_to_be_gone_once_and_may_come_back() -> None:
    one = offering()
    one.hold([offer()], START)
    said_until(one, START, START + 1)
    one.hold([], START + 2)
    assert [word for _, word in said_until(one, START + 2, START + 600)] == [Word(offer(), last=True)]
    assert one.wait(START + 600) == float("inf")
    one.hold([offer()], START + 600)
    assert one.next(START + 600) == Word(offer())


def test_a_model_that_was_never_offered_is_not_said_to_be_gone() -> None:
    one = offering()
    one.hold([offer()], START)
    one.hold([], START)
    assert (one.next(START), one.wait(START)) == (None, float("inf"))


def test_what_nobody_heard_is_said_again_as_soon_as_may_be() -> None:
    one = offering()
    one.hold([offer()], START)
    word = one.next(START)
    assert word is not None
    one.said(word, START, heard=False)
    assert one.next(START) is None
    assert one.next(START + OFFER_PAUSE) == word


def test_who_was_alone_for_long_has_its_whole_burst_when_somebody_comes() -> None:
    one, held = offering(), offers(OFFER_BURST)
    one.hold(held, START)
    now = START
    while now < START + 100:
        if word := one.next(now):
            one.said(word, now, heard=False)
        else:
            now += one.wait(now) + 1e-6
    assert len([at for at, _ in said_until(one, now, now + OFFER_PAUSE)]) == OFFER_BURST


def test_offers_beyond_what_receivers_keep_are_left_out_and_those_said_stay() -> None:
    one, held = offering(), offers(MAX_OFFERS_PER_PROVIDER)
    assert one.hold(held, START) == 0
    said_until(one, START, START + 100)
    late = offer(model=model("late"))
    assert one.hold([late, *held], START + 100) == 1
    assert late not in [word.offer for _, word in said_until(one, START + 100, START + 400)]
    assert one.hold([late, *held[1:]], START + 400) == 0
    assert one.next(START + 400) == Word(late)


class Heard(RuleBasedStateMachine):
    """A few models come, go and change in any order; a receiver has a rate, and believes each word for its life."""

    EVERY, LIFE, PAUSE, BURST, MOST = 20.0, 60.0, 4.0, 3, 5  # 1.5 × EVERY + (MOST + 1) × PAUSE is within LIFE
    LAST = 5.0
    MODELS = tuple(model(name) for name in "abcdef")

    def __init__(self) -> None:
        super().__init__()
        self.one = Offering(every=self.EVERY, life=self.LIFE, pause=self.PAUSE, burst=self.BURST, most=self.MOST)
        self.now = START
        self.rate = Rates(1 / self.PAUSE, self.BURST + 1e-6)  # as exact as floats are
        self.held: dict[bytes, Offer] = {}
        self.since: dict[bytes, float] = {}  # since when it is held as it is
        self.believed: dict[bytes, tuple[int, float]] = {}  # its price, and until when
        self.quiet = START  # since when nothing came, went or changed

    def change(self) -> None:
        self.quiet = self.now
        assert self.one.hold(self.held.values(), self.now) == 0
        self.talk(0.0)

    def talk(self, seconds: float) -> None:
        for at, word in said_until(self.one, self.now, self.now + seconds):
            assert self.rate.take("author", at)
            model_, price = word.offer.model, int(word.offer.price)
            assert (model_ in self.held) != word.last
            self.believed[model_] = (price, at + (self.LAST if word.last else self.LIFE))
            if not word.last:
                assert word.offer == self.held[model_]
        self.now += seconds

    @rule(which=st.sampled_from(MODELS), price=st.integers(0, 3))
    def come_or_change(self, which: bytes, price: int) -> None:
        if which not in self.held and len(self.held) == self.MOST:
            return
        old = self.held.get(which)
        self.held[which] = offer(model=which, tiers=(terms("signed", price),))
        if old is None or old.price != price:
            self.since[which] = self.now
        self.change()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        del self.held[data.draw(st.sampled_from(sorted(self.held)))]
        self.change()

    @precondition(lambda self: self.held)
    @rule(depth=st.integers(0, 9), data=st.data())
    def be_busy(self, depth: int, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(sorted(self.held)))
        tiers = self.held[which].tiers
        self.held[which] = offer(model=which, tiers=tiers, queue_depth=depth)
        self.one.hold(self.held.values(), self.now)
        self.talk(0.0)

    @rule(seconds=st.floats(0.1, 90))
    def time_passes(self, seconds: float) -> None:
        self.talk(seconds)

    @invariant()
    def what_is_held_for_a_while_is_believed(self) -> None:
        for which, made in self.held.items():
            if self.now > self.since[which] + (self.MOST + 1) * self.PAUSE:
                price, until = self.believed[which]
                assert (price, until > self.now) == (made.price, True)

    @invariant()
    def what_is_gone_is_soon_not_believed(self) -> None:
        if self.now > self.quiet + 2 * len(self.MODELS) * self.PAUSE + self.LAST:
            assert {which for which, (_, until) in self.believed.items() if until > self.now} <= self.held.keys()


TestHeard = Heard.TestCase
