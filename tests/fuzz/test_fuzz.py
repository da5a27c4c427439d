"""Every protocol that a stranger can open takes any bytes: the node lives, answers, and is no larger.

By default a hundred inputs a protocol; `make fuzz` sends ten thousand (HALLMARK_FUZZ says how many).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from random import Random

import pytest
import trio

from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from p2p import open_host
from tests.node.processes.running import Node, settle
from wire.catalogue import AskPresences, Presences
from wire.keys import NodeKey
from wire.network import Network

from .attack import Attack
from .mutations import MOST, Mutator

INPUTS = int(os.environ.get("HALLMARK_FUZZ", "100"))
GROWTH = 24 * 2**20  # bytes, over all protocols together
# A protocol that nobody thought of is fuzzed because the target names it; one of these that it does not name is missed.
KNOWN = (
    "/infer/",
    "/committee/",
    "/blobs/",
    "/catalogue/",
    "/circuits/",
    "/attest/",
    "/meshsub/",
    "/kad/",
    "/id/",
    "/ping/",
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Network]]:
    directory = settle(tmp_path_factory.mktemp("fuzz") / "target")
    key = load_key(directory.key)
    network = new_network("fuzz", [key.peer_id])
    keep_network(directory, network)
    node = Node(directory, key, ("hub", "provider", "verifier", "relay"))
    node.start()
    yield node, network
    node.kill()


async def answers(node: Node, network: Network) -> bool:
    """Whether a peer of good intentions is served."""
    async with open_host(NodeKey.generate(), network, listen=()) as host:
        peer = await host.connect([node.address])
        with trio.fail_after(20.0):
            async with host.exchange(peer, "catalogue") as channel:
                await channel.send(AskPresences())
                return bool((await channel.receive(Presences, timeout=20.0)).entries)


async def test_any_bytes_on_any_protocol(target: tuple[Node, Network]) -> None:
    node, network = target
    attack = Attack(network, node.address, seed=1)
    protocols = await attack.protocols()
    assert [known for known in KNOWN if not any(known in protocol for protocol in protocols)] == []
    for protocol in protocols:  # each has its first use, and what that takes, before memory is looked at
        await attack.on(protocol, 32)
    before = node.memory()
    for protocol in protocols:
        done = await attack.on(protocol, INPUTS)
        assert node.running, f"{protocol} ended the node:\n{node.words()}"
        assert await answers(node, network), protocol
        grown = (node.memory() - before) >> 10
        told = f"{done.inputs:6} inputs {done.seconds:6.1f} s {done.identities:4} identities {grown:+7} KiB"
        sys.stdout.write(f"{told}  {protocol}\n")
    grown = node.memory() - before
    assert grown < GROWTH, f"the node has grown by {grown >> 20} MiB"
    assert "Traceback" not in node.log.read_text(errors="replace"), node.words()


def test_inputs_differ_and_are_bounded_and_come_again_with_their_seed() -> None:
    seeds = [b"\x01\0\0\0\x04abcd", b"another good input"]
    first, again = Mutator(seeds, Random(3)), Mutator(seeds, Random(3))
    inputs = [first.next() for _ in range(2000)]
    assert inputs == [again.next() for _ in range(2000)]
    assert len(set(inputs)) > 1200
    assert max(map(len, inputs)) <= MOST
    assert set(seeds) < set(inputs)


def test_nothing_to_begin_with_is_a_beginning_too() -> None:
    mutator = Mutator([], Random(1))
    assert any(mutator.next() for _ in range(50))
