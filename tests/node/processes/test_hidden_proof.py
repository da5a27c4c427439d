"""A provider that signs its answer and then hides, forges or refuses the proof: the payer finds out for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio

from node.asking import ask
from node.attempt import Answered, Question
from node.clock import now_ms
from node.errors import CommandError, Exit
from node.finding import find_model
from node.peer import Peer
from p2p import Channel, Host, open_host
from tests.node.records import terms
from verify import committee_for
from wire.arrays import from_array, to_array
from wire.canonical import Amount, encode
from wire.certificate import Certificate, QuorumEvidence
from wire.committee import Committed, Convene, Judge, Judged
from wire.errors import ErrorCode, RemoteError
from wire.inference import Answer, Ask, Backend, Proof, Receipt, Runtime, SignedReceipt, Usage, sign_receipt
from wire.keys import NodeKey, peer_id_of
from wire.offer import Offer, sign_offer
from wire.tensors import Tensor, tensor_set

from . import made
from .running import soon
from .town import Town

OFFER_LIFE_MS = 6000  # others hear of it as well, and are to forget it when this provider is gone
BACKEND = Backend(name="onnxruntime", version="1.31.1", device="cpu", compute_capability="")

Ending = Callable[["Hider", Channel, Ask], Awaitable[None]]


class Hider:
    """A provider that executes `logs` honestly (or not, by `error`) and signs; what follows is `ending`'s to do."""

    def __init__(self, town: Town, key: NodeKey, host: Host, error: float, ending: Ending) -> None:
        self.town, self.key, self.host, self.error, self.ending = town, key, host, error, ending
        self.receipt: SignedReceipt | None = None
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    async def serve(self, channel: Channel) -> None:
        question = await channel.receive(Ask, timeout=20)
        self.inputs = await channel.receive_tensors(question.inputs, timeout=20)
        y = np.log(to_array(self.inputs[0])) + np.float32(self.error)
        self.outputs = [from_array("y", y.astype(np.float32))]
        self.receipt = self.sign(question)
        await self.ending(self, channel, question)

    async def answer(self, channel: Channel) -> None:
        assert self.receipt is not None
        await channel.send(Answer(receipt=self.receipt, outputs=tuple(t.header for t in self.outputs)), self.outputs)

    def sign(self, question: Ask) -> SignedReceipt:
        request, domain = question.request.request, self.town.network.domain
        now = now_ms()
        receipt = Receipt(
            chain_id=domain.chain_id,
            request=request.digest(domain),
            nonce=request.nonce,
            payer=request.payer,
            provider=self.key.address,
            model=request.model,
            inputs=request.inputs,
            outputs=tensor_set(self.outputs).hash(),
            runtime=Runtime(profile="fp32", backend=BACKEND, together=1),
            tier=request.tier,
            usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=50),
            price=Amount(0),
            started_ms=now,
            finished_ms=now,
        )
        return sign_receipt(receipt, self.key, domain)

    def offer(self, addresses: Sequence[str]) -> bytes:
        now = now_ms()
        body: dict[str, Any] = {"sequence": now, "issued_ms": now, "expires_ms": now + OFFER_LIFE_MS}
        offer = Offer(
            peer=self.key.public, addresses=tuple(addresses), model=self.town.model("logs"),
            tiers=(terms("signed", 0), terms("quorum", 0)), backend=BACKEND, profile="fp32", compute_us=1,
            queue_depth=0, **body,
        )  # fmt: skip
        return encode(sign_offer(offer, self.key, self.town.network.domain))


@asynccontextmanager
async def hider(town: Town, client: Peer, ending: Ending, error: float = 0.0) -> AsyncIterator[Hider]:
    """The hostile provider, running, and its offer known to the client as the cheapest."""
    key = NodeKey.generate()
    starts = [town.a.address, *(v.address for v in town.verifiers)]
    async with open_host(key, town.network, listen=["/ip4/127.0.0.1/tcp/0"], bootstraps=starts) as host:
        one = Hider(town, key, host, error, ending)
        host.handle("infer", one.serve)
        client.board.take_offer(one.offer(host.addresses), now_ms())
        yield one


async def asked(client: Peer, one: Hider, events: list[dict[str, Any]], price: int = 0) -> Answered:
    """One quorum question, to the hider first. At price 0 it is alone; at 1 the honest provider `a` comes after it."""
    signed, specs = await find_model(client, one.town.cids["logs"], events.append)
    question = Question(signed, specs, [made.row()], "quorum", Amount(price), 30.0, prefer=one.key.public)
    with trio.fail_after(25):
        return await ask(client, question, events.append)


async def go_silent(one: Hider, channel: Channel, _: Ask) -> None:
    await one.answer(channel)
    await trio.sleep_forever()


async def report_an_error(one: Hider, channel: Channel, _: Ask) -> None:
    await one.answer(channel)
    raise RemoteError(ErrorCode.OVERLOADED, "no proof today")


async def hang_up(one: Hider, channel: Channel, _: Ask) -> None:
    await one.answer(channel)
    await channel.close()


async def show_no_ballots(one: Hider, channel: Channel, _: Ask) -> None:
    await one.answer(channel)
    assert one.receipt is not None
    digest = one.receipt.receipt.digest(one.town.network.domain)
    nothing = Certificate(tier="quorum", receipt=digest)
    await channel.send(Proof(certificate=nothing, ballots=(), reason="the committee would not say"))


@pytest.mark.parametrize("ending", [go_silent, report_an_error, hang_up, show_no_ballots])
async def test_a_hidden_proof_is_fetched_from_the_committee_itself(
    town: Town, client: Peer, ending: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.attempt.ROUND_SECONDS", 0.5)  # what a silent one costs
    async with hider(town, client, ending) as one:
        answer = await asked(client, one, [])
    assert answer.provider == one.key.public
    assert len(answer.signers) >= 3
    assert answer.committee == 4


@pytest.mark.parametrize("ending", [report_an_error, show_no_ballots])
async def test_hiding_the_proof_of_a_wrong_answer_helps_nobody(town: Town, client: Peer, ending: Any) -> None:
    events: list[dict[str, Any]] = []
    async with hider(town, client, ending, error=0.5) as one:
        with pytest.raises(CommandError) as failure:
            await asked(client, one, events)
    assert failure.value.exit_code is Exit.NOT_PROVED
    assert "of 4 verifiers rejected it" in failure.value.message
    assert [e["event"] for e in events if "REJECTED" in e.get("text", "")] == ["rejected"]


async def forge(one: Hider, channel: Channel, question: Ask) -> None:
    """A certificate that says everyone signed, with an aggregate of nobody."""
    await one.answer(channel)
    assert one.receipt is not None
    committee = committee_for(one.town.network, question.request.request)
    evidence = QuorumEvidence(
        committee=committee.root, epoch=committee.epoch, signers=b"\x0f", aggregate=b"\x01" * (32 * 4 + 32)
    )
    digest = one.receipt.receipt.digest(one.town.network.domain)
    await channel.send(
        Proof(certificate=Certificate(tier="quorum", receipt=digest, quorum=evidence), ballots=(), reason="")
    )


async def claim_tier_signed(one: Hider, channel: Channel, _: Ask) -> None:
    """A certificate of a lower tier than was asked."""
    await one.answer(channel)
    assert one.receipt is not None
    digest = one.receipt.receipt.digest(one.town.network.domain)
    await channel.send(Proof(certificate=Certificate(tier="signed", receipt=digest), ballots=(), reason=""))


@pytest.mark.parametrize("ending", [forge, claim_tier_signed])
async def test_a_forged_certificate_is_refused_and_somebody_else_is_asked(
    town: Town, client: Peer, ending: Any
) -> None:
    events: list[dict[str, Any]] = []
    async with hider(town, client, ending) as one:
        await soon(lambda: town.a.key.public in _offering(client, town), "the honest offer")
        answer = await asked(client, one, events, price=1)
        assert client.distrust.current(now_ms()).keys() == {one.key.public}
    assert answer.provider == town.a.key.public
    assert [e["peer"] for e in events if e["event"] == "rejected"] == [one.key.peer_id]


def _offering(client: Peer, town: Town) -> set[bytes]:
    return {offer.peer for offer in client.board.offers(now_ms(), town.model("logs"))}


async def be_rejected_and_say_nothing(one: Hider, _: Channel, question: Ask) -> None:
    """It convenes the committee as it should, sees the REJECTs, and claims to have failed."""
    assert one.receipt is not None
    async with trio.open_nursery() as nursery:
        for member in committee_for(one.town.network, question.request.request).members:
            nursery.start_soon(_judged_by, one, question, peer_id_of(member.key))
    raise RemoteError(ErrorCode.INTERNAL, "sorry, something went wrong")


async def _judged_by(one: Hider, question: Ask, member: str) -> None:
    assert one.receipt is not None
    async with one.host.exchange(member, "committee") as channel:
        await channel.send(Convene(request=question.request, inputs=question.inputs), one.inputs)
        await channel.receive(Committed, timeout=20)
        await channel.send(Judge(receipt=one.receipt, outputs=tuple(t.header for t in one.outputs)), one.outputs)
        await channel.receive(Judged, timeout=20)


async def test_a_rejection_that_was_kept_back_is_found_out(town: Town, client: Peer) -> None:
    async with hider(town, client, be_rejected_and_say_nothing, error=0.5) as one:
        with pytest.raises(CommandError) as failure:
            await asked(client, one, [])
    assert failure.value.exit_code is Exit.NOT_PROVED
    assert "4 of 4 verifiers rejected it, and it kept that back" in failure.value.message
