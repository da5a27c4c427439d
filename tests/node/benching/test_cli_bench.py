"""`hallmark bench --local`, and `hallmark verify` of a benchmark, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import Exit
from node.networkfile import save_network
from tests.engine.models import mlp
from tests.node.commands import Hallmark, runner
from tests.verify import benchmarks as made
from tests.verify.scenes import bent
from wire.canonical import encode


@pytest.fixture
def hallmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hallmark:
    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


def test_the_direct_loop_of_a_model_needs_no_peer(hallmark: Hallmark) -> None:
    hallmark("init")
    Path("mlp.onnx").write_bytes(mlp().SerializeToString())
    hallmark("model", "add", "mlp.onnx", "--name", "mlp", "--licence", "MIT")
    ran = hallmark("bench", "--model", "mlp", "--local", "--duration", "100ms", "--json", "--report", "r.html")
    assert ran.code == 0, ran.err
    (model,) = ran.lines[-1]["models"]
    assert ran.lines[-1]["event"] == "summary"
    assert model["name"] == "mlp@1.0.0"
    assert model["inputs"] > 4
    assert "own engine" in model["reference"]
    assert [row["batch"] for row in model["direct"]] == [1, 8, 64]
    assert [line["batch"] for line in ran.lines if line["event"] == "direct"] == [1, 8, 64]
    assert "mlp@1.0.0" in Path("r.html").read_text()
    shown = hallmark("bench", "--model", "mlp", "--local", "--duration", "100ms")
    assert shown.code == 0
    assert "on cpu" in shown.out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--model", "m", "--suite", "standard"],
        ["--suite", "none"],
        ["--model", "m", "--peer", "p", "--all"],
        ["--model", "m", "--duration", "20"],
        ["--model", "m", "--duration", "1h"],
        ["--model", "m", "--duration", "11m"],
        ["--model", "m", "--concurrency", "0"],
        ["--model", "m", "--concurrency", "1,,8"],
        ["--model", "m", "--concurrency", "100000000"],
        ["--model", "m", "--concurrency", ",".join(["1"] * 17)],
        ["--model", "m", "--dim", "N"],
        ["--model", "m", "--dim", "N=-1"],
        ["--model", "m", "--tier", "gold"],
        ["--model", "m", "--tier", "signed:3"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], hallmark: Hallmark) -> None:
    ran = hallmark("bench", *arguments)
    assert ran.code == Exit.USAGE
    assert "Traceback" not in ran.err


def test_a_model_that_is_not_here_says_how_to_get_it(hallmark: Hallmark) -> None:
    hallmark("init")
    ran = hallmark("bench", "--model", "nothing", "--local")
    assert (ran.code, "hallmark model pull" in ran.err) == (Exit.NOT_FOUND, True)


def test_a_dim_that_the_model_lacks_is_a_sentence(hallmark: Hallmark) -> None:
    hallmark("init")
    Path("mlp.onnx").write_bytes(mlp().SerializeToString())
    hallmark("model", "add", "mlp.onnx", "--name", "mlp", "--licence", "MIT")
    ran = hallmark("bench", "--model", "mlp", "--local", "--dim", "M=3")
    assert (ran.code, "no free dim 'M'" in ran.err, "It has N" in ran.err) == (Exit.USAGE, True, True)


def test_a_benchmark_is_verified_offline(hallmark: Hallmark, tmp_path: Path) -> None:
    save_network(tmp_path / "scene.toml", made.SCENE.network)
    Path("good.benchmark").write_bytes(encode(made.file()))
    ran = hallmark("verify", "good.benchmark", "--network", "./scene.toml")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("VALID\n")
    assert "10.0 items/s, p50 100.0 ms" in ran.out
    assert "both signed" in ran.out
    (told,) = hallmark("verify", "good.benchmark", "--network", "./scene.toml", "--json").lines
    assert (told["kind"], told["countersigned"], told["items_per_s"]) == ("benchmark", True, 10.0)
    Path("bad.benchmark").write_bytes(encode(bent(made.file(), receipts=made.receipts(4))))
    bad = hallmark("verify", "bad.benchmark", "--network", "./scene.toml")
    assert (bad.code, bad.out.startswith("NOT VALID"), "Do not use" in bad.out) == (Exit.NOT_PROVED, True, True)
