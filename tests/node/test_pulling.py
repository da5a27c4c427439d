"""What a person sees of a pull."""

from __future__ import annotations

from node.pulling import SPAN, Pulling


def test_rate_peers_and_time_left() -> None:
    pulling = Pulling()
    pulling.note(0, 0, "a", "asking", 0.0)  # the outline is not here yet
    pulling.note(400, 1000, "a", "asking", 0.0)
    assert pulling.figures(1000, 0.0) == {"rate": 0, "peers": 0, "left_s": None}
    for step in range(1, 5):
        pulling.note(400 + 100 * step, 1000, "ab"[step % 2], "", float(step))
    assert pulling.figures(1000, 4.0) == {"rate": 100, "peers": 2, "left_s": 2.0}
    assert pulling.fetched == 400


def test_a_stall_shows() -> None:
    pulling = Pulling()
    pulling.note(0, 1000, "a", "asking", 0.0)
    pulling.note(500, 1000, "a", "", 1.0)
    pulling.note(500, 1000, "a", "has sent nothing for 9 s", 1.0 + 2 * SPAN)
    assert pulling.figures(1000, 1.0 + 2 * SPAN) == {"rate": 0, "peers": 0, "left_s": None}


def test_what_is_here_already_was_not_fetched() -> None:
    pulling = Pulling()
    pulling.note(1000, 1000, "", "complete", 0.0)
    assert pulling.fetched == 0
