"""What models behind an interface take and return, and the tokens that travel on an inference stream before an answer.

A generator is asked and answered with tensors like any model, so that a request's hash of the inputs covers prompt,
seed and parameters, and a receipt's hash of the outputs all tokens. `Tokens` only shortens the wait: they are
provisional until the answer's receipt and proof hold.

Whoever checks an answer does not generate it again: with the answer's tokens behind the usual inputs, a generator runs
prompt and tokens through the graph at once and says what it would have done at each place (teacher forcing; Williams
and Zipser 1989). Its scores can't be known without that run, so they are what a provider shows last.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .bounds import U32
from .canonical import Record
from .tensors import TensorSpec

MAX_STEP_IDS = 64
MAX_STEP_TEXT = 4096  # code points: at most MAX_TEXT bytes

Interface = Literal["tensors", "text", "generate"]  # the graph as it is; a tokeniser before it; a decoder's loop
Finish = Literal["stop", "length", "end"]  # a stop text came; max_tokens came; the model's own end-of-text token came

TEXT = TensorSpec(name="text", datatype="BYTES", shape=("batch",))  # all that a text model takes
PROMPT = TensorSpec(name="prompt", datatype="BYTES", shape=(1,))
INPUT_IDS = TensorSpec(name="input_ids", datatype="INT64", shape=(1, "prompt"))
_PARAMETERS = (
    TensorSpec(name="max_tokens", datatype="INT32", shape=(1,)),
    TensorSpec(name="temperature", datatype="FP32", shape=(1,)),  # 0: always the likeliest token
    TensorSpec(name="top_k", datatype="INT32", shape=(1,)),  # 0: off
    TensorSpec(name="top_p", datatype="FP32", shape=(1,)),  # 1: off
    TensorSpec(name="seed", datatype="UINT64", shape=(1,)),
    TensorSpec(name="stop", datatype="BYTES", shape=("stops",)),
)
TOKENS = TensorSpec(name="tokens", datatype="INT64", shape=("tokens",))
_TEXT = TensorSpec(name="text", datatype="BYTES", shape=(1,))
_FINISH = TensorSpec(name="finish", datatype="BYTES", shape=(1,))
SCORES = TensorSpec(name="scores", datatype="FP32", shape=("tokens",))  # ln p of each token, of the logits as they are
_FORCED = (
    TensorSpec(name="scores", datatype="FP32", shape=("checked",)),  # its own of these tokens, as far as they can stand
    TensorSpec(name="scales", datatype="FP32", shape=("checked",)),  # how large the logits are that it drew from
    # How far its logits would have to move, as a share of the scale, for it to draw the answer's token: 0 where it
    # does, infinity where no rounding explains it.
    TensorSpec(name="gaps", datatype="FP32", shape=("checked",)),
)


class Tokens(Record, tag="tokens", tag_field="type"):
    """The next tokens, in order, and the text that they add. Text may lag behind, so that no character is cut in two;
    all of them together are the beginning of the answer's."""

    ids: Annotated[tuple[U32, ...], Meta(min_length=1, max_length=MAX_STEP_IDS)]
    text: Annotated[str, Meta(max_length=MAX_STEP_TEXT)]


def generator_signature(*, has_text: bool) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of every generator, in order; `has_text`: whether the model comes with a tokeniser."""
    prompt = PROMPT if has_text else INPUT_IDS
    return (prompt, *_PARAMETERS), (TOKENS, *_ending(has_text), SCORES)


def forcing_signature(*, has_text: bool) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What a generator takes and gives that is to check an answer: text and finish are those that its tokens make,
    `finish` empty where they make no end."""
    asked, _ = generator_signature(has_text=has_text)
    return (*asked, TOKENS), (*_FORCED, *_ending(has_text))


def _ending(has_text: bool) -> tuple[TensorSpec, ...]:
    return (_TEXT, _FINISH) if has_text else (_FINISH,)
