"""What peers did fades, and leads to bans that grow and end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2p import bounds
from p2p.standing.score import Standing

WEIGHTS = st.floats(0, 5)


def banned(standing: Standing, peer: str, now: float) -> None:
    """Offend until it is enough."""
    for _ in range(2 * bounds.OFFENCES):
        if standing.offend(peer, now, rule="bad message"):
            return
    raise AssertionError("never banned")


def test_too_many_offences_are_refused_for_a_while() -> None:
    standing = Standing()
    assert not any(standing.offend("bad", 0) for _ in range(bounds.OFFENCES))
    assert not standing.is_refused("bad", 0)
    assert standing.offend("bad", 0, rule="bad message")
    assert standing.is_refused("bad", bounds.REFUSAL - 1)
    assert not standing.is_refused("good", 0)
    assert not standing.offend("bad", 1)  # said once, not again
    assert not standing.is_refused("bad", bounds.REFUSAL)
    (one,) = standing.listed(bounds.REFUSAL / 2)
    assert (one.peer_id, one.rule, one.times, one.refused_s) == ("bad", "bad message", 1, bounds.REFUSAL / 2)


def test_rare_offences_are_forgiven() -> None:
    standing = Standing()
    assert not any(standing.offend("clumsy", 92.0 * n) for n in range(200))
    assert any(standing.offend("careless", 60.0 * n) for n in range(200))


def test_a_score_is_negative_for_wrongs_positive_for_merits_and_fades_by_halves() -> None:
    standing = Standing()
    assert standing.score("stranger", 0) == 0
    standing.credit("good", 0, 4.0)
    standing.offend("bad", 0, 4.0)
    later = bounds.SCORE_HALF_LIFE
    assert standing.score("good", later) == pytest.approx(2)
    assert standing.score("bad", later) == pytest.approx(-2)
    for _ in range(1000):
        standing.credit("good", later)
    assert standing.score("good", later) == bounds.MERITS


def test_merits_buy_no_offence() -> None:
    standing = Standing()
    for _ in range(1000):
        standing.credit("attacker", 0)
    assert sum(not standing.offend("attacker", 0) for _ in range(bounds.OFFENCES + 1)) == bounds.OFFENCES


def test_bans_double_to_a_bound_and_are_single_again_when_long_forgotten() -> None:
    standing, now, lengths = Standing(), 0.0, list[float]()
    for _ in range(12):
        banned(standing, "bad", now)
        (one,) = standing.listed(now)
        lengths.append(one.refused_s)
        now += one.refused_s
    assert lengths[:4] == [bounds.REFUSAL * factor for factor in (1, 2, 4, 8)]
    assert lengths[-1] == bounds.BAN_MOST
    now += bounds.BAN_FORGOTTEN
    banned(standing, "bad", now)
    assert standing.listed(now)[0].refused_s == bounds.REFUSAL


def test_proofs_of_one_lie_that_come_at_once_are_one_ban() -> None:
    standing = Standing()
    for _ in range(5):
        standing.refuse("liar", 0, rule="lied")
    assert standing.listed(0)[0].refused_s == bounds.REFUSAL
    standing.refuse("liar", 0, seconds=5.0)  # never shorter
    assert standing.is_refused("liar", bounds.REFUSAL - 1)
    standing.refuse("other", 0, seconds=5.0)
    assert standing.listed(0)[-1].refused_s == 5.0
    assert standing.forgive("other", 0)
    standing.refuse("liar", 0, seconds=3 * bounds.BAN_MOST)  # an operator's word
    assert standing.is_refused("liar", 2 * bounds.BAN_MOST)
    assert standing.forgive("liar", 0)
    assert not standing.is_refused("liar", 0)
    assert not standing.forgive("liar", 0)


def test_several_culprits_ban_their_range_and_one_does_not() -> None:
    homes = {f"sybil {n}": "203.0.113.0/24" for n in range(9)} | {"local": None}
    standing = Standing(homes.get)
    for n in range(bounds.RANGE_BANNED - 1):
        for _ in range(9):  # one peer's repetitions are its own
            standing.refuse(f"sybil {n}", float(n))
    assert not standing.is_range_refused("203.0.113.0/24", 5)
    standing.refuse("sybil 7", 5.0)
    assert standing.is_range_refused("203.0.113.0/24", 5 + bounds.RANGE_REFUSAL - 1)
    assert not standing.is_range_refused("203.0.113.0/24", 5 + bounds.RANGE_REFUSAL)
    assert standing.forgive("sybil 7", 6.0)
    assert not standing.is_range_refused("203.0.113.0/24", 6)


def test_culprits_of_different_hours_ban_no_range() -> None:
    standing = Standing(lambda _: "203.0.113.0/24")
    for n in range(20):
        standing.refuse(f"sybil {n}", n * bounds.RANGE_WINDOW / (bounds.RANGE_BANNED - 1))
    assert not standing.ranges(0)


def test_what_is_done_without_an_address_bans_no_range() -> None:
    standing = Standing()
    for n in range(20):
        standing.refuse(f"relayed {n}", 0.0)
    assert not standing.ranges(0)


def test_a_flood_of_strangers_neither_fills_memory_nor_washes_a_ban_away() -> None:
    standing = Standing(lambda peer: f"range {peer}")
    standing.refuse("bad", 0.0)
    for n in range(2 * bounds.BUCKETS):
        standing.offend(f"stranger {n}", 0.0)
        if n < 2 * bounds.RANGES:
            standing.refuse(f"sybil {n}", 0.0, seconds=1.0)
    assert standing.is_refused("bad", 1.0)
    assert len(standing.listed(0)) <= bounds.BUCKETS
    assert len(standing._culprits) <= bounds.RANGES


class StandingLife(RuleBasedStateMachine):
    """Against a plain model: every offence with its time, and the bans that follow."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.standing = 0.0, Standing()
        self.offences: dict[str, list[tuple[float, float]]] = {"a": [], "b": []}
        self.until = dict.fromkeys("ab", -1.0)

    @rule(peer=st.sampled_from("ab"), weight=WEIGHTS)
    def offend(self, peer: str, weight: float) -> None:
        self.offences[peer].append((self.now, weight))
        wrongs = sum(w * 0.5 ** ((self.now - at) / bounds.SCORE_HALF_LIFE) for at, w in self.offences[peer])
        was = self.standing.is_refused(peer, self.now)
        fresh = self.standing.offend(peer, self.now, weight)
        if abs(wrongs - bounds.OFFENCES) > 1e-6:
            assert fresh == (wrongs > bounds.OFFENCES and not was)
        if fresh:
            self.until[peer] = self.now + bounds.REFUSAL

    @rule(peer=st.sampled_from("ab"))
    def credit(self, peer: str) -> None:
        before = self.standing.score(peer, self.now)
        self.standing.credit(peer, self.now)
        assert before <= self.standing.score(peer, self.now) <= bounds.MERITS

    @rule(passed=st.floats(0, 2000))
    def wait(self, passed: float) -> None:
        self.now += passed

    @rule(back=st.floats(0, 100))
    def look_back(self, back: float) -> None:
        """A clock that goes back changes no sum."""
        before = self.standing.score("a", self.now)
        assert self.standing.score("a", self.now - back) == before

    @invariant()
    def bans_last_at_least_as_long_as_the_first(self) -> None:
        for peer, until in self.until.items():
            assert self.now >= until or self.standing.is_refused(peer, self.now)


TestStandingLife = StandingLife.TestCase
TestStandingLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@given(steps=st.lists(st.tuples(st.sampled_from("abc"), WEIGHTS, st.floats(0, 100)), max_size=60))
def test_one_peers_offences_cost_no_other(steps: list[tuple[str, float, float]]) -> None:
    together, alone, now = Standing(), Standing(), 0.0
    for peer, weight, passed in steps:
        now += passed
        together.offend(peer, now, weight)
        if peer == "a":
            alone.offend(peer, now, weight)
        assert together.is_refused("a", now) == alone.is_refused("a", now)
