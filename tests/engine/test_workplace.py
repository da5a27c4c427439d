"""The folders that workers stand in: removed with those who had them, however these ended, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import open_engine, workplace
from engine.bounds import MAX_LEFT_BEHIND
from engine.workplace import PREFIX, remove_left_behind
from engine.workplace import workplace as opened


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, here and in child processes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has a workplace."""
    script = "from engine.workplace import workplace\nwith workplace() as p: print(p, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        yield process
        process.kill()


def told(process: subprocess.Popen[bytes]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().decode().strip())


def names(place: Path) -> list[str]:
    return [path.name for path in place.iterdir()]


def test_it_is_empty_and_gone_afterwards(place: Path) -> None:
    with opened() as folder:
        assert list(folder.iterdir()) == []
        assert folder.parent == place
    assert list(place.iterdir()) == []


def test_that_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not(other: subprocess.Popen[bytes]) -> None:
    folder = told(other)
    remove_left_behind()
    assert folder.is_dir()
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert folder.is_dir()
    remove_left_behind()
    assert not folder.exists()


async def test_an_engine_removes_them_as_it_opens(place: Path) -> None:
    (place / f"{PREFIX}left").mkdir()
    async with open_engine():
        (own,) = names(place)
        assert own != f"{PREFIX}left"
    assert names(place) == []


def test_nothing_else_is_touched(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (place / f"{PREFIX}link").symlink_to(elsewhere, target_is_directory=True)
    (place / f"{PREFIX}full").mkdir()
    (place / f"{PREFIX}full" / "kept").write_text("work")
    (place / f"{PREFIX}file").write_text("no folder")
    os.mkfifo(place / f"{PREFIX}pipe")
    (place / "hallmark-other").mkdir()
    before = sorted(place.rglob("*"))
    remove_left_behind()
    assert sorted(place.rglob("*")) == before
    assert elsewhere.is_dir()


def test_there_may_be_any_number_of_them(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "MAX_LEFT_BEHIND", 3)
    for n in range(5):
        (place / f"{PREFIX}{n}").mkdir()
    remove_left_behind()
    assert len(list(place.iterdir())) == 2
    assert MAX_LEFT_BEHIND > 3


def test_one_that_was_taken_away_before_it_was_locked_is_made_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = tempfile.mkdtemp, []

    def mkdtemp(prefix: str) -> str:
        made.append(real(prefix=prefix))
        if len(made) == 1:
            remove_left_behind()  # another process starts just now
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with opened() as folder:
        assert len(made) == 2
        assert folder.is_dir()
    assert list(place.iterdir()) == []
