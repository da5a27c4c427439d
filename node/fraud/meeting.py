"""Where a payer meets frauds: a committee's words, and the receipts that were shown for one request."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from verify.fraud.finding import two_receipts, two_words, wrong_answer
from wire.fraud import Fraud
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network
from wire.vote import Ballot

from ..peer import Peer
from .keeping import keep_all


async def note(
    peer: Peer, request: SignedRequest, receipts: Sequence[SignedReceipt], ballots: Sequence[Ballot]
) -> None:
    """Keep what these show: members with two words, a provider with two receipts or a wrong one. Nothing, mostly."""
    if found := await trio.to_thread.run_sync(_look, peer.network, request, receipts, ballots):
        await keep_all(peer.local, found)


def _look(
    network: Network, request: SignedRequest, receipts: Sequence[SignedReceipt], ballots: Sequence[Ballot]
) -> list[Fraud]:
    wrong = (wrong_answer(network, request, receipt, ballots) for receipt in receipts)
    found = [*two_words(network, request, ballots), two_receipts(network, receipts), *wrong]
    return [fraud for fraud in found if fraud is not None]
