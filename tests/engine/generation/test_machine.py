"""One generation without a model: what runs next, when it ends, what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.models.decoder import END, VOCABULARY
from engine.bounds import CHUNK
from engine.errors import ModelFailed
from engine.generation import machine
from engine.generation.machine import Generation, Piece
from engine.generation.parameters import Parameters
from engine.tokeniser import Tokeniser
from tests.models.tokenisers import byte_level
from wire.generation import MAX_STEP_TEXT

BYTES = Tokeniser(byte_level().encode(), truncates=False)


def generation(
    max_tokens: int = 8, stops: tuple[str, ...] = (), prompt: Sequence[int] = (65,), *, has_text: bool = True
) -> Generation:
    parameters = Parameters(max_tokens=max_tokens, stops=stops)
    return Generation(prompt, parameters, frozenset({END}), BYTES.text if has_text else None)


def logits(token: int) -> Any:
    row = np.zeros(VOCABULARY, np.float32)
    row[token] = 1
    return row


def say(it: Generation, said: bytes, end: bool = False) -> list[Piece]:
    """The model says these bytes, until the generation ends."""
    pieces = []
    for token in [*said, *([END] if end else [])]:
        if it.finish is None:
            piece = it.ran(logits(token))
            assert piece is not None
            assert piece.token == token
            pieces.append(piece)
    return pieces


def test_the_prompt_runs_in_chunks_and_then_each_token_as_it_comes() -> None:
    it = generation(prompt=range(2 * CHUNK + 1), has_text=False)
    ran = []
    while not it.tokens:
        ran.append(list(it.due()))
        it.ran(logits(7))
    assert ran == [[*range(CHUNK)], [*range(CHUNK, 2 * CHUNK)], [2 * CHUNK]]
    assert (it.position, list(it.due())) == (2 * CHUNK + 1, [7])


def test_it_ends_with_the_end_token_which_counts_and_is_not_shown() -> None:
    it = generation()
    say(it, b"ab", end=True)
    assert (it.finish, it.tokens, it.text) == ("end", [*b"ab", END], "ab")


def test_it_ends_with_the_last_token_that_was_asked_for() -> None:
    it = generation(max_tokens=3, stops=("cd",))
    assert [p.text for p in say(it, b"abcde")] == ["a", "b", "c"]  # what might have become a stop text is shown now
    assert (it.finish, it.tokens, it.text) == ("length", [*b"abc"], "abc")


def test_a_stop_text_ends_it_wherever_it_is_cut() -> None:
    it = generation(stops=("never", "\n\n"))
    assert [p.text for p in say(it, b"ab\n\ncd")] == ["a", "b", "", ""]
    assert (it.finish, it.tokens, it.text) == ("stop", [*b"ab\n\n"], "ab")


def test_a_stop_text_may_end_in_half_a_character() -> None:
    it = generation(max_tokens=4, stops=("\ufffd",))
    say(it, b"ab\xc3")
    assert (it.finish, it.text) == (None, "ab")
    say(it, b"c")
    assert it.finish == "stop"


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    it = generation(max_tokens=2)
    say(it, b"a\xc3")
    assert (it.finish, it.text) == ("length", "a\ufffd")


def test_without_a_tokeniser_there_are_tokens_and_no_text() -> None:
    it = generation(max_tokens=3, has_text=False)
    assert [p.text for p in say(it, b"abc")] == ["", "", ""]
    assert (it.finish, it.text) == ("length", "")


@given(st.binary(min_size=1, max_size=30), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_the_pieces_are_the_beginning_of_the_text(said: bytes, stops: list[str]) -> None:
    it = generation(max_tokens=len(said), stops=tuple(stops))
    assert "".join(p.text for p in say(it, said)) == it.text
    assert it.finish in ("length", "stop")
    assert not any(stop in it.text for stop in stops)


def test_a_token_with_an_endless_text_is_shown_in_parts_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_TEXT_OUT", 3 * MAX_STEP_TEXT)
    it = Generation((1,), Parameters(max_tokens=9), frozenset(), lambda ids: "x" * 2 * MAX_STEP_TEXT * len(ids))
    first = it.ran(logits(2))
    assert first is not None
    assert first.text == "x" * MAX_STEP_TEXT
    with pytest.raises(ModelFailed, match="grew over"):
        it.ran(logits(3))
