"""`hallmark infer` and `hallmark verify`: through a running node, from a short-lived peer, and when they refuse."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path

import pytest

from node.datadir import DataDir
from wire.keys import NodeKey

from . import made
from .running import hallmark
from .town import Town

X = f"x={json.dumps([made.ROW])}"
LOGS = [math.log(v) for v in made.ROW]


def test_a_signed_answer_through_the_running_node(town: Town, tmp_path: Path) -> None:
    receipt = tmp_path / "signed.receipt"
    ended = town.b.run("infer", "logs", "--input", X, "--max-price", 1, "--receipt", receipt, "--json")
    assert ended.code == 0, ended.said
    answer = ended.json
    assert answer["event"] == "answer"
    assert answer["provider"] == town.a.key.peer_id
    assert (answer["tier"], answer["proof"]) == ("signed", "signed by its provider alone")
    assert answer["price"] == 1
    assert answer["receipt"] == str(receipt)
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("y", "FP32", [1, 4])
    assert output["data"] == pytest.approx(LOGS, rel=1e-5)
    verified = hallmark("verify", receipt, "--network", town.file(), "--json")
    assert (verified.code, verified.json["valid"], verified.json["tier"]) == (0, True, "signed")


@pytest.fixture(scope="module")
def certified(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The receipt of a quorum answer that a short-lived peer asked for."""
    receipt = tmp_path_factory.mktemp("receipts") / "quorum.receipt"
    ended = hallmark(
        "infer", town.cids["logs"], "--input", X, "--tier", "quorum", "--max-price", 1, "--bootstrap", town.a.address,
        "--receipt", receipt, directory=town.desk(),
    )  # fmt: skip
    assert ended.code == 0, ended.said
    assert "of 4 verifiers" in ended.out
    assert "certified by" in ended.out
    assert town.a.key.peer_id in ended.out
    assert f"Next: hallmark verify {receipt}" in ended.out
    return receipt


def test_its_signers_make_the_certificate_small_together(town: Town, certified: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.receipt"
    asked = ["receipt", "compact", certified, "--out", small, "--bootstrap", town.a.address, "--json"]
    ended = hallmark(*asked, directory=town.desk())
    assert ended.code == 0, ended.said
    assert (ended.json["after"], ended.json["before"] >= 3 * 32 + 32) == (64, True)
    verified = hallmark("verify", small, "--network", town.file(), "--json")
    assert (verified.code, verified.json["valid"]) == (0, True), verified.said
    signers = hallmark("verify", certified, "--network", town.file(), "--json").json["signers"]
    assert verified.json["signers"] == signers
    again = hallmark("receipt", "compact", small, "--bootstrap", town.a.address, directory=town.desk())
    assert (again.code, "64 bytes already" in again.out) == (0, True)


def test_a_signer_that_stands_still_leaves_the_receipt_as_it_was(town: Town, certified: Path, tmp_path: Path) -> None:
    receipt = tmp_path / "answer.receipt"
    receipt.write_bytes(certified.read_bytes())
    signers = hallmark("verify", receipt, "--network", town.file(), "--json").json["signers"]
    one = next(v for v in town.verifiers if v.key.peer_id in signers)
    one.send(signal.SIGSTOP)
    try:
        ended = hallmark("receipt", "compact", receipt, "--bootstrap", town.a.address, directory=town.desk())
    finally:
        one.send(signal.SIGCONT)
    assert ended.code == 7, ended.said
    assert one.key.peer_id in ended.err
    assert receipt.read_bytes() == certified.read_bytes()


def test_a_quorum_answer_from_a_short_lived_peer_is_verified_by_another_process(town: Town, certified: Path) -> None:
    verified = hallmark("verify", certified, "--network", town.file())
    assert verified.code == 0, verified.said
    assert verified.out.startswith("VALID\n")
    signers = [v.key.peer_id for v in town.verifiers if v.key.peer_id in verified.out]
    assert len(signers) >= 3
    checked = hallmark("verify", certified, "--network", town.file(), "--input", X, "--json")
    assert (checked.code, checked.json["valid"], checked.json["committee"]) == (0, True, 4)


def test_another_input_than_the_one_asked_does_not_verify(town: Town, certified: Path) -> None:
    other = f"x={json.dumps([made.ROW[::-1]])}"
    verified = hallmark("verify", certified, "--network", town.file(), "--input", other)
    assert verified.code == 8
    assert "NOT VALID" in verified.out


@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_a_receipt_with_one_byte_changed_is_not_valid(town: Town, certified: Path, tmp_path: Path, part: float) -> None:
    data = bytearray(certified.read_bytes())
    data[int(len(data) * part)] ^= 1
    changed = tmp_path / "changed.receipt"
    changed.write_bytes(data)
    verified = hallmark("verify", changed, "--network", town.file())
    assert verified.code == 8, verified.said
    assert not verified.out.startswith("VALID")


def test_a_receipt_of_another_network_is_not_valid(certified: Path, tmp_path: Path) -> None:
    stranger = DataDir(tmp_path / "stranger")
    assert hallmark("init", directory=stranger).code == 0
    verified = hallmark("verify", certified, directory=stranger)
    assert verified.code == 8, verified.said


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (["z=[1]"], "x (FP32 ['N', 4])"),
        ([X, "z=1"], "x (FP32 ['N', 4])"),
        (["x=[[1,2,3]]"], "x: shape [1, 3], the model has [N,4]"),
        (["x=[[1,2],[3]]"], "input x"),
        (['x="four"'], "input x: not numbers"),
        (["x=[[1,2,3,"], "input x"),
        (["x"], "is not NAME=VALUE or NAME=@FILE"),
    ],
)
def test_an_input_that_does_not_fit_is_a_sentence_with_the_models_signature(
    town: Town, inputs: list[str], text: str
) -> None:
    ended = town.b.run("infer", "logs", *(word for i in inputs for word in ("--input", i)))
    assert ended.code == 2, ended.said
    assert text in ended.err
    assert "Traceback" not in ended.said


def test_a_model_nobody_knows(town: Town) -> None:
    ended = town.b.run("infer", "unheard-of", "--input", X)
    assert ended.code == 5, ended.said
    assert "nobody reached knows a model 'unheard-of'" in ended.err


def test_a_cid_nobody_knows(town: Town) -> None:
    missing = hallmark("model", "show", town.cids["logs"][:-6] + "aaaaaa", directory=town.b.directory)
    assert missing.code == 5, missing.said


def test_a_model_nobody_offers(town: Town) -> None:
    directory = town.desk()
    file = town.place.parent / "unserved.onnx"
    made.save(made.logarithm(9.0), file)
    assert hallmark("model", "add", file, "--name", "unserved", "--licence", "MIT", directory=directory).code == 0
    asked = ["infer", "unserved", "--input", X, "--timeout", 1, "--bootstrap", town.a.address]
    ended = hallmark(*asked, directory=directory)
    assert ended.code == 5, ended.said
    assert "no peer offers this model now" in ended.err
    assert "hallmark serve --role provider" in ended.err


def test_a_price_over_what_is_allowed(town: Town) -> None:
    ended = town.b.run("infer", "logs", "--input", X)
    assert ended.code == 5, ended.said
    assert "the cheapest offer asks 0.000000000000000001, you allow 0" in ended.err
    assert "--max-price 0.000000000000000001" in ended.err


def test_no_peer_and_no_address(town: Town) -> None:
    ended = hallmark("infer", "logs", "--input", X, "--json", directory=town.desk())
    assert ended.code == 6, ended.said
    assert ended.json["error"] == "NO_PEERS"
    assert "--bootstrap ADDRESS" in ended.json["next"]


def test_each_address_that_failed_is_named_with_its_cause(town: Town) -> None:
    nobody = f"/ip4/127.0.0.1/tcp/1/p2p/{NodeKey.generate().peer_id}"
    somebody_else = f"{town.a.address.partition('/p2p/')[0]}/p2p/{NodeKey.generate().peer_id}"
    asked = ["infer", "logs", "--input", X, "--bootstrap", nobody, "--bootstrap", somebody_else]
    ended = hallmark(*asked, directory=town.desk())
    assert ended.code == 6, ended.said
    assert "/ip4/127.0.0.1/tcp/1" in ended.err
    assert "refused" in ended.err.lower()
    assert somebody_else.partition("/p2p/")[0] in ended.err
    assert "another peer answers there" in ended.err


def test_a_signed_answer_of_nans_is_shown_as_it_is_and_a_quorum_refuses_it(town: Town) -> None:
    bad = f"x={json.dumps([made.NO_LOGARITHM])}"
    signed = town.b.run("infer", "logs", "--input", bad, "--max-price", 1)
    assert signed.code == 0, signed.said
    assert "NaN" in signed.out
    asked = ["infer", "logs", "--input", bad, "--max-price", 1, "--tier", "quorum"]
    judged = hallmark(*asked, "--bootstrap", town.a.address, directory=town.desk())
    assert judged.code == 8, judged.said
    assert "they are not finite numbers" in judged.err
    assert "nan" not in judged.out.lower()


def test_a_model_that_no_verifier_has_is_never_certified(town: Town) -> None:
    asked = ["infer", "slow", "--input", "turns=1", "--input", "size=[1]", "--tier", "quorum"]
    ended = hallmark(*asked, "--bootstrap", town.a.address, directory=town.desk())
    assert ended.code in (7, 8), ended.said
    assert "of weight 4, 0 accepted, 0 rejected, 4 did not say" in ended.err
    assert "certified by" not in ended.out
