"""A command line of one's own: nothing of the user's settings reaches these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.listening import LOOPBACK
from storage import Store, open_store

from .commands import Hallmark, runner


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory that commands find; nothing is in it yet."""
    for name in list(os.environ):
        if name.startswith("HALLMARK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("HALLMARK_LISTEN", LOOPBACK[0])  # no router is asked, and nobody outside finds a test
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def hallmark(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hallmark:
    """Runs a command in this process, in the data directory `home`."""
    assert not home.exists()
    return runner(monkeypatch, capsys)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store on disk."""
    with open_store(tmp_path / "store") as opened:
        yield opened
