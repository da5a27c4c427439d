"""Memory that node and worker share: what goes in comes out, and no worker shrinks it or changes an answer later."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Engine, ModelFile, WorkerDied, link, open_engine, sealed
from engine.bounds import MIN_MEMORY, SHARED_FROM, SHARED_KEPT
from engine.shared import HALF, Half, Shared, is_large, shared_memory
from wire.arrays import from_array, to_array
from wire.bounds import MAX_TENSOR_BYTES, MAX_TENSORS, MIB
from wire.errors import RecordError
from wire.tensors import Tensor, TensorHeader

from .models import mlp


def tensor(size: int, fill: int = 7, name: str = "x") -> Tensor:
    return Tensor.of(name, "UINT8", (size,), bytes((fill,)) * size)


@given(st.lists(st.binary(max_size=300), max_size=9), st.lists(st.binary(max_size=300), max_size=9))
@settings(max_examples=40)
def test_both_halves_hold_what_was_put_there(inputs: list[bytes], outputs: list[bytes]) -> None:
    with shared_memory() as shared:
        put = [[Tensor.of(f"t{i}", "UINT8", (len(d),), d) for i, d in enumerate(data)] for data in (inputs, outputs)]
        for half, tensors in zip(Half, put, strict=True):
            shared.put(half, tensors)
        for half, tensors in zip(Half, put, strict=True):
            assert [t.data for t in shared.copies(half, [t.header for t in tensors])] == [t.data for t in tensors]


def test_the_most_that_one_message_may_announce_has_room() -> None:
    sizes = [1] * (MAX_TENSORS - 1)
    sizes.append(MAX_TENSOR_BYTES - sum(sizes))
    most = [tensor(size, 9) for size in sizes]
    with shared_memory() as shared:
        for half in Half:
            shared.put(half, most)
        for half in Half:
            assert shared.copies(half, [t.header for t in most])[-1].data == most[-1].data


def test_the_other_side_sees_it_and_what_it_changes_later_is_not_in_the_copy() -> None:
    with shared_memory() as shared:
        other = Shared(os.dup(shared.fd))
        shared.put(Half.INPUTS, [tensor(10, 1)])
        assert bytes(other.views(Half.INPUTS, [tensor(10).header])[0].data) == bytes((1,)) * 10
        other.put(Half.OUTPUTS, [tensor(10, 2)])
        (copy,) = shared.copies(Half.OUTPUTS, [tensor(10).header])
        other.put(Half.OUTPUTS, [tensor(10, 3)])
        assert copy.data == bytes((2,)) * 10
        other.close()


@pytest.mark.parametrize("size", [0, HALF, 2 * HALF - 1, 2 * HALF + 1])
def test_no_side_can_change_its_size(size: int) -> None:
    with shared_memory() as shared, pytest.raises(PermissionError):
        os.ftruncate(shared.fd, size)


@pytest.mark.parametrize(
    "header",
    [
        TensorHeader(name="x", shape=(3,), datatype="BOOL", binary_data_size=3),
        TensorHeader(name="x", shape=(1,), datatype="BYTES", binary_data_size=4),
    ],
)
def test_bytes_that_are_not_what_their_header_says_are_found_in_the_copy(header: TensorHeader) -> None:
    with shared_memory() as shared:
        shared.put(Half.OUTPUTS, [tensor(4, 0xFF)])
        (copy,) = shared.copies(Half.OUTPUTS, [header])
        with pytest.raises(RecordError):
            copy.check()


def test_what_was_beyond_the_usual_goes_back_to_the_system() -> None:
    with shared_memory() as shared:
        shared.put(Half.INPUTS, [tensor(MAX_TENSOR_BYTES)])
        assert os.fstat(shared.fd).st_blocks * 512 >= MAX_TENSOR_BYTES
        shared.give_back()
        assert os.fstat(shared.fd).st_blocks * 512 <= SHARED_KEPT + MIB


def test_no_descriptor_is_left() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    with shared_memory() as shared:
        shared.is_sent()
        assert descriptors() == before + 1  # the mapping's own
    with shared_memory():
        pass
    assert descriptors() == before


@pytest.mark.parametrize("rows", [1, SHARED_FROM // 64 - 1, SHARED_FROM // 64, 50_000, 2])
async def test_a_model_answers_alike_by_either_way(rows: int, engine: Engine) -> None:
    array = np.random.default_rng(rows).standard_normal((rows, 16), np.float32)
    inputs = [from_array("x", array)]
    assert is_large(inputs) == (rows >= SHARED_FROM // 64)
    execution = await engine.execute(b"mlp", inputs, deadline=60)
    for at in (0, rows - 1):
        alone = await engine.execute(b"mlp", [from_array("x", array[at : at + 1])], deadline=60)
        assert np.allclose(to_array(execution.outputs[0])[at], to_array(alone.outputs[0])[0], atol=1e-5)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with open_engine() as opened:
        await opened.load(b"mlp", lambda: [ModelFile("mlp.onnx", sealed([mlp().SerializeToString()]))])
        yield opened


async def test_a_worker_that_lies_about_what_lies_there_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that its output, a BOOL, is in the memory, where a byte is neither 0 nor 1."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(link.__file__).parents[1])!r})
import socket
from engine.messages import Load, Loaded, Ran, Signature, FromNode
from engine.parcels import ParcelDecoder, pack
from engine.shared import Half, Shared
from wire.inference import Backend
from wire.tensors import Tensor, TensorHeader, TensorSpec
channel, decoder = socket.socket(fileno=int(sys.argv[1])), ParcelDecoder(FromNode)
def receive():
    while (parcel := decoder.next()) is None:
        decoder.feed(channel.recv(65536))
    return parcel.message
def say(message):
    for part in pack(message):
        channel.sendall(part)
shared = Shared(receive().shared)
spec = TensorSpec(name="y", datatype="BOOL", shape=("n",))
backend = Backend(name="b", version="1", device="cpu", compute_capability="")
say(Loaded(signature=Signature(inputs=(), outputs=(spec,), opset=21), backend=backend, sandbox=()))
receive()
shared.put(Half.OUTPUTS, [Tensor.of("y", "UINT8", (3,), b"\\x02\\x01\\x00")])
say(Ran(outputs=(TensorHeader(name="y", shape=(3,), datatype="BOOL", binary_data_size=3),), compute_us=1, shared=True))
channel.recv(1)
"""
    monkeypatch.setattr(link, "COMMAND", ["-c", script])
    file = ModelFile("model.onnx", sealed([b"never read"]))
    try:
        async with link.open_worker([file], tmp_path, threads=1, memory=MIN_MEMORY) as worker:
            with pytest.raises(WorkerDied, match="what none may send"):
                await worker.run([])
    finally:
        os.close(file.fd)
