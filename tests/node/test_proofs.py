"""A proof goes into frames however large its committee is, and a peer that lies about how many follow is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from node.bounds import BALLOTS_AT_ONCE
from node.proofs import receive_proof, send_proof
from p2p import Channel
from tests.verify.scenes import Scene, bent, floats
from verify.tiers.claim import file_of
from wire.bounds import MAX_PLACES, MAX_RECORD
from wire.canonical import decode, encode
from wire.errors import RemoteError
from wire.inference import Ballots, Proof
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile
from wire.vote import BLOCK, MAX_BLOCKS, MAX_PATH, WHOLE, Ballot, Opening

SCENE = Scene()
FAR = (floats("scores", 9.0, 9.0, 9.0),)


@dataclass
class Stream:
    """Both ends at once: what was sent is received, each record in a frame of its own."""

    frames: list[bytes] = field(default_factory=list)

    async def send(self, record: Any) -> None:
        self.frames.append(encode(record))

    async def receive(self, kind: Any, *, timeout: float) -> Any:  # noqa: ASYNC109  the real one's
        assert timeout <= 7
        return decode(self.frames.pop(0), kind)


def largest_ballot(member: int) -> Ballot:
    """One whose opening takes as much as one can: small outputs, whole, in as many tensors as there may be."""
    blocks = tuple(b"\xff" * (WHOLE // 64) for _ in range(64))
    path = tuple(b"\xff" * 32 for _ in range(MAX_PATH))
    whole = Opening(count=64, blocks=blocks, path=())
    part = Opening(count=MAX_BLOCKS, blocks=(b"\xff" * BLOCK,), path=path)
    assert len(encode(part)) < len(encode(whole))
    reveal = bent(SCENE.reveal(0, FAR, 255), opening=whole)
    return bent(SCENE.ballot(0), member=2**32 - 1 - member, reveal=reveal)


def proof(count: int) -> Proof:
    return Proof(certificate=SCENE.certificate(), ballots=tuple(map(largest_ballot, range(count))), reason="x" * 256)


@pytest.mark.parametrize("count", [0, 1, BALLOTS_AT_ONCE, BALLOTS_AT_ONCE + 1, MAX_PLACES])
async def test_every_committee_s_proof_arrives_as_it_was_sent(count: int) -> None:
    stream, whole = Stream(), proof(count)
    await send_proof(cast(Channel, stream), whole)
    assert max(map(len, stream.frames)) < MAX_RECORD * 3 // 4  # the rest is for other evidence beside it
    assert len(stream.frames) == max(1, -(-count // BALLOTS_AT_ONCE))
    assert await receive_proof(cast(Channel, stream), 7.0) == whole
    assert stream.frames == []


async def test_more_ballots_than_were_said_are_refused() -> None:
    stream, (one, two) = Stream(), (largest_ballot(0), largest_ballot(1))
    await stream.send(bent(proof(0), more=1))
    await stream.send(Ballots(ballots=(one, two)))
    with pytest.raises(RemoteError, match="more ballots than it said"):
        await receive_proof(cast(Channel, stream), 7.0)


def test_the_receipt_file_of_the_largest_committee_fits() -> None:
    ballots = tuple(map(largest_ballot, range(MAX_PLACES)))
    file = file_of(SCENE.claim(ballots=ballots), SCENE.signed_manifest)
    size = len(encode(file))
    assert size < 2 * 2**20  # of the 4 MiB that a receipt file has besides its outputs
    assert decode(encode(file), ReceiptFile, limit=MAX_RECEIPT_FILE) == file
