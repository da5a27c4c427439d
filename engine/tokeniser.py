"""A model's own tokeniser, from its `tokenizer.json`. Worker side: the file is a stranger's program, in its way.

It holds patterns and tables that the library compiles and runs, so nothing of it is read by the node. What the library
throws is turned into a sentence, also its panics, which Python sees as a `BaseException`. What it can't survive (no
memory, a pattern that never ends) ends the worker, as any model's trouble does. Source: the `tokenizers` package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tokenizers import Tokenizer

from .bounds import MAX_TOKENISER
from .errors import ModelFailed, ModelRefused
from .interface import TOKENISER

T = TypeVar("T")


class Tokeniser:
    """Text to ids and back. ModelRefused where the file is no tokeniser.

    `truncates`: whether a long text is cut where the file says so, as text models want it; a generator must not.
    """

    def __init__(self, data: bytes, *, truncates: bool) -> None:
        if len(data) > MAX_TOKENISER:
            raise ModelRefused(f"{TOKENISER} has {len(data)} bytes, the most is {MAX_TOKENISER}")
        try:
            text = data.decode()
            self._tokenizer = _guarded(lambda: Tokenizer.from_str(text))
        except (UnicodeDecodeError, ModelFailed) as error:
            raise ModelRefused(f"{TOKENISER} cannot be used: {error}; take the one made with the model") from error
        self.pad: int = (self._tokenizer.padding or {}).get("pad_id", 0)
        self._tokenizer.no_padding()
        if not truncates:
            self._tokenizer.no_truncation()

    def encode(self, text: str) -> tuple[list[int], list[int]]:
        """The text's ids, with the special ones that the model expects around it, and each one's segment."""

        def encode() -> tuple[list[int], list[int]]:
            encoding = self._tokenizer.encode(text)
            return encoding.ids, encoding.type_ids

        return _guarded(encode)

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, without the special ones."""
        return _guarded(lambda: self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def id_of(self, token: str) -> int | None:
        """The id of a token that the file names."""
        return _guarded(lambda: self._tokenizer.token_to_id(token))


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except MemoryError:
        raise
    except BaseException as error:  # a Rust panic is no Exception; nothing else that is none can happen in a worker
        raise ModelFailed(f"the tokeniser failed ({str(error)[:500] or type(error).__name__})") from error
