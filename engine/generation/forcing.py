"""Another's tokens, scored by this machine: what it would have drawn in each place, and how likely it held theirs.

A machine without I/O: logits in, findings out. The prompt runs in the pieces in which it runs for a generation, the
tokens behind it in pieces of their own, many at once: no position waits for the one before to be drawn. Nothing of the
answer is believed: it ends at the first token that can't stand where it does, and whoever compares sees that the rest
is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wire.arrays import Array

from ..bounds import CHUNK
from ..errors import ModelFailed
from .draws import draws
from .machine import Generation
from .nearness import gap
from .parameters import Parameters
from .scores import scales, scores

_BLOCK = 4 * 1024 * 1024  # logits that are looked at together: a large vocabulary's are many times what they need once


def written(generation: Generation, tokens: Sequence[int]) -> Generation:
    """The text of an answer with these tokens, up to its end; without a reason of the end where they come to none."""
    for token in tokens:
        if generation.finish is not None:
            break
        try:
            generation.write(token)
        except ModelFailed:  # who drew this would have failed as well, and not answered
            break
    return generation


class Forcing:
    """See the module. `prompt` has one id at least."""

    def __init__(self, prompt: Sequence[int], tokens: Sequence[int], parameters: Parameters) -> None:
        self.scores: list[float] = []
        self.scales: list[float] = []
        self.gaps: list[float] = []
        self._before = list(prompt)  # of the prompt, what has not run
        self._tokens = list(tokens)
        self._ran = 0  # tokens that have run
        self._parameters = parameters

    @property
    def past_prompt(self) -> bool:
        """Whether the ids that are due are the answer's."""
        return not self._before

    def due(self, most: int) -> Sequence[int]:
        """The ids to run now, up to `most` of the tokens; none when there is nothing left to find out."""
        if self._tokens and self._before:
            return self._before[:CHUNK]
        return self._tokens[self._ran : len(self._tokens) - 1][:most]  # the last one's successor is nobody's question

    def ran(self, logits: Array, count: int) -> None:
        """The first `count` due ids were run; `logits` [rows, vocabulary] are the last ones', one row for each token
        behind them."""
        if self._before:
            del self._before[:count]
            if self._before:
                return
            logits = logits[-1:]
            self._cut(len(logits[0]))
        else:
            self._ran += count
        at_once = max(1, _BLOCK // logits.shape[1])
        for start in range(0, len(logits), at_once):
            self._find(logits[start : start + at_once])

    def _cut(self, vocabulary: int) -> None:
        """A token beyond the vocabulary can't be drawn, and its run would fail."""
        wrong = (at for at, token in enumerate(self._tokens) if not 0 <= token < vocabulary)
        del self._tokens[next(wrong, len(self._tokens)) :]

    def _find(self, logits: Array) -> None:
        start = len(self.gaps)
        logits = logits[: len(self._tokens) - start]
        hold = np.isfinite(logits.max(axis=1))
        if not hold.all():  # nobody drew anything from the first of the others
            logits = logits[: int(hold.argmin())]
            del self._tokens[start + len(logits) :]
        tokens = self._tokens[start : start + len(logits)]
        if not tokens:
            return
        sizes = scales(logits).tolist()
        self.scores += scores(logits, np.array(tokens)).tolist()
        self.scales += sizes
        for at, own in enumerate(draws(logits, self._parameters, start)):
            given = tokens[at]
            self.gaps.append(0.0 if own == given else gap(logits[at], self._parameters, start + at, given, sizes[at]))
            if self.gaps[-1] == float("inf"):  # what comes after it says nothing any more
                count = len(self.gaps)
                del self._tokens[count:], self.scores[count:], self.scales[count:]
                return
