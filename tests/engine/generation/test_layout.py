"""A decoder's cache, by whatever names; and graphs that are no decoders."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ModelRefused
from engine.generation.layout import Layout, Slot, layout_of, looks_like_decoder
from engine.messages import Signature
from wire.tensors import TensorSpec

IDS = ("input_ids", "INT64", ("batch", "seq"))
MASK = ("attention_mask", "INT64", ("batch", "total"))
PAST = ("past_key_values.0.key", "FP32", ("batch", 2, "past", 16))
LOGITS = ("logits", "FP32", ("batch", "seq", 99))
PRESENT = ("present.0.key", "FP32", ("batch", 2, "total", 16))


def signature(inputs: list[Any], outputs: list[Any]) -> Signature:
    specs = [[TensorSpec(name=n, datatype=t, shape=s) for n, t, s in group] for group in (inputs, outputs)]
    return Signature(inputs=tuple(specs[0]), outputs=tuple(specs[1]), opset=21)


@pytest.mark.parametrize(
    ("past", "present"),
    [
        ("past_key_values.0.key", "present.0.key"),
        ("past_key_values.0.value", "present_key_values.0.value"),
        ("past_key_0", "present_key_0"),
        ("past_0", "present_0"),
        ("past.0.value", "present.0.value"),
    ],
)
def test_every_family_of_names_is_known(past: str, present: str) -> None:
    for shape, known in (
        (("b", 2, "past", 16), (1, 2, None, 16)),
        ((1, 2, "past", 16), (1, 2, None, 16)),
        ((2, "b", 4, "past", 16), (2, 1, 4, None, 16)),
    ):
        graph = signature([IDS, MASK, (past, "FP16", shape)], [LOGITS, (present, "FP16", shape)])
        assert looks_like_decoder(graph)
        layout = layout_of(graph)
        assert layout == Layout("INT64", "INT64", None, (Slot(past, present, "FP16", known),))
        assert layout.slots[0].at(5) == tuple(5 if d is None else d for d in known)
        assert layout.cache_bytes(5) == 2 * 5 * 2 * 16 * (4 if len(known) == 5 else 1)


def test_what_is_no_decoder_is_not_taken_for_one() -> None:
    for inputs, outputs in (
        ([IDS, MASK], [LOGITS]),
        ([IDS, PAST], [LOGITS]),
        ([IDS, PAST], [PRESENT]),
        ([PAST], [LOGITS, PRESENT]),
    ):
        assert not looks_like_decoder(signature(inputs, outputs))


@pytest.mark.parametrize(
    ("inputs", "outputs", "match"),
    [
        ([IDS, MASK], [LOGITS], "no cache"),
        ([MASK, PAST], [LOGITS, PRESENT], "takes 'input_ids'"),
        ([IDS, PAST, ("encoder_hidden_states", "FP32", ("b", "s", 8))], [LOGITS, PRESENT], "encoder_hidden_states"),
        ([IDS, ("past_x", "FP32", ("b", 2, "p", 8)), PAST], [LOGITS, PRESENT], "past_x"),
        ([IDS, (PAST[0], "FP32", ("b", "heads", "past", 16))], [LOGITS, PRESENT], "leave open"),
        ([IDS, (PAST[0], "FP32", (1, 2, 8, 16))], [LOGITS, PRESENT], "leave open"),
        ([IDS, (PAST[0], "BYTES", PAST[2])], [LOGITS, PRESENT], "leave open"),
        ([IDS, PAST], [LOGITS, (PRESENT[0], "FP32", ("b", "t", 16))], "leave open"),
        ([IDS, PAST], [LOGITS, (PRESENT[0], "FP16", PRESENT[2])], "leaves as FP16"),
        ([(IDS[0], "FP32", IDS[2]), PAST], [LOGITS, PRESENT], "input_ids"),
        ([(IDS[0], "INT64", (2, "seq")), PAST], [LOGITS, PRESENT], "input_ids"),
        ([(IDS[0], "INT64", ("b", 1)), PAST], [LOGITS, PRESENT], "input_ids"),
        ([IDS, ("position_ids", "INT64", (3, "b", "seq")), PAST], [LOGITS, PRESENT], "position_ids"),
        ([IDS, PAST], [("logits", "FP32", ("b", 99)), PRESENT], "logits"),
        ([IDS, PAST], [("logits", "INT64", LOGITS[2]), PRESENT], "logits"),
        ([IDS, PAST], [("logits", "BF16", LOGITS[2]), PRESENT], "cast them"),
        ([IDS, PAST, ("use_cache_branch", "BOOL", ())], [LOGITS, PRESENT], "use_cache_branch"),
        ([IDS, PAST, ("use_cache_branch", "BOOL", (2,))], [LOGITS, PRESENT], "use_cache_branch"),
        ([IDS, PAST, ("use_cache_branch", "INT64", (1,))], [LOGITS, PRESENT], "use_cache_branch"),
    ],
)
def test_a_decoder_that_the_loop_cannot_run_is_refused(inputs: list[Any], outputs: list[Any], match: str) -> None:
    with pytest.raises(ModelRefused, match=match):
        layout_of(signature(inputs, outputs))
