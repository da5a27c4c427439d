"""The stream `attest`: a provider's evidence, asked for before any input leaves; and collateral, which any peer has."""

from __future__ import annotations

import logging
import secrets

import trio

from p2p import Channel
from verify.teepolicy import TeePolicy
from verify.tiers.tee import Occasion, check_attestation, read
from wire.attestation import (
    AskAttestation,
    AskCollateral,
    Attestation,
    AttestRequest,
    Challenge,
    CollateralReply,
    IntelCollateral,
    TeeEvidence,
    sign_challenge,
)
from wire.errors import ErrorCode, RemoteError
from wire.keys import address_of, peer_id_of

from ..bounds import ATTEST_FRESH_MS, ATTEST_SECONDS, COLLATERAL_SECONDS, MAX_COLLATERAL_PEERS
from ..clock import now_ms
from ..peer import Peer
from ..tiers.rung import NotProved, hold
from .collateral import Collaterals

log = logging.getLogger("hallmark.attesting")


async def attested_now(
    peer: Peer, provider: bytes, model: bytes, policy: TeePolicy, *, on_card: bool = False
) -> TeeEvidence:
    """Evidence of a provider that holds now under the policy, over a nonce of our own where that wants one.

    `on_card`: whether a card executes there, which then has to be attested, too.

    NotProved says what does not hold; RemoteError when the provider gave none.
    """
    half = min(policy.fresh_seconds * 1000, ATTEST_FRESH_MS) // 2  # the answer has to come while it is fresh
    address = address_of(provider)
    evidence = peer.attested.get(address, model, now_ms(), half)
    if evidence is None or (
        evidence.challenge.challenge.asker != peer.local.key.address and policy.asked_by == "payer"
    ):
        evidence = await _ask(peer, provider, model, own=policy.asked_by == "payer")
    occasion = Occasion(
        network=peer.network, provider=address, payer=peer.local.key.address, model=model,
        at_ms=now_ms(), on_card=on_card,
    )  # fmt: skip
    hold(check_attestation(evidence, occasion, policy), dishonest=False)
    peer.attested.put(address, model, evidence)
    if isinstance(evidence.collateral, IntelCollateral):
        kept = Collaterals(peer.local.directory.collateral)
        kept.keep(evidence.collateral, read(evidence, occasion.at_ms // 1000))
    return evidence


async def _ask(peer: Peer, provider: bytes, model: bytes, *, own: bool) -> TeeEvidence:
    key, challenge = peer.local.key, None
    if own:
        asked = Challenge(
            asker=key.address, provider=address_of(provider), nonce=secrets.token_bytes(32), issued_ms=now_ms()
        )
        challenge = sign_challenge(asked, key, peer.network.domain)
    async with peer.host.exchange(peer_id_of(provider), "attest") as channel:
        await channel.send(AskAttestation(model=model, challenge=challenge))
        evidence = (await channel.receive(Attestation, timeout=ATTEST_SECONDS)).evidence
    if challenge is not None and evidence.challenge != challenge:
        raise NotProved("its attestation is over another challenge than ours")
    return evidence


async def serve_attest(peer: Peer, channel: Channel) -> None:
    """Answer one question. RemoteError when this peer has nothing attested."""
    asked = await channel.receive(AttestRequest, timeout=ATTEST_SECONDS)
    if isinstance(asked, AskCollateral):
        held = Collaterals(peer.local.directory.collateral).get(asked.platform)
        await channel.send(CollateralReply(collateral=held))
        return
    if peer.attesting is None:
        raise RemoteError(ErrorCode.UNSUPPORTED, "this peer runs in no trusted environment")
    if asked.challenge is None:
        evidence = peer.attesting.shown(b"", asked.model)
        if evidence is None:
            raise RemoteError(ErrorCode.NOT_FOUND, "nothing is attested for that model now")
    else:
        evidence = await peer.attesting.over(asked.challenge, asked.model)
    await channel.send(Attestation(evidence=evidence))


async def ask_collateral(peer: Peer, platform: str) -> list[IntelCollateral]:
    """What connected peers have of a platform. Nothing of it was checked."""
    found: list[IntelCollateral] = []

    async def ask(peer_id: str) -> None:
        try:
            async with peer.host.exchange(peer_id, "attest") as channel:
                await channel.send(AskCollateral(platform=platform))
                reply = await channel.receive(CollateralReply, timeout=COLLATERAL_SECONDS)
        except RemoteError as error:
            log.info("%s told no collateral: %s", peer_id, error)
            return
        if reply.collateral is not None:
            found.append(reply.collateral)

    with trio.move_on_after(COLLATERAL_SECONDS):
        async with trio.open_nursery() as nursery:
            for status in peer.host.connected()[:MAX_COLLATERAL_PEERS]:
                nursery.start_soon(ask, status.peer_id)
    return found
