"""Tokens on their way: bounded, and any text that a model may write."""

from __future__ import annotations

import pytest

from wire.bounds import MAX_TEXT
from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.generation import MAX_STEP_IDS, MAX_STEP_TEXT, Tokens, forcing_signature, generator_signature


def test_the_longest_text_of_a_step_fits_a_record() -> None:
    step = Tokens(ids=(2**32 - 1,) * MAX_STEP_IDS, text="🙂" * MAX_STEP_TEXT)
    assert decode(encode(step), Tokens) == step
    assert MAX_STEP_TEXT * 4 <= MAX_TEXT
    assert decode(encode(Tokens(ids=(0,), text="\n\0\x1b[2J\u202e")), Tokens).text == "\n\0\x1b[2J\u202e"


@pytest.mark.parametrize(
    "step",
    [
        Tokens(ids=(), text=""),
        Tokens(ids=(1,) * (MAX_STEP_IDS + 1), text=""),
        Tokens(ids=(2**32,), text=""),
        Tokens(ids=(-1,), text=""),
        Tokens(ids=(1,), text="x" * (MAX_STEP_TEXT + 1)),
    ],
    ids=["none", "many", "large", "negative", "long"],
)
def test_a_step_out_of_bounds_is_refused(step: Tokens) -> None:
    with pytest.raises(RecordError):
        decode(encode(step), Tokens)


def test_a_generator_without_a_tokeniser_takes_and_gives_ids() -> None:
    with_text, without = generator_signature(has_text=True), generator_signature(has_text=False)
    assert [s.name for s in with_text[0]] == ["prompt", *(s.name for s in without[0][1:])]
    assert [s.name for s in with_text[1]] == ["tokens", "text", "finish", "scores"]
    assert ([s.name for s in without[1]], without[0][0].datatype) == (["tokens", "finish", "scores"], "INT64")


@pytest.mark.parametrize("has_text", [True, False])
def test_a_check_takes_the_answers_tokens_too_and_tells_what_the_scores_are_held_against(has_text: bool) -> None:
    asked, answered = generator_signature(has_text=has_text)
    takes, gives = forcing_signature(has_text=has_text)
    assert takes == (*asked, answered[0])
    assert [s.name for s in gives] == ["scores", "scales", "gaps", *(s.name for s in answered[1:-1])]
