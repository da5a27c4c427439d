"""A decoder behind a generator's signature: prompt and parameters in, tokens, text and the reason of the end out.

With another's tokens behind the parameters it checks these instead: see `forcing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wire.arrays import Array, from_array, to_array
from wire.generation import TOKENS
from wire.tensors import Tensor, join_bytes

from ..bounds import CHUNK, MAX_NEW_TOKENS, MAX_PROMPT
from ..errors import ModelFailed
from ..messages import Signature
from .cache import Cache
from .forcing import Forcing, written
from .layout import LOGITS, layout_of
from .machine import Generation, Piece
from .parameters import Parameters, read_wish
from .settings import read_settings

if TYPE_CHECKING:
    from ..backends import Session
    from ..tokeniser import Tokeniser


class Listener(Protocol):
    """Who waits for a generation."""

    def say(self, piece: Piece) -> None:
        """One more token."""

    def stopped(self) -> bool:
        """Whether nobody wants any more; looked for between two steps."""


class Generator:
    """The decoder in `session`, whose own signature is `graph`; ModelRefused when that is no decoder's."""

    def __init__(
        self, session: Session, graph: Signature, tokeniser: Tokeniser | None, files: Mapping[str, bytes]
    ) -> None:
        self._session = session
        self._layout = layout_of(graph)
        self._tokeniser = tokeniser
        self._settings = read_settings(files, tokeniser)
        self._at_once = CHUNK  # of an answer's tokens; 1 in a decoder that gives the logits of its last position alone

    def run(self, inputs: Sequence[Tensor], listener: Listener) -> tuple[list[Tensor], int, tuple[int, ...]]:
        """The outputs, the microseconds that the graph took in all, and the prompt's tokens; ModelFailed."""
        given: list[int] | None = None
        if inputs[-1].name == TOKENS.name:
            given = to_array(inputs[-1])[:MAX_NEW_TOKENS].tolist()
        wish, tokeniser = read_wish(inputs if given is None else inputs[:-1]), self._tokeniser
        if wish.parameters.stops and tokeniser is None:
            raise ModelFailed("this model has no tokeniser, so stop texts cannot be looked for; send none")
        prompt: Sequence[int] = ()
        if not isinstance(wish.prompt, str):
            prompt = wish.prompt
        elif tokeniser:
            prompt = tokeniser.encode(wish.prompt)[0]
        self._check_length(len(prompt), wish.parameters.max_tokens)
        generation = Generation(prompt, wish.parameters, self._settings.ends, tokeniser.text if tokeniser else None)
        if given is None:
            elapsed = self._generate(generation, len(prompt) + wish.parameters.max_tokens, listener)
            drawn = from_array("tokens", np.array(generation.tokens, np.int64))
            scores = from_array("scores", np.array(generation.scores, np.float32))
            return [drawn, *self._ending(generation), scores], elapsed, (len(prompt),)
        tokens = written(generation, given).tokens
        forcing, elapsed = self._force(prompt, tokens, wish.parameters, listener)
        return [*_found(forcing), *self._ending(generation)], elapsed, (len(prompt),)

    def _ending(self, generation: Generation) -> list[Tensor]:
        finish = _bytes("finish", generation.finish or "")
        return [_bytes("text", generation.text), finish] if self._tokeniser else [finish]

    def _check_length(self, prompt: int, new: int) -> None:
        if not 1 <= prompt <= MAX_PROMPT:
            raise ModelFailed(f"the prompt has {prompt} tokens, and may have 1 to {MAX_PROMPT}")
        if prompt + new > self._settings.context:
            raise ModelFailed(
                f"the prompt's {prompt} tokens and {new} new ones are more than the {self._settings.context} that this "
                "model was made for; shorten the prompt, or ask for fewer"
            )

    def _generate(self, generation: Generation, time: int, listener: Listener) -> int:
        elapsed, cache = 0, Cache(self._layout, time)
        names = [LOGITS, *cache.names]
        while generation.finish is None:
            if listener.stopped():
                raise ModelFailed("the generation was stopped; nobody waited for it any more")
            due = generation.due()
            (logits, *state), took = self._session.compute(cache.feeds(due), names)
            elapsed += took
            cache.take(state, len(due))
            piece = generation.ran(_rows(logits, len(due))[-1])
            if piece is not None:
                listener.say(piece)
        return elapsed

    def _force(
        self, prompt: Sequence[int], tokens: Sequence[int], parameters: Parameters, listener: Listener
    ) -> tuple[Forcing, int]:
        elapsed, vocabulary = 0, 0
        forcing, cache = Forcing(prompt, tokens, parameters), Cache(self._layout, len(prompt) + len(tokens))
        while due := forcing.due(self._at_once):
            if listener.stopped():
                raise ModelFailed("the check was stopped; nobody waited for it any more")
            (logits, *state), took = self._session.compute(cache.feeds(due), [LOGITS, *cache.names])
            elapsed += took
            cache.take(state, len(due))
            rows = _rows(logits, len(due))
            vocabulary = vocabulary or rows.shape[1]
            if rows.shape[1] != vocabulary:
                raise ModelFailed(f"the model's logits are of {rows.shape[1]} tokens, and were of {vocabulary} before")
            if len(rows) < len(due):  # now it is known, for all checks of this model
                self._at_once = 1
                if forcing.past_prompt:
                    return self._force(prompt, tokens, parameters, listener)
            forcing.ran(rows, len(due))
        return forcing, elapsed


def _rows(logits: Array, count: int) -> Array:
    """The logits of the last positions, [rows, vocabulary]: of all that ran, in most decoders; of one, in some."""
    shape = logits.shape
    if len(shape) != 3 or shape[0] != 1 or shape[1] not in (1, count) or not shape[2]:
        raise ModelFailed(f"the model's logits have shape {list(shape)}, and should have [1, {count}, vocabulary]")
    rows: Array = logits[0]
    return rows


def _found(forcing: Forcing) -> list[Tensor]:
    found = {"scores": forcing.scores, "scales": forcing.scales, "gaps": forcing.gaps}
    return [from_array(name, np.array(values, np.float32)) for name, values in found.items()]


def _bytes(name: str, text: str) -> Tensor:
    return Tensor.of(name, "BYTES", (1,), join_bytes([text.encode()]))
