"""Tier sampled from end to end: an answer at once, its check a moment later, and a liar who is caught by the lot."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio

from node.asking import ask
from node.attempt import Question
from node.auditing.after import Given, ask_one
from node.clock import now_ms
from node.config import Config
from node.datadir import DataDir
from node.finding import find_model
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from p2p import Host, open_host
from verify.sampling import panel
from wire.arrays import from_array, to_array
from wire.audit import UNSEEDED, ticket
from wire.canonical import Amount, decode
from wire.cid import from_cid
from wire.committee import Committed, Convene, Judge, Judged
from wire.eip712 import Domain
from wire.errors import ErrorCode, RemoteError
from wire.inference import Backend, Receipt, Request, Runtime, SignedRequest, Usage, sign_receipt, sign_request
from wire.keys import NodeKey, peer_id_of, show_address
from wire.network import Network
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile
from wire.tensors import Tensor, tensor_set
from wire.vote import Verdict

from . import made
from .running import Node, eventually, hallmark, settle, soon, until
from .town import _DISHONEST, add

X = f"x={json.dumps([made.ROW])}"
LOGS = [math.log(v) for v in made.ROW]


@dataclass
class Square:
    """A network that checks every sampled answer: a payer's node, an honest provider of `logs` that asks 1, a liar with
    `twin` that asks 0, and three verifiers with both."""

    place: Path
    network: Network
    payer: Node
    honest: Node
    liar: Node
    verifiers: list[Node]
    cids: dict[str, str] = field(default_factory=dict)
    _desks: count[int] = field(default_factory=count)

    def file(self) -> Path:
        """The network file."""
        return self.payer.directory.networks / f"{self.network.name}.toml"

    def desk(self) -> DataDir:
        """A new client's directory, with the network's file in it."""
        return settle(self.place / f"desk-{next(self._desks)}", self.network)

    async def furnish(self, models: Path) -> None:
        for name, node in (("logs", self.honest), ("twin", self.liar)):
            self.cids[name] = str((await add(node, models / f"{name}.onnx"))["cid"])
            for verifier in self.verifiers:
                await verifier.call("model.pull", model=self.cids[name])
        await self.until_offered("logs", self.honest)
        await self.until_offered("twin", self.liar)

    async def until_offered(self, name: str, node: Node) -> None:
        """Return when the payer's node and a verifier's know the offer of `node`."""

        async def known() -> bool:
            each = [await self.records(n, name) for n in (self.payer, self.verifiers[0])]
            return all(node.key.peer_id in records for records in each)

        await eventually(known, f"the offer of {name}")

    async def records(self, node: Node, name: str) -> dict[str, dict[str, Any]]:
        """The providers' records with a model, by their peers, as one node shows them."""
        shown = await node.call("model.show", model=self.cids[name])
        return {offer["peer_id"]: offer["record"] for offer in shown["offers"]}

    async def until_heard(self, node: Node, name: str, provider: Node, **wanted: int) -> None:
        """Return when the record that `node` has of a provider has these counts at least."""

        async def heard() -> bool:
            record = (await self.records(node, name)).get(provider.key.peer_id, {})
            return all(record.get(what, 0) >= least for what, least in wanted.items())

        await eventually(heard, f"the checks of {name} at {node.directory.path.name}")


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Square]:
    place = tmp_path_factory.mktemp("square")
    names = ["payer", "honest", "liar", "v1", "v2", "v3"]
    directories = {name: settle(place / name) for name in names}
    keys = {name: load_key(directory.key) for name, directory in directories.items()}
    network = new_network("square", [keys[name].peer_id for name in names[3:]])
    network = msgspec.structs.replace(network, sample_bps=10_000)
    nodes = []
    with ExitStack() as ending:
        for name in names:
            keep_network(directories[name], network)
            roles = {"payer": ("hub",), "honest": ("provider",), "liar": ("provider",)}.get(name, ("verifier",))
            nodes.append(Node(directories[name], keys[name], roles, price=int(name == "honest")))
            ending.callback(nodes[-1].kill)
        payer, honest, liar, *verifiers = nodes
        liar.program = _DISHONEST
        payer.start()
        for node in nodes[1:]:
            node.launch(payer.address)
        for node in nodes[1:]:
            node.wait_ready()
        made_up = Square(place, network, payer, honest, liar, verifiers)
        trio.run(made_up.furnish, models)
        until(lambda: all(n.log.read_text().count(" is ready (") == 2 for n in verifiers), "every verifier ready")
        yield made_up


def test_an_answer_comes_at_once_and_its_check_a_moment_later(square: Square, tmp_path: Path) -> None:
    asked = ["infer", "logs", "--input", X, "--tier", "sampled", "--max-price", 1]
    ended = square.payer.run(*asked, "--json")
    assert ended.code == 0, ended.said
    answer = ended.json
    assert answer["outputs"][0]["data"] == pytest.approx(LOGS, rel=1e-5)
    assert answer["proof"] == "signed by its provider, and checked afterwards with probability 100.00%"
    assert answer["check"]["state"] == "waiting"
    file = tmp_path / "checked.receipt"
    trio.run(_export_checked, square, answer["receipt_digest"], file)
    verified = hallmark("verify", file, "--network", square.file())
    assert verified.code == 0, verified.said
    assert "drawn by lot" in verified.out
    for node in (square.payer, *square.verifiers):
        trio.run(partial(square.until_heard, node, "logs", square.honest, checked=1, agreed=1, verifiers=1))
    shown = square.payer.run("model", "show", "logs")
    assert "1 checked, 1 agreed, 0 disputed, by 1 verifier" in shown.out, shown.said
    assert "1 checked, 1 agreed, 0 disputed" in square.payer.run("peers").out
    listed = square.payer.run("receipt", "ls")
    assert answer["receipt_digest"][:16] in listed.out


def _checks_in(file: Path) -> int:
    found = decode(file.read_bytes(), ReceiptFile, limit=MAX_RECEIPT_FILE).certificate.sampled
    return 0 if found is None else len(found.audits)


async def _export_checked(square: Square, digest: str, file: Path) -> None:
    async def checked() -> bool:
        await square.payer.call("receipt.export", digest=digest, path=str(file))
        return _checks_in(file) == 1

    await eventually(checked, "the check in the receipt")


def test_a_command_without_a_node_says_its_answer_first_and_then_how_the_check_ended(
    square: Square, tmp_path: Path
) -> None:
    receipt = tmp_path / "answer.receipt"
    asked = ["infer", square.cids["logs"], "--input", X, "--tier", "sampled", "--max-price", 1, "--receipt", receipt]
    ended = hallmark(*asked, "--bootstrap", square.payer.address, "--json", directory=square.desk())
    assert ended.code == 0, ended.said
    answer, checked = [json.loads(line) for line in ended.out.splitlines()][-2:]
    assert (answer["event"], answer["check"]["state"]) == ("answer", "asked")
    assert (checked["event"], checked["state"]) == ("checked", "agreed")
    told = hallmark("verify", receipt, "--network", square.file(), "--json")
    assert (told.code, told.json["valid"], told.json["tier"]) == (0, True, "sampled")
    assert any("after it was given, and found right" in check["detail"] for check in told.json["checks"])


async def test_a_verifier_says_one_thing_and_only_to_who_asked(square: Square) -> None:
    config = Config(bootstraps=(square.payer.address,))
    async with open_peer(square.desk(), config, serving=False) as payer:
        signed, specs = await find_model(payer, square.cids["logs"], lambda _: None)
        question = Question(signed, specs, [made.row()], "sampled", Amount(1), 30.0)
        answer = await ask(payer, question, lambda _: None)
        given = Given(answer.file, question.tensors, answer.outputs, answer.provider)
        digest = answer.file.receipt.receipt.digest(square.network.domain)
        drawn = list(panel(square.network, answer.file.request.request, ticket(given.secret, digest)))
        assert {peer_id_of(key) for key in drawn} == {v.key.peer_id for v in square.verifiers}
        first = await ask_one(payer, given, drawn[0])
        assert first.audit.audit.verdict == Verdict.ACCEPT
        assert await ask_one(payer, given, drawn[0]) == first  # to the letter, its time included
        lie = Given(answer.file, question.tensors, [made.row()], answer.provider)
        with pytest.raises(RemoteError) as failure:
            await ask_one(payer, lie, drawn[1])  # other outputs than the provider signed
        assert failure.value.code in (ErrorCode.WRONG_DATA, ErrorCode.BAD_RECORD)
    async with open_peer(square.desk(), config, serving=False) as stranger:
        await soon(lambda: stranger.addresses_of(drawn[1]), "the verifier's address")
        with pytest.raises(RemoteError, match="only who asked") as failure:
            await ask_one(stranger, given, drawn[1])
        assert failure.value.code is ErrorCode.REFUSED


def test_an_answer_of_nans_is_refused_and_nobody_is_accused(square: Square) -> None:
    desk = square.desk()
    bad = f"x={json.dumps([made.NO_LOGARITHM])}"
    asked = ["infer", square.cids["logs"], "--input", bad, "--tier", "sampled", "--max-price", 1]
    ended = hallmark(*asked, "--bootstrap", square.payer.address, directory=desk)
    assert ended.code == 8, ended.said
    assert "NaN or Inf" in ended.out
    assert "its committee" not in ended.out
    assert "No fraud was met." in hallmark("fraud", "ls", directory=desk).out
    # It was checked, and counts as agreed: the provider did what it was asked.
    trio.run(partial(square.until_heard, square.payer, "logs", square.honest, checked=2))
    assert trio.run(square.records, square.payer, "logs")[square.honest.key.peer_id]["disputed"] == 0


def test_a_liar_is_disputed_by_the_lot_refused_by_its_committee_and_shown_by_a_file(
    square: Square, tmp_path: Path
) -> None:
    asked = ["infer", "twin", "--input", X, "--tier", "sampled"]
    ended = square.payer.run(*asked, "--json")
    assert ended.code == 0, ended.said  # nothing is known against it yet, and nobody waits for the check
    assert ended.json["provider"] == square.liar.key.peer_id

    async def caught() -> bool:
        return bool((await square.payer.call("fraud.ls"))["frauds"])

    trio.run(eventually, caught, "the fraud")
    (fraud,) = trio.run(partial(square.payer.call, "fraud.ls"))["frauds"]
    assert (fraud["kind"], fraud["valid"], fraud["settles"]) == ("wrong_answer", True, True)
    assert fraud["culprit"] == show_address(square.liar.key.address)
    file = tmp_path / "liar.fraud"
    exported = square.payer.run("fraud", "export", fraud["digest"][:12], file)
    assert exported.code == 0, exported.said
    verified = hallmark("verify", file, "--network", square.file(), directory=square.desk())
    assert verified.code == 0, verified.said
    assert verified.out.startswith("VALID\n  fraud     wrong answer\n")

    receipt = tmp_path / "refused.receipt"
    trio.run(_export_checked, square, ended.json["receipt_digest"], receipt)
    refused = hallmark("verify", receipt, "--network", square.file())
    assert refused.code == 8
    assert "1 of 1 who executed the model refused it" in refused.out

    # A peer that only heard of it asks the dearer one, whom nobody disputed.
    asking = square.verifiers[0]
    trio.run(partial(square.until_heard, asking, "twin", square.liar, checked=1, disputed=1))
    trio.run(partial(square.honest.call, "model.pull", model=square.cids["twin"]))
    trio.run(square.until_offered, "twin", square.honest)
    again = asking.run("infer", "twin", "--input", X, "--max-price", 1, "--json")
    assert (again.code, again.json["provider"]) == (0, square.honest.key.peer_id), again.said
    # Whom nobody else can replace is asked, and it is said.
    alone = asking.run("infer", "twin", "--input", X, "--max-price", 0)
    assert "is asked though verifiers disputed it: 1 checked, 0 agreed, 1 disputed, by 1 verifier" in alone.out, (
        alone.said
    )


def test_a_command_without_a_node_says_in_the_end_that_its_answer_was_refused(square: Square) -> None:
    desk = square.desk()
    asked = ["infer", square.cids["twin"], "--input", X, "--tier", "sampled", "--bootstrap", square.payer.address]
    ended = hallmark(*asked, directory=desk)
    assert ended.code == 8, ended.said
    answer, _, check = ended.out.partition("check      drawn")
    assert "FP32" in answer  # it was shown at once
    assert "REFUSED by" in check
    assert "its committee refused it too" in check
    assert "Do not use this answer." in check
    assert "signed a wrong answer" in hallmark("fraud", "ls", directory=desk).out


async def test_a_provider_that_signs_two_receipts_is_kept_by_the_verifier_that_meets_them(square: Square) -> None:
    payer, provider, verifier = NodeKey.generate(), NodeKey.generate(), square.verifiers[0]
    inputs, domain, now = [made.row()], square.network.domain, now_ms()
    request = sign_request(
        Request(
            nonce=secrets.token_bytes(32),
            model=from_cid(square.cids["logs"]),
            tier="quorum",
            committee=0,
            seed=UNSEEDED,
            inputs=tensor_set(inputs).hash(),
            payer=payer.address,
            provider=provider.address,
            max_price=Amount(0),
            issued_ms=now,
            deadline_ms=now + 30_000,
        ),
        payer,
        domain,
    )

    async def judged(host: Host, add: float) -> None:
        """Convene the verifier over one of the provider's two answers."""
        outputs = [from_array("y", (np.log(to_array(inputs[0])) + np.float32(add)).astype(np.float32))]
        receipt = sign_receipt(_receipt(request, outputs, domain), provider, domain)
        headers = [tuple(t.header for t in tensors) for tensors in (inputs, outputs)]
        async with host.exchange(verifier.key.peer_id, "committee") as channel:
            await channel.send(Convene(request=request, inputs=headers[0]), inputs)
            await channel.receive(Committed, timeout=20)
            await channel.send(Judge(receipt=receipt, outputs=headers[1]), outputs)
            await channel.receive(Judged, timeout=20)

    async with open_host(payer, square.network, listen=()) as host:
        await host.connect([verifier.address])
        await judged(host, 0.0)
        with pytest.raises(RemoteError, match="two receipts"):
            await judged(host, 0.5)
    met = (await verifier.call("fraud.ls"))["frauds"]
    (fraud,) = [f for f in met if f["kind"] == "two_receipts"]
    assert (fraud["valid"], fraud["culprit"]) == (True, show_address(provider.address))


def _receipt(request: SignedRequest, outputs: list[Tensor], domain: Domain) -> Receipt:
    asked = request.request
    return Receipt(
        chain_id=domain.chain_id,
        request=asked.digest(domain),
        nonce=asked.nonce,
        payer=asked.payer,
        provider=asked.provider,
        model=asked.model,
        inputs=asked.inputs,
        outputs=tensor_set(outputs).hash(),
        runtime=Runtime(
            profile="fp32",
            backend=Backend(name="onnxruntime", version="1", device="cpu", compute_capability=""),
            together=1,
        ),
        tier="quorum",
        usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=50),
        price=Amount(0),
        started_ms=asked.issued_ms,
        finished_ms=asked.issued_ms,
    )


def test_a_verifier_that_is_down_is_passed_over(square: Square, tmp_path: Path) -> None:
    """Two of three are stopped: whoever is drawn first, the check is the third's."""
    for verifier in square.verifiers[1:]:
        verifier.kill()
    asked = ["infer", "logs", "--input", X, "--tier", "sampled", "--max-price", 1]
    ended = square.payer.run(*asked, "--json")
    assert ended.code == 0, ended.said
    trio.run(_export_checked, square, ended.json["receipt_digest"], tmp_path / "checked.receipt")
