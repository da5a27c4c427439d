"""Requests that are not fresh, not for this peer, or not the sender's own; and offers by gossip that are no offers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import trio

from node.clock import now_ms
from tests.node.records import terms
from wire.canonical import encode
from wire.committee import AskBallot, BallotReply, Committed, Convene
from wire.errors import ErrorCode, RemoteError
from wire.inference import Backend, SignedRequest, sign_request
from wire.keys import NodeKey
from wire.offer import Offer, SignedOffer, sign_offer

from . import made
from .running import eventually, soon
from .strangers import SECONDS, Stranger, make_request, stranger
from .town import Fort


@pytest.fixture
async def someone(fort: Fort) -> AsyncIterator[Stranger]:
    async with stranger(fort) as connected:
        yield connected


async def refusal(someone: Stranger, signed: SignedRequest, *tensors: Any) -> RemoteError:
    """The error that the fort declines a request with."""
    with pytest.raises(RemoteError) as declined:
        await someone.ask(signed, list(tensors) or None)
    return declined.value


async def test_a_request_is_answered_once(someone: Stranger) -> None:
    signed = someone.request()
    await someone.ask(signed)
    error = await refusal(someone, signed)
    assert error.code is ErrorCode.REFUSED
    assert "answered before" in error.message
    async with stranger(someone.fort) as thief:  # nor for somebody else who has seen it
        assert (await refusal(thief, signed)).code is ErrorCode.REFUSED
    await someone.honest_question()


async def test_requests_out_of_their_time(someone: Stranger) -> None:
    now = now_ms()
    minute = 60_000
    expired = await refusal(someone, someone.request(issued_ms=now - minute, deadline_ms=now - 1))
    assert expired.code is ErrorCode.DEADLINE
    early = await refusal(someone, someone.request(issued_ms=now + minute, deadline_ms=now + 2 * minute))
    assert (early.code, "from the future" in early.message) == (ErrorCode.REFUSED, True)
    lasting = await refusal(someone, someone.request(deadline_ms=now + 11 * minute))
    assert (lasting.code, "lives longer" in lasting.message) == (ErrorCode.REFUSED, True)
    old = await refusal(someone, someone.request(issued_ms=now - 9 * minute, deadline_ms=now + minute // 2))
    assert (old.code, "older than this peer's start" in old.message) == (ErrorCode.REFUSED, True)


async def test_requests_that_are_not_for_this_peer_or_not_the_payers_word(someone: Stranger) -> None:
    fort, other = someone.fort, NodeKey.generate()
    elsewhere = await refusal(someone, someone.request(provider=other.address))
    assert (elsewhere.code, "another provider" in elsewhere.message) == (ErrorCode.REFUSED, True)
    foreign = type(fort.network)(
        **{f: getattr(fort.network, f) for f in fort.network.__struct_fields__} | {"chain_id": 1}
    )
    abroad = await refusal(someone, make_request(fort, someone.key, network=foreign))
    assert (abroad.code, "not for this network" in abroad.message) == (ErrorCode.REFUSED, True)
    framed = sign_request(make_request(fort, other).request, someone.key, fort.network.domain)
    assert (await refusal(someone, framed)).code is ErrorCode.REFUSED
    swapped = await refusal(someone, someone.request(), made.row([4.0, 3.0, 2.0, 1.0]))
    assert (swapped.code, "not those that the request was signed for" in swapped.message) == (ErrorCode.REFUSED, True)
    unknown = await refusal(someone, someone.request(model=bytes(32)))
    assert unknown.code is ErrorCode.NOT_FOUND
    await someone.honest_question()


async def convene(someone: Stranger, signed: SignedRequest) -> Committed:
    tensor = made.row()
    async with someone.host.exchange(someone.target, "committee") as channel:
        await channel.send(Convene(request=signed, inputs=(tensor.header,)), [tensor])
        committed = await channel.receive(Committed, timeout=SECONDS)
        await channel.reset()  # the member now waits for an answer to judge, which never comes
        return committed


async def ballot(someone: Stranger, signed: SignedRequest) -> BallotReply:
    async with someone.host.exchange(someone.target, "committee") as channel:
        await channel.send(AskBallot(request=signed))
        return await channel.receive(BallotReply, timeout=SECONDS)


async def test_a_committee_sits_for_the_payer_and_tells_the_payer_alone(someone: Stranger) -> None:
    signed = someone.request("quorum", provider=NodeKey.generate().address)  # nobody judges its own answers
    async with stranger(someone.fort) as thief:
        with pytest.raises(RemoteError, match="only who was asked, or who asked") as declined:
            await convene(thief, signed)
        assert declined.value.code is ErrorCode.REFUSED
        committed = await convene(someone, signed)
        assert committed.reason == ""
        with pytest.raises(RemoteError, match="to the payer of its request alone") as declined:
            await ballot(thief, signed)
        assert declined.value.code is ErrorCode.REFUSED
    told = await ballot(someone, signed)
    assert told.ballot.commit == committed.commit
    assert (told.ballot.vote, told.receipt) == (None, None)


async def test_a_committee_does_not_sit_on_what_is_expired_or_signed_for_another_network(someone: Stranger) -> None:
    now = now_ms()
    with pytest.raises(RemoteError) as declined:
        await convene(someone, someone.request("quorum", issued_ms=now - 60_000, deadline_ms=now - 1))
    assert declined.value.code is ErrorCode.DEADLINE
    framed = sign_request(someone.request("quorum").request, NodeKey.generate(), someone.fort.network.domain)
    with pytest.raises(RemoteError) as declined:
        await convene(someone, framed)
    assert declined.value.code is ErrorCode.REFUSED


def offer(someone: Stranger, **changes: Any) -> SignedOffer:
    """A stranger's offer of the fort's model `slow`, at a price that nobody pays, but for `changes`."""
    now = now_ms()
    fields: dict[str, Any] = {
        "peer": someone.key.public,
        "addresses": ("/ip4/127.0.0.1/tcp/1",),
        "model": someone.fort.model("slow"),
        "tiers": (terms("signed", 10**9),),
        "backend": Backend(name="none", version="0", device="cpu", compute_capability=""),
        "profile": "fp32",
        "compute_us": 1,
        "queue_depth": 0,
        "sequence": now,
        "issued_ms": now,
        "expires_ms": now + 60_000,
    }
    return sign_offer(Offer(**fields | changes), someone.key, someone.fort.network.domain)


async def shown(someone: Stranger) -> list[str]:
    return await someone.fort.known_offers("slow")


async def published(someone: Stranger, *offers: SignedOffer) -> None:
    """Say them in this order, with a good one of another key at the end, and wait until that is shown."""
    last = Stranger(someone.fort, NodeKey.generate(), someone.host)
    await someone.gossip("offers", *map(encode, (*offers, offer(last))))

    async def is_shown() -> bool:
        return last.key.peer_id in await shown(someone)

    await eventually(is_shown, "the good offer")


async def test_offers_that_are_expired_or_from_the_future_are_not_shown_and_cost_nothing(someone: Stranger) -> None:
    now = now_ms()
    stale = [offer(someone, issued_ms=now - 60_000 - i, expires_ms=now - 1, sequence=now + i) for i in range(8)]
    early = [offer(someone, issued_ms=now + 90_000 + i, expires_ms=now + 99_000, sequence=now + i) for i in range(8)]
    await published(someone, *stale, *early)
    assert someone.key.peer_id not in await shown(someone)
    await someone.honest_question()


async def test_an_old_offer_said_again_does_not_replace_a_newer_one(someone: Stranger) -> None:
    now = now_ms()
    old, new = offer(someone, sequence=now, tiers=(terms("signed", 7),)), offer(someone, sequence=now + 1)
    await published(someone, old, new, old)
    found = await someone.fort.node.call("model.show", model=someone.fort.cids["slow"])
    prices = [o["price"] for o in found["offers"] if o["peer_id"] == someone.key.peer_id]
    assert prices == [10**9]


async def test_badly_signed_offers_are_not_shown_and_cost_their_sender_its_connection(someone: Stranger) -> None:
    good = offer(someone)
    bad = [encode(SignedOffer(body=good.body, signature=bytes([i]) * 65)) for i in range(12)]
    with suppress(trio.BrokenResourceError):  # it may be sent away before it has said all
        await someone.gossip("offers", *bad)
    await soon(lambda: not someone.host.connected(), "the end of the connection")
    assert someone.key.peer_id not in await shown(someone)
    with pytest.raises(RemoteError):  # nor does it come in again
        await someone.honest_question()
    async with stranger(someone.fort) as innocent:
        await innocent.honest_question()
