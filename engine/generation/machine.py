"""One generation: which ids run next, which token follows, what may be shown of it, and when it ends.

A machine without I/O: logits in, tokens and text out. The prompt is run in pieces of `CHUNK`, so that neither one run's
time nor its logits grow with the prompt; the pieces are part of what is executed, and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wire.arrays import Array
from wire.generation import MAX_STEP_TEXT, Finish

from ..bounds import CHUNK, MAX_TEXT_OUT
from ..errors import ModelFailed
from .detokenise import Decode, Detokeniser
from .parameters import Parameters
from .sampler import draw
from .scores import scores
from .stops import StopTexts


@dataclass(frozen=True, slots=True)
class Piece:
    """One more token, and text that can be shown: all pieces' texts together are the beginning of the whole."""

    token: int
    text: str


class Generation:
    """See the module. `prompt` has one id at least; `ends` are the ids that end a text; `decode` makes text of ids."""

    def __init__(
        self, prompt: Sequence[int], parameters: Parameters, ends: frozenset[int], decode: Decode | None
    ) -> None:
        self.tokens: list[int] = []
        self.scores: list[float] = []  # of each token that was drawn here
        self.text = ""
        self.finish: Finish | None = None
        self.position = 0  # ids that have been run
        self._due = list(prompt)
        self._parameters = parameters
        self._ends = ends
        self._detokeniser = Detokeniser(decode, prompt) if decode else None
        self._stops = StopTexts(parameters.stops)
        self._said = 0  # characters of the text that pieces have carried

    def due(self) -> Sequence[int]:
        """The ids to run now."""
        return self._due[:CHUNK]

    def ran(self, logits: Array) -> Piece | None:
        """The due ids were run, and `logits` [vocabulary] are the last one's; None while the prompt goes on."""
        count = min(CHUNK, len(self._due))
        self.position += count
        del self._due[:count]
        if self._due:
            return None
        token = draw(logits, self._parameters, len(self.tokens))
        self.scores.append(float(scores(logits[None], np.array([token]))[0]))
        self._due = [token]
        self.write(token)
        said, self._said = self._said, min(len(self.text), self._said + MAX_STEP_TEXT)
        return Piece(token, self.text[said : self._said])

    def write(self, token: int) -> None:
        """The next token is this one, whoever drew it."""
        self.tokens.append(token)
        text = ""
        if token in self._ends:
            self.finish = "end"
        elif self._detokeniser:
            text = self._stops.feed(self._detokeniser.add(token))
        if self.finish is None and self._stops.found:
            self.finish = "stop"
        elif self.finish is None and len(self.tokens) == self._parameters.max_tokens:
            self.finish = "length"
        if self.finish in ("end", "length") and self._detokeniser:
            text += self._stops.feed(self._detokeniser.rest())
            text += self._stops.rest()
        self.text += text
        if len(self.text) > MAX_TEXT_OUT:
            raise ModelFailed(f"the text grew over {MAX_TEXT_OUT} characters; ask for fewer tokens")
