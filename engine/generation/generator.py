"""A decoder behind a generator's signature: prompt and parameters in, tokens, text and the reason of the end out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wire.arrays import Array, from_array
from wire.tensors import Tensor, join_bytes

from ..bounds import MAX_PROMPT
from ..errors import ModelFailed
from ..messages import Signature
from .cache import Cache
from .layout import LOGITS, layout_of
from .machine import Generation, Piece
from .parameters import read_wish
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

    def run(self, inputs: Sequence[Tensor], listener: Listener) -> tuple[list[Tensor], int, int]:
        """The outputs, the microseconds that the graph took in all, and the prompt's tokens; ModelFailed."""
        wish, tokeniser = read_wish(inputs), self._tokeniser
        if wish.parameters.stops and tokeniser is None:
            raise ModelFailed("this model has no tokeniser, so stop texts cannot be looked for; send none")
        prompt: Sequence[int] = ()
        if not isinstance(wish.prompt, str):
            prompt = wish.prompt
        elif tokeniser:
            prompt = tokeniser.encode(wish.prompt)[0]
        self._check_length(len(prompt), wish.parameters.max_tokens)
        generation = Generation(prompt, wish.parameters, self._settings.ends, tokeniser.text if tokeniser else None)
        elapsed = self._generate(generation, Cache(self._layout, len(prompt) + wish.parameters.max_tokens), listener)
        outputs = [from_array("tokens", np.array(generation.tokens, np.int64))]
        if tokeniser:
            outputs.append(_bytes("text", generation.text))
        return [*outputs, _bytes("finish", generation.finish or "length")], elapsed, len(prompt)

    def _check_length(self, prompt: int, new: int) -> None:
        if not 1 <= prompt <= MAX_PROMPT:
            raise ModelFailed(f"the prompt has {prompt} tokens, and may have 1 to {MAX_PROMPT}")
        if prompt + new > self._settings.context:
            raise ModelFailed(
                f"the prompt's {prompt} tokens and {new} new ones are more than the {self._settings.context} that this "
                "model was made for; shorten the prompt, or ask for fewer"
            )

    def _generate(self, generation: Generation, cache: Cache, listener: Listener) -> int:
        elapsed, names = 0, [LOGITS, *cache.names]
        while generation.finish is None:
            if listener.stopped():
                raise ModelFailed("the generation was stopped; nobody waited for it any more")
            due = generation.due()
            (logits, *state), took = self._session.compute(cache.feeds(due), names)
            elapsed += took
            cache.take(state, len(due))
            piece = generation.ran(_last(logits, len(due)))
            if piece is not None:
                listener.say(piece)
        return elapsed


def _last(logits: Array, count: int) -> Array:
    """The last position's logits. Some decoders give those of all positions that ran, some of the last alone."""
    shape = logits.shape
    if len(shape) != 3 or shape[0] != 1 or shape[1] not in (1, count) or not shape[2]:
        raise ModelFailed(f"the model's logits have shape {list(shape)}, and should have [1, {count}, vocabulary]")
    row: Array = logits[0, -1]
    return row


def _bytes(name: str, text: str) -> Tensor:
    return Tensor.of(name, "BYTES", (1,), join_bytes([text.encode()]))
