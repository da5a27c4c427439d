"""Which files of a folder make a model: the same on every machine, and none that its owner did not mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import ModelRefused
from node.errors import CommandError
from node.modelfiles import data_paths, side_paths
from node.operations.gathering import beside, gather, media_type
from wire.bounds import MAX_FILES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def fill(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def refused(folder: Path, match: str, graph: str | None = None) -> None:
    with pytest.raises(CommandError, match=match):
        gather(folder, graph)


def test_the_graph_comes_first_and_the_rest_in_order_whatever_the_disk_says(folder: Path) -> None:
    fill(folder, "weights/b.bin", "tokenizer.json", "LICENSE", "net.onnx", "README.md", "weights/a.bin", "notes.TXT")
    found = gather(folder, None)
    assert list(found.files) == [
        "net.onnx", "LICENSE", "README.md", "notes.TXT", "tokenizer.json", "weights/a.bin", "weights/b.bin",
    ]  # fmt: skip
    assert found.graph == "net.onnx"
    assert all(path.read_text() == name for name, path in found.files.items())
    assert [media_type(name) for name in found.files] == [
        "application/onnx", "application/octet-stream", "text/markdown", "text/plain", "application/json",
        "application/octet-stream", "application/octet-stream",
    ]  # fmt: skip


def test_which_of_several_graphs(folder: Path) -> None:
    refused(folder, "has no ONNX file")
    fill(folder, "onnx/encoder.onnx")
    assert gather(folder, None).graph == "onnx/encoder.onnx"
    fill(folder, "onnx/decoder.onnx")
    refused(folder, "several ONNX files: onnx/decoder.onnx, onnx/encoder.onnx")
    assert gather(folder, "onnx/encoder.onnx").graph == "onnx/encoder.onnx"
    refused(folder, "has no file ../x", "../x")
    fill(folder, "onnx/model.onnx")
    assert gather(folder, None).graph == "onnx/model.onnx"
    fill(folder, "model.onnx")
    assert gather(folder, None).graph == "model.onnx"


def test_hidden_files_and_what_is_no_file_are_named_and_left_out(folder: Path) -> None:
    fill(folder, "model.onnx", ".git/config", ".DS_Store", "sub/.hidden")
    os.mkfifo(folder / "pipe")
    found = gather(folder, None)
    assert list(found.files) == ["model.onnx"]
    assert sorted(found.skipped) == [
        ".DS_Store (hidden)", ".git (hidden)", "pipe (no regular file)", "sub/.hidden (hidden)",
    ]  # fmt: skip


def test_links_may_stay_inside_and_never_lead_out(folder: Path, tmp_path: Path) -> None:
    fill(folder, "model.onnx", "data/w.bin")
    (folder / "again.bin").symlink_to("data/w.bin")
    assert gather(folder, None).files["again.bin"].read_text() == "data/w.bin"
    fill(tmp_path, "key", "elsewhere/x")
    for name, target in (("key.bin", tmp_path / "key"), ("more", tmp_path / "elsewhere")):
        (folder / name).symlink_to(target)
        refused(folder, "outside of the folder")
        with pytest.raises(CommandError, match="outside of the folder"):
            beside(folder / "model.onnx", [name if name != "more" else "more/x"])
        (folder / name).unlink()
    (folder / "round").symlink_to(folder)
    refused(folder, "more than|is no name|cannot be read")  # a circle ends too


def test_names_and_numbers_that_no_manifest_can_have(folder: Path) -> None:
    fill(folder, "model.onnx", "my weights.bin")
    refused(folder, "'my weights.bin' is no name")
    (folder / "my weights.bin").unlink()
    fill(folder, *(f"{i}.bin" for i in range(MAX_FILES - 1)))
    assert len(gather(folder, None).files) == MAX_FILES
    fill(folder, "one-more.bin")
    refused(folder, f"more than {MAX_FILES} files")


def test_a_file_takes_along_exactly_what_it_refers_to(folder: Path) -> None:
    fill(folder, "net.onnx", "net.data", "sub/b.bin", "unrelated.bin")
    found = beside(folder / "net.onnx", ["net.data", "sub/b.bin"])
    assert (found.graph, list(found.files)) == ("model.onnx", ["model.onnx", "net.data", "sub/b.bin"])
    assert found.files["model.onnx"] == folder / "net.onnx"
    for name in ("gone.bin", "sub", "net.onnx", "model.onnx"):
        with pytest.raises(CommandError, match=f"another file, {name}, which is not there"):
            beside(folder / "net.onnx", [name])


def test_what_a_graph_refers_to_lies_in_its_own_folder() -> None:
    files = {"onnx/model.onnx", "onnx/w.bin", "w.bin"}
    assert data_paths("onnx/model.onnx", ["w.bin"], files) == ["onnx/w.bin"]
    assert data_paths("model.onnx", ["w.bin", "onnx/w.bin"], files) == ["w.bin", "onnx/w.bin"]
    with pytest.raises(ModelRefused, match=r"names itself"):
        data_paths("onnx/model.onnx", ["model.onnx"], files)
    with pytest.raises(ModelRefused, match=r"another file, onnx/x\.bin, which is not among"):
        data_paths("onnx/model.onnx", ["x.bin"], files)


def test_side_files_are_those_beside_the_graph_and_else_those_of_the_root() -> None:
    files = {"onnx/model.onnx", "onnx/config.json", "config.json", "tokenizer.json", "LICENSE", "deep/tokenizer.json"}
    assert list(side_paths("onnx/model.onnx", files).items()) == [
        ("tokenizer.json", "tokenizer.json"), ("config.json", "onnx/config.json"),
    ]  # fmt: skip
    assert side_paths("deep/model.onnx", files)["tokenizer.json"] == "deep/tokenizer.json"
    assert side_paths("model.onnx", {"model.onnx", "onnx/tokenizer.json"}) == {}
