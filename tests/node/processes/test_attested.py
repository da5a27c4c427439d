"""Tier `tee` in real processes, with the development attester: refused by default, taken where a policy allows it.

No trusted environment is on this machine: what is shown here is the path, not the hardware.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace as bent

from node.asking import ask
from node.attempt import Question
from node.attesting.exchange import ask_collateral, attested_now
from node.clock import now_ms
from node.config import Config
from node.datadir import DataDir
from node.errors import CommandError, Exit
from node.finding import find_model, refresh_offers
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from node.tiers.getting import prepare
from node.tiers.rung import NotProved
from p2p import Channel
from verify import Policy, verify_file
from verify.teepolicy import TeePolicy
from wire.attestation import AskAttestation, Attestation, Challenge, sign_challenge
from wire.canonical import Amount
from wire.cid import from_cid
from wire.errors import ErrorCode, RemoteError
from wire.network import Network
from wire.offer import Offer

from . import made
from .running import Node, eventually, hallmark, settle, until
from .town import add

X = f"x={json.dumps([made.ROW])}"
POLICY = '[tee]\nkinds = ["dev"]\nmeasurements = ["any"]\n'
DEV = Policy(tee=TeePolicy(kinds=("dev",), measurements=("any",)))


@dataclass
class Keep:
    """A provider with a development attester, and a verifier beside it."""

    place: Path
    network: Network
    provider: Node
    cid: str

    def desk(self, name: str, policy: str = "") -> DataDir:
        directory = settle(self.place / name, self.network)
        if policy:
            directory.policy.write_text(policy)
        return directory


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Keep]:
    place = tmp_path_factory.mktemp("keep")
    directories = {name: settle(place / name) for name in ("provider", "verifier")}
    keys = {name: load_key(directory.key) for name, directory in directories.items()}
    network = new_network("keep", [keys["verifier"].peer_id])
    for directory in directories.values():
        keep_network(directory, network)
    directories["provider"].config.write_text('attester = "dev"\n')
    provider = Node(directories["provider"], keys["provider"], ("hub", "provider"))
    verifier = Node(directories["verifier"], keys["verifier"], ("verifier",))
    with ExitStack() as ending:
        for node in (provider, verifier):
            ending.callback(node.kill)
        provider.start()
        verifier.start(provider.address)
        cid = trio.run(_furnish, provider, verifier, models / "logs.onnx")
        until(lambda: "attested by" in provider.log.read_text(), "an attestation of the model")
        until(lambda: " is ready (" in verifier.log.read_text(), "the verifier's model")
        yield Keep(place, network, provider, cid)


async def _furnish(provider: Node, verifier: Node, file: Path) -> str:
    cid = str((await add(provider, file))["cid"])
    await eventually(lambda: _pulled(verifier, cid), "the verifier's copy")
    return cid


async def _pulled(verifier: Node, cid: str) -> bool:
    try:
        await verifier.call("model.pull", model=cid)
    except CommandError:
        return False
    return True


@pytest.fixture
async def client(keep: Keep, tmp_path: Path) -> AsyncIterator[Peer]:
    directory = settle(tmp_path / "client", keep.network)
    async with open_peer(directory, Config(bootstraps=(keep.provider.address,)), serving=False) as peer:
        await find_model(peer, keep.cid, lambda _: None)
        yield peer


def test_a_development_attesters_answer_is_refused_by_default(keep: Keep) -> None:
    ended = hallmark(
        "infer", keep.cid, "--input", X, "--tier", "tee", "--bootstrap", keep.provider.address, directory=keep.desk("a")
    )
    assert ended.code == Exit.NOT_PROVED
    assert "policy: TEE kind" in ended.said
    assert "this is dev" in ended.said


@pytest.mark.parametrize("tier", ["tee", "tee+quorum", "tee+sampled"])
def test_where_the_policy_allows_it_the_answer_and_its_receipt_say_dev(keep: Keep, tier: str, tmp_path: Path) -> None:
    desk, receipt = keep.desk(f"desk-{tier}", POLICY), tmp_path / "r.receipt"
    ended = hallmark(
        "infer", keep.cid, "--input", X, "--tier", tier, "--bootstrap", keep.provider.address, "--receipt", receipt,
        directory=desk,
    )  # fmt: skip
    assert ended.code == 0, ended.said
    assert "attested (dev)" in ended.out
    verified = hallmark("verify", receipt, "--json", directory=desk)
    assert (verified.code, verified.json["valid"], verified.json["tier"]) == (0, True, tier)
    named = {check["name"] for check in verified.json["checks"]}
    assert {"TEE challenge", "TEE key", "TEE model", "TEE quote", "TEE binding", "TEE debug"} <= named
    assert any(sentence.startswith("DEV: no hardware") for sentence in verified.json["rests_on"])
    stranger = hallmark("verify", receipt, directory=keep.desk(f"stranger-{tier}"))
    assert stranger.code == Exit.NOT_PROVED
    assert "this is dev" in stranger.out


async def question(client: Peer, keep: Keep, policy: Policy) -> Question:
    signed, specs = await find_model(client, keep.cid, lambda _: None)
    return Question(signed, specs, [made.row()], "tee", Amount(0), 30.0, policy=policy)


async def test_one_quote_serves_many_questions_of_a_payer(keep: Keep, client: Peer) -> None:
    asked = await question(client, keep, DEV)
    first, second = [await ask(client, asked, lambda _: None) for _ in range(2)]
    evidence = first.file.certificate.tee
    assert evidence is not None
    assert evidence.challenge.challenge.asker == client.local.key.address
    assert second.file.certificate.tee == evidence
    assert verify_file(second.encoded, client.network, policy=DEV).valid


async def test_whoever_takes_anyones_nonce_is_shown_the_heartbeats(keep: Keep, client: Peer) -> None:
    anyone = Policy(tee=replace(DEV.tee, asked_by="anyone"))
    answer = await ask(client, await question(client, keep, anyone), lambda _: None)
    evidence = answer.file.certificate.tee
    assert evidence is not None
    assert evidence.challenge.challenge.asker == keep.provider.key.address
    assert not verify_file(answer.encoded, client.network, policy=DEV).valid


async def test_what_the_policy_does_not_trust_never_sees_an_input(
    keep: Keep, client: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Policy(tee=replace(DEV.tee, measurements=("00" * 32,)))
    asked, streams, exchange = await question(client, keep, other), list[str](), client.host.exchange

    def watched(peer_id: str, protocol: str) -> AbstractAsyncContextManager[Channel]:
        streams.append(protocol)
        return exchange(peer_id, protocol)

    monkeypatch.setattr(client.host, "exchange", watched)
    with pytest.raises(CommandError, match="policy: TEE measurement"):
        await ask(client, asked, lambda _: None)
    assert "attest" in streams
    assert "infer" not in streams


async def test_a_card_that_attests_nothing_never_sees_an_input(keep: Keep, client: Peer) -> None:
    """An offer that names a card is refused before anything is sent; the same without one is answered."""
    asked, offers = await question(client, keep, DEV), list[Offer]()
    with trio.fail_after(20):
        while not offers:
            await refresh_offers(client, asked.manifest.model)
            offers = client.board.offers(now_ms(), asked.manifest.model, tier="tee")
    (offer,) = offers
    on_card = bent(offer, backend=bent(offer.backend, compute_capability="9.0"))
    with pytest.raises(NotProved, match="policy: TEE card"):
        await prepare(client, "tee", on_card, DEV)
    await prepare(client, "tee", offer, DEV)
    await prepare(client, "tee", on_card, Policy(tee=replace(DEV.tee, unattested_card=True)))


async def test_doctor_says_what_attests_and_what_others_have_to_trust(keep: Keep) -> None:
    said = keep.provider.run("doctor").out
    assert "attestation: a development attester (a key in a file, no hardware): a quote was made, and holds" in said
    assert "runtime: measures " in said
    assert "measurement: others have to trust " in said
    without = keep.desk("without")
    without.config.write_text('attester = "none"\n')
    assert "attestation: none, so no tier tee is offered" in hallmark("doctor", directory=without).out


async def test_the_stream_refuses_what_is_not_its_askers(keep: Keep, client: Peer) -> None:
    key, domain = client.local.key, client.network.domain
    model, peer_id = from_cid(keep.cid), keep.provider.key.peer_id
    good = Challenge(asker=key.address, provider=keep.provider.key.address, nonce=bytes(32), issued_ms=now_ms())

    async def said(challenge: Challenge, about: bytes = model) -> Attestation:
        async with client.host.exchange(peer_id, "attest") as channel:
            signed = sign_challenge(challenge, key, domain)
            await channel.send(AskAttestation(model=about, challenge=signed))
            return await channel.receive(Attestation, timeout=20)

    assert (await said(good)).evidence.bound.key == keep.provider.key.public

    for wrong, about in (
        (bent(good, asker=keep.provider.key.address), model),
        (bent(good, provider=key.address), model),
        (bent(good, issued_ms=now_ms() - 10_000_000), model),
    ):
        with pytest.raises(RemoteError) as error:
            await said(wrong, about)
        assert error.value.code is ErrorCode.REFUSED
    with pytest.raises(RemoteError) as error:
        await said(bent(good, nonce=b"\x01" * 32), bytes(32))
    assert error.value.code is ErrorCode.NOT_FOUND
    with pytest.raises(NotProved):
        await attested_now(client, keep.provider.key.public, model, TeePolicy())
    assert await ask_collateral(client, "tdx-000000000000") == []
