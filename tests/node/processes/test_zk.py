"""Tier zk from publishing to a stranger's check, in processes of their own: `zk setup`, `serve`, `infer`, `verify`."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import onnx
import pytest

from node.datadir import DataDir
from node.keyfile import load_key
from node.networkfile import new_network
from tests.zk.world import network_of_floats
from wire.keys import NodeKey

from .running import Ended, Node, hallmark, settle, until

ROW = [0.5, -1.25, 2.0, 0.125]


def x(*rows: list[float]) -> str:
    return f"x={json.dumps(rows)}"


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A provider of its own tiny model, whose circuit it registers while it runs."""
    path = tmp_path_factory.mktemp("zk")
    onnx.save(network_of_floats(), str(path / "tiny.onnx"))
    network = new_network("zk", [NodeKey(b"\7" * 32).peer_id])
    directory = settle(path / "publisher", network)
    node = Node(directory, load_key(directory.key), ("provider", "hub"))
    node.start()
    return node


def events(ended: Ended) -> dict[str, dict[str, object]]:
    return {event["event"]: event for event in map(json.loads, ended.out.splitlines())}


def test_the_whole_path(publisher: Node, tmp_path: Path) -> None:
    try:
        _whole_path(publisher, tmp_path)
    finally:
        publisher.kill()


def _whole_path(publisher: Node, tmp_path: Path) -> None:
    model = publisher.directory.path.parent / "tiny.onnx"
    added = publisher.run("model", "add", model, "--name", "tiny", "--licence", "MIT", "--json")
    assert added.code == 0, added.said
    cid = added.json["cid"]
    made = publisher.run("zk", "setup", "tiny", "--input", x(ROW), "--json")
    assert made.code == 0, made.said
    circuit = made.json
    assert (circuit["srs"], circuit["weights"], circuit["inputs"]) == ("dev", "fixed", {"x": [1, 4]})
    assert circuit["tolerance"] < 0.01

    # A stranger with a fresh directory: refused by its own rules before anything is paid for, then not.
    network = next(publisher.directory.networks.glob("*.toml"))
    client = DataDir(tmp_path / "client")
    assert hallmark("init", "--network", network, directory=client).code == 0
    receipt, policy = tmp_path / "answer.receipt", tmp_path / "policy.toml"
    policy.write_text("[zk]\ndev_srs = true\n")

    def ask(*words: object) -> Ended:
        words = ("infer", cid, "--tier", "zk", "--bootstrap", publisher.address, "--receipt", receipt, "--json", *words)
        return hallmark(*words, directory=client)

    strict = ask("--input", x(ROW))
    assert strict.code == 8, strict.said
    assert "SRS is dev" in strict.out
    assert not receipt.exists()

    def answered() -> Ended | None:
        ended = ask("--input", x(ROW), "--policy", policy)
        return None if "at tier zk" in ended.out else ended  # the provider's first proof is still under way

    ended = until(answered, "an offer of tier zk")
    assert ended.code == 0, ended.said
    answer, told = ended.json, events(ended)
    assert (answer["tier"], answer["backend"]) == ("zk", "ezkl 23.0.5 on cpu")
    assert answer["outputs"][0]["shape"] == [1, 2]
    assert told["circuit"]["proof_bytes"] == circuit["proof_bytes"]
    assert told["expecting"]["added_us"] > 0  # type: ignore[operator]
    assert told["expecting"]["added_bytes"] > circuit["proof_bytes"]  # type: ignore[operator]

    # What is answered is what was proved, and near to what the model itself says.
    signed = hallmark("infer", cid, "--bootstrap", publisher.address, "--input", x(ROW), "--json", directory=client)
    floats = signed.json["outputs"][0]["data"]
    assert answer["outputs"][0]["data"] == pytest.approx(
        floats, abs=circuit["tolerance"] * max(map(abs, floats)) + 1e-6
    )
    for value in answer["outputs"][0]["data"]:
        assert (value * 2**13).is_integer()

    # Anybody checks it from the file alone, and holds it against the inputs.
    checked = hallmark("verify", receipt, "--network", network, "--policy", policy, "--input", x(ROW), "--json")
    assert checked.code == 0, checked.said
    assert "Not for money" in " ".join(checked.json["rests_on"])
    assert {"proved inputs", "proved outputs", "evidence"} <= {c["name"] for c in checked.json["checks"] if c["ok"]}
    data = receipt.read_bytes()
    inputs = struct.pack("<4f", *ROW)
    assert inputs in data  # as the document says
    forged = tmp_path / "forged.receipt"
    forged.write_bytes(data.replace(inputs, struct.pack("<4f", *ROW[:3], 0.25)))
    assert hallmark("verify", forged, "--network", network, "--policy", policy).code == 8

    # A circuit takes the sizes that it was made for.
    other = ask("--input", x(ROW, ROW), "--policy", policy)
    assert other.code != 0
    assert "its circuit takes [1, 4]" in other.out

    # The circuit travels with the model, and whoever has both can make the key again.
    pulled = hallmark("model", "pull", cid, "--bootstrap", publisher.address, directory=client)
    assert pulled.code == 0, pulled.said
    again = hallmark("zk", "check", cid, "--json", directory=client)
    assert again.code == 0, again.said
    assert (again.json["circuit"], again.json["ok"]) == (circuit["circuit"], True)
