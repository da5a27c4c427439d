"""A real decoder, generating: its cache changes nothing, its lies and its NaN end it, an independent program agrees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T

from bench.models.decoder import CLASSIC, CONTEXT, END, HEAD, UNDERSCORED, VOCABULARY, Shape, decoder
from engine.bounds import CHUNK
from engine.errors import ModelFailed, ModelRefused
from engine.generation import cache, machine
from engine.generation.generator import Generator
from engine.generation.machine import Piece
from engine.tokeniser import Tokeniser
from tests.models.tokenisers import byte_level
from wire.arrays import to_array
from wire.generation import generator_signature
from wire.tensors import Tensor, check_headers, split_bytes

from .asking import asking
from .direct import Direct

BYTES = Tokeniser(byte_level().encode(), truncates=False)
FILES = {"config.json": json.dumps({"eos_token_id": END, "max_position_embeddings": CONTEXT}).encode()}
SHAPE = Shape()
CLASSIC_DECODER = Direct(decoder(SHAPE))
PROMPTS = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=60)


class Listener:
    """Hears everything; `patience` is how many tokens it waits for."""

    def __init__(self, patience: int = 1 << 30) -> None:
        self.pieces: list[Piece] = []
        self.patience = patience

    def say(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def stopped(self) -> bool:
        return len(self.pieces) >= self.patience


def generator(session: Direct, *, has_text: bool = False) -> Generator:
    return Generator(session, session.graph, BYTES if has_text else None, FILES)  # type: ignore[arg-type]


def tokens_of(outputs: Sequence[Tensor]) -> list[int]:
    ids: list[int] = to_array(outputs[0]).tolist()
    return ids


def generate(session: Direct, inputs: Sequence[Tensor]) -> list[int]:
    return tokens_of(generator(session).run(inputs, Listener())[0])


@given(PROMPTS)
@settings(max_examples=40, deadline=None)
def test_the_cache_changes_nothing(prompt: list[int]) -> None:
    wanted = CLASSIC_DECODER.greedy(prompt, 12)
    if END in wanted:
        wanted = wanted[: wanted.index(END) + 1]
    assert generate(CLASSIC_DECODER, asking(prompt, 12)) == wanted


@pytest.mark.parametrize(
    "shape",
    [
        Shape(names=CLASSIC, mask=False),
        Shape(names=UNDERSCORED, positions=False),
        Shape(mask=False, positions=False),
        Shape(ids=T.INT32),
    ],
    ids=str,
)
def test_every_exporters_decoder_gives_the_same_tokens(shape: Shape) -> None:
    prompt = list(b"a decoder by any other name")
    session = Direct(decoder(shape))
    assert generate(session, asking(prompt, 30)) == CLASSIC_DECODER.greedy(prompt, 30) == session.greedy(prompt, 30)


def test_a_prompt_that_runs_in_pieces_gives_what_it_gives_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = [i * 7 % 256 for i in range(CHUNK + 20)]
    session = Direct(decoder())
    assert generate(session, asking(prompt, 9)) == session.greedy(prompt, 9)
    monkeypatch.setattr(machine, "CHUNK", 50)
    session.steps.clear()
    assert generate(session, asking(prompt, 9)) == CLASSIC_DECODER.greedy(prompt, 9)
    assert session.steps == [50] * 5 + [26] + [1] * 8


@pytest.mark.parametrize("prompt", [b"hello world, this is a test", b"\0", bytes(range(200, 256))])
def test_onnxruntime_genai_gives_the_same_tokens(prompt: bytes, tmp_path: Path) -> None:
    genai = pytest.importorskip("onnxruntime_genai", reason="the oracle is not installed: pip install '.[oracle]'")
    (tmp_path / "model.onnx").write_bytes(decoder().SerializeToString())
    (tmp_path / "genai_config.json").write_text(json.dumps(genai_config()))
    model = genai.Model(str(tmp_path))
    search = genai.GeneratorParams(model)
    search.set_search_options(max_length=len(prompt) + 40, do_sample=False)
    oracle = genai.Generator(model, search)
    oracle.append_tokens(np.array([list(prompt)], np.int32))
    while not oracle.is_done():
        oracle.generate_next_token()
    wanted = [int(token) for token in oracle.get_sequence(0)][len(prompt) :]
    assert generate(CLASSIC_DECODER, asking(list(prompt), 40)) == wanted


def genai_config() -> dict[str, Any]:
    names = {"past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"}
    presents = {"present_key_names": "present.%d.key", "present_value_names": "present.%d.value"}
    network = {
        "filename": "model.onnx",
        "session_options": {"intra_op_num_threads": 1},
        "head_size": HEAD,
        "hidden_size": SHAPE.width,
        "num_attention_heads": SHAPE.heads,
        "num_key_value_heads": SHAPE.kv_heads,
        "num_hidden_layers": SHAPE.layers,
        "inputs": {n: n for n in ("input_ids", "attention_mask", "position_ids")} | names,
        "outputs": {"logits": "logits"} | presents,
    }
    ids = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END}
    model = {"type": "llama", "vocab_size": VOCABULARY, "context_length": CONTEXT, **ids, "decoder": network}
    return {"model": model, "search": {"do_sample": False, "past_present_share_buffer": False}}


def test_text_in_text_out() -> None:
    listener = Listener()
    outputs, elapsed, tokens_in = generator(CLASSIC_DECODER, has_text=True).run(asking("Grüße", 20), listener)
    check_headers([t.header for t in outputs], generator_signature(has_text=True)[1], "outputs")
    tokens, text, finish = tokens_of(outputs), split_bytes(outputs[1].data)[0].decode(), bytes(outputs[2].data[4:])
    assert tokens == CLASSIC_DECODER.greedy("Grüße".encode(), 20)
    assert text == bytes(tokens).decode(errors="replace")
    assert (finish, tokens_in) == (b"length", (7,))
    assert elapsed > 0
    assert [p.token for p in listener.pieces] == tokens
    assert "".join(p.text for p in listener.pieces) == text


def test_a_seed_gives_the_same_tokens_again_and_another_seed_others() -> None:
    def sample(seed: int, **more: Any) -> list[int]:
        return generate(CLASSIC_DECODER, asking(b"once upon a time", 24, temperature=0.9, seed=seed, **more))

    assert sample(1) == sample(1)
    assert len({tuple(sample(seed)) for seed in range(5)}) == 5
    greedy = generate(CLASSIC_DECODER, asking(b"once upon a time", 24))
    assert sample(1, top_k=1) == sample(2, top_p=1e-6) == greedy


def test_it_ends_where_the_settings_of_the_model_say() -> None:
    tokens = CLASSIC_DECODER.greedy(b"the end", 9)
    last = next(token for i, token in enumerate(tokens) if i > 1 and token not in tokens[:i])
    ends = {"generation_config.json": json.dumps({"eos_token_id": [last]}).encode()}
    outputs, _, _ = Generator(CLASSIC_DECODER, CLASSIC_DECODER.graph, BYTES, ends).run(  # type: ignore[arg-type]
        asking("the end", 50), Listener()
    )
    assert tokens_of(outputs) == tokens[: tokens.index(last) + 1]
    assert bytes(outputs[2].data[4:]) == b"end"


def test_nobody_who_left_is_generated_for() -> None:
    listener = Listener(patience=3)
    with pytest.raises(ModelFailed, match="stopped"):
        generator(CLASSIC_DECODER).run(asking([1, 2], 50), listener)
    assert len(listener.pieces) == 3


def test_requests_beyond_the_model_are_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    CLASSIC_DECODER.steps.clear()
    for inputs, match in (
        (asking([1] * CONTEXT, 1), "made for"),
        (asking([1], CONTEXT), "made for"),
        (asking([1], stop=["x"]), "no tokeniser"),
    ):
        with pytest.raises(ModelFailed, match=match):
            generate(CLASSIC_DECODER, inputs)
    monkeypatch.setattr(cache, "MAX_CACHE", SHAPE.layers * 2 * SHAPE.kv_heads * HEAD * 4 * 40)
    assert len(generate(CLASSIC_DECODER, asking([1] * 30, 10))) == 10
    CLASSIC_DECODER.steps.clear()
    with pytest.raises(ModelFailed, match="41 tokens need a cache"):
        generate(CLASSIC_DECODER, asking([1] * 30, 11))
    assert CLASSIC_DECODER.steps == []


@pytest.mark.parametrize("lie", ["short", "long", "wide"])
def test_a_cache_of_another_shape_than_was_said_ends_it(lie: str) -> None:
    session = Direct(decoder(Shape(cache=lie)))
    with pytest.raises(ModelFailed, match=r"has shape .* should have \[1, 2, 4, 16\]"):
        generate(session, asking([1, 2, 3, 4]))
    assert session.steps == [4]


def test_logits_that_are_no_numbers_end_it_with_a_sentence() -> None:
    session, listener = Direct(decoder(Shape(not_a_number_after=6))), Listener()
    for temperature in (0, 1):
        with pytest.raises(ModelFailed, match="highest logit is nan"):
            generator(session).run(asking([1, 2, 3, 4], temperature=temperature), listener)
    assert len(listener.pieces) == 2 * 3  # after positions 3, 4 and 5


def test_a_graph_that_is_no_decoder_makes_no_generator() -> None:
    model = decoder(Shape(names=("state_{0}_{1}", "present.{}.{}")))
    with pytest.raises(ModelRefused, match="state_0_key"):
        generator(Direct(model))
