"""For the whole house: Hypothesis, where temporary files are, and which tests stay together."""

from __future__ import annotations

import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from trio.testing import MockClock

from .clock import jumping_clock

# No deadlines (a shared core is slow at random), and the same examples on every CI run.
settings.register_profile(
    "house",
    deadline=None,
    max_examples=60,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")

IN_MEMORY = Path("/dev/shm")  # a store's syncs cost nothing there, and no test cuts the power
ROOM = 4 * 2**30  # bytes; the tests take some hundred megabytes

if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.fixture
def autojump_clock() -> MockClock:
    """In the place of pytest-trio's."""
    return jumping_clock()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One process more than there are cores, at most five: half the time a test waits for a process or a socket."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else min(os.cpu_count() or 1, 4) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What stays together when several processes share the tests: a file, and the files that share a network."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(config.rootpath, nodeid)

    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The one that takes longest begins first, so that nobody waits for it in the end."""
    items.sort(key=lambda item: not _scope(config.rootpath, item.nodeid).endswith("::Town"))


def _scope(root: Path, nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    network = _network(root / file)
    return f"{Path(file).parent}::{network}" if network else file


@cache
def _network(file: Path) -> str | None:
    """Which of its folder's networks a file's tests need: whoever runs one of them starts it."""
    names = re.search(r"from \.town import (.*)", file.read_text())
    return next((name for name in ("Town", "Fort") if names and name in names[1].split(", ")), None)
