"""When a provider is attested anew: by events and times alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.attesting.heartbeat import Beat, Heartbeat
from node.bounds import ATTEST_EVERY_MS, ATTEST_FRESH_MS, ATTEST_RETRY_MS

A, B = b"a" * 32, b"b" * 32
NOW = 1_800_000_000_000


def test_the_first_is_due_at_once_and_the_next_long_before_it_ends() -> None:
    heart = Heartbeat()
    assert (heart.due(NOW, A), heart.stands(NOW)) == (0, False)
    heart.made(Beat(A, NOW))
    assert heart.stands(NOW)
    assert heart.due(NOW, A) == ATTEST_EVERY_MS < ATTEST_FRESH_MS // 2
    assert heart.due(NOW + ATTEST_EVERY_MS, A) == 0


def test_another_set_of_models_is_attested_at_once() -> None:
    heart = Heartbeat()
    heart.made(Beat(A, NOW))
    assert heart.due(NOW + 1, B) == 0


def test_after_a_failure_it_waits_and_what_stood_ends_in_its_time() -> None:
    heart = Heartbeat()
    heart.made(Beat(A, NOW))
    now, waits = NOW + ATTEST_EVERY_MS, []
    for _ in range(12):
        heart.failed(now, "no quote")
        assert heart.trouble == "no quote"
        waits.append(heart.due(now, A))
        now += waits[-1]
    assert waits[0] == ATTEST_RETRY_MS[0]
    assert waits[-1] == ATTEST_RETRY_MS[1]
    assert waits == sorted(waits)
    assert heart.stands(NOW + ATTEST_FRESH_MS - 1)
    assert not heart.stands(NOW + ATTEST_FRESH_MS)
    heart.made(Beat(A, now))
    assert (heart.trouble, heart.stands(now)) == ("", True)


@given(st.integers(0, 64))
def test_no_number_of_failures_makes_it_wait_longer_than_the_bound(failures: int) -> None:
    heart = Heartbeat()
    for _ in range(failures):
        heart.failed(NOW, "no quote")
    assert heart.due(NOW, A) <= ATTEST_RETRY_MS[1]


class Life(RuleBasedStateMachine):
    """A heart that is asked what is due, with an attester that works or not, and models that come and go."""

    @initialize()
    def begin(self) -> None:
        self.heart, self.now, self.models, self.last = Heartbeat(), NOW, A, None  # type: ignore[var-annotated]

    @rule(seconds=st.integers(1, 4000))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule(models=st.sampled_from([A, B]))
    def models_change(self, models: bytes) -> None:
        self.models = models

    @rule(works=st.booleans())
    def look(self, works: bool) -> None:
        if self.heart.due(self.now, self.models):
            return
        if works:
            self.heart.made(Beat(self.models, self.now))
            self.last = self.now
        else:
            self.heart.failed(self.now, "no quote")

    @invariant()
    def nothing_stale_stands(self) -> None:
        fresh = self.last is not None and self.now - self.last < ATTEST_FRESH_MS
        assert self.heart.stands(self.now) == fresh


TestLife = Life.TestCase
