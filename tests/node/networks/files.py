"""A network with a publisher, its signed files, and peers that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from node.config import Config
from node.datadir import DataDir
from node.local import Local
from node.networkfile import load_network, show_network
from node.networks.adding import add_network
from tests.verify.scenes import Scene, bent, key_of
from wire.chain import ChainSpec
from wire.keys import NodeKey
from wire.network import Network
from wire.networkfile import sign_file

PUBLISHER, HEIR, STRANGER = (key_of(name) for name in ("publisher", "heir", "stranger"))
SEED = "/ip4/192.0.2.1/tcp/4001/p2p/" + key_of("seed").peer_id
CHAIN = ChainSpec(
    rpcs=("https://rpc.example/",), token=b"\1" * 20, channels=b"\2" * 20, evidence=b"\3" * 20, split=b"\4" * 20,
    epochs=b"\5" * 20, confirmations=3, from_block=0, lead=6,
)  # fmt: skip
FIRST = bent(Scene().network, publisher=PUBLISHER.address, version=1)


def changed(network: Network, **fields: Any) -> Network:
    """The network's next version, with these fields."""
    return msgspec.structs.replace(network, **({"version": network.version + 1} | fields))


def text_of(network: Network, by: NodeKey = PUBLISHER) -> str:
    """The file, signed."""
    return sign_file(show_network(network), by, network.domain).text


def local_at(path: Path, network: Network | None = FIRST, text: str = "") -> Local:
    """A peer's directory with that network in it, or the file `text`; it has neither store nor engine."""
    directory = DataDir(path)
    place = add_network(directory, text or text_of(network or FIRST), "a test").place
    return Local(directory, Config(), key_of(path.name), load_network(place), None, None)  # type: ignore[arg-type]
