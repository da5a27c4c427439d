"""For the whole house: Hypothesis, where temporary files are, and which tests stay together."""

from __future__ import annotations

import os
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
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What stays together when several processes share the tests: a file, and a folder's files that share a town."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(config.rootpath, nodeid.partition("::")[0])

    return Together(config, log)


@cache
def _scope(root: Path, file: str) -> str:
    return f"{Path(file).parent}/town" if "from .town import" in (root / file).read_text() else file
