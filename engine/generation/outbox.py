"""Tokens on their way out: each at once where they come slowly, several together where they come fast.

A reader sees no difference below some milliseconds, and a frame of its own for each token of a fast decoder would cost
more than the token. A machine without I/O; the time is in seconds of any clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.generation import MAX_STEP_IDS, MAX_STEP_TEXT, Tokens

if TYPE_CHECKING:
    from .machine import Piece

PAUSE = 0.005  # seconds between two sendings, at least


class Outbox:
    """Pieces in, `Tokens` out."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._text = ""
        self._next = float("-inf")

    def add(self, piece: Piece, now: float) -> list[Tokens]:
        """What is to be sent now that there is this piece too."""
        due = []
        if len(self._ids) == MAX_STEP_IDS or len(self._text) + len(piece.text) > MAX_STEP_TEXT:
            due = self.rest()
        self._ids.append(piece.token)
        self._text += piece.text
        if now < self._next:
            return due
        self._next = now + PAUSE
        return [*due, *self.rest()]

    def rest(self) -> list[Tokens]:
        """What has not been sent."""
        if not self._ids:
            return []
        tokens = Tokens(ids=tuple(self._ids), text=self._text)
        self._ids, self._text = [], ""
        return [tokens]
