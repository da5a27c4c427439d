"""Peers that lie, die, freeze or keep silent while a question is in hand."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import trio

from node.asking import ask
from node.attempt import Answered, Question
from node.clock import now_ms
from node.errors import CommandError, Exit
from node.finding import find_model
from node.keyfile import load_key
from node.peer import Peer
from wire.arrays import from_array
from wire.canonical import Amount
from wire.tensors import Tensor
from wire.tier import Tier

from . import made
from .running import Node, hallmark, soon, until
from .town import Town

X = f"x={json.dumps([made.ROW])}"
TURNS = 400_000  # about a second of one core


@contextmanager
def frozen(*nodes: Node) -> Iterator[None]:
    """The processes stand still for the length of the block: they neither answer nor hang up."""
    for node in nodes:
        node.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.send(signal.SIGCONT)


def nothing(_: dict[str, Any]) -> None:
    """No screen."""


async def question(client: Peer, cid: str, tensors: list[Tensor], tier: Tier, seconds: float = 30.0) -> Question:
    signed, specs = await find_model(client, cid, nothing)
    return Question(signed, specs, tensors, tier, Amount(1), seconds)


def work(turns: int) -> list[Tensor]:
    """Inputs of the model `slow`."""
    return [from_array("turns", np.array(turns, np.int64)), from_array("size", np.array([1], np.int64))]


async def both_offers(client: Peer, model: bytes) -> None:
    await soon(lambda: len(client.board.offers(now_ms(), model)) == 2, "both offers")


def test_a_liar_alone_is_caught_and_nothing_of_its_answer_is_shown(town: Town) -> None:
    asked = ["infer", "twin", "--input", X, "--tier", "quorum", "--max-price", 0, "--bootstrap", town.a.address]
    ended = hallmark(*asked, directory=town.desk())  # a asks 1, so at 0 the liar is alone
    assert ended.code == 8, ended.said
    assert f"REJECTED: the answer of {town.liar.key.peer_id}" in ended.out
    assert re.search("[23] of 4 verifiers rejected it", ended.out)  # once two did, the others are not waited for
    assert "no answer could be proved" in ended.err
    assert "Do not use any of them." in ended.err
    assert "proved    " not in ended.out
    assert "FP32" not in ended.said


@pytest.fixture
def newcomer(town: Town) -> Iterator[Node]:
    """A peer that nobody has answered yet: it has no provider that it would ask first."""
    desk = town.desk()
    node = Node(desk, load_key(desk.key), ("hub",))
    try:
        node.start(town.a.address)
        yield node
    finally:
        node.kill()


def test_a_liar_beside_an_honest_provider_changes_nothing_and_is_not_asked_again(town: Town, newcomer: Node) -> None:
    """One verifier does not have the model: it abstains, which neither helps nor hinders."""
    node = newcomer

    def offers() -> bool:
        shown = node.run("model", "show", "twin", "--json").json
        return len(shown["offers"]) == 2

    until(offers, "both offers at the newcomer")
    asked = ["infer", "twin", "--input", X, "--tier", "quorum", "--max-price", 1]
    first = node.run(*asked)
    assert first.code == 0, first.said
    assert f"REJECTED: the answer of {town.liar.key.peer_id}" in first.out  # cheaper, so asked first
    assert f"provider   {town.a.key.peer_id}" in first.out
    assert "certified by 3 of 4 verifiers" in first.out
    second = node.run(*asked, "--json")
    assert (second.code, second.json["provider"]) == (0, town.a.key.peer_id)
    assert sorted(second.json["signers"]) == sorted(v.key.peer_id for v in town.verifiers[:3])
    assert "rejected" not in second.out


def test_a_signed_answer_of_a_liar_is_only_as_good_as_its_word(town: Town) -> None:
    ended = hallmark(
        "infer", "twin", "--input", X, "--max-price", 0, "--bootstrap", town.a.address, "--json", directory=town.desk()
    )
    assert ended.code == 0, ended.said
    assert ended.json["proof"] == "signed by its provider alone"
    honest = np.log(np.array(made.ROW)) + 1.0
    assert not np.allclose(ended.json["outputs"][0]["data"], honest)


async def test_a_provider_killed_in_the_middle_costs_time_and_no_answer(town: Town, client: Peer) -> None:
    await both_offers(client, town.model("slow"))
    asked = await question(client, town.cids["slow"], work(TURNS), "signed")
    answers: list[Answered] = []
    events: list[dict[str, Any]] = []
    before = town.b.work_done()

    async def asking() -> None:
        answers.append(await ask(client, asked, events.append))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking)
        await soon(lambda: town.b.work_done() > before + 10, "b at work")  # 0.1 s of it
        town.b.send(signal.SIGKILL)
    assert answers[0].provider == town.a.key.public
    assert [e["peer"] for e in events if e["event"] == "failed"] == [town.b.key.peer_id]
    town.b.kill()
    identity = town.b.ready["peer_id"]
    town.b.start(town.a.address)
    assert town.b.ready["peer_id"] == identity


def test_a_frozen_provider_ends_in_a_sentence_in_time(town: Town) -> None:
    asked = ["infer", "slow", "--input", "turns=1", "--input", "size=[1]", "--max-price", 1, "--timeout", 2]
    started = time.monotonic()
    with frozen(town.b):  # it is cheaper, so it is asked first
        ended = hallmark(*asked, "--bootstrap", town.a.address, directory=town.desk())
    assert time.monotonic() - started < 10.0
    if ended.code == 0:
        assert f"provider   {town.a.key.peer_id}" in ended.out
    else:
        assert ended.code == 7, ended.said
        assert f"{town.b.key.peer_id}: no proved answer within the time allowed" in ended.err
        assert "--timeout SECONDS" in ended.err


def test_one_silent_verifier_of_four_is_not_waited_for(town: Town) -> None:
    asked = ["infer", "logs", "--input", X, "--tier", "quorum", "--max-price", 1, "--json"]
    started = time.monotonic()
    with frozen(town.verifiers[3]):
        ended = hallmark(*asked, "--bootstrap", town.a.address, directory=town.desk())
    assert ended.code == 0, ended.said
    assert ended.json["proof"] == "certified by 3 of 4 verifiers"
    assert set(ended.json["signers"]) == {v.key.peer_id for v in town.verifiers[:3]}
    assert time.monotonic() - started < 20.0


def test_two_silent_verifiers_of_four_leave_nothing_proved(town: Town) -> None:
    asked = ["infer", "logs", "--input", X, "--tier", "quorum", "--max-price", 1, "--timeout", 3]
    started = time.monotonic()
    with frozen(*town.verifiers[2:]):
        ended = hallmark(*asked, "--bootstrap", town.a.address, directory=town.desk())
    assert ended.code in (7, 8), ended.said
    assert town.a.key.peer_id in ended.err
    assert "proved     " not in ended.out
    assert time.monotonic() - started < 25.0  # without that timeout it would be a minute


async def test_work_without_end_stops_at_its_deadline_and_the_provider_goes_on(town: Town, client: Peer) -> None:
    asked = await question(client, town.cids["slow"], work(2**40), "signed", seconds=2.0)
    with pytest.raises(CommandError) as failure:
        await ask(client, asked, nothing)
    assert failure.value.exit_code is Exit.REMOTE
    answer = await ask(client, await question(client, town.cids["slow"], work(1), "signed"), nothing)
    assert answer.proof == "signed by its provider alone"


async def test_an_input_that_would_take_64_gib_is_told_and_the_provider_goes_on(town: Town, client: Peer) -> None:
    huge = [work(1)[0], from_array("size", np.array([2**34], np.int64))]
    with pytest.raises(CommandError) as failure:
        await ask(client, await question(client, town.cids["slow"], huge, "signed"), nothing)
    assert failure.value.exit_code is Exit.REMOTE
    answer = await ask(client, await question(client, town.cids["slow"], work(1), "signed"), nothing)
    assert answer.proof == "signed by its provider alone"
