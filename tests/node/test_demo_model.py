"""The demonstration reads files as the model's own package does: same features, same label, same score."""

from __future__ import annotations

import io
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

import node.demo.magika
from node.demo.dishonest import shift
from node.demo.magika import Magika, load_magika
from node.errors import CommandError, Exit
from tests.verify.scenes import floats
from wire.arrays import from_array, to_array

package = pytest.importorskip("magika", reason="the demonstration's model is an extra: pip install 'hallmark[demo]'")

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    "README.md",
    "LICENSE",
    "setup.cfg",
    "pyproject.toml",
    "Makefile",
    "wire/keys.py",
    "docs/life-of-an-answer.svg",
]


@cache
def ours() -> Magika:
    return load_magika()


@cache
def theirs() -> Any:
    return package.Magika()


@cache
def session() -> Any:
    return ort.InferenceSession(ours().model, providers=["CPUExecutionProvider"])


def their_features(content: bytes) -> list[int]:
    from magika.types.seekable import Seekable

    config = theirs()._model_config
    found = package.Magika._extract_features_from_seekable(
        Seekable(io.BytesIO(content)),
        config.beg_size,
        config.mid_size,
        config.end_size,
        config.padding_token,
        config.block_size,
        config.use_inputs_at_offsets,
    )
    return [*found.beg, *found.end]


def our_features(content: bytes) -> list[int]:
    tensor = ours().features(content)
    assert (tensor.name, tensor.header.datatype, tensor.header.shape) == ("bytes", "INT32", (1, 2048))
    features: list[int] = to_array(tensor)[0].tolist()
    return features


def our_answer(content: bytes) -> tuple[str, float]:
    (scores,) = session().run(None, {"bytes": to_array(ours().features(content))})
    return ours().read(from_array("target_label", scores))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"   \n\t ",
        b"  both sides  ",
        b"a" * 1023 + b" ",
        b" " * 4096 + b"after a block of white space",
        b"ahead of a block of white space" + b" " * 4096,
        b" " * 3000 + b"in the middle" + b"\n" * 3000,
        bytes(range(256)) * 40,
        b"\x0b\x0c\x1c\x85\xa0 what else is white",
    ],
    ids=lambda content: f"{len(content)}-{content[:9]!r}",
)
def test_features_at_the_edges(content: bytes) -> None:
    assert our_features(content) == their_features(content)


@given(st.lists(st.sampled_from([b" " * 700, b"\r\n\t", b"text", b"\x00\xff", b"y" * 1024, b"z" * 4095]), max_size=9))
def test_features_of_any_content(parts: list[bytes]) -> None:
    content = b"".join(parts)
    assert our_features(content) == their_features(content)


@pytest.mark.parametrize("name", FILES)
def test_a_file_s_label_and_score_are_the_package_s(name: str) -> None:
    content = (ROOT / name).read_bytes()
    said = theirs().identify_bytes(content).prediction
    label, score = our_answer(content)
    assert label == str(said.dl.label)
    assert score == pytest.approx(said.score, abs=1e-6)


def test_labels_stand_in_the_model_s_order() -> None:
    assert [str(label) for label in theirs()._target_labels_space] == list(ours().labels)
    assert session().get_outputs()[0].shape[-1] == len(ours().labels)


def test_without_the_package_the_next_step_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.demo.magika, "find_spec", lambda _: None)
    with pytest.raises(CommandError) as caught:
        load_magika()
    assert caught.value.exit_code is Exit.CONFIG
    assert "pip install" in caught.value.next_step
    assert util.find_spec("magika")


def test_the_liar_s_answer_is_plausible_and_wrong() -> None:
    honest = floats("scores", 0.1, 0.7, 0.2)
    (lie,) = shift([honest])
    assert lie.header == honest.header
    assert np.allclose(to_array(lie), [[0.2, 0.1, 0.7]])
