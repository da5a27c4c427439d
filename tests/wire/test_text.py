"""Sentences of strangers, before they reach a terminal."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bounds import Line, Paragraph
from wire.canonical import Record, decode, encode
from wire.errors import RecordError
from wire.text import MAX_LINE, one_line


class Said(Record):
    line: Line = ""
    paragraph: Paragraph = ""


@given(st.text(st.characters(), max_size=600))
def test_one_line_is_always_a_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= MAX_LINE
    assert decode(encode(Said(line=line)), Said).line == line


@pytest.mark.parametrize("bad", ["\x1b[2J", "a\nb", "\x07", "\x9b1m", "\u202etxt.exe", "\u2066x", "x\r"])
def test_a_line_cannot_steer_a_terminal(bad: str) -> None:
    with pytest.raises(RecordError, match="regex"):
        decode(encode(Said(line=bad)), Said)
    assert one_line(bad).isprintable()


def test_a_paragraph_has_lines_and_nothing_else_that_steers() -> None:
    said = Said(paragraph="first\n\tsecond — ünïcode 漢字")
    assert decode(encode(said), Said) == said
    with pytest.raises(RecordError):
        decode(encode(Said(paragraph="\x1b[31mred")), Said)
    assert msgspec.structs.asdict(said)["line"] == ""
