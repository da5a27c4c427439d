"""Tokens become text as they come: whole characters, once each, and in the end what decoding them at once gives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.models.decoder import END
from engine.generation.detokenise import Decode, Detokeniser
from engine.tokeniser import Tokeniser
from tests.models.tokenisers import byte_level, sentence_pieces

BYTES = Tokeniser(byte_level().encode(), truncates=False)
MERGED = Tokeniser(byte_level(merges=True).encode(), truncates=False)
PIECES = Tokeniser(sentence_pieces().encode(), truncates=False)
WRITTEN = st.text("aébcde x雪🙂ä½ ", max_size=25)


def pieces(decode: Decode, ids: Sequence[int], before: Sequence[int] = ()) -> list[str]:
    machine = Detokeniser(decode, before)
    return [*(machine.add(token) for token in ids), machine.rest()]


@given(WRITTEN, st.sampled_from([BYTES, MERGED, PIECES]))
def test_no_character_of_a_sound_text_is_shown_half(text: str, tokeniser: Tokeniser) -> None:
    ids, _ = tokeniser.encode(text)
    shown = pieces(tokeniser.text, ids)
    assert "".join(shown) == tokeniser.text(ids)
    assert not any("\ufffd" in piece for piece in shown)


@given(st.lists(st.integers(0, 255), max_size=40))
def test_broken_bytes_are_shown_as_decoding_them_at_once_shows_them(ids: list[int]) -> None:
    shown = "".join(pieces(BYTES.text, ids))
    if len(ids) <= 32:  # beyond, broken bytes are cut off now and then, so that the work for each token stays bounded
        assert shown == bytes(ids).decode(errors="replace")
    assert len(shown) <= len(ids)


@given(st.lists(st.integers(0, END + 4), max_size=60), st.lists(st.integers(0, END), max_size=9))
def test_any_ids_cost_little_and_lose_nothing_sound(ids: list[int], before: list[int]) -> None:
    longest = 0

    def decode(window: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(window))
        return MERGED.text(window)

    pieces(decode, ids, before)
    assert longest <= 2 * 32 + 5


@pytest.mark.parametrize("tokeniser", [BYTES, PIECES])
def test_a_character_comes_with_its_last_byte(tokeniser: Tokeniser) -> None:
    ids, _ = tokeniser.encode("雪a")
    assert [p for p in pieces(tokeniser.text, ids) if p] == ["雪", "a"]
    assert pieces(tokeniser.text, ids)[:2] == ["", ""]


def test_the_blank_before_a_word_depends_on_what_stood_before() -> None:
    hello, world = PIECES.id_of("▁hello"), PIECES.id_of("▁world")
    assert hello is not None
    assert world is not None
    assert "".join(pieces(PIECES.text, [hello, world])) == "hello world"
    assert "".join(pieces(PIECES.text, [world], before=[hello])) == " world"
    half = PIECES.encode("雪")[0][1:]  # a prompt may end anywhere; what is broken in it is not decoded again
    assert "".join(pieces(PIECES.text, [world], before=half)) == "world"
