"""The real TensorRT, as far as it goes without a card: it parses and builds. `make test-tensorrt` installs it (95 MB).

Of the two it is the one for consumer cards, whose libraries can be installed by name; the full one's Python classes are
looked at over empty libraries, so that no call of ours has a name which they have not.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h

from engine import link
from engine.backends import Graph
from engine.backends.tensorrt.building import build, input_ranges, parsed
from engine.backends.tensorrt.execution import BadEngine, EngineSession
from engine.backends.tensorrt.module import find_tensorrt, name_of, new_log
from engine.cache import EngineCache
from engine.cardfiles import has_card
from engine.errors import ModelRefused
from engine.exchange import open_exchange
from engine.external import span_of
from engine.link import open_worker
from engine.messages import Building, Sizes
from engine.modelfile import ModelFile, sealed
from engine.probing import probe_backend
from tests.engine.models import build as made
from tests.engine.models import external, mlp, value

from . import fake_tensorrt
from .worker_on_fakes import SCRIPT

RTX = "tensorrt_rtx_bindings"
pytestmark = pytest.mark.skipif(find_spec(RTX) is None, reason="TensorRT is NOT tested: run make test-tensorrt")

MIB = 1 << 20
SIZES = Sizes(rows=64, length=128)
# What the adapter calls; the fake has nothing else either.
USED = {
    "Builder": "create_network create_builder_config create_optimization_profile build_serialized_network",
    "OnnxParser": "load_model_proto load_initializer parse_model_proto num_errors get_error",
    "ParserError": "desc node_name node_operator",
    "INetworkDefinition": "num_inputs get_input num_outputs get_output",
    "ITensor": "name shape is_shape_tensor get_dimension_name",
    "IBuilderConfig": "set_memory_pool_limit clear_flag progress_monitor add_optimization_profile create_timing_cache "
    "set_timing_cache",
    "IOptimizationProfile": "set_shape",
    "ITimingCache": "serialize",
    "IProgressMonitor": "phase_start step_complete phase_finish",
    "ILogger": "log ERROR INTERNAL_ERROR WARNING",
    "MemoryPoolType": "WORKSPACE",
    "BuilderFlag": "TF32",
    "Runtime": "deserialize_cuda_engine",
    "ICudaEngine": "device_memory_size_v2 create_execution_context num_io_tensors get_tensor_name get_tensor_shape "
    "get_tensor_dtype get_tensor_profile_shape",
    "IExecutionContext": "set_input_shape get_tensor_shape set_tensor_address execute_async_v3",
}
OURS = {"ILogger": {"said"}}


@pytest.fixture(scope="module")
def trt() -> Any:
    return find_tensorrt()


def graph_of(model: Any, files: dict[str, Any] | None = None) -> Graph:
    spans = [span_of(t) for t in model.graph.initializer if t.external_data]
    return Graph(model.SerializeToString(), model, files or {}, spans)


def engine_of(trt: Any, graph: Graph, tell: Any = lambda _: None) -> tuple[bytes, bytes]:
    return build(trt, new_log(trt), graph, sizes=SIZES, memory=256 * MIB, tf32=False, timing=b"", tell=tell)


def one(op: str, kind: int = T.FLOAT, out: int | None = None, shape: Any = (3,), **attributes: Any) -> Any:
    node = h.make_node(op, ["x"], ["y"], name=f"the {op}", **attributes)
    return made([value("x", kind, shape)], [value("y", out or kind, shape)], [node])


def test_it_is_the_one_for_consumer_cards(trt: Any) -> None:
    assert name_of(trt) in ("tensorrt", "tensorrt_rtx")


def test_an_engine_is_built_with_its_progress_told(trt: Any) -> None:
    said: list[Building] = []
    engine, timing = engine_of(trt, graph_of(mlp()), said.append)
    assert len(engine) > 1000
    assert timing == b"" or name_of(trt) == "tensorrt"
    assert {b.phase for b in said} >= {"Building engine"}
    assert all(b.done <= b.steps for b in said)
    assert any(b.done == b.steps > 1 for b in said)


def test_ranges_come_from_the_parsed_networks_own_dims(trt: Any) -> None:
    ids = [value(n, T.INT64, ["batch", "seq"]) for n in ("ids", "mask")]
    model = made(ids, [value("y", T.INT64, ["batch", "seq"])], [h.make_node("Mul", ["ids", "mask"], ["y"])])
    log = new_log(trt)
    builder = trt.Builder(log)
    with parsed(trt, log, builder, graph_of(model)) as network:
        ranges = input_ranges(network, SIZES)
    assert ranges["ids"] == ranges["mask"]
    assert (ranges["ids"].least, ranges["ids"].usual, ranges["ids"].most) == ((1, 1), (64, 32), (64, 128))
    assert engine_of(trt, graph_of(model))[0]


KINDS = {T.FLOAT, T.FLOAT16, T.BFLOAT16, T.INT32, T.INT64, T.INT8, T.UINT8, T.BOOL}


@pytest.mark.parametrize("kind", sorted(KINDS), ids=T.DataType.Name)
def test_these_types_are_built(trt: Any, kind: int) -> None:
    assert engine_of(trt, graph_of(one("Identity", kind)))[0]


@pytest.mark.parametrize("kind", [T.UINT16, T.INT16, T.UINT32, T.STRING], ids=T.DataType.Name)
def test_these_types_are_refused_with_a_sentence(trt: Any, kind: int) -> None:
    with pytest.raises(ModelRefused, match=r"TensorRT cannot read the model: .*convert ONNX da"):
        engine_of(trt, graph_of(one("Identity", kind)))


def test_the_parser_narrows_64_bit_floats_without_a_word_which_is_why_we_refuse_them(trt: Any) -> None:
    model = one("Neg", T.DOUBLE)
    log = new_log(trt)
    network = trt.Builder(log).create_network(0)
    assert trt.OnnxParser(network, log).parse(model.SerializeToString())
    assert network.get_input(0).dtype == trt.DataType.FLOAT
    assert log.said() == "it gave no reason"
    with pytest.raises(ModelRefused, match="FP64"):
        engine_of(trt, graph_of(model))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (one("Nope"), "Nope the Nope: .*Plugin not found"),
        (
            made([value("x", T.FLOAT, ["N"])], [value("y", T.INT64, [1, "M"])], [h.make_node("NonZero", ["x"], ["y"])]),
            "NonZero",
        ),
        (
            made(
                [value("x", T.FLOAT, [6]), value("s", T.INT64, [2])],
                [value("y", T.FLOAT, ["a", "b"])],
                [h.make_node("Reshape", ["x", "s"], ["y"])],
            ),
            "input 's' sets shapes by its values",
        ),
    ],
    ids=["unknown operator", "shape of the data", "shape by values"],
)
def test_what_it_cannot_do_is_a_sentence(trt: Any, model: Any, sentence: str) -> None:
    with pytest.raises(ModelRefused, match=sentence):
        engine_of(trt, graph_of(model))


def test_weights_beside_the_graph_go_into_the_engine_and_the_file_can_be_closed(trt: Any, tmp_path: Path) -> None:
    engines = []
    for scale in (1, 2):
        (tmp_path / "secret.bin").write_bytes((np.arange(2048) * scale).astype(np.float32).tobytes())
        nodes = [h.make_node("Add", ["x", "weight"], ["y"])]
        inputs, outputs = [value("x", T.FLOAT, ["N", 2048])], [value("y", T.FLOAT, ["N", 2048])]
        model = made(inputs, outputs, nodes, initializer=[external(2048)])
        with (
            (tmp_path / "secret.bin").open("rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content,
        ):
            engines.append(engine_of(trt, graph_of(model, {"secret.bin": content}))[0])
    assert engines[0] != engines[1]
    missing = made(inputs, outputs, nodes, initializer=[external(2048)])
    with pytest.raises(ModelRefused, match="weight"):
        engine_of(trt, graph_of(missing))


def test_a_real_topology_is_built(trt: Any) -> None:
    path = Path(onnx.__file__).parent / "backend/test/data/light/light_squeezenet.onnx"
    assert len(engine_of(trt, graph_of(onnx.load(path)))[0]) > MIB


@pytest.mark.skipif(has_card(), reason="there is a card")
def test_without_a_card_an_engine_is_not_loaded_and_tensorrt_says_why(trt: Any) -> None:
    engine, _ = engine_of(trt, graph_of(mlp()))
    card: Any = None
    with pytest.raises(BadEngine, match="CUDA driver version is insufficient"):
        EngineSession(trt, new_log(trt), card, engine, (["x"], ["y"]), MIB)


@pytest.mark.skipif(has_card(), reason="there is a card")
async def test_without_a_card_the_probe_of_a_real_worker_says_so() -> None:
    found = await probe_backend("tensorrt")
    assert (found.installed, found.backend) == (True, None)
    assert "no NVIDIA driver" in found.problem


@pytest.mark.skipif(has_card(), reason="there is a card")
async def test_a_real_worker_builds_beside_a_fake_card_and_says_that_it_cannot_load_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the way but the card: the real builder in the real sandbox, its progress told to the node."""
    monkeypatch.setattr(link, "COMMAND", ["-c", SCRIPT.replace("main()", "main(tensorrt=True)")])
    graph, said = sealed([mlp().SerializeToString()]), []
    files = [ModelFile("model.onnx", graph)]
    cache = EngineCache(tmp_path / "engines")
    refusal = r"built an engine that it cannot load here: .*CUDA driver version"
    with (
        open_exchange(cache, files, SIZES, memory=1 << 30, tf32=False) as exchange,
        pytest.raises(ModelRefused, match=refusal),
    ):
        async with open_worker(
            files, tmp_path, threads=1, memory=1 << 30, backend="tensorrt", exchange=exchange,
            on_building=lambda building: said.append(building.phase),
        ):  # fmt: skip
            pass
    os.close(graph)
    assert "Building engine" in said
    assert not (tmp_path / "engines").exists()


BUILD = """
import os, sys
sys.path.insert(0, {root!r})
import numpy, onnx, tensorrt_rtx_bindings
from engine import sandbox
from engine.backends.tensorrt.module import find_tensorrt
from tests.engine.backends.test_tensorrt_real import engine_of, graph_of, mlp
trt, graph = find_tensorrt(), graph_of(mlp())
sandbox.{confine}
print(len(engine_of(trt, graph)[0]))
"""


@pytest.mark.parametrize("confine", ["confine(1 << 31)", "confine_beside_card(1 << 31, lambda: None)"])
def test_it_builds_within_the_sandbox(confine: str) -> None:
    script = BUILD.format(root=str(Path(__file__).parents[3]), confine=confine)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, int(done.stdout or 0) > 1000) == (0, True), done.stderr


def test_the_fake_has_nothing_that_the_real_one_lacks(trt: Any) -> None:
    for name, used in USED.items():
        fake = {n for n in vars(getattr(fake_tensorrt, name)) if not n.startswith("_")}
        assert fake <= set(used.split()) | {"model", "content"} | OURS.get(name, set()), name
        assert set(used.split()) <= set(dir(getattr(trt, name))), name


API = """
import json, sys
sys.path.insert(0, {folder!r})
import tensorrt_bindings as trt
print(json.dumps([trt.__version__, {{n: dir(getattr(trt, n)) for n in {names!r}}}]))
"""
STUBS = """
void *createInferBuilder_INTERNAL; void *createInferRefitter_INTERNAL; void *createInferRuntime_INTERNAL;
void *createNvOnnxParserRefitter_INTERNAL; void *createNvOnnxParser_INTERNAL; void *getBuilderPluginRegistry;
void *getNvOnnxParserVersion; void *getPluginRegistry; void *initLibNvInferPlugins;
"""


@pytest.mark.skipif(find_spec("tensorrt_bindings") is None, reason="the full TensorRT's bindings are not installed")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_full_tensorrt_has_every_name_that_is_used(tmp_path: Path) -> None:
    spec = find_spec("tensorrt_bindings")
    assert spec is not None
    assert spec.origin is not None
    (tmp_path / "stubs.c").write_text(STUBS)
    for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        library = f"lib{name}.so.11"
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", tmp_path / library, tmp_path / "stubs.c"]
        subprocess.run(command, check=True)
    script = API.format(folder=str(Path(spec.origin).parents[1]), names=list(USED))
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    version, names = json.loads(done.stdout)
    assert int(version.split(".")[0]) >= 11
    assert {n: set(used.split()) - set(names[n]) for n, used in USED.items()} == {n: set() for n in USED}
