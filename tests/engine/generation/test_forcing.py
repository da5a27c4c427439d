"""Teacher forcing: a check of an answer's tokens finds what the loop would have drawn there, in far fewer runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T

from bench.models.decoder import CLASSIC, END, UNDERSCORED, VOCABULARY, Shape, decoder
from engine import ModelFile, open_engine, sealed
from engine.bounds import CHUNK, MAX_NEW_TOKENS
from engine.errors import ModelFailed
from engine.generation import forcing, machine
from engine.generation.generator import Generator
from tests.models.tokenisers import byte_level
from wire.arrays import to_array
from wire.generation import forcing_signature
from wire.tensors import Tensor, TensorHeader, check_headers, split_bytes

from .asking import asking
from .direct import Direct
from .test_generator import BYTES, CLASSIC_DECODER, FILES, Listener, generator

HONEST = 2e-6  # of the scale: what one pass and the loop may differ by
PROMPTS = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40)
WAYS = st.fixed_dictionaries(
    {"temperature": st.sampled_from([0, 0.7, 1.5]), "top_k": st.sampled_from([0, 5]),
     "top_p": st.sampled_from([1, 0.8]), "seed": st.integers(0, 9)}
)  # fmt: skip


@dataclass
class Found:
    scores: list[float]
    scales: list[float]
    gaps: list[float]
    finish: str
    text: str | None = None


def given_tokens(tokens: Sequence[int]) -> Tensor:
    return Tensor.of("tokens", "INT64", (len(tokens),), np.array(tokens, "<i8").tobytes())


def check(it: Generator, inputs: Sequence[Tensor], tokens: Sequence[int]) -> Found:
    outputs, _, _ = it.run([*inputs, given_tokens(tokens)], Listener())
    named = {t.name: t for t in outputs}
    check_headers([t.header for t in outputs], forcing_signature(has_text="text" in named)[1], "outputs")
    text = split_bytes(named["text"].data)[0].decode() if "text" in named else None
    scores, scales, gaps = (to_array(named[name]).tolist() for name in ("scores", "scales", "gaps"))
    return Found(scores, scales, gaps, bytes(named["finish"].data[4:]).decode(), text)


def answer(it: Generator, inputs: Sequence[Tensor]) -> tuple[list[int], list[float], str, str | None]:
    outputs, _, _ = it.run(inputs, Listener())
    named = {t.name: t for t in outputs}
    text = split_bytes(named["text"].data)[0].decode() if "text" in named else None
    finish = bytes(named["finish"].data[4:]).decode()
    return to_array(named["tokens"]).tolist(), to_array(named["scores"]).tolist(), finish, text


def assert_agrees(it: Generator, inputs: Sequence[Tensor]) -> None:
    tokens, scores, finish, text = answer(it, inputs)
    found = check(it, inputs, tokens)
    assert (found.finish, found.text) == (finish, text)
    assert found.gaps == [0.0] * len(tokens)
    differences = np.abs(np.array(found.scores) - scores) / found.scales
    assert len(scores) == len(tokens)
    assert differences.max() <= HONEST


@given(PROMPTS, WAYS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_one_pass_finds_what_the_loop_drew(prompt: list[int], way: dict[str, Any], has_text: bool) -> None:
    asked = bytes(i % 128 for i in prompt).decode() if has_text else prompt
    assert_agrees(generator(CLASSIC_DECODER, has_text=has_text), asking(asked, 20, **way))


def test_a_score_is_the_logarithm_of_the_probability_at_its_place() -> None:
    prompt = list(b"a place for each")
    tokens, scores, _, _ = answer(generator(CLASSIC_DECODER), asking(prompt, 12, temperature=3, seed=2, top_k=40))
    logits = CLASSIC_DECODER.logits([*prompt, *tokens])[len(prompt) - 1 : -1].astype(np.float64)
    wanted = logits[np.arange(12), tokens] - np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(scores, wanted, atol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [Shape(names=CLASSIC, mask=False), Shape(names=UNDERSCORED, positions=False), Shape(ids=T.INT32)],
    ids=str,
)
def test_every_exporters_decoder_is_checked(shape: Shape) -> None:
    assert_agrees(generator(Direct(decoder(shape))), asking(list(b"a decoder by any other name"), 30))


def test_a_check_runs_the_prompt_as_the_loop_does_and_all_tokens_at_once() -> None:
    session = Direct(decoder())
    it, inputs = generator(session), asking([i * 7 % 256 for i in range(CHUNK + 20)], 9)
    tokens, *_ = answer(it, inputs)
    session.steps.clear()
    check(it, inputs, tokens)
    assert session.steps == [CHUNK, 20, 8]


def test_a_long_answer_runs_in_pieces_which_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Direct(decoder())
    it, inputs = generator(session), asking([1, 2, 3], 100, temperature=1, seed=1)
    tokens, *_ = answer(it, inputs)
    whole = check(it, inputs, tokens)
    monkeypatch.setattr(forcing, "CHUNK", 40)
    monkeypatch.setattr(machine, "CHUNK", 40)
    it._at_once = 40
    session.steps.clear()
    pieces = check(it, inputs, tokens)
    assert session.steps == [3, 40, 40, 19]
    monkeypatch.setattr(forcing, "_BLOCK", 7 * VOCABULARY)
    assert check(it, inputs, tokens) == pieces
    assert pieces.gaps == whole.gaps
    np.testing.assert_allclose(pieces.scores, whole.scores, atol=1e-4)


class LastAlone(Direct):
    """A decoder that gives the logits of its last position, as some exporters have it."""

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        (logits, *state), took = super().compute(feeds, names)
        return [logits[:, -1:], *state], took


@pytest.mark.parametrize("prompt", [[7], [7, 8, 9]], ids=["seen late", "seen at the prompt"])
def test_a_decoder_that_gives_its_last_logits_alone_is_checked_step_by_step(prompt: list[int]) -> None:
    session = LastAlone(decoder())
    it, inputs = generator(session), asking(prompt, 6)
    assert_agrees(it, inputs)
    tokens, *_ = answer(it, inputs)
    session.steps.clear()
    check(it, inputs, tokens)
    assert session.steps == [len(prompt), 1, 1, 1, 1, 1]


@given(st.integers(0, 23), st.integers(1, VOCABULARY - 1), WAYS)
@settings(max_examples=60, deadline=None)
def test_a_changed_token_is_found_where_it_stands(place: int, change: int, way: dict[str, Any]) -> None:
    it, inputs = generator(CLASSIC_DECODER), asking(list(b"once upon a time"), 24, **way)
    tokens, *_ = answer(it, inputs)
    place %= len(tokens)
    tokens[place] = (tokens[place] + change) % VOCABULARY
    found = check(it, inputs, tokens)
    assert not any(found.gaps[:place])
    assert found.gaps[place] > 0  # infinite; or small where the draw was nearly a tie, which it is once in thousands
    if found.gaps[place] == float("inf"):
        assert len(found.scores) == len(found.gaps) == place + 1


def test_too_few_and_too_many_tokens_are_seen_at_the_end() -> None:
    it, inputs = generator(CLASSIC_DECODER, has_text=True), asking("once upon a time", 24)
    tokens, _, finish, text = answer(it, inputs)
    assert finish == "length"
    short = check(it, inputs, tokens[:-1])
    assert (short.finish, len(short.scores)) == ("", len(tokens) - 1)
    long = check(it, inputs, [*tokens, 1, 2])
    assert (long.finish, long.text, len(long.scores)) == ("length", text, len(tokens))
    assert check(it, inputs, [*tokens[:5], END, *tokens[5:]]).finish == "end"


def test_an_answer_of_no_tokens_or_far_too_many_is_found_out_without_a_run() -> None:
    session = Direct(decoder())
    it, inputs = generator(session), asking([1, 2], 4)
    assert check(it, inputs, []).finish == ""
    assert session.steps == []
    found = check(it, inputs, [1] * (MAX_NEW_TOKENS + 5))
    assert (found.finish, len(session.steps)) == ("length", 1)  # the first token is wrong already


@pytest.mark.parametrize("beyond", [VOCABULARY, -1, 2**31, 2**62])
@pytest.mark.parametrize("has_text", [True, False])
def test_a_token_beyond_the_vocabulary_ends_the_check_and_not_the_model(beyond: int, has_text: bool) -> None:
    """A verifier that failed on it would abstain, and the provider not be found out."""
    it = generator(CLASSIC_DECODER, has_text=has_text)
    inputs = asking("once upon" if has_text else list(b"once upon"), 8)
    tokens, *_ = answer(it, inputs)
    found = check(it, inputs, [*tokens[:3], beyond, *tokens[4:]])
    assert len(found.scores) == len(found.gaps) == len(found.scales) <= 3
    assert not any(found.gaps)


def test_logits_that_are_no_numbers_end_the_check() -> None:
    it = generator(Direct(decoder(Shape(not_a_number_after=6))))
    for way in ({}, {"temperature": 1}):
        found = check(it, asking([1, 2, 3, 4], 8, **way), [5] * 8)
        assert len(found.scores) == len(found.gaps) == len(found.scales) <= 3


def test_logits_of_another_size_than_before_fail_the_check() -> None:
    class Growing(Direct):
        def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
            (logits, *state), took = super().compute(feeds, names)
            return [logits[:, :, : 100 + len(self.steps)], *state], took

    it, inputs = generator(Growing(decoder())), asking([1, 2], 8)
    tokens, *_ = answer(it, inputs)
    it = generator(Growing(decoder()))
    with pytest.raises(ModelFailed, match="and were of 101 before"):
        check(it, inputs, tokens)


def test_nobody_who_left_is_checked_for() -> None:
    it, inputs = generator(CLASSIC_DECODER), asking([1, 2], 8)
    tokens, *_ = answer(it, inputs)
    with pytest.raises(ModelFailed, match="stopped"):
        it.run([*inputs, given_tokens(tokens)], Listener(patience=0))


def test_stop_texts_and_the_end_are_the_tokens_own() -> None:
    it = Generator(CLASSIC_DECODER, CLASSIC_DECODER.graph, BYTES, FILES)  # type: ignore[arg-type]
    inputs = asking("once", 60, temperature=1.5, seed=3, stop=["a", "e", "i"])
    tokens, _, finish, text = answer(it, inputs)
    assert finish == "stop"
    found = check(it, inputs, tokens)
    assert (found.finish, found.text) == ("stop", text)
    later = check(it, inputs, [*tokens, 65])
    assert (later.finish, len(later.scores)) == ("stop", len(tokens))


async def test_a_worker_checks_an_answer_beside_making_them() -> None:
    def files() -> list[ModelFile]:
        content = {"model.onnx": decoder().SerializeToString(), "tokenizer.json": byte_level().encode(), **FILES}
        return [ModelFile(path, sealed([data])) for path, data in content.items()]

    async with open_engine() as engine:
        await engine.load(b"decoder", files, interface="generate")
        inputs = asking("Grüße", 60, temperature=0.8, seed=4)
        made = await engine.execute(b"decoder", inputs, deadline=60)
        tokens, text, finish, scores = made.outputs
        found = await engine.execute(b"decoder", [*inputs, tokens], deadline=60)
        assert [t.name for t in found.outputs] == ["scores", "scales", "gaps", "text", "finish"]
        assert (found.outputs[3:], found.tokens_in, found.tokens_out) == ((text, finish), 7, 60)
        np.testing.assert_allclose(to_array(found.outputs[0]), to_array(scores), atol=1e-4)
        assert not to_array(found.outputs[2]).any()
        with pytest.raises(ModelFailed, match="the model has prompt"):  # nothing but tokens may come behind the inputs
            await engine.execute(b"decoder", [*inputs, text], deadline=60)
        with pytest.raises(ModelFailed, match="datatype FP32, the model has INT64"):
            await engine.execute(b"decoder", [*inputs, replace(scores, header=renamed(scores))], deadline=60)
        assert (await engine.execute(b"decoder", inputs, deadline=60)).outputs == made.outputs


def renamed(tensor: Tensor) -> TensorHeader:
    return msgspec.structs.replace(tensor.header, name="tokens")
