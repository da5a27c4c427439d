"""Every datatype of the Open Inference Protocol goes through a real worker and comes back bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args

import pytest
import trio
import trio.from_thread
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper as h

from engine import Engine, ModelFailed, ModelRefused, Settings, open_engine
from engine.generation.cache import Cache
from engine.generation.layout import Layout, Slot
from wire.tensors import ITEM_SIZE, DataType, Tensor, join_bytes, split_bytes

from .models import build, value
from .test_engine import file_of

ONNX: dict[DataType, int] = {
    "BOOL": T.BOOL, "UINT8": T.UINT8, "UINT16": T.UINT16, "UINT32": T.UINT32, "UINT64": T.UINT64, "INT8": T.INT8,
    "INT16": T.INT16, "INT32": T.INT32, "INT64": T.INT64, "FP16": T.FLOAT16, "BF16": T.BFLOAT16, "FP32": T.FLOAT,
    "FP64": T.DOUBLE, "BYTES": T.STRING,
}  # fmt: skip
NUMBERS = [datatype for datatype in ONNX if datatype != "BYTES"]
# Quiet and signalling NaNs with payloads, both infinities, both zeros, the smallest and the largest numbers.
AWKWARD = {
    "FP16": "017e 017c 00fc 007c 0080 0000 0100 ff7b",
    "BF16": "c17f 817f 80ff 807f 0080 0000 0100 7f7f",
    "FP32": "0100c07f 0100807f 000080ff 0000807f 00000080 00000000 01000000 ffff7f7f",
    "FP64": "010000000000f87f 010000000000f07f 000000000000f0ff 0000000000000080 0100000000000000 ffffffffffffef7f",
}


def copier(*types: DataType) -> Any:
    """y_i = x_i, of each type, every dim its caller's choice."""
    return build(
        [value(f"x_{t}", ONNX[t], [f"{t}_rows", f"{t}_columns"]) for t in types],
        [value(f"y_{t}", ONNX[t], [f"{t}_rows", f"{t}_columns"]) for t in types],
        [h.make_node("Identity", [f"x_{t}"], [f"y_{t}"]) for t in types],
    )


def test_none_is_forgotten() -> None:
    assert set(ONNX) == set(get_args(DataType)) == {*ITEM_SIZE, "BYTES"}


@st.composite
def numbers(draw: st.DrawFn, datatype: DataType) -> Tensor:
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    size = ITEM_SIZE[datatype]
    one = st.binary(min_size=size, max_size=size)
    if datatype == "BOOL":
        one = st.sampled_from([b"\0", b"\1"])
    elif datatype in AWKWARD:
        one |= st.sampled_from([bytes.fromhex(text) for text in AWKWARD[datatype].split()])
    else:
        one |= st.sampled_from([bytes(size), b"\xff" * size, b"\xff" * (size - 1) + b"\x7f", bytes(size - 1) + b"\x80"])
    elements = draw(st.lists(one, min_size=math.prod(shape), max_size=math.prod(shape)))
    return Tensor.of(f"x_{datatype}", datatype, shape, b"".join(elements))


async def in_a_thread(check: Callable[[], None]) -> None:
    """Hypothesis calls what it tests, so it has a thread of its own beside the loop."""
    await trio.to_thread.run_sync(check)


def caller(engine: Engine, model: bytes) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    async def execute(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        return (await engine.execute(model, inputs, deadline=30)).outputs

    run: Callable[[Sequence[Tensor]], Awaitable[Sequence[Tensor]]] = execute
    return lambda inputs: trio.from_thread.run(run, inputs)


async def test_every_number_comes_back_with_all_of_its_bits() -> None:
    async with open_engine(Settings()) as engine:
        ready = await engine.load(b"numbers", file_of(copier(*NUMBERS)))
        assert [spec.datatype for spec in ready.signature.outputs] == NUMBERS
        run = caller(engine, b"numbers")

        @given(st.tuples(*(numbers(datatype) for datatype in NUMBERS)))
        def check(inputs: tuple[Tensor, ...]) -> None:
            for sent, came in zip(inputs, run(inputs), strict=True):
                assert (came.header.datatype, came.header.shape) == (sent.header.datatype, sent.header.shape)
                assert bytes(came.data) == bytes(sent.data)

        await in_a_thread(check)


async def test_text_comes_back_and_what_is_none_is_told_so() -> None:
    async with open_engine(Settings()) as engine:
        await engine.load(b"text", file_of(copier("BYTES")))
        run = caller(engine, b"text")

        def is_text(element: bytes) -> bool:
            try:
                element.decode()
            except UnicodeDecodeError:
                return False
            return True

        @given(st.lists(st.binary(max_size=8) | st.text(max_size=8).map(str.encode), max_size=6))
        @example([])
        @example([b"", b"\0", b"a\0b\0", "Grüße 雪 \U0001f600".encode()])
        @example([b"well", b"\xff\xfe"])
        @example([b"\xed\xa0\x80"])  # half of a surrogate pair: no UTF-8 either
        def check(elements: list[bytes]) -> None:
            sent = Tensor.of("x_BYTES", "BYTES", (len(elements), 1), join_bytes(elements))
            if all(map(is_text, elements)):
                (came,) = run([sent])
                assert (came.header.datatype, came.header.shape) == ("BYTES", sent.header.shape)
                assert split_bytes(came.data) == elements
            else:
                with pytest.raises(ModelFailed, match="takes text, and an element is not UTF-8"):
                    run([sent])

        await in_a_thread(check)
        assert engine.loaded()[0].pid is not None  # nothing of it cost the worker


async def test_bf16_computes_beside_every_other_type() -> None:
    """Text and BF16 both out, BF16 in and none out, and the one combination that the runtime has no way for."""
    half, whole = value("h", T.BFLOAT16, ["N"]), value("f", T.FLOAT, ["N"])
    text, same = value("s", T.STRING, ["N"]), value("t", T.STRING, ["N"])
    widen, narrow = h.make_node("Cast", ["h"], ["f"], to=T.FLOAT), h.make_node("Cast", ["f"], ["h"], to=T.BFLOAT16)
    write, copy = h.make_node("Cast", ["f"], ["t"], to=T.STRING), h.make_node("Identity", ["s"], ["t"])
    async with open_engine(Settings()) as engine:
        await engine.load(b"widen", file_of(build([half, text], [whole, same], [widen, copy])))
        await engine.load(b"narrow", file_of(build([whole], [half, same], [narrow, write])))
        bits = Tensor.of("h", "BF16", (2,), bytes.fromhex("803f 20c0"))
        words = Tensor.of("s", "BYTES", (2,), join_bytes([b"a", b""]))
        wide, came = (await engine.execute(b"widen", [bits, words], deadline=30)).outputs
        assert bytes(wide.data) == struct.pack("<2f", 1, -2.5)
        assert split_bytes(came.data) == [b"a", b""]
        again, shown = (await engine.execute(b"narrow", [wide], deadline=30)).outputs
        assert bytes(again.data) == bytes(bits.data)
        assert split_bytes(shown.data) == [b"1", b"-2.5"]
        with pytest.raises(ModelRefused, match=r"takes text and returns BF16.*cast its BF16 outputs to FP32"):
            await engine.load(b"both", file_of(build([whole, text], [half, same], [narrow, copy])))


def test_a_decoders_cache_may_be_bf16() -> None:
    slot = Slot("past", "present", "BF16", (1, 2, None, 4))
    cache = Cache(Layout(ids="INT64", mask=None, positions=None, slots=(slot,)), 3)
    past = cache.feeds([7])["past"]
    assert (past.dtype.itemsize, past.shape) == (ITEM_SIZE["BF16"], (1, 2, 0, 4))
