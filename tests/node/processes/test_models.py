"""`hallmark model add | ls | show | pull`: good models, bad ones, interrupted pulls and a full disk."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trio

from storage import Store, open_store
from tests.engine.models import file_reader
from wire.cid import from_cid
from wire.keys import NodeKey
from wire.manifest import File, Manifest, sign_manifest
from wire.tensors import TensorSpec

from . import made
from .running import Node, hallmark, launch, settle, soon, until
from .town import Town

_SET_PIPE_SIZE = 1031
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def large(town: Town, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The CID of a model of 32 MiB that the town's provider `a` holds."""
    file = made.save(made.large(32), tmp_path_factory.mktemp("large") / "large.onnx")
    added = town.a.run("model", "add", file, "--name", "large", "--licence", "MIT", "--version", "2.1.0", "--json")
    assert added.code == 0, added.said
    return str(added.json["cid"])


def test_add_then_list_and_show_and_pull_by_name(town: Town, large: str) -> None:
    listed = town.a.run("model", "ls", "--json")
    row = next(m for m in listed.json["models"] if m["cid"] == large)
    assert (row["name"], row["version"], row["complete"]) == ("large", "2.1.0", True)
    assert "large@2.1.0" in town.a.run("model", "ls").out
    desk = town.desk()
    shown = hallmark("model", "show", "large", "--bootstrap", town.a.address, "--json", directory=desk)
    assert shown.code == 0, shown.said
    assert (shown.json["cid"], shown.json["complete"]) == (large, False)
    assert shown.json["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["N", 32]}]
    pulled = hallmark("model", "pull", "large@2.1.0", "--bootstrap", town.a.address, directory=desk)
    assert pulled.code == 0, pulled.said
    assert "Pulled large@2.1.0: 32.0 MiB" in pulled.out
    assert "every chunk verified" in pulled.out
    again = hallmark("model", "pull", large, "--bootstrap", town.a.address, directory=desk)
    assert "is here already, complete" in again.out
    assert "complete" in next(
        line for line in hallmark("model", "ls", directory=desk).out.splitlines() if large in line
    )


def test_what_follows_an_add_is_what_the_running_peer_lets_follow(town: Town, tmp_path: Path) -> None:
    file = made.save(made.logarithm(7.0), tmp_path / "more.onnx")
    asked = ["model", "add", file, "--name", "more", "--licence", "MIT"]
    said = {
        "a provider": (town.a, "Next: hallmark ps"),
        "a verifier": (town.verifiers[0], "Others can pull it now. Next, so that they can ask it here too"),
    }
    for node, text in said.values():
        added = node.run(*asked)
        assert added.code == 0, added.said
        assert added.out.splitlines()[-1].startswith(text)
        assert node.run("model", "rm", "more").code == 0


def test_a_pull_that_was_killed_goes_on_where_it_was(town: Town, large: str) -> None:
    desk = town.desk()
    words = ["model", "pull", large, "--bootstrap", town.a.address, "--json", "--data-dir", str(desk.path)]
    process = launch(["-m", "node.cli", *words], subprocess.PIPE, subprocess.DEVNULL)
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, _SET_PIPE_SIZE, 4096)  # so that it gets no further than what is read here
    said, line = 0, b"nothing"
    try:
        while said < 8 * MIB:
            last, line = line, process.stdout.readline()
            assert line, f"the pull ended before it could be killed, and said last: {last!r}"
            said = max(said, json.loads(line).get("done", 0))
    finally:
        process.kill()
        process.wait()
        rest = process.stdout.read()
        process.stdout.close()
    whole_lines = rest[: rest.rfind(b"\n") + 1].splitlines()
    said = max([said, *(json.loads(line).get("done", 0) for line in whole_lines)])
    resumed = hallmark("model", "pull", large, "--bootstrap", town.a.address, "--json", directory=desk)
    assert resumed.code == 0, resumed.said
    steps = [e for line in resumed.out.splitlines() if (e := json.loads(line))["event"] == "pulling"]
    assert said <= steps[0]["done"] < steps[0]["total"]  # what it said it had is on disk, exactly
    assert steps[-1]["done"] == steps[-1]["total"]
    with open_store(desk.store) as store:
        assert all(store.blobs.complete(from_cid(file["blob"])) for file in resumed.json["files"])


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("prose", "this is not an ONNX model"),
        ("elsewhere", "keeps its data in another file, secret.bin, which is not there"),
        ("greedy", "memory"),
    ],
)
def test_a_model_that_is_refused_is_told_why_and_the_node_goes_on(
    town: Town, models: Path, file: str, sentence: str
) -> None:
    words = ["model", "add", models / f"{file}.onnx", "--name", file, "--licence", "MIT"]
    for ended in (town.b.run(*words), hallmark(*words, directory=town.desk())):
        assert ended.code == 9, ended.said
        assert sentence in ended.err
        assert "Traceback" not in ended.said
    assert town.b.running
    assert file not in town.b.run("model", "ls").out


async def test_a_model_of_several_files_is_added_pulled_and_proved(town: Town, tmp_path: Path) -> None:
    folder = made.in_a_folder(tmp_path / "folder")
    added = town.a.run("model", "add", folder, "--name", "several", "--licence", "MIT")
    assert added.code == 0, added.said
    assert "in 4 files" in added.out
    assert "left out: .cache (hidden)" in added.out
    shown = town.a.run("model", "show", "several", "--json").json
    paths = ["net.onnx", "README.md", "net.onnx.data", "tokenizer.json"]
    assert [file["path"] for file in shown["files"]] == paths
    async with trio.open_nursery() as nursery:
        for verifier in town.verifiers:
            nursery.start_soon(partial(verifier.call, "model.pull", model=shown["cid"]))
    await soon(lambda: all("model several" in node.words() for node in [town.a, *town.verifiers]), "all ready")
    words = ["infer", shown["cid"], "--input", f"x={json.dumps([made.ROW])}", "--tier", "quorum", "--max-price", "1"]
    desk = town.desk()
    answer = await trio.to_thread.run_sync(
        partial(hallmark, *words, "--bootstrap", town.a.address, "--json", directory=desk)
    )
    assert answer.code == 0, answer.said
    assert answer.json["tier"] == "quorum"
    weights = np.fromfile(folder / "net.onnx.data", dtype=np.float32).reshape(4, 1024)
    assert answer.json["outputs"][0]["data"] == pytest.approx(
        (np.array(made.ROW) @ weights).tolist(), rel=1e-4, abs=1e-6
    )


def test_the_same_files_have_the_same_cids_and_an_exported_folder_is_the_same_model(town: Town, tmp_path: Path) -> None:
    folder, desk, out = made.in_a_folder(tmp_path / "folder"), town.desk(), tmp_path / "out"
    words = ["--name", "twice", "--licence", "MIT", "--json"]
    first = hallmark("model", "add", folder, *words, directory=desk).json
    chunks = hallmark("store", "stat", "--json", directory=desk).json["chunks"]
    alone = hallmark("model", "add", folder / "net.onnx", *words, "--version", "2.0.0", directory=desk).json
    assert [file["path"] for file in alone["files"]] == ["model.onnx", "net.onnx.data"]
    assert {f["blob"] for f in alone["files"]} == {first["files"][0]["blob"], first["files"][2]["blob"]}
    assert hallmark("store", "stat", "--json", directory=desk).json["chunks"] == chunks
    assert hallmark("model", "export", first["cid"], out, directory=desk).code == 0
    for name in ("net.onnx", "net.onnx.data", "tokenizer.json", "README.md"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    other = town.desk()
    back = hallmark("model", "add", out, "--json", directory=other)
    assert back.code == 0, back.said
    assert back.json == first
    again = hallmark("model", "export", first["cid"], tmp_path / "again", directory=other)
    assert again.code == 0, again.said
    assert (tmp_path / "again/manifest.hallmark").read_bytes() == (out / "manifest.hallmark").read_bytes()


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("/proc/self/environ", "'/proc/self/environ' leaves the model's folder"),
        ("../key.bin", "'../key.bin' leaves the model's folder"),
        ("link.bin", "link.bin is a link to"),
        ("gone.bin", "another file, gone.bin, which is not there"),
        ("net.onnx", "another file, net.onnx, which is not there"),
        ("short.bin", "of 'short.bin', which has 8191"),
    ],
)
def test_a_graph_that_reaches_for_other_files_publishes_none_of_them(
    town: Town, tmp_path: Path, place: str, sentence: str
) -> None:
    (tmp_path / "key.bin").write_bytes(b"k" * 8192)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "key.bin")
    (folder / "short.bin").write_bytes(b"k" * 8191)
    model = file_reader()
    model.graph.initializer[0].external_data[0].value = place
    made.save(model, folder / "net.onnx")
    ended = town.b.run("model", "add", folder / "net.onnx", "--name", "thief", "--licence", "MIT")
    assert ended.code == 9, ended.said
    assert sentence in ended.err
    assert "thief" not in town.b.run("model", "ls").out


def test_a_file_that_is_not_there_or_a_bad_name_is_the_command_lines_fault(town: Town, models: Path) -> None:
    missing = town.b.run("model", "add", "/nowhere.onnx", "--name", "x", "--licence", "MIT")
    assert (missing.code, "does not exist" in missing.err) == (2, True)
    name = town.b.run("model", "add", models / "logs.onnx", "--name", "Bad Name", "--licence", "MIT")
    assert name.code == 2, name.said


def test_an_endless_model_does_not_keep_others_from_being_served(town: Town, models: Path, tmp_path: Path) -> None:
    directory = settle(tmp_path / "patient", town.network)
    with open_store(directory.store) as store:  # as a publisher who did not try it would have brought it here
        publish(store, town, models / "endless.onnx")
    node = Node(directory, town.a.key, ("provider",))
    try:
        node.start()
        added = node.run("model", "add", models / "logs.onnx", "--name", "logs", "--licence", "MIT")
        assert added.code == 0, added.said
        until(lambda: "model logs" in node.words(), "the good model's offer", seconds=10)
    finally:
        node.kill()


def publish(store: Store, town: Town, path: Path) -> None:
    key = NodeKey.generate()
    outline = store.blobs.add(path)
    spec = TensorSpec(name="x", datatype="FP32", shape=(1,))
    file = File(path="model.onnx", blob=outline.hash(), size=outline.size, media_type="application/onnx")
    manifest = Manifest(
        name=path.stem, version="1.0.0", publisher=key.address, files=(file,),
        interface="tensors", inputs=(spec,), outputs=(spec,), task="", tags=(), licence="MIT", royalty_bps=0, opset=21,
        profile="fp32", description="", previous=None, created_ms=1,
    )  # fmt: skip
    store.models.put(sign_manifest(manifest, key, town.network.domain))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    )
    if os.getuid() != 0 or mounted.returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_a_sentence_and_the_node_goes_on(town: Town, large: str, small_disk: Path) -> None:
    directory = settle(small_disk / "peer", town.network)
    node = Node(directory, town.a.key, ("hub",))
    try:
        node.start(town.verifiers[0].address)
        ended = node.run("model", "pull", large)
        assert ended.code == 10, ended.said
        assert "full" in ended.err
        assert "Nothing was lost" in ended.err
        assert node.running
        small = node.run("model", "pull", town.cids["logs"])
        assert small.code in (0, 10), small.said
        assert node.run("model", "ls").code == 0
    finally:
        node.kill()
