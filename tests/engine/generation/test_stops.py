"""Stop texts are found wherever the pieces are cut, and nothing of them is ever shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.generation.stops import StopTexts

TEXT = st.text("ab\n", max_size=30)
STOPS = st.lists(st.text("ab\n", min_size=1, max_size=5), max_size=4)


def before_stop(text: str, stops: list[str]) -> str | None:
    """The text before the stop text that ends first; None without one."""
    for end in range(len(text) + 1):
        starts = [end - len(s) for s in stops if text[:end].endswith(s)]
        if starts:
            return text[: min(starts)]
    return None


@given(TEXT, STOPS, st.lists(st.integers(0, 6), max_size=40))
def test_pieces_of_any_size_are_cut_at_the_same_place(text: str, stops: list[str], sizes: list[int]) -> None:
    machine, shown, at = StopTexts(stops), "", 0
    wanted = before_stop(text, stops)
    for size in [*sizes, len(text)]:
        shown += machine.feed(text[at : at + size])
        at += size
        assert text.startswith(shown)
        assert wanted is None or wanted.startswith(shown)
    assert machine.found == (wanted is not None)
    assert shown + machine.rest() == (text if wanted is None else wanted)


def test_what_may_begin_a_stop_text_waits_for_the_next_piece() -> None:
    machine = StopTexts(["\n\nUser:", "END"])
    assert [machine.feed(p) for p in ("well", "\n", "\nUse", "d. E", "N", "D", "more")] == [
        "well", "", "", "\n\nUsed. ", "", "", "",
    ]  # fmt: skip
    assert machine.found
    assert machine.rest() == ""
