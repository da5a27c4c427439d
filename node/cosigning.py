"""Certificates made small: a member's answer to who asks it to sign its vote together with the others, and the asking.

The answer's own path never waits for this: a certificate is whole before it, and stays as it was where it fails.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import trio

from p2p import Channel
from verify.cosigning import Cosigning, compacted, open_nonce
from verify.tiers import quorum
from wire.cosign import Cosign, Nonce, Nonces, Part
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import peer_id_of
from wire.receiptfile import ReceiptFile
from wire.vote import Verdict

from .bounds import COSIGN_SECONDS
from .peer import Peer


async def serve_cosign(channel: Channel, peer: Peer) -> None:
    """One signature, for whoever asks. The nonce lives as long as this exchange and signs once."""
    asked = await channel.receive(Cosign, timeout=COSIGN_SECONDS)
    key = peer.local.key
    try:
        # Adding the keys of a large committee up takes milliseconds.
        made = await trio.to_thread.run_sync(open_nonce, peer.network, key, asked.request, asked.vote, asked.signers)
        await channel.send(Nonce(nonce=made.public))
        everyone = await channel.receive(Nonces, timeout=COSIGN_SECONDS)
        await channel.send(Part(part=made.sign(key, everyone.nonces)))
    except RecordError as error:
        raise RemoteError(ErrorCode.REFUSED, str(error), retry=False) from error


@dataclass(frozen=True)
class Compaction:
    """How it went: the file with the small certificate, or None and what each missing signer said, by peer id."""

    file: ReceiptFile | None
    missing: dict[str, str]


async def compact(peer: Peer, file: ReceiptFile) -> Compaction:
    """Have the signers of a file's certificate sign together. RecordError when it has no quorum's certificate.

    The file is the caller's to check, before and after.
    """
    evidence = file.certificate.quorum
    if evidence is None:
        raise RecordError(f"a certificate of tier {file.certificate.tier} has no committee that could sign")
    committee, places = quorum.signers(peer.network, file.request, evidence)
    votes = {b.member: b.vote for b in file.ballots if b.vote and b.vote.vote.verdict is Verdict.ACCEPT}
    if absent := [i for i in places if i not in votes]:
        raise RecordError(f"the file lacks the vote of the signer at place {absent[0]}")
    cosigning = Cosigning(committee, tuple(places), votes[places[0]].vote.digest(peer.network.domain))
    missing: dict[str, str] = {}
    complete = trio.Event()

    async def ask(place: int) -> None:
        peer_id = peer_id_of(committee.places[place].key)
        try:
            if addresses := peer.addresses_of(committee.places[place].key):
                peer.host.learn(peer_id, addresses)
            async with peer.host.exchange(peer_id, "cosign") as channel:
                await channel.send(Cosign(request=file.request, vote=votes[place], signers=evidence.signers))
                cosigning.nonce(place, (await channel.receive(Nonce, timeout=COSIGN_SECONDS)).nonce)
                if cosigning.nonces:
                    complete.set()
                await complete.wait()
                assert cosigning.nonces is not None
                await channel.send(Nonces(nonces=cosigning.nonces))
                cosigning.part(place, (await channel.receive(Part, timeout=COSIGN_SECONDS)).part)
        except (RemoteError, RecordError) as error:
            missing[peer_id] = str(error)
            nursery.cancel_scope.cancel()  # without one there is no signature: the others need not wait

    with trio.move_on_after(COSIGN_SECONDS) as patience:
        async with trio.open_nursery() as nursery:
            for place in places:
                nursery.start_soon(ask, place)
    if patience.cancelled_caught:
        missing |= {peer_id_of(committee.places[i].key): "it took too long" for i in cosigning.missing}
    if missing:
        return Compaction(None, missing)
    small = msgspec.structs.replace(file.certificate, quorum=compacted(evidence, cosigning.finish()))
    return Compaction(msgspec.structs.replace(file, certificate=small), {})
