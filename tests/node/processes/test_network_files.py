"""A network by its file: added on a clean machine, joined by its name, and renewed while peers run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from node.datadir import DataDir
from node.keyfile import load_key
from node.networkfile import load_network, new_network, show_network
from tests.verify.scenes import bent
from wire.keys import NodeKey, show_address
from wire.network import Network
from wire.networkfile import sign_file

from .running import Node, eventually, hallmark, settle, until


def test_a_newcomer_joins_by_a_signed_file_and_hears_of_the_next_one(tmp_path: Path) -> None:
    publisher, file = NodeKey.generate(), tmp_path / "town.toml"
    founder, newcomer = settle(tmp_path / "founder"), DataDir(tmp_path / "newcomer")
    key = load_key(founder.key)

    def publish(network: Network) -> Network:
        network = bent(network, publisher=publisher.address, version=network.version + 1)
        file.write_text(sign_file(show_network(network), publisher, network.domain).text)
        return network

    first = publish(new_network("town", [key.peer_id]))
    a = Node(founder, key, ("hub", "verifier"), program=_serving(str(file)))
    b = Node(newcomer, key, ("hub",), program=_serving("town"))
    try:
        a.start()
        second = publish(bent(first, bootstraps=(a.address,)))
        asked = ["network", "add", file, "--publisher", show_address(publisher.address), "--json"]
        added = hallmark(*asked, directory=newcomer)
        assert (added.code, added.json["signed"], added.json["taken"]) == (0, True, False), added.said
        b.start()  # with nothing but the name: its seed stands in the file
        trio.run(partial(eventually, partial(_knows, b, a), "the founder, at the newcomer"))
        until(lambda: [e for e in b.events() if e["event"] == "joined"], "the newcomer's word that it has joined")
        assert [place.stem for place in newcomer.networks.glob("*.toml")] == ["town"]

        third = publish(bent(second, relays=(a.address,)))
        told = a.run("network", "add", file)
        assert (told.code, "The peer that runs here has taken it over" in told.out) == (0, True), told.said
        updated = b.run("network", "update", "--json")
        assert (updated.code, updated.json["version"]) == (0, 3), updated.said  # it may have heard by itself
        assert load_network(newcomer.networks / "town.toml") == third
    finally:
        a.kill()
        b.kill()


def _serving(network: str) -> tuple[str, ...]:
    return ("-m", "node.cli", "serve", "--network", network, "--data-dir")


async def _knows(node: Node, other: Node) -> bool:
    return other.key.peer_id in [peer["peer_id"] for peer in (await node.call("peers"))["peers"] if peer["connected"]]
