"""Whose answers did not hold."""

from __future__ import annotations

from node.bounds import DISTRUST_MS, MAX_DISTRUSTED
from node.distrust import Distrust


def test_distrust_lapses_and_is_renewed() -> None:
    distrust = Distrust()
    distrust.note(b"a", "lied", 1000)
    assert distrust.current(1000 + DISTRUST_MS - 1) == {b"a": "lied"}
    assert distrust.current(1000 + DISTRUST_MS) == {}
    distrust.note(b"a", "lied again", 5000)
    assert distrust.current(1000 + DISTRUST_MS) == {b"a": "lied again"}


def test_it_is_bounded_and_the_oldest_goes_first() -> None:
    distrust = Distrust()
    for i in range(MAX_DISTRUSTED + 1):
        distrust.note(i.to_bytes(4, "big"), "lied", 0)
    held = distrust.current(0)
    assert len(held) == MAX_DISTRUSTED
    assert bytes(4) not in held
