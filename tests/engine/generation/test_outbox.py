"""Every token goes out once, in order, soon, and never in a record that breaks its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.generation.machine import Piece
from engine.generation.outbox import PAUSE, Outbox
from wire.canonical import decode, encode
from wire.generation import MAX_STEP_TEXT, Tokens

PIECES = st.lists(
    st.tuples(st.integers(0, 2**31), st.text(max_size=3) | st.just("雪" * MAX_STEP_TEXT), st.floats(0, 0.01)),
    max_size=200,
)


@given(PIECES)
def test_everything_goes_out_once_and_in_order(pieces: list[tuple[int, str, float]]) -> None:
    box, now, sent, times = Outbox(), 0.0, list[Tokens](), list[float]()
    for token, text, pause in pieces:
        now += pause
        out = box.add(Piece(token, text), now)
        sent += out
        times += [now] * bool(out)
    sent += box.rest()
    assert box.rest() == []
    assert [token for tokens in sent for token in tokens.ids] == [token for token, _, _ in pieces]
    assert "".join(tokens.text for tokens in sent) == "".join(text for _, text, _ in pieces)
    assert all(decode(encode(tokens), Tokens) == tokens for tokens in sent)


def test_slow_tokens_go_out_one_by_one_and_fast_ones_together() -> None:
    box = Outbox()
    assert [len(box.add(Piece(i, ""), i * PAUSE)) for i in range(4)] == [1] * 4
    fast = [box.add(Piece(i, "x"), 4 * PAUSE + i * PAUSE / 50) for i in range(100)]
    assert [len(tokens.ids) for out in fast for tokens in out] == [1, 50]
    assert [len(tokens.ids) for tokens in box.rest()] == [49]
