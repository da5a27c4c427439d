"""The TensorRT backend over a FAKE module and a FAKE card: its calls' contract, its refusals, an engine's life."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

from engine.backends import Graph
from engine.backends.card import Card
from engine.backends.tensorrt import module, runtime
from engine.backends.tensorrt.building import build
from engine.backends.tensorrt.execution import BadEngine, EngineSession
from engine.backends.tensorrt.module import find_tensorrt, new_log
from engine.backends.tensorrt.precision import widest_lost
from engine.backends.tensorrt.runtime import TensorRT
from engine.errors import BeyondHere, CardLost, EngineError, ModelFailed, ModelRefused
from engine.exchange import open_exchange
from engine.external import Span
from engine.messages import Building, Built, Kept, Load, Part, Platform, Sizes
from tests.engine.models import build as made
from tests.engine.models import external, mlp, value
from wire.arrays import from_array, to_array
from wire.canonical import Record

from . import fake_tensorrt
from .fake_card import Error, FakeCuda

MIB = 1 << 20
SIZES = Sizes(rows=8, length=16)


def graph_of(model: Any) -> Graph:
    return Graph(model.SerializeToString(), model, {}, ())


def engine_of(
    model: Any, tell: Any = lambda _: None, *, tf32: bool = False, timing: bytes = b""
) -> tuple[bytes, bytes]:
    log = new_log(fake_tensorrt)
    return build(fake_tensorrt, log, graph_of(model), sizes=SIZES, memory=MIB, tf32=tf32, timing=timing, tell=tell)


def session_of(model: Any, cuda: FakeCuda | None = None, engine: bytes | None = None, memory: int = 64 * MIB) -> Any:
    names = ([v.name for v in model.graph.input], [v.name for v in model.graph.output])
    card = Card(cuda or FakeCuda())
    return EngineSession(fake_tensorrt, new_log(fake_tensorrt), card, engine or engine_of(model)[0], names, memory)


def rows(count: int) -> Any:
    return from_array("x", np.random.default_rng(count).standard_normal((count, 16)).astype(np.float32))


def weights(model: Any) -> list[Any]:
    return [np.frombuffer(t.raw_data, np.float32).reshape(tuple(t.dims)) for t in model.graph.initializer]


def test_rows_go_in_and_come_out() -> None:
    session, (a, b) = session_of(mlp()), weights(mlp())
    for count in (1, 8, 3):
        (y,), elapsed = session.run([rows(count)])
        assert np.allclose(to_array(y), np.tanh(to_array(rows(count)) @ a) @ b, atol=1e-5)
        assert elapsed >= 0
    (array,), _ = session.compute({"x": to_array(rows(3))}, ["y"])
    assert np.array_equal(array, to_array(y))
    backend = session.backend
    assert (backend.name, backend.version, backend.device) == ("tensorrt", "11.4.0.FAKE", "FAKE card")


def test_inputs_are_given_by_name_whatever_the_engines_own_order() -> None:
    nodes = [h.make_node("Sub", ["b", "a"], ["d"]), h.make_node("Identity", ["a"], ["same"])]
    inputs = [value("a", T.FLOAT, ["N"]), value("b", T.FLOAT, ["N"])]
    model = made(inputs, [value("d", T.FLOAT, ["N"]), value("same", T.FLOAT, ["N"])], nodes)
    a, b = from_array("a", np.float32([1, 2])), from_array("b", np.float32([10, 20]))
    outputs, _ = session_of(model).run([a, b])
    assert [(t.name, to_array(t).tolist()) for t in outputs] == [("d", [9, 18]), ("same", [1, 2])]


def test_every_false_becomes_a_sentence_with_tensorrts_words() -> None:
    cuda = FakeCuda()
    nodes = [h.make_node("Gather", ["table", "i"], ["y"])]
    table = [h.make_tensor("table", T.FLOAT, [3], [1.0, 2.0, 3.0])]
    session = session_of(
        made([value("i", T.INT64, ["N"])], [value("y", T.FLOAT, ["N"])], nodes, initializer=table), cuda
    )
    with pytest.raises(ModelFailed, match="TensorRT could not execute this input: FAKE kernel failed"):
        session.run([from_array("i", np.array([9]))])
    assert to_array(session.run([from_array("i", np.array([1]))])[0][0]).tolist() == [2.0]
    with pytest.raises(BeyondHere, match=r"built for up to \[8\]"):
        session.run([from_array("i", np.zeros(9, np.int64))])
    cuda.fails["cudaStreamSynchronize"] = Error.cudaErrorIllegalAddress
    with pytest.raises(CardLost):
        session.run([from_array("i", np.array([9]))])


def test_an_engine_that_is_none_or_another_models_is_bad_and_one_too_large_refused() -> None:
    with pytest.raises(BadEngine, match="magic tag does not match"):
        session_of(mlp(), engine=b"not an engine")
    with pytest.raises(ModelRefused, match="a model may have 1024 here"):
        session_of(mlp(), memory=1024)
    other = made([value("z", T.FLOAT, [1])], [value("y", T.FLOAT, [1])], [h.make_node("Identity", ["z"], ["y"])])
    with pytest.raises(BadEngine, match="not the model's"):
        session_of(mlp(), engine=engine_of(other)[0])


def test_an_output_whose_shape_depends_on_values_fails_the_request() -> None:
    model = made([value("x", T.FLOAT, ["N"])], [value("y", T.INT64, [1, "M"])], [h.make_node("NonZero", ["x"], ["y"])])
    with pytest.raises(ModelFailed, match="depends on the input's values"):
        session_of(model).run([from_array("x", np.float32([1, 0]))])


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            made([value("x", T.FLOAT, [1])], [value("y", T.FLOAT, [1])], [h.make_node("Nope", ["x"], ["y"])]),
            "TensorRT cannot read the model: Nope the node: no importer",
        ),
        (
            made([value("x", T.FLOAT, [1])], [value("y", T.FLOAT, [1])], [h.make_node("Unbuildable", ["x"], ["y"])]),
            "TensorRT cannot build the model: no kernel for Unbuildable",
        ),
        (
            made(
                [value("x", T.FLOAT, [6]), value("shape of it", T.INT64, [2])],
                [value("y", T.FLOAT, ["a", "b"])],
                [h.make_node("Reshape", ["x", "shape of it"], ["y"])],
            ),
            "input 'shape of it' sets shapes by its values",
        ),
    ],
    ids=["unread", "unbuilt", "shapes by values"],
)
def test_what_cannot_be_built_is_refused_with_a_sentence(model: Any, sentence: str) -> None:
    with pytest.raises(ModelRefused, match=sentence):
        engine_of(model)


def test_64_bit_floats_are_found_wherever_they_hide() -> None:
    x, y = value("x", T.FLOAT, [2]), value("y", T.FLOAT, [2])
    identity = h.make_node("Identity", ["x"], ["y"])
    double = h.make_tensor("d", T.DOUBLE, [1], [1.0])
    inner = h.make_graph([h.make_node("Constant", [], ["c"], value=double)], "inner", [], [value("c", T.FLOAT, [1])])
    hidden = {
        "input": made([value("x", T.DOUBLE, [2])], [y], [identity]),
        "weight": made([x], [y], [identity], initializer=[double]),
        "value between": made([x], [y], [identity], value_info=[value("v", T.DOUBLE, [2])]),
        "constant": made([x], [y], [identity, h.make_node("Constant", [], ["c"], value=double)]),
        "cast": made([x], [y], [h.make_node("Cast", ["x"], ["c"], to=T.DOUBLE), identity]),
        "random": made([x], [y], [identity, h.make_node("RandomNormal", [], ["c"], dtype=T.DOUBLE, shape=[1])]),
        "subgraph": made([x], [y], [h.make_node("If", ["b"], ["c"], then_branch=inner, else_branch=inner), identity]),
    }
    assert [name for name, model in hidden.items() if widest_lost(model) is None] == []
    assert widest_lost(mlp()) is None
    with pytest.raises(ModelRefused, match=r"FP64 .*which TensorRT would do in FP32"):
        engine_of(hidden["cast"])


def test_weights_in_files_are_handed_over_and_the_files_can_be_closed() -> None:
    content = np.arange(2048, dtype=np.float32).tobytes()
    nodes = [h.make_node("Add", ["x", "weight"], ["y"])]
    model = made([value("x", T.FLOAT, [2048])], [value("y", T.FLOAT, [2048])], nodes, initializer=[external(2048)])
    span = Span(model.graph.initializer[0], "secret.bin", 0, len(content))
    graph = Graph(model.SerializeToString(), model, {"secret.bin": content}, [span])
    log = new_log(fake_tensorrt)
    engine, _ = build(fake_tensorrt, log, graph, sizes=SIZES, memory=MIB, tf32=False, timing=b"", tell=lambda _: None)
    (y,), _ = session_of(model, engine=engine).run([from_array("x", np.ones(2048, np.float32))])
    assert to_array(y)[[0, 2047]].tolist() == [1.0, 2048.0]


def test_progress_is_told_tf32_is_the_profiles_word_and_times_are_used_again() -> None:
    said: list[Building] = []
    engine, timing = engine_of(mlp(), said.append)
    assert [(b.phase, b.done, b.steps) for b in said] == [("FAKE build", n, 2) for n in (0, 1, 2)]
    assert (b'"tf32": false' in engine, timing) == (True, b"TIMES ")
    assert b'"tf32": true' in engine_of(mlp(), tf32=True)[0]
    assert engine_of(mlp(), timing=timing)[1] == b"TIMES TIMES "
    assert engine_of(mlp(), timing=b"rotten")[1] == b"TIMES "  # begun anew


class Node:
    """The node's end: it has `kept`, and hears what is sent."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.heard: list[Record] = []

    def send(self, message: Record) -> None:
        self.heard.append(message)

    def kept(self) -> Kept:
        return self._kept


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    monkeypatch.setattr(runtime, "find_tensorrt", lambda: fake_tensorrt)
    monkeypatch.setattr(runtime, "import_cuda", lambda: cuda)
    monkeypatch.setattr(runtime, "confine_beside_card", lambda _, open_card: (open_card(), ("nothing",))[1])
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")  # so that it is put back


def load_with(kept_engine: bytes, kept_timing: bytes = b"", room: int = 8 * MIB) -> tuple[Any, Node, bytes]:
    """A session made as a worker makes it, the node's end, and what came back of an engine."""
    with open_exchange(None, [], SIZES, memory=room, tf32=False) as exchange:
        os.pwrite(exchange.build.kept, kept_engine + kept_timing, 0)
        back = os.dup(exchange.build.built)
        wish = exchange.build
        theirs = {"kept": os.dup(wish.kept), "built": os.dup(wish.built)}
        load = Load(
            files=(Part(path="model.onnx", fd=0, size=0),), threads=1, memory=64 * MIB, backend="tensorrt",
            build=type(wish)(sizes=wish.sizes, room=wish.room, **theirs),
        )  # fmt: skip
        node = Node(Kept(engine=len(kept_engine), timing=len(kept_timing)))
        made_runtime = TensorRT(load, node)
        made_runtime.confine(64 * MIB)
        try:
            session = made_runtime.session(graph_of(mlp()))
            built = [m for m in node.heard if isinstance(m, Built)]
            return session, node, os.pread(back, built[0].engine + built[0].timing, 0) if built else b""
        finally:
            os.close(back)


@pytest.mark.usefixtures("fakes")
def test_an_engine_is_built_once_and_loaded_from_what_was_kept() -> None:
    session, node, built = load_with(b"")
    platform, *_, last = node.heard
    assert isinstance(platform, Platform)
    assert (platform.builder, platform.device, platform.processors) == ("tensorrt", "FAKE card", 3)
    assert isinstance(last, Built)
    engine = built[: last.engine]
    assert (engine, built[last.engine :]) == engine_of(mlp())
    again, node, built = load_with(engine, b"TIMES ")
    assert [type(m) for m in node.heard] == [Platform], "nothing was built"
    assert built == b""
    assert session.run([rows(2)])[0] == again.run([rows(2)])[0]


@pytest.mark.usefixtures("fakes")
def test_a_kept_engine_that_does_not_load_is_built_anew() -> None:
    session, node, built = load_with(b"rotten bytes of another TensorRT", b"TIMES ")
    last = node.heard[-1]
    assert isinstance(last, Built)
    assert built[: last.engine] == engine_of(mlp())[0]
    assert built[last.engine :] == b"TIMES TIMES ", "the kernels' times were still of use"
    assert len(session.run([rows(2)])[0]) == 1


@pytest.mark.usefixtures("fakes")
def test_an_engine_that_there_is_no_room_for_serves_and_is_not_kept() -> None:
    session, node, built = load_with(b"", room=512)
    assert not any(isinstance(m, Built) for m in node.heard)
    assert (built, len(session.run([rows(2)])[0])) == (b"", 1)


@pytest.mark.usefixtures("fakes")
def test_tf32_is_off_for_every_library_unless_the_profile_has_it() -> None:
    load_with(b"")
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_a_tensorrt_that_is_absent_or_too_old_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        __name__, __version__ = "tensorrt", "10.16.0"

    def only_old(name: str) -> Any:
        if name == "tensorrt":
            return Old()
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(module, "import_module", only_old)
    with pytest.raises(EngineError, match=r"10\.16\.0 is too old.*pip install 'hallmark\[tensorrt\]'"):
        find_tensorrt()
