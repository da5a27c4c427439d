from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.benching import suite
from node.benching.suite import STANDARD, Entry, obtain
from node.config import Config
from node.local import open_local
from node.networkfile import new_network
from tests.engine.models import mlp
from tests.node.processes.running import settle
from tests.verify.scenes import key_of


def test_each_name_is_a_models_and_stands_once() -> None:
    names = [entry.name for entry in STANDARD]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"suite-[a-z0-9-]+", name) for name in names)
    assert all(entry.how for entry in STANDARD)


def test_the_light_topologies_are_where_the_package_has_them() -> None:
    light = [entry for entry in STANDARD if entry.name.startswith("suite-light-")]
    assert len(light) == 9
    for entry in light:
        path = entry.find()
        assert path is not None
        assert path.suffix == ".onnx"
        assert path.stat().st_size > 1000


def test_a_package_that_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "find_spec", lambda _: None)
    assert STANDARD[0].find() is None


async def test_a_model_is_added_once_and_found_by_its_name_again(tmp_path: Path) -> None:
    directory = settle(tmp_path / "peer", new_network("suite", [key_of("v").peer_id]))
    file = tmp_path / "model.onnx"
    file.write_bytes(mlp().SerializeToString())
    here, gone = Entry("suite-mlp", lambda: file, "MIT", ""), Entry("suite-mlp", lambda: None, "MIT", "")
    async with open_local(directory, Config()) as local:
        assert await obtain(local, gone, lambda _: None) is None
        added = await obtain(local, here, lambda _: None)
        assert added is not None
        assert await obtain(local, here, lambda _: None) == added
        assert await obtain(local, gone, lambda _: None) == added  # in the store, wherever its file came from
        assert len(local.store.models.all()) == 1
