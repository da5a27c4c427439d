"""Tokens into text as they come, never half a character, never a character twice. A machine without I/O.

A token's text depends on its neighbours (a blank between words, bytes that make up one character), so new tokens are
decoded behind the ones before them that were complete, and what those alone give is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_CONTEXT = 5  # tokens of the prompt's end, for the blank before a first word
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what decoders show for bytes that make no character, or none yet
_LONGEST = 4  # bytes of one character, so tokens that can share one
_MOST_PENDING = 32  # tokens of nothing but broken bytes

Decode = Callable[[Sequence[int]], str]


class Detokeniser:
    """Ids in, text out. `decode` turns ids into text at once; `before` are the prompt's."""

    def __init__(self, decode: Decode, before: Sequence[int]) -> None:
        self._decode = decode
        tails = (before[-n:] for n in range(min(_CONTEXT, len(before)), 0, -1))
        self._begin(next((tail for tail in tails if _REPLACEMENT not in decode(tail)), ()))

    def add(self, token: int) -> str:
        """The text that is complete now and was not before."""
        self._pending.append(token)
        text = self._decode([*self._context, *self._pending])
        if not text.endswith(_REPLACEMENT):
            new = text[self._shown :]
            self._begin(self._pending)
        elif len(self._pending) < _LONGEST:
            new = ""
        elif len(self._pending) < _MOST_PENDING:  # broken for good, but for the last one: it may be half a character
            new = text[self._shown : -1]
            self._shown += len(new)
        else:
            new = text[self._shown :]
            self._begin(())
        return new

    def rest(self) -> str:
        """What is left where no more tokens come: bytes that made no character, as decoders show them."""
        new = self._decode([*self._context, *self._pending])[self._shown :]
        self._begin(())
        return new

    def _begin(self, context: Sequence[int]) -> None:
        self._context, self._pending = context, list[int]()
        self._shown = len(self._decode(context)) if context else 0  # characters
