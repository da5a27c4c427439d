"""A loaded graph behind another interface than its own tensors. Worker side.

Importing this brings the tokeniser's native code with it, so it is done before the sandbox stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from wire.generation import Interface
from wire.tensors import Tensor

from .backends import Session
from .generation.generator import Generator, Listener
from .interface import TOKENISER, interface_of, served
from .messages import Signature
from .text import TextModel
from .tokeniser import Tokeniser

# The outputs, the microseconds that the graph took, and the tokens of a generator's prompt, or of each row of texts.
Serve = Callable[[Sequence[Tensor], Listener], tuple[list[Tensor], int, tuple[int, ...]]]


def serving(
    session: Session, graph: Signature, wish: Interface | Literal["auto"], files: Mapping[str, bytes]
) -> tuple[Serve, Signature]:
    """What answers requests, and under which signature; `graph` is the graph's own, `files` the side files given.

    ModelRefused when the graph, or its tokeniser, cannot be served in this way.
    """
    interface = interface_of(graph, files) if wish == "auto" else wish
    signature = served(graph, interface, files)
    if interface == "text":
        return TextModel(session, graph, Tokeniser(files[TOKENISER], truncates=True)).run, signature
    if interface == "generate":
        tokeniser = Tokeniser(files[TOKENISER], truncates=False) if TOKENISER in files else None
        return Generator(session, graph, tokeniser, files).run, signature
    return lambda inputs, _: (*session.run(inputs), ()), signature
