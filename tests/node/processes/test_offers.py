"""What a provider says it offers, as others hear it by gossip: prices by tier, what proofs cost, and what is gone."""

from __future__ import annotations

import pytest
import trio
from msgspec.structs import replace

from node.attempt import Answered, Question, attempt
from node.bounds import OFFER_LAST_MS
from node.clock import now_ms
from node.config import Config
from node.listening import LOOPBACK
from node.opening import open_peer
from node.peer import Peer
from node.serving import run_here
from wire.canonical import Amount
from wire.errors import RemoteError
from wire.manifest import read_manifest
from wire.offer import Offer
from wire.tier import Tier

from . import made
from .running import hallmark, soon
from .town import Town


async def test_prices_by_tier_what_proofs_cost_and_what_is_gone(town: Town, client: Peer) -> None:
    config = Config(
        roles=("provider",), listen=LOOPBACK, bootstraps=(town.a.address,), price=3, tier_price={"quorum": 7}
    )
    model, cid = town.model("logs"), town.cids["logs"]
    failure = None
    async with open_peer(town.desk(), config, serving=True) as peer:
        try:
            await _offered(town, client, peer, model, cid)
        except (AssertionError, RemoteError) as error:  # out of the peer, so that it comes alone and not in a group
            failure = error
    if failure:
        raise failure


async def _offered(town: Town, client: Peer, peer: Peer, model: bytes, cid: str) -> None:
    def heard() -> Offer | None:
        offers = client.board.offers(now_ms(), model)
        return next((offer for offer in offers if offer.peer == peer.local.key.public), None)

    await run_here(peer, "model.pull", {"model": cid}, lambda _: None)
    offer = await soon(heard, "gossip brings the offer")
    assert offer is not None
    prices = {terms.tier: int(terms.price) for terms in offer.tiers}
    assert (prices["signed"], prices["quorum"]) == (3, 7)

    shown = await trio.to_thread.run_sync(
        lambda: hallmark("model", "show", cid, "--bootstrap", town.a.address, directory=town.desk())
    )
    assert shown.code == 0, shown.said
    assert {f"tier {tier}: price 0.00000000000000000{price}" for tier, price in (("signed", 3), ("quorum", 7))} <= {
        line.strip() for line in shown.out.splitlines()
    }

    signed = peer.local.store.models.get(model)
    assert signed is not None

    async def ask(tier: Tier, of: Offer) -> Answered:
        specs = read_manifest(signed, client.network.domain)
        question = Question(signed, specs, [made.row()], tier, Amount(9), 30.0)
        return await attempt(client, question, of, trio.current_time() + 30)

    assert int((await ask("signed", offer)).file.receipt.receipt.price) == 3
    assert peer.costs.of(model, "signed") == (0, 0)
    answered = await ask("quorum", offer)
    assert int(answered.file.receipt.receipt.price) == 7
    us, size = peer.costs.of(model, "quorum")
    assert us > 0
    assert size > len(answered.signers) * 64
    cheaper = tuple(replace(terms, price=Amount(3)) for terms in offer.tiers)
    with pytest.raises(RemoteError, match=r"the price is 0\.000000000000000007, you allow 0\.000000000000000003"):
        await ask("quorum", replace(offer, tiers=cheaper))

    await run_here(peer, "model.rm", {"model": cid}, lambda _: None)

    def ends() -> bool:
        last = heard()
        return last is None or last.expires_ms <= now_ms() + OFFER_LAST_MS

    await soon(ends, "gossip brings the last word on it", 20.0)
