"""Sentences that cross between peers end on somebody's terminal: one line, printable, bounded."""

from __future__ import annotations

MAX_LINE = 256


def one_line(text: str) -> str:
    """`text` as a `bounds.Line` may hold it: white space is a blank, what cannot be printed a question mark."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text[:MAX_LINE])
