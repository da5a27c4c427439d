"""The networks that these tests share, since a peer's start costs a second: a town of seven, and one peer alone."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.config import Config
from node.opening import open_peer
from node.peer import Peer

from . import made
from .running import until
from .town import Fort, Town, come_up, fort_at


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ONNX files: two that answer, one that takes its time, and bad ones."""
    folder = tmp_path_factory.mktemp("models")
    for name, add in (("logs", 0.0), ("twin", 1.0)):
        made.save(made.logarithm(add), folder / f"{name}.onnx")
    made.save(made.slow(), folder / "slow.onnx")
    made.save(made.endless(), folder / "endless.onnx")
    made.save(made.greedy(), folder / "greedy.onnx")
    made.save(made.elsewhere(), folder / "elsewhere.onnx")
    (folder / "prose.onnx").write_text("It was a dark and stormy night." * 9)
    return folder


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Town]:
    """Two honest providers, a liar and four verifiers, with their models in place."""
    with ExitStack() as ending:
        made_up = come_up(tmp_path_factory.mktemp("town"), models, ending)
        until(made_up.is_ready, "every model offered and every verifier ready")
        yield made_up


@pytest.fixture(scope="session")
def fort(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Fort]:
    """One peer with every role, to be attacked."""
    with ExitStack() as ending:
        yield fort_at(tmp_path_factory.mktemp("fort"), models, ending)


@pytest.fixture
async def client(town: Town) -> AsyncIterator[Peer]:
    """A short-lived peer in this process that has joined the town and knows its offers."""
    async with open_peer(town.desk(), Config(bootstraps=(town.a.address,)), serving=False) as peer:
        yield peer
    gc.collect()  # the library leaves sockets of closed connections to it; their other ends would wait for us
