"""`hallmark serve` as its operator has it: ready, asked through its socket, drained, hurried, killed, started again."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.datadir import DataDir
from node.keyfile import load_key
from wire.keys import NodeKey

from .running import PATIENCE, Event, Node, alive, hallmark, launch, until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A peer of its own network, made and not yet started."""
    directory = DataDir(tmp_path / "peer")
    made = hallmark("init", directory=directory)
    assert made.code == 0, made.said
    one = Node(directory, load_key(directory.key), ("hub", "verifier"))
    yield one
    one.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_then_one_signal_drains_and_ends_well(node: Node, number: signal.Signals) -> None:
    node.start()
    reach, ready = node.events()[:2]
    assert (reach["event"], reach["line"]) == ("reach", "from this machine only (local)")
    assert ready["event"] == "ready"
    assert ready["peer_id"] == node.key.peer_id
    assert ready["roles"] == ["hub", "verifier"]
    assert ready["network"] == f"home-{node.key.address.hex()[:6]}"
    assert ready["addresses"]
    assert all(a.endswith(f"/p2p/{node.key.peer_id}") for a in ready["addresses"])
    control = node.directory.socket.stat()
    assert (stat.S_ISSOCK(control.st_mode), stat.S_IMODE(control.st_mode)) == (True, 0o600)
    node.send(number)
    assert node.wait() == 0, node.words()
    assert [e["event"] for e in node.events()] == ["reach", "ready", "draining", "stopped"]
    assert node.events()[-1]["hurried"] is False
    assert not node.directory.socket.exists()
    assert "Traceback" not in node.words()


def test_who_finds_nobody_says_whom_it_tried_and_why_that_failed(node: Node) -> None:
    away = f"/ip4/127.0.0.1/tcp/1/p2p/{NodeKey.generate().peer_id}"
    node.start(away)
    told = until(lambda: [e for e in node.events() if e["event"] == "alone"], "a word on being alone")
    (failure,) = told[0]["failures"]
    assert "/ip4/127.0.0.1/tcp/1: connection refused" in failure
    asked = node.run("doctor", "--json")
    (peers,) = [f for f in map(json.loads, asked.out.splitlines()) if f["name"] == "peers"]
    assert (asked.code, peers["ok"]) == (3, False)
    assert failure in peers["detail"]


def test_an_address_that_cannot_be_listened_on_is_told_in_a_sentence(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}"
        ended = node.run("serve", "--listen", place)
    assert (ended.code, f"cannot listen on {place}" in ended.err) == (3, True), ended.said
    absent = node.run("serve", "--listen", "/ip4/198.51.100.7/tcp/4001")
    assert (absent.code, "this machine has no such address" in absent.err) == (3, True), absent.said


def test_a_second_node_on_the_directory_is_told_who_has_it(node: Node) -> None:
    node.start()
    ended = node.run("serve")
    assert ended.code == 4, ended.said
    assert f"is in use by process {node.pid}" in ended.err
    told = node.run("serve", "--json")
    assert (told.code, told.json["error"]) == (4, "BUSY")
    assert node.run("model", "ls").code == 0  # the first one, and its socket, are as they were


def test_who_is_of_another_network_is_no_company(node: Node, tmp_path: Path) -> None:
    node.start()
    directory = DataDir(tmp_path / "second")
    assert hallmark("init", directory=directory).code == 0  # and with it a network of its own
    second = Node(directory, load_key(directory.key), ("hub",))
    try:
        second.start(node.address)
        told = until(lambda: [e for e in second.events() if e["event"] == "strangers"], "that it met strangers")
        assert told == [{"event": "strangers", "networks": [f"home-{node.key.address.hex()[:6]}"]}]
        assert not [e for e in second.events() if e["event"] == "joined"]
    finally:
        second.kill()


def test_commands_go_through_the_running_node(node: Node, tmp_path: Path) -> None:
    node.start()
    shown = node.run("id", "--json")
    assert (shown.code, shown.json["peer_id"]) == (0, node.key.peer_id)
    models = node.run("model", "ls", "--json")
    assert (models.code, models.json["models"]) == (0, [])
    alone = node.run("peers")
    assert alone.code == 6, alone.said
    (network,) = node.directory.networks.glob("*.toml")
    directory = DataDir(tmp_path / "second")
    assert hallmark("init", "--network", network, directory=directory).code == 0
    second = Node(directory, load_key(directory.key), ("hub",))
    try:
        second.start(node.address)
        listed = until(lambda: _peers(node), "the second peer")
    finally:
        second.kill()
    assert [(p["peer_id"], p["connected"]) for p in listed] == [(second.key.peer_id, True)]


def _peers(node: Node) -> list[Event]:
    """Who the node lists; nobody while it is alone, which is an error."""
    ended = node.run("peers", "--json")
    return list(ended.json["peers"]) if ended.code == 0 else []


def test_killed_and_started_again_it_is_the_same_peer(node: Node) -> None:
    node.start()
    assert node.directory.socket.exists()
    node.kill()
    assert node.directory.socket.exists()  # nobody was left to remove it
    assert node.run("model", "ls").code == 0  # and a command is not fooled by it
    node.start()
    assert node.ready["peer_id"] == node.key.peer_id
    assert node.run("model", "ls").code == 0


def test_a_second_signal_ends_it_though_work_is_in_hand(node: Node, models: Path) -> None:
    """The work: a run that would take hours, asked by the node's own user."""
    node.roles = ("provider",)
    node.start()
    slow = node.run("model", "add", models / "slow.onnx", "--name", "slow", "--licence", "MIT")
    assert slow.code == 0, slow.said
    until(lambda: "is ready" in node.words(), "the model's worker")
    before = node.work_done()
    asking = launch(
        ["-m", "node.cli", "infer", "slow", "--input", f"turns={2**40}", "--input", "size=[1]", "--data-dir",
         str(node.directory.path)],
        subprocess.DEVNULL, subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: node.work_done() > before + 10, "the worker at work")
        node.send(signal.SIGINT)
        until(lambda: [e for e in node.events() if e["event"] == "draining"], "the first signal heard")
        assert node.events()[-1]["busy"] == 1
        refused = node.run("infer", "slow", "--input", "turns=1", "--input", "size=[1]", "--timeout", 5)
        assert refused.code == 7, refused.said
        assert "about to stop" in refused.err
        node.send(signal.SIGINT)
        assert node.wait() == 130, node.words()
        assert node.events()[-1] == {"event": "stopped", "hurried": True}
        assert asking.wait(PATIENCE) == 7
    finally:
        asking.kill()
        asking.wait()
    assert not node.directory.socket.exists()
    assert alive(mentioning=str(node.directory.path)) == []
