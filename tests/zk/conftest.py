"""The two worlds, each made once a session, and an honest answer in each."""

from __future__ import annotations

import pytest

from node.zk.proving import Proved

from .world import ROW, World, build_world, row


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The weights are in the key."""
    return build_world(tmp_path_factory.mktemp("fixed"), "fixed")


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The weights are committed to."""
    return build_world(tmp_path_factory.mktemp("committed"), "polycommit")


@pytest.fixture(scope="session")
def proved(fixed: World) -> Proved:
    """An honest proof about ROW."""
    return fixed.prove(row(*ROW))
