"""The CUDA backend's own code (bindings, staging, recorded runs, the cache on the card) over the real ONNX Runtime
on the CPU and a FAKE card whose memory is the host's. What is not shown here: any CUDA kernel, stream or graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

from bench.models.decoder import Shape, decoder
from engine.backends import Graph
from engine.backends.card import Card
from engine.backends.onnxruntime import OnnxRuntime
from engine.backends.onnxruntime_cuda import OnCard, OnnxRuntimeCuda
from engine.errors import CardLost, ModelFailed, ModelRefused
from engine.generation.generator import Generator
from engine.signature import describe
from tests.engine.models import build, mlp, text_and_many, value
from wire.arrays import from_array, to_array
from wire.tensors import Tensor

from .fake_card import Error, FakeCuda

GIB = 1 << 30


class OnTheHost(OnnxRuntimeCuda):
    """With the CPU's provider in place of the card's."""

    device = "cpu"

    def _providers(self) -> list[Any]:
        return ["CPUExecutionProvider"]

    def _expected(self) -> str:
        return "CPUExecutionProvider"


def session(model: Any, cuda: FakeCuda | None = None) -> OnTheHost:
    graph = Graph(model.SerializeToString(), model, {}, ())
    return OnTheHost(graph, Card(cuda or FakeCuda()), threads=1, memory=GIB, tf32=False)


def direct(model: Any, inputs: list[Tensor]) -> list[Tensor]:
    return OnnxRuntime(model.SerializeToString(), {}, 1).run(inputs)[0]


def rows(count: int) -> list[Tensor]:
    x = np.random.default_rng(count).standard_normal((count, 16)).astype(np.float32)
    return [from_array("x", x)]


def test_any_number_of_rows_gives_what_a_plain_session_gives() -> None:
    made = session(mlp())
    for count in (1, 7, 3, 64, 0, 1):
        outputs, elapsed = made.run(rows(count))
        assert outputs == direct(mlp(), rows(count))
        assert elapsed >= 0
    assert made.backend.device == "FAKE card"


TYPES = (
    T.FLOAT, T.FLOAT16, T.DOUBLE, T.BOOL, T.INT8, T.INT16, T.INT32, T.INT64, T.UINT8, T.UINT16, T.UINT32, T.UINT64,
    T.BFLOAT16,
)  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=[T.DataType.Name(kind) for kind in TYPES])
@pytest.mark.parametrize("shape", [[5], ["N"]], ids=["recorded", "free"])
def test_every_datatype_keeps_its_bits(kind: int, shape: list[Any]) -> None:
    model = build([value("x", kind, shape)], [value("y", kind, shape)], [h.make_node("Identity", ["x"], ["y"])])
    signature = describe(model, {})
    itemsize = np.dtype(h.tensor_dtype_to_np_dtype(kind)).itemsize
    data = bytes([1, 0] * 5 * itemsize)[: 5 * itemsize] if kind != T.BOOL else b"\1\0\1\1\0"
    (output,), _ = session(model).run([Tensor.of("x", signature.inputs[0].datatype, (5,), data)])
    assert (output.header.datatype, bytes(output.data)) == (signature.outputs[0].datatype, data)


def fixed() -> Any:
    nodes = [h.make_node("Mul", ["a", "b"], ["p"]), h.make_node("Add", ["p", "b"], ["s"])]
    inputs = [value("a", T.FLOAT, [4]), value("b", T.FLOAT, [4])]
    return build(inputs, [value("p", T.FLOAT, [4]), value("s", T.FLOAT, [4])], nodes)


def test_where_all_shapes_are_fixed_one_binding_is_replayed() -> None:
    cuda = FakeCuda()
    made = session(fixed(), cuda)
    before = set(cuda.device)
    for seed in range(4):
        a, b = np.random.default_rng(seed).standard_normal((2, 4)).astype(np.float32)
        (p, s), _ = made.run([from_array("a", a), from_array("b", b)])
        assert np.array_equal(to_array(p), a * b)
        assert np.array_equal(to_array(s), a * b + b)
    assert set(cuda.device) == before, "a recorded run's addresses must stay"


def test_a_recording_that_breaks_off_leaves_runs_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, run, created = FakeCuda(), OnTheHost._run, []

    def breaks_off(self: OnTheHost, binding: Any) -> int:
        if self._provider_options.get("enable_cuda_graph") == "1":
            raise CardLost("the capture was invalidated")
        return run(self, binding)

    def create(self: OnTheHost, data: bytes) -> None:
        created.append(self._provider_options["user_compute_stream"])
        OnnxRuntimeCuda._create(self, data)

    monkeypatch.setattr(OnTheHost, "_run", breaks_off)
    monkeypatch.setattr(OnTheHost, "_create", create, raising=False)
    made = session(fixed(), cuda)
    assert created[0] == created[1] != created[2], "the broken recording's stream is used no more"
    assert "cudaStreamDestroy" in cuda.calls
    x = np.ones(4, np.float32)
    (p, _), _ = made.run([from_array("a", x), from_array("b", x)])
    assert to_array(p).tolist() == [1, 1, 1, 1]


def test_a_decoders_cache_stays_on_the_card_and_the_tokens_are_the_same() -> None:
    model = decoder(Shape())
    graph = describe(model, {})
    feeds: dict[str, Any] = {"input_ids": np.array([[5, 6, 7]], np.int64)}
    feeds |= {"attention_mask": np.ones((1, 3), np.int64), "position_ids": np.arange(3)[None]}
    feeds |= {s.name: np.zeros((1, s.shape[1], 0, s.shape[3]), np.float32) for s in graph.inputs if "past" in s.name}
    names = [s.name for s in graph.outputs]
    made = session(model)
    (logits, *state), _ = made.compute(feeds, names)
    assert isinstance(logits, np.ndarray)
    assert all(isinstance(held, OnCard) and held.shape[2] == 3 for held in state)
    wish = [
        from_array("input_ids", np.arange(1, 20, dtype=np.int64)[None]),
        from_array("max_tokens", np.array([24], np.int32)), from_array("temperature", np.array([0.7], np.float32)),
        from_array("top_k", np.array([0], np.int32)), from_array("top_p", np.array([1], np.float32)),
        from_array("seed", np.array([7], np.uint64)), Tensor.of("stop", "BYTES", (0,), b""),
    ]  # fmt: skip

    class Nobody:
        def say(self, piece: Any) -> None:
            pass

        def stopped(self) -> bool:
            return False

    plain = OnnxRuntime(model.SerializeToString(), {}, 1)
    on_card, on_host = (Generator(s, graph, None, {}).run(wish, Nobody())[0] for s in (made, plain))
    assert on_card == on_host
    assert on_card[0].header.shape == (24,)


def test_what_cannot_lie_on_a_card_or_would_run_elsewhere_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"'text' is a tensor\(string\), which cannot lie on a card"):
        session(text_and_many())

    class Elsewhere(OnTheHost):
        def _expected(self) -> str:
            return "CUDAExecutionProvider"

    model = mlp()
    with pytest.raises(ModelRefused, match="would execute some of the model on CPUExecutionProvider"):
        Elsewhere(Graph(model.SerializeToString(), model, {}, ()), Card(FakeCuda()), threads=1, memory=GIB, tf32=False)


def test_a_failed_run_leaves_the_session_and_a_lost_card_does_not() -> None:
    cuda = FakeCuda()
    nodes = [h.make_node("Gather", ["table", "i"], ["y"])]
    weights = [h.make_tensor("table", T.FLOAT, [3], [1.0, 2.0, 3.0])]
    made = session(build([value("i", T.INT64, ["N"])], [value("y", T.FLOAT, ["N"])], nodes, initializer=weights), cuda)
    with pytest.raises(ModelFailed, match="failed on this input"):
        made.run([from_array("i", np.array([9]))])
    assert to_array(made.run([from_array("i", np.array([2]))])[0][0]).tolist() == [3.0]
    cuda.fails["cudaStreamSynchronize"] = Error.cudaErrorIllegalAddress
    with pytest.raises(CardLost):
        made.run([from_array("i", np.array([2]))])


def test_outputs_over_the_bound_are_not_fetched() -> None:
    nodes = [h.make_node("ConstantOfShape", ["n"], ["y"])]
    made = session(build([value("n", T.INT64, [1])], [value("y", T.FLOAT, ["N"])], nodes))
    with pytest.raises(ModelFailed, match="outputs take 400000000 bytes"):
        made.run([from_array("n", np.array([100_000_000]))])
