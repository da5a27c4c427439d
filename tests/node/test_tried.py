"""Who is asked again for one answer, when, and how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.bounds import LOST_RESTS, LOST_RESTS_UNMET, MAX_ATTEMPTS, MAX_UNREACHABLE
from node.tried import Again, Tried
from tests.verify.scenes import key_of
from wire.errors import ErrorCode, RemoteError

KEYS = [key_of(f"provider {n}").public for n in range(MAX_UNREACHABLE)]
LOST, GONE = RemoteError(ErrorCode.LINK_LOST, "cut"), RemoteError(ErrorCode.UNREACHABLE, "nobody")
BUSY = RemoteError(ErrorCode.OVERLOADED, "busy", after_ms=1000)


def rests(*errors: RemoteError) -> list[float]:
    """How long one provider is left alone after each of its failures."""
    tried, now, found = Tried(), 100.0, []
    for error in errors:
        tried.ask(KEYS[0])
        tried.failed(KEYS[0], error, now)
        if (again := tried.again()) is None:
            return found
        assert KEYS[0] not in tried.asked
        found.append(again.at - now)
        now = again.at
    return found


def test_a_lost_one_is_asked_again_more_and_more_rarely_and_not_without_end() -> None:
    assert rests(*[LOST] * 10) == list(LOST_RESTS)
    assert rests(LOST, *[GONE] * 10) == list(LOST_RESTS)  # its relay is gone, and it needs a moment for another


def test_one_that_was_never_reached_is_asked_again_less_often() -> None:
    assert rests(*[GONE] * 10) == list(LOST_RESTS[:LOST_RESTS_UNMET])


def test_other_failures_are_answers() -> None:
    lost = (ErrorCode.LINK_LOST, ErrorCode.UNREACHABLE)
    for code in set(ErrorCode) - set(lost):
        assert rests(RemoteError(code, "no")) == []


def test_the_first_that_may_be_asked_is_the_first() -> None:
    tried = Tried()
    for key, error in zip(KEYS, (BUSY, LOST, GONE), strict=False):
        tried.ask(key)
        tried.failed(key, error, 0.0 if error is not GONE else 0.1)
    order: list[Again | None] = [tried.again() for _ in range(4)]
    assert [again and again.provider for again in order] == [KEYS[1], KEYS[2], KEYS[0], None]
    assert [again and again.lost for again in order] == [True, True, False, None]


def test_dead_offers_hide_no_live_one_and_there_is_an_end() -> None:
    tried = Tried()
    for key in KEYS[: MAX_UNREACHABLE - 1]:
        tried.ask(key)
        tried.failed(key, GONE, 0.0)
    assert not tried.exhausted
    tried.ask(KEYS[-1])
    tried.failed(KEYS[-1], GONE, 0.0)
    assert tried.exhausted


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([LOST, GONE, BUSY, RemoteError(ErrorCode.REFUSED, "")]))))
def test_whatever_happens_it_ends(events: list[tuple[int, RemoteError]]) -> None:
    """Never more providers than may be asked, never one of them lost more often than it may be, never two at once."""
    tried, now, asked = Tried(), 0.0, 0
    for which, error in events:
        if tried.exhausted:
            assert len(tried.asked) >= MAX_ATTEMPTS
            break
        if KEYS[which] in tried.asked:
            again = tried.again()
            if again is None:
                continue
            assert again.provider in KEYS
            now = max(now, again.at)
            which = KEYS.index(again.provider)
        tried.ask(KEYS[which])
        asked += error.code in (ErrorCode.LINK_LOST, ErrorCode.UNREACHABLE)
        tried.failed(KEYS[which], error, now)
        assert KEYS[which] in tried.asked
    assert asked <= 6 * (len(LOST_RESTS) + 1) + len(events)
