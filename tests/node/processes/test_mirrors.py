"""A hub that mirrors: what its publisher announced outlives the publisher, and goes when it is withdrawn."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import trio

from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from storage import open_store
from wire.cid import from_cid
from wire.keys import show_address

from . import made
from .running import Event, Node, hallmark, search, settle, until


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def stat(node: Node) -> Event:
    return trio.run(partial(node.call, "store.stat"))


def test_a_hub_keeps_what_its_publisher_no_longer_serves(tmp_path: Path, ending: ExitStack) -> None:
    places = {name: settle(tmp_path / name) for name in ("publisher", "hub")}
    keys = {name: load_key(place.key) for name, place in places.items()}
    network = new_network("mirrors", [keys["publisher"].peer_id])
    for place in places.values():
        keep_network(place, network)
    places["hub"].config.write_text('hub_policy = "tags"\nhub_tags = ["kept"]\nquota = "20 MiB"')
    roles = {"publisher": ("hub", "provider"), "hub": ("hub",)}
    publisher, hub = (Node(places[name], keys[name], roles[name]) for name in places)
    for node in (publisher, hub):
        ending.callback(node.kill)
    publisher.start()
    hub.start(publisher.address)
    # what is published after the hub came reaches it by gossip
    cids = {}
    for name, megabytes, tag in (("good", 3, "kept"), ("wrong", 2, "kept"), ("other", 1, "left")):
        file = made.save(made.large(megabytes), tmp_path / f"{name}.onnx")
        words = ["model", "add", file, "--name", name, "--licence", "MIT", "--tag", tag, "--json"]
        added = publisher.run(*words)
        assert added.code == 0, added.said
        cids[name] = added.json["cid"]
    until(lambda: stat(hub)["mirrored"] == 2, "two copies at the hub")
    told = trio.run(partial(hub.call, "model.ls"))["models"]
    assert {m["cid"] for m in told if m["mirrored"] and m["complete"]} == {cids["good"], cids["wrong"]}
    assert publisher.run("model", "withdraw", "wrong@1.0.0", "--reason", "wrong", "--json").code == 0
    until(lambda: stat(hub)["mirrored"] == 1, "the withdrawn copy gone")
    until(lambda: stat(hub)["chunk_bytes"] < 4.5 * 2**20, "its room freed")
    desk = settle(tmp_path / "desk", network)
    words = ["infer", "good", "--input", "x=[[1, 2, 3]]", "--bootstrap", publisher.address]
    asked = hallmark(*words, directory=desk)
    assert asked.code == 0, asked.said
    publisher.send(signal.SIGTERM)
    assert publisher.wait() == 0
    for place, expected in ((places["publisher"], (1, 1)), (desk, (0, 1))):  # pulled by the hub, called by the desk
        with open_store(place.store) as store:
            seen = store.seen.get(from_cid(cids["good"]))
            assert (seen.pulls, seen.calls) == expected

    found = search("--bootstrap", hub.address, directory=desk)
    assert {m["name"]: m["hubs"] for m in found.json["models"]} == {"good": 1, "other": 0}, found.said
    whose = show_address(keys["publisher"].address)
    pulled = hallmark("model", "pull", f"{whose}/good", "--bootstrap", hub.address, "--json", directory=desk)
    assert (pulled.code, pulled.json.get("cid")) == (0, cids["good"]), pulled.said
    gone = hallmark("model", "pull", f"{whose}/wrong", "--bootstrap", hub.address, directory=desk)
    assert (gone.code, "was withdrawn by its publisher: wrong" in gone.err) == (5, True), gone.said
