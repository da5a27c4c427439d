"""A generator's answer, checked from its own tokens: the honest one passes, and no other model's, seed's or rule's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from bench.models.decoder import END, VOCABULARY, Shape, decoder
from engine.generation.generator import Generator
from engine.tokeniser import Tokeniser
from tests.engine.generation.asking import asking
from tests.engine.generation.direct import Direct
from tests.models.tokenisers import byte_level
from verify.distance import INCOMPARABLE
from verify.forcing import compare_tokens
from verify.tolerance import Comparison
from wire.arrays import from_array, to_array
from wire.errors import RecordError
from wire.tensors import Tensor, join_bytes

TOLERANCE = 1e-5  # what networks have for FP32
TEXT = Tokeniser(byte_level().encode(), truncates=False)
FILES = {"config.json": b'{"eos_token_id": 256, "max_position_embeddings": 512}'}
PROMPT = "once upon a time"
WAY: dict[str, Any] = {"temperature": 1.0, "seed": 7}


class Quiet:
    """Nobody listens."""

    def say(self, piece: object) -> None: ...

    def stopped(self) -> bool:
        return False


@cache
def generator(change: Callable[[Any], Any] | None = None) -> Generator:
    """The decoder, with its weights changed."""
    model = copy.deepcopy(decoder(Shape()))
    for weight in model.graph.initializer if change else ():
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim > 1 and change and weight.name not in ("cos", "sin"):
            weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(values), np.float32), weight.name))
    session = Direct(model)
    return Generator(session, session.graph, TEXT, FILES)  # type: ignore[arg-type]


def answer(it: Generator | None = None, tokens: int = 64, **way: Any) -> list[Tensor]:
    return (it or generator()).run(asking(PROMPT, tokens, **(way or WAY)), Quiet())[0]


def judged(outputs: Sequence[Tensor], tokens: int = 64, **way: Any) -> Comparison:
    """By a verifier with the true model, of what was asked for."""
    given = next(t for t in outputs if t.name == "tokens")
    own, _, _ = generator().run([*asking(PROMPT, tokens, **(way or WAY)), given], Quiet())
    return compare_tokens(own, outputs, TOLERANCE)


def bent(outputs: Sequence[Tensor], **changes: Any) -> list[Tensor]:
    """The answer with other tokens or scores (arrays), text or finish."""
    made = []
    for tensor in outputs:
        value = changes.get(tensor.name)
        if isinstance(value, str):
            tensor = Tensor.of(tensor.name, "BYTES", (1,), join_bytes([value.encode()]))
        elif value is not None:
            tensor = from_array(tensor.name, np.asarray(value, to_array(tensor).dtype))
        made.append(tensor)
    return made


@pytest.mark.parametrize("way", [{"temperature": 0}, WAY, {"temperature": 1.5, "top_k": 9, "top_p": 0.9, "seed": 3}])
def test_an_honest_answer_is_accepted_and_never_called_identical(way: dict[str, Any]) -> None:
    found = judged(answer(**way), **way)
    assert found.agrees, found.reason
    assert 1 <= found.distance <= 7  # below 1e-5
    assert "the same" in found.reason


CHEATS: dict[str, Callable[[Any], Any]] = {
    "FP16 weights": lambda w: w.astype(np.float16),
    "BF16 weights": lambda w: (w.view(np.uint32) + 0x8000 & 0xFFFF0000).astype(np.uint32).view(np.float32),
    "INT8 weights": lambda w: np.round(w / (s := np.abs(w).max(axis=0) / 127)) * s,
    "a tenth pruned": lambda w: np.where(np.abs(w) < np.quantile(np.abs(w), 0.1), 0, w),
}


@pytest.mark.parametrize("cheat", CHEATS)
@pytest.mark.parametrize("way", [{"temperature": 0}, WAY], ids=["greedy", "sampled"])
def test_another_models_answer_is_refused(cheat: str, way: dict[str, Any]) -> None:
    assert not judged(answer(generator(CHEATS[cheat]), **way), **way).agrees


def test_another_models_scores_are_refused_where_its_tokens_are_the_true_ones() -> None:
    """What the scores are for: a cheaper model draws the same tokens most of the time."""
    true = answer(temperature=0)
    cheap = generator(CHEATS["FP16 weights"])
    own, _, _ = cheap.run([*asking(PROMPT, 64, temperature=0), true[0]], Quiet())
    found = judged(bent(true, scores=to_array(own[0])), temperature=0)
    assert not found.agrees
    assert "score" in found.reason


@pytest.mark.parametrize(
    "other",
    [{**WAY, "seed": 8}, {**WAY, "temperature": 0.9}, {**WAY, "top_k": 5}, {**WAY, "top_p": 0.8}, {"temperature": 0}],
    ids=str,
)
def test_tokens_drawn_by_other_rules_than_were_asked_for_are_refused(other: dict[str, Any]) -> None:
    assert not judged(answer(**other)).agrees


@given(st.integers(0, 63), st.integers(1, VOCABULARY - 1))
@settings(max_examples=40, deadline=None)
def test_one_changed_token_is_refused(place: int, change: int) -> None:
    honest = answer()
    tokens = to_array(honest[0]).copy()
    tokens[place % len(tokens)] = (tokens[place % len(tokens)] + change) % VOCABULARY
    text = TEXT.text([t for t in tokens.tolist() if t != END])
    assert not judged(bent(honest, tokens=tokens)).agrees
    assert not judged(bent(honest, tokens=tokens, text=text)).agrees


@given(st.integers(0, 63), st.floats(3e-4, 30) | st.floats(-30, -3e-4))
@settings(max_examples=40, deadline=None)
def test_one_score_beyond_the_tolerance_is_refused(place: int, change: float) -> None:
    honest = answer()
    scores = to_array(honest[-1]).copy()
    scores[place] += change
    found = judged(bent(honest, scores=scores))
    assert not found.agrees
    assert f"the score of token {place} differs" in found.reason


def test_what_has_no_score_is_refused() -> None:
    honest = answer()
    scores = to_array(honest[-1])
    for bad in (math.nan, math.inf, -math.inf):
        wrong = scores.copy()
        wrong[3] = bad
        assert judged(bent(honest, scores=wrong)) == Comparison(False, INCOMPARABLE, "a score is NaN or Inf")
    assert not judged(bent(honest, scores=scores[:-1])).agrees
    assert not judged(bent(honest, scores=np.zeros_like(scores))).agrees


def test_an_answer_that_stops_too_early_or_too_late_is_refused() -> None:
    honest = answer()
    tokens, scores = to_array(honest[0]), to_array(honest[-1])
    early = bent(honest, tokens=tokens[:-1], scores=scores[:-1], text=TEXT.text(tokens[:-1].tolist()))
    for finish in ("length", "end", "stop", ""):
        assert not judged(bent(early, finish=finish)).agrees
    assert not judged(answer(tokens=65), tokens=64).agrees
    assert not judged(answer(tokens=63), tokens=64).agrees
    assert not judged(bent(honest, tokens=[], scores=[], text="", finish="length")).agrees


def test_text_and_end_are_what_the_tokens_make() -> None:
    honest = answer()
    assert not judged(bent(honest, text="what you wanted to hear")).agrees
    assert not judged(bent(honest, finish="stop")).agrees
    assert judged(bent(honest, finish="length")).agrees


@pytest.mark.parametrize("beyond", [VOCABULARY, -1, 2**40])
def test_a_token_that_the_model_does_not_know_is_refused(beyond: int) -> None:
    honest = answer()
    tokens = to_array(honest[0]).copy()
    tokens[5] = beyond
    assert not judged(bent(honest, tokens=tokens)).agrees


def findings(scores: Sequence[float], scales: Sequence[float], gaps: Sequence[float]) -> list[Tensor]:
    named = {"scores": scores, "scales": scales, "gaps": gaps}
    finish = Tensor.of("finish", "BYTES", (1,), join_bytes([b"length"]))
    return [*(from_array(name, np.array(values, np.float32)) for name, values in named.items()), finish]


def outputs(scores: Sequence[float]) -> list[Tensor]:
    tokens = from_array("tokens", np.zeros(len(scores), np.int64))
    finish = Tensor.of("finish", "BYTES", (1,), join_bytes([b"length"]))
    return [tokens, finish, from_array("scores", np.array(scores, np.float32))]


def test_near_ties_are_allowed_and_few_of_them() -> None:
    for ties, agrees in ((0, True), (1, True), (3, True), (4, False), (64, False)):
        gaps = [TOLERANCE / 2] * ties + [0.0] * (64 - ties)
        found = compare_tokens(findings([-1.0] * 64, [10.0] * 64, gaps), outputs([-1.0] * 64), TOLERANCE)
        assert found.agrees is agrees, ties
    for gap in (2 * TOLERANCE, math.inf, math.nan, -1.0):
        assert not compare_tokens(findings([-1.0], [10.0], [gap]), outputs([-1.0]), TOLERANCE).agrees


def test_a_score_may_be_off_by_the_tolerance_times_the_size_of_the_logits() -> None:
    for scale, off, agrees in (
        (10.0, 0.9e-4, True),
        (10.0, 1.2e-4, False),
        (0.5, 0.9e-5, True),
        (1e9, 0.9e-2, True),
        (1e9, 1.2e-2, False),
    ):
        found = compare_tokens(findings([0.0], [scale], [0.0]), outputs([off]), TOLERANCE)
        assert found.agrees is agrees, (scale, off)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_verifier_whose_own_numbers_are_none_accepts_nothing(bad: float) -> None:
    assert not compare_tokens(findings([bad], [1.0], [0.0]), outputs([0.0]), TOLERANCE).agrees
    assert not compare_tokens(findings([0.0], [bad], [0.0]), outputs([0.0]), TOLERANCE).agrees
    assert not compare_tokens(findings([], [], []), outputs([]), TOLERANCE).agrees


def test_what_is_no_generators_answer_is_an_error_and_no_verdict() -> None:
    good, own = outputs([0.0]), findings([0.0], [1.0], [0.0])
    for wrong in (good[:-1], good[::-1], [*good, good[0]], [Tensor(good[0].header, b"short"), *good[1:]]):
        with pytest.raises(RecordError):
            compare_tokens(own, wrong, TOLERANCE)
    with pytest.raises(RecordError):
        compare_tokens(good, good, TOLERANCE)
