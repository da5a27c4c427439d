"""Decoders as other exporters write them: two in one graph, and caches of half the size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from onnx import TensorProto as T
from onnx import helper as h

from bench.models.decoder import VOCABULARY, decoder
from engine.backends.onnxruntime import OnnxRuntime
from engine.bounds import CHUNK
from engine.errors import ModelRefused
from engine.generation.generator import Generator
from engine.generation.layout import layout_of
from engine.signature import describe
from wire.arrays import to_array

from .asking import asking
from .direct import Direct
from .exports import cached_as, merged
from .test_generator import FILES, Listener

PROMPT = list(b"hello you")


class Watched(OnnxRuntime):
    """The CPU's backend; keeps what it was fed as the branch, and as the ids."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.SerializeToString(), {}, 1)
        self.graph = describe(model, self.output_shapes())
        self.branches: list[list[bool]] = []
        self.steps: list[int] = []

    def compute(self, feeds: Mapping[str, Any], names: Sequence[str]) -> tuple[list[Any], int]:
        self.steps.append(feeds["input_ids"].shape[1])
        if "use_cache_branch" in feeds:
            self.branches.append(feeds["use_cache_branch"].tolist())
        return super().compute(feeds, names)

    def generate(self, prompt: Sequence[int], count: int) -> list[int]:
        outputs = Generator(self, self.graph, None, FILES).run(asking(prompt, count), Listener())[0]
        found: list[int] = to_array(outputs[0]).tolist()
        return found


def test_a_merged_decoder_begins_without_a_cache_and_goes_on_with_it() -> None:
    session = Watched(merged(decoder()))
    wanted = Direct(decoder()).greedy(PROMPT, 12)
    assert session.generate(PROMPT, 12) == wanted
    assert session.branches == [[False]] + [[True]] * 11


def test_a_merged_decoder_reads_a_long_prompt_in_pieces() -> None:
    session, prompt = Watched(merged(decoder())), [i % VOCABULARY for i in range(CHUNK + 40)]
    assert session.generate(prompt, 3) == Direct(decoder()).greedy(prompt, 3)
    assert session.steps == [CHUNK, 40, 1, 1]
    assert session.branches == [[False], [True], [True], [True]]


@pytest.mark.parametrize("kind", [T.BFLOAT16, T.FLOAT16])
def test_a_cache_of_half_the_size_is_handed_back_as_it_came(kind: int) -> None:
    session = Watched(cached_as(decoder(), kind))
    assert layout_of(session.graph).cache_bytes(7) * 2 == layout_of(Direct(decoder()).graph).cache_bytes(7)
    wanted = Direct(decoder()).greedy(PROMPT, 12)
    assert session.generate(PROMPT, 12) == wanted  # no two of its logits are so near that the rounding shows


def test_what_the_cpu_cannot_compute_in_bf16_is_refused_with_a_sentence() -> None:
    x, y = (h.make_tensor_value_info(name, T.BFLOAT16, ["n", 4]) for name in "xy")
    weights = h.make_tensor("w", T.BFLOAT16, [4, 4], bytes(32), raw=True)
    graph = h.make_graph([h.make_node("MatMul", ["x", "w"], ["y"])], "bf16", [x], [y], initializer=[weights])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(ModelRefused, match=r"cannot load the model: Could not find an implementation for MatMul"):
        OnnxRuntime(model.SerializeToString(), {}, 1)
