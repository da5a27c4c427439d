"""Committees between processes: as large as was asked for, with a reserve for who is silent, and without the lazy."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from node.asking import ask
from node.attempt import Question
from node.clock import now_ms
from node.config import Config
from node.errors import CommandError, Exit
from node.finding import find_model
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from p2p import Channel, open_host
from tests.verify.scenes import bent
from verify import Committee, Sitting
from verify.member import Member
from verify.policy import Policy, QuorumPolicy
from wire.arrays import from_array, to_array
from wire.canonical import Amount
from wire.committee import CommitteeRequest, Convene, Judge
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.manifest import Manifest
from wire.vote import Verdict

from . import made
from .running import Node, hallmark, settle, soon
from .test_trouble import frozen, nothing, question
from .town import Town, add

X = f"x={json.dumps([made.ROW])}"
THREE = Policy(quorum=QuorumPolicy(committee=3))


def test_a_quorum_is_as_large_as_was_asked_for_and_never_larger_than_the_registry(town: Town) -> None:
    for asked, size in (("quorum:2", 2), ("quorum:3", 3), ("quorum:9", 4)):
        directory = town.desk()
        receipt = directory.path / "answer.receipt"
        words = ["infer", "logs", "--input", X, "--max-price", 1, "--tier", asked, "--receipt", receipt]
        words += ["--bootstrap", town.a.address]
        if size < 4:  # fewer than the network file says are not believed without being told so
            assert "your policy wants 4" in hallmark(*words, directory=directory).err
            directory.policy.write_text("[quorum]\ncommittee = 2\n")
        ended = hallmark(*words, directory=directory)
        assert ended.code == 0, ended.said
        assert f"of {size} verifiers" in ended.out
        told = hallmark("verify", receipt, "--network", town.file(), directory=directory)
        assert told.code == 0, told.said
        assert f"a committee of {size}" in told.out
        assert ("9 were asked for, and more may not judge" in " ".join(told.out.split())) == (size == 4)


async def test_a_provider_is_not_distrusted_for_an_answer_that_only_our_policy_refuses(
    town: Town, client: Peer
) -> None:
    asked = replace(await question(client, town.cids["logs"], [made.row()], "quorum"), committee=3)
    with pytest.raises(CommandError) as caught:
        await ask(client, asked, nothing)
    assert caught.value.exit_code is Exit.NOT_PROVED
    assert "your policy wants 4" in caught.value.message
    assert "hallmark policy show" in caught.value.next_step
    assert len((await ask(client, replace(asked, policy=THREE), nothing)).signers) >= 3


async def test_a_reserve_stands_in_for_a_member_that_says_nothing(town: Town, client: Peer) -> None:
    """Of four verifiers three are members and one is the bench; two members alone are no quorum."""
    silent = town.verifiers[0]
    asked = await question(client, town.cids["logs"], [made.row()], "quorum")
    with frozen(silent):
        for _ in range(20):
            began = trio.current_time()
            answer = await ask(client, replace(asked, committee=3, policy=THREE), nothing)
            committee = Sitting.of(town.network, answer.file.request).committee
            if place(committee, silent.key) < 3:
                break
    assert place(committee, silent.key) < 3
    assert {town_key for town_key in answer.signers} == {m.key for m in committee.places} - {silent.key.public}
    assert committee.bench[0].key in answer.signers
    assert trio.current_time() - began < 5  # long before any deadline


def place(committee: Committee, key: NodeKey) -> int:
    found = committee.index_of(key.public)
    assert found is not None
    return found


class Sitter:
    """A verifier in this process: it executes `logs` itself, or, while it is `lazy`, seals noise and accepts whatever
    comes at a small distance."""

    def __init__(self, key: NodeKey) -> None:
        self.key, self.lazy = key, False
        self.manifest: Manifest | None = None
        self.peer: Any = None

    async def serve(self, channel: Channel) -> None:
        convene = await channel.receive(CommitteeRequest, timeout=20)
        if not isinstance(convene, Convene):
            raise RemoteError(ErrorCode.NOT_FOUND, "nothing is kept here")
        inputs = await channel.receive_tensors(convene.inputs, timeout=20)
        assert self.manifest is not None
        y = np.log(to_array(inputs[0])) if not self.lazy else np.random.default_rng().random((1, 4))
        member = Member(self.peer, self.key, convene.request, now_ms())
        own = [from_array("y", y.astype(np.float32))]
        await channel.send(member.commit(self.manifest, own, secrets.token_bytes(32)))
        judge = await channel.receive(Judge, timeout=20)
        outputs = await channel.receive_tensors(judge.outputs, timeout=20)
        if self.lazy:
            await channel.send(member._vote(judge.receipt, Verdict.ACCEPT, 3, "looks right to me"))
        else:
            await channel.send(member.judge(judge.receipt, outputs, now_ms()))


@asynccontextmanager
async def sitters(place: Path, models: Path) -> AsyncIterator[tuple[list[Sitter], Peer, Question]]:
    """A provider in a process of its own, four verifiers in this one, and who asks."""
    seated = [Sitter(NodeKey.generate()) for _ in range(4)]
    network = new_network("lazy", [s.key.peer_id for s in seated])
    with ExitStack() as ending:
        async with trio.open_nursery() as nursery:
            addresses = {}
            for sitter in seated:
                opened = open_host(sitter.key, network, listen=["/ip4/127.0.0.1/tcp/0"], bootstraps=[])
                addresses[sitter.key.public] = await nursery.start(hosting, opened, sitter)
            listed = tuple(bent(v, addresses=tuple(addresses[v.key])) for v in network.verifiers)
            network = bent(network, verifiers=listed)
            directory = settle(place / "provider", network)
            node = Node(directory, load_key(directory.key), ("hub", "provider"))
            ending.callback(node.kill)
            await launched(node)
            cid = (await add(node, models / "logs.onnx"))["cid"]
            desk = settle(place / "desk", network)
            async with open_peer(desk, Config(bootstraps=(node.address,)), serving=False) as client:
                signed, specs = await find_model(client, cid, nothing)
                for sitter in seated:
                    sitter.peer, sitter.manifest = network, specs
                await soon(lambda: bool(client.board.offers(now_ms(), signed.model)), "the offer")
                yield seated, client, Question(signed, specs, [made.row()], "quorum", Amount(0), 20.0)
            nursery.cancel_scope.cancel()


async def hosting(opened: Any, sitter: Sitter, task_status: trio.TaskStatus[Any]) -> None:
    async with opened as host:
        host.handle("committee", sitter.serve)
        task_status.started(host.addresses)
        await trio.sleep_forever()


async def launched(node: Node) -> None:
    """Started while this process's hosts go on: `Node.start` would wait without them."""
    node.launch()

    def is_ready() -> bool:
        return node.running and node.out.exists() and any(e["event"] == "ready" for e in node.events())

    await soon(is_ready, "a ready line")
    node.wait_ready()


async def test_who_executes_nothing_and_accepts_is_not_counted(tmp_path: Path, models: Path) -> None:
    async with sitters(tmp_path, models) as (seated, client, asked):
        answer = await ask(client, asked, nothing)
        assert len(answer.signers) == 4
        seated[0].lazy = True
        answer = await ask(client, asked, nothing)
        assert set(answer.signers) == {s.key.public for s in seated[1:]}
        assert all(b.member != place(Sitting.of(client.network, answer.file.request).committee, seated[0].key)
                   or b.vote is None for b in answer.file.ballots)  # fmt: skip
        seated[1].lazy = True  # what both say together would have been a quorum
        with pytest.raises(CommandError) as caught:
            await ask(client, asked, nothing)
        assert caught.value.exit_code in (Exit.NOT_PROVED, Exit.REMOTE)
        assert "2 accepted, 0 rejected, 2 did not say" in caught.value.message


def test_an_epoch_that_changes_the_verifiers_leaves_old_receipts_valid(town: Town) -> None:
    directory = town.desk()
    receipt = directory.path / "answer.receipt"
    words = ["infer", "logs", "--input", X, "--max-price", 1, "--tier", "quorum", "--receipt", receipt]
    assert hallmark(*words, "--bootstrap", town.a.address, directory=directory).code == 0
    changed = directory.path / "town.toml"
    changed.write_bytes(town.file().read_bytes())
    newcomer = NodeKey.generate().peer_id
    assert hallmark("network", "epoch", changed, "--verifier", newcomer, "--in", 0, directory=directory).code == 0
    told = hallmark("verify", receipt, "--network", changed, directory=directory)
    assert told.code == 0, told.said
    assert "for epoch 0" in " ".join(told.out.split())
    # an answer of the new epoch has another committee, and the old verifiers have no say in it
    keep_network(directory, bent(town.network, epoch=1, verifiers=town.network.verifiers[:1]))
    told = hallmark("verify", receipt, directory=directory)
    assert told.code == 8, told.said
