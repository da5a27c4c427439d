"""The probe says what executes here, and what is in its way; and the node's side stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from onnx import TensorProto as T
from onnx import helper as h

from engine import link, probe, probing
from engine.double import DOUBLE
from engine.probing import probe_backend, runtime_problems


def test_the_probes_model_is_what_it_says() -> None:
    x, y = (h.make_tensor_value_info(n, T.FLOAT, [3]) for n in "xy")
    graph = h.make_graph([h.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    assert model.SerializeToString() == DOUBLE


async def test_a_backend_is_reported_because_it_executed() -> None:
    report = await probe()
    assert report.problems == ()
    by_kind = {found.kind: found for found in report.probes}
    assert report.backends[-1] == by_kind["onnxruntime-cpu"].backend
    backend = report.backends[-1]
    assert (backend.name, backend.device, backend.compute_capability) == ("onnxruntime", "cpu", "")
    assert "memory limit" in by_kind["onnxruntime-cpu"].sandbox


async def test_a_backend_that_is_not_installed_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "COMMAND", ["-c", "raise SystemExit('it was tried')"])
    monkeypatch.setattr(probing, "find_spec", lambda _: None)
    monkeypatch.setattr(probing, "installed_runtimes", lambda: ["onnxruntime 1.31.1"])
    for kind, extra in (("tensorrt", "tensorrt"), ("onnxruntime-cuda", "gpu")):
        found = await probe_backend(kind)  # type: ignore[arg-type]
        assert (found.installed, found.backend, found.problem) == (False, None, f"pip install 'hallmark[{extra}]'")
    assert "it was tried" in (await probe_backend("onnxruntime-cpu")).problem


async def test_a_backend_that_computes_wrongly_or_not_at_all_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = """
import sys, engine.backends.onnxruntime as backend
from wire.tensors import Tensor
backend.OnnxRuntime.run = lambda self, inputs: ([Tensor.of("y", "FP32", (3,), bytes(12))], 1)
from engine.worker import main
main(sys.argv[1:])
"""
    absent = """
import sys
sys.modules["onnxruntime"] = None
from engine.worker import main
main(sys.argv[1:])
"""
    for script, sentence in ((wrong, "adds wrongly"), (absent, r"pip install 'hallmark\[cpu\]'")):
        monkeypatch.setattr(link, "COMMAND", ["-c", script])
        found = await probe_backend("onnxruntime-cpu")
        assert (found.installed, found.backend) == (True, None)
        with pytest.raises(AssertionError, match=sentence):
            raise AssertionError(found.problem)


def test_two_runtimes_in_one_place_are_a_problem_with_its_remedy() -> None:
    assert runtime_problems(["onnxruntime 1.31.1"]) == ()
    (none,) = runtime_problems([])
    assert "pip install 'hallmark[cpu]'" in none
    (both,) = runtime_problems(["onnxruntime 1.31.1", "onnxruntime-gpu 1.31.1"])
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in both


def imported(statement: str) -> set[str]:
    script = f"{statement}\nimport sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_node_loads_no_parser_and_the_worker_no_event_loop() -> None:
    everything = "import engine\nfor name in engine.__all__: getattr(engine, name)"
    assert not imported(everything) & {"numpy", "onnx", "onnxruntime", "google"}
    assert "trio" not in imported("import engine.worker, engine.screen, engine.signature, engine.backends.onnxruntime")


def test_the_engine_imports_of_hallmark_only_wire() -> None:
    for path in (Path(__file__).parents[2] / "engine").rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]):
                assert words[1].partition(".")[0] not in {"p2p", "storage", "verify", "settle", "node", "bench"}, path
