"""A model that takes no made-up input is served when it brings one that it takes, and never by its word alone."""

from __future__ import annotations

import os
import signal
import struct
from contextlib import suppress

import pytest
from onnx import TensorProto as T
from onnx import helper as h

from engine import ModelFile, ModelRefused, OpenModel, Settings, WorkerDied, open_engine, sealed
from wire.example import EXAMPLE, write_example
from wire.tensors import Tensor

from .models import build, value

X = Tensor.of("x", "FP32", (6,), struct.pack("<6f", *range(6)))


def shape(*dims: int) -> Tensor:
    return Tensor.of("shape", "INT64", (len(dims),), struct.pack(f"<{len(dims)}q", *dims))


def reshaper() -> bytes:
    """y is x in another shape, which is an input: six elements fit no shape of zeros or ones."""
    inputs = [value("x", T.FLOAT, [6]), value("shape", T.INT64, [2])]
    data: bytes = build(
        inputs, [value("y", T.FLOAT, ["a", "b"])], [h.make_node("Reshape", ["x", "shape"], ["y"])]
    ).SerializeToString()
    return data


def files(example: bytes | None) -> OpenModel:
    def opened() -> list[ModelFile]:
        found = [ModelFile("model.onnx", sealed([reshaper()]))]
        return found if example is None else [*found, ModelFile(EXAMPLE, sealed([example]))]

    return opened


async def test_with_its_example_it_is_served() -> None:
    async with open_engine(Settings()) as engine:
        with pytest.raises(ModelRefused, match=r"failed its trial run.*publish it with an example: hallmark model add"):
            await engine.load(b"without", files(None))
        ready = await engine.load(b"m", files(write_example([X, shape(2, 3)])))
        assert ready.compute_us >= 0
        assert not ready.joins
        answer = await engine.execute(b"m", [X, shape(3, 2)], deadline=30)
        assert answer.outputs[0].header.shape == (3, 2)
        pid = engine.loaded()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)  # every worker after it runs the example again
        with suppress(WorkerDied):
            await engine.execute(b"m", [X, shape(3, 2)], deadline=30)
        answer = await engine.execute(b"m", [X, shape(1, 6)], deadline=30)
        assert answer.outputs[0].header.shape == (1, 6)


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (write_example([X, shape(4, 4)]), "failed on this input"),
        (write_example([X]), "tensors x; the model has x, shape"),
        (write_example([shape(2, 3), X]), "tensors shape, x; the model has x, shape"),
        (write_example([X, shape(1, 2, 3)]), r"shape \[3\], the model has \[2\]"),
        (b"", "not MessagePack"),
        (os.urandom(64), "Example"),
    ],
    ids=["fails", "too few", "another order", "another shape", "empty", "noise"],
)
async def test_one_that_does_not_hold_is_refused(example: bytes, reason: str) -> None:
    async with open_engine(Settings()) as engine:
        with pytest.raises(ModelRefused, match=rf"failed on the example that it brings.*{reason}"):
            await engine.load(b"m", files(example))
