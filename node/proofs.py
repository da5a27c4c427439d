"""A proof on its stream: the ballots of a large committee take more than one frame."""

from __future__ import annotations

import msgspec
import trio

from p2p import Channel
from wire.errors import ErrorCode, RemoteError
from wire.inference import Ballots, Proof

from .bounds import BALLOTS_AT_ONCE


async def send_proof(channel: Channel, proof: Proof) -> None:
    """Send a proof that holds all its ballots."""
    first, rest = proof.ballots[:BALLOTS_AT_ONCE], proof.ballots[BALLOTS_AT_ONCE:]
    await channel.send(msgspec.structs.replace(proof, ballots=first, more=len(rest)))
    for at in range(0, len(rest), BALLOTS_AT_ONCE):
        await channel.send(Ballots(ballots=rest[at : at + BALLOTS_AT_ONCE]))


async def receive_proof(channel: Channel, seconds: float) -> Proof:
    """The proof with all its ballots, within `seconds` in all. RemoteError when it is not sent so."""
    end = trio.current_time() + seconds
    proof = await channel.receive(Proof, timeout=seconds)
    ballots, more = list(proof.ballots), proof.more
    while more > 0:
        further = (await channel.receive(Ballots, timeout=max(0.0, end - trio.current_time()))).ballots
        ballots += further
        more -= len(further)
    if more < 0:
        raise RemoteError(ErrorCode.BAD_RECORD, "the proof has more ballots than it said")
    return msgspec.structs.replace(proof, ballots=tuple(ballots), more=0)
