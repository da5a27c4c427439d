"""The replay guard: each rule by itself, then any sequence of requests, restarts and time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.bounds import MAX_AHEAD_MS
from node.replay import ReplayGuard
from tests.verify.scenes import NOW, Scene
from wire.bounds import MAX_REQUEST_LIFE_MS
from wire.errors import ErrorCode, RemoteError
from wire.inference import Request

SCENE = Scene()
DOMAIN = SCENE.network.domain


def asked(**changes: Any) -> Request:
    return SCENE.ask(**changes).request


def refusal(guard: ReplayGuard, request: Request, now_ms: int = NOW) -> RemoteError | None:
    try:
        guard.admit(request, request.digest(DOMAIN), now_ms)
    except RemoteError as error:
        return error
    return None


def test_a_request_is_admitted_once() -> None:
    guard = ReplayGuard(NOW, 10)
    assert refusal(guard, asked()) is None
    again = refusal(guard, asked())
    assert again is not None
    assert again.code is ErrorCode.REFUSED
    assert refusal(guard, asked(nonce=b"\x45" * 32)) is None


@pytest.mark.parametrize(
    ("changes", "now", "code", "words"),
    [
        ({}, NOW + 60_000, ErrorCode.DEADLINE, "deadline has passed"),
        ({"issued_ms": NOW + MAX_AHEAD_MS + 1, "deadline_ms": NOW + 99_000}, NOW, ErrorCode.REFUSED, "set your clock"),
        ({"deadline_ms": NOW + MAX_REQUEST_LIFE_MS + 1}, NOW, ErrorCode.REFUSED, "lives longer"),
        ({"issued_ms": NOW - 1}, NOW, ErrorCode.REFUSED, "older than this peer's start"),
    ],
)
def test_each_rule_refuses_by_name(changes: dict[str, int], now: int, code: ErrorCode, words: str) -> None:
    error = refusal(ReplayGuard(NOW, 10), asked(**changes), now)
    assert error is not None
    assert error.code is code
    assert words in error.message


def test_at_each_bound_it_is_admitted() -> None:
    assert refusal(ReplayGuard(NOW, 9), asked(), NOW + 59_999) is None
    future = asked(issued_ms=NOW + MAX_AHEAD_MS, deadline_ms=NOW + 99_000)
    assert ReplayGuard(NOW, 9).admit(future, b"", NOW) == MAX_AHEAD_MS / 1000  # and waits for its own time
    assert ReplayGuard(NOW, 9).admit(asked(), b"", NOW + 5) == 0
    assert refusal(ReplayGuard(NOW, 9), asked(deadline_ms=NOW + MAX_REQUEST_LIFE_MS)) is None
    assert refusal(ReplayGuard(NOW, 9), asked(issued_ms=NOW)) is None


def test_after_a_restart_what_was_answered_before_is_refused() -> None:
    request = asked(issued_ms=NOW)
    assert refusal(ReplayGuard(NOW - 5000, 9), request, NOW + 10) is None
    assert refusal(ReplayGuard(NOW + 20, 9), request, NOW + 30) is not None


def test_what_was_answered_ahead_of_time_is_older_than_the_next_start() -> None:
    early = asked(issued_ms=NOW + 3000)
    answered = NOW + int(ReplayGuard(NOW, 9).admit(early, b"", NOW) * 1000)
    assert refusal(ReplayGuard(answered + 1, 9), early, answered + 2) is not None


def test_a_full_guard_refuses_and_forgets_only_what_is_over() -> None:
    guard = ReplayGuard(NOW, 2)
    first, second = asked(nonce=b"\1" * 32, deadline_ms=NOW + 100), asked(nonce=b"\2" * 32, deadline_ms=NOW + 900)
    third = asked(nonce=b"\3" * 32)
    assert refusal(guard, first) is None
    assert refusal(guard, second) is None
    full = refusal(guard, third)
    assert full is not None
    assert (full.code, full.retry) == (ErrorCode.OVERLOADED, True)
    assert refusal(guard, third, NOW + 100) is None
    assert refusal(guard, second, NOW + 101) is not None


class Guard(RuleBasedStateMachine):
    """Nothing is admitted twice, whatever happens, as long as no request is from the future; memory stays bounded."""

    MOST = 5

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.guard = ReplayGuard(NOW, self.MOST)
        self.requests = [asked(nonce=b"\0" * 31 + bytes([n]), issued_ms=NOW, deadline_ms=NOW + 1) for n in range(1)]
        self.admitted: set[bytes] = set()

    @rule(age=st.integers(0, 3000), life=st.integers(1, 2 * MAX_REQUEST_LIFE_MS))
    def ask(self, age: int, life: int) -> None:
        issued = self.now - age
        nonce = len(self.requests).to_bytes(32, "big")
        self.requests.append(asked(nonce=nonce, issued_ms=issued, deadline_ms=issued + life))
        self.send(self.requests[-1])

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        self.send(data.draw(st.sampled_from(self.requests)))

    @rule(ms=st.integers(1, 5000))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def restart(self) -> None:
        self.now += 1
        self.guard = ReplayGuard(self.now, self.MOST)

    def send(self, request: Request) -> None:
        digest = request.digest(DOMAIN)
        if refusal(self.guard, request, self.now) is None:
            assert digest not in self.admitted
            assert self.now < request.deadline_ms <= self.now + MAX_REQUEST_LIFE_MS
            self.admitted.add(digest)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.guard._seen) == len(self.guard._by_deadline) <= self.MOST


Guard.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestGuard = Guard.TestCase
