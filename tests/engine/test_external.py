"""Weights in files beside the graph: any reference gives bytes of the model's own files, or a refusal."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper as h

from engine import FilesNeeded, ModelFile, ModelRefused, OpenModel, Settings, WorkerDied, inspect, link, open_engine
from engine.external import check_spans, paths_of, resolve, span_of
from engine.modelfile import closing, sealed
from engine.screen import parse
from wire.arrays import from_array, to_array
from wire.bounds import MAX_FILES

from .models import build, file_reader, value

MIB = 1024 * 1024
X, Y = value("x", T.FLOAT, ["N", 64]), value("y", T.FLOAT, ["N", 2])
RNG = np.random.default_rng(3)
FIRST, SECOND = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4096, 8), (8, 2)))
# the first tensor does not start the file, and one is small: ONNX Runtime would not find its values
WEIGHTS = {"first.bin": b"before it" + FIRST.tobytes(), "more/second.bin": SECOND.tobytes()}
SHAPE = struct.pack("<2q", -1, 4096)


def ref(name: str, dims: Sequence[int], data_type: int = T.FLOAT, **entries: object) -> Any:
    tensor = T(name=name, data_type=data_type, dims=dims, data_location=T.EXTERNAL)
    for key, text in entries.items():
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def two_layers() -> Any:
    """y = reshape(x · x) · first · second, from two files in three spellings."""
    nodes = [
        h.make_node("MatMul", ["x", "x"], ["h"]),
        h.make_node("Reshape", ["h", "shape"], ["r"]),
        h.make_node("MatMul", ["r", "first"], ["m"]),
        h.make_node("MatMul", ["m", "second"], ["y"]),
    ]
    weights = [
        ref("first", (4096, 8), location="./first.bin", offset=9, length=FIRST.nbytes, checksum="0" * 40),
        ref("second", (8, 2), location="more//./second.bin"),
        ref("shape", (2,), T.INT64, location="first.bin", offset=9 + FIRST.nbytes),
    ]
    return build([value("x", T.FLOAT, [64, 64])], [Y], nodes, initializer=weights)


def opened(model: Any, files: dict[str, bytes]) -> OpenModel:
    pieces = {"model.onnx": model.SerializeToString()} | files
    return lambda: [ModelFile(path, sealed([data])) for path, data in pieces.items()]


async def inspected(model: Any, files: dict[str, bytes], memory: int = 1024 * MIB) -> Any:
    with closing(given := opened(model, files)()):
        return await inspect(given, memory=memory)


async def seen(model: Any) -> tuple[str, ...]:
    with pytest.raises(FilesNeeded) as caught:
        await inspected(model, {})
    return caught.value.paths


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_model_of_several_files_answers_as_numpy_does() -> None:
    model, before = two_layers(), descriptors()
    files = WEIGHTS | {"first.bin": WEIGHTS["first.bin"] + SHAPE}
    assert await seen(model) == ("first.bin", "more/second.bin")
    x = RNG.standard_normal((64, 64)).astype(np.float32)
    async with open_engine(Settings(memory=1024 * MIB)) as engine:
        own = descriptors()
        ready = await engine.load(b"two", opened(model, files | {"empty": b"", "README.md": b"not asked for"}))
        assert "no new descriptors" in ready.sandbox
        assert descriptors() <= own + 4  # the worker's channel, log and life; of the model's four files none
        answer = await engine.execute(b"two", [from_array("x", x)], deadline=30)
        np.testing.assert_allclose(to_array(answer.outputs[0]), (x @ x).reshape(-1, 4096) @ FIRST @ SECOND, rtol=1e-3)
    assert descriptors() <= before


ATTACKS: dict[str, tuple[dict[str, object], str]] = {
    "absolute": ({"location": "/etc/passwd"}, "'/etc/passwd' leaves the model's folder"),
    "own memory": ({"location": "/proc/self/mem", "offset": 4096}, "leaves the model's folder"),
    "above": ({"location": "../first.bin"}, "leaves the model's folder"),
    "above in the middle": ({"location": "more/../../first.bin"}, "leaves the model's folder"),
    "backslashes": ({"location": "..\\first.bin"}, "no name that a model's file can have"),
    "a zero byte": ({"location": "first.bin\0.txt"}, "no name that a model's file can have"),
    "a folder": ({"location": "more/"}, "no name that a model's file can have"),
    "nothing": ({}, "no name that a model's file can have"),
    "an address in memory": ({"location": "*/_ORT_MEM_ADDR_/*", "offset": 99}, "no name that a model's file can have"),
    "an URL": ({"location": "https://example.com/w"}, "no name that a model's file can have"),
    "not there": ({"location": "third.bin"}, "'third.bin', which is not among the model's files"),
    "the graph itself": ({"location": "model.onnx"}, "'model.onnx', which is not among the model's files"),
    "offset beyond the end": ({"location": "first.bin", "offset": 2**40}, "which has 131081; fetch"),
    "end beyond the end": ({"location": "first.bin", "offset": 10}, "131082 of 'first.bin', which has 131081"),
    "an offset that wraps around": ({"location": "first.bin", "offset": 2**64 - 8}, "for an offset or length"),
    "a negative offset": ({"location": "first.bin", "offset": -8}, "for an offset or length"),
    "a huge length": ({"location": "first.bin", "length": 2**59}, "needs 131072 bytes of 'first.bin' and names"),
    "a short length": ({"location": "first.bin", "length": 8}, "needs 131072 bytes of 'first.bin' and names 8"),
    "a number in other digits": ({"location": "first.bin", "length": "١٣"}, "for an offset or length"),
    "weights in a machine's own order": ({"location": "first.bin", "prepacked_0": "x|0|8|8"}, "ONNX does not have"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_reference_to_anything_but_the_models_own_bytes_is_refused(attack: str) -> None:
    entries, sentence = ATTACKS[attack]
    tensor = ref("first", (4096, 8), **entries)
    data = build([X], [Y], [], initializer=[tensor]).SerializeToString()
    with pytest.raises(ModelRefused) as caught:
        check_spans(parse(data)[1], {path: len(content) for path, content in WEIGHTS.items()})
    assert "tensor 'first'" in str(caught.value)
    assert sentence in str(caught.value)


async def test_the_worker_itself_refuses_what_it_was_not_given() -> None:
    model = file_reader()
    assert await seen(model) == ("secret.bin",)
    secret = struct.pack("<4f", 1, 2, 3, 4) * 512
    for files, sentence in (
        ({}, "'secret.bin', which is not among the model's files; add the folder"),
        ({"other.bin": secret}, "'secret.bin', which is not among"),
        ({"secret.bin": secret[:-1]}, "0 to 8192 of 'secret.bin', which has 8191"),
        ({"secret.bin": b""}, "which has 0"),
    ):
        with pytest.raises(ModelRefused, match=sentence):
            await inspected(model, files)
    assert (await inspected(model, {"secret.bin": secret})).outputs[0].shape == (2048,)


def test_one_entry_given_twice_and_types_and_dims_that_have_no_size() -> None:
    twice = ref("w", (4,), location="a")
    twice.external_data.add(key="location", value="b")
    for tensor, sentence in (
        (twice, "ONNX does not have"),
        (ref("w", (4,), T.STRING, location="a"), "cannot be kept in another file"),
        (ref("w", (4,), 99, location="a"), "cannot be kept in another file"),
        (ref("w", (-1,), location="a"), "negative"),
        (ref("w", (2**62, 2**62), location="a"), "larger than any file"),
        (ref("w", (2,) * 100_000, location="a"), "larger than any file"),
    ):
        with pytest.raises(ModelRefused, match=sentence):
            span_of(tensor)
    assert span_of(ref("w", (2**62, 0), location="a")).size == 0
    assert span_of(ref("w", (3, 3), T.INT4, location="a")).size == 5


def test_many_references_to_one_file_are_usual_and_to_many_files_are_refused() -> None:
    def graph(count: int, files: int) -> Any:
        tensors = [ref(f"w{i}", (2,), location=f"{i % files}.bin", offset=8 * (i // files)) for i in range(count)]
        return build([X], [Y], [], initializer=tensors).SerializeToString()

    _, spans = parse(graph(10_000, 1))
    check_spans(spans, {"0.bin": 80_000})
    with pytest.raises(ModelRefused, match=r"'w9999' has its data at bytes 79992 to 80000 of '0\.bin', which has 79"):
        check_spans(spans, {"0.bin": 79_999})
    assert len(paths_of(parse(graph(10_000, MAX_FILES - 1))[1])) == MAX_FILES - 1
    for files in (MAX_FILES, 10_000):
        with pytest.raises(ModelRefused, match=f"in {files} files, the most is {MAX_FILES - 1}"):
            parse(graph(10_000, files))


def test_a_reference_costs_nothing_before_it_is_checked() -> None:
    data = build([X], [Y], [], initializer=[ref("w", (2**33,), location="a", length=2**35)]).SerializeToString()
    tracemalloc.start()
    try:
        parse(data)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


PARTS = ["..", ".", "", "a", "b.bin", "~", "-", "...", " ", "A" * 200, "\0", "\\", "C:"]
LOCATIONS = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PARTS)).map("/".join))


@given(LOCATIONS)
@example("a/../../b")
@settings(max_examples=400)
def test_any_location_gives_a_path_inside_or_a_refusal(location: str) -> None:
    try:
        path = resolve(location)
    except ModelRefused:
        return
    assert os.path.normpath(f"/folder/{location}") == f"/folder/{path}"  # the operating system means the same by it
    assert ".." not in path.split("/")
    assert 0 < len(path) <= 256
    assert resolve(path) == path


WORDS = st.one_of(st.text(max_size=20), st.integers(-(2**70), 2**70).map(str))


@given(
    st.lists(st.tuples(st.sampled_from(["location", "offset", "length", "x"]), WORDS), max_size=5),
    st.lists(st.integers(-2, 2**62), max_size=4),
    st.integers(-1, 30),
    st.integers(0, 3),
)
@settings(max_examples=400)
def test_any_external_tensor_gives_bytes_of_a_file_or_a_refusal(
    entries: list[tuple[str, str]], dims: list[int], data_type: int, place: int
) -> None:
    tensor = T(name="w", data_type=data_type, dims=dims)
    if place < 3:
        tensor.data_location = place if place < 2 else T.EXTERNAL
    for key, text in [*entries, ("location", "w.bin")]:
        tensor.external_data.add(key=key, value=text)
    try:
        span = span_of(tensor)
        check_spans([span], {"w.bin": 100})
    except ModelRefused:
        return
    assert span.path == "w.bin"
    assert 0 <= span.offset <= span.offset + span.size <= 100


async def test_files_count_as_memory() -> None:
    x, y, add = value("x", T.FLOAT, [1]), value("y", T.FLOAT, [24 * MIB]), h.make_node("Add", ["x", "w"], ["y"])
    model = build([x], [y], [add], initializer=[ref("w", (24 * MIB,), location="w.bin")])
    files = {"w.bin": bytes(96 * MIB)}
    with pytest.raises(ModelRefused, match="its files counted; use a smaller one"):
        await inspected(model, files, memory=96 * MIB)
    with pytest.raises(ModelRefused, match=r"memory|alloc"):
        await inspected(model, files, memory=128 * MIB)
    await inspected(model, files, memory=512 * MIB)


async def test_a_worker_that_was_taken_over_cannot_name_a_file_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import socket, sys
from wire.canonical import encode
from wire.frames import Kind, frame_header
from engine.messages import Needs
channel = socket.socket(fileno=int(sys.argv[1]))
body = encode(Needs(message="these", files=("../../etc/passwd",)))
channel.sendall(frame_header(Kind.RECORD, len(body)) + body)
channel.recv(1 << 20)
channel.recv(1 << 20)
"""
    monkeypatch.setattr(link, "COMMAND", ["-c", script])
    with pytest.raises(WorkerDied, match="what none may send"):
        await seen(file_reader())
