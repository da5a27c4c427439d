"""Purses on a town's chain: what an operation of money gets, without a store or an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from node.chain.opening import OpenPurse
from node.config import Config
from node.datadir import DataDir
from node.local import Local
from node.networkfile import new_network
from settle.chain import Chain
from tests.settle.town import Town
from wire.keys import NodeKey
from wire.network import Network


def network_of(town: Town, **changes: Any) -> Network:
    """The network file that a deployment of the town would hand out."""
    network = new_network("town", [], committee=4)
    return msgspec.structs.replace(
        network, chain_id=town.domain.chain_id, contract=town.domain.contract, chain=town.spec, **changes
    )


def local_of(path: Path, town: Town, node: NodeKey, **changes: Any) -> Local:
    directory = DataDir(path)
    directory.create()
    return Local(directory, Config(), node, network_of(town, **changes), None, None)  # type: ignore[arg-type]


@asynccontextmanager
async def purse_of(path: Path, town: Town, chain: Chain, node: NodeKey, owner: NodeKey) -> AsyncIterator[OpenPurse]:
    """The purse of a node whose owner's account is unlocked."""
    async with town.sender(chain, owner) as sender:
        yield OpenPurse(local_of(path, town, node), chain, sender)
