"""What a committee's ballots say, counted by whoever paid for the answer: only valid ones count, each member once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from verify import Case, Outputs, Sitting
from wire.canonical import encode
from wire.committee import AskBallot, BallotReply
from wire.errors import RecordError, RemoteError
from wire.inference import SignedReceipt, SignedRequest
from wire.keys import peer_id_of
from wire.network import Network, Verifier
from wire.vote import Ballot, Verdict

from .bounds import BALLOT_SECONDS
from .fraud.meeting import note
from .peer import Peer


@dataclass(frozen=True)
class Count:
    """Members, for a sentence; and whether their weight alone makes acceptance impossible."""

    accepted: int
    rejected: int
    size: int
    refused: bool  # so much weight rejected that the rest is no quorum: no single member can bring that about
    same: bool  # whoever rejected had the very outputs of the receipt


def count_ballots(
    network: Network,
    request: SignedRequest,
    receipt: SignedReceipt,
    ballots: Sequence[Ballot],
    answer: Outputs | None,
) -> Count:
    """Count the verdicts of the valid ballots on this receipt; `answer` is the sealed part of it, where it is known.

    RecordError when nobody may judge the request.
    """
    case = Case(Sitting.of(network, request), receipt.receipt, answer)
    committee = case.sitting.committee
    verdicts = {b.member: b.vote.vote.verdict for b in ballots if b.vote and case.ballot_fault(b) is None}
    said = list(verdicts.values())
    against = committee.weight([member for member, verdict in verdicts.items() if verdict == Verdict.REJECT])
    refused = not committee.carries(sum(committee.counts) - against)
    same = all(
        b.reveal is not None and b.reveal.outputs == receipt.receipt.outputs
        for b in ballots
        if verdicts.get(b.member) == Verdict.REJECT
    )
    return Count(said.count(Verdict.ACCEPT), said.count(Verdict.REJECT), len(committee.members), refused, same)


async def kept_back(peer: Peer, request: SignedRequest) -> Count | None:
    """What the committee said on a request whose provider fell silent, asked of each member; None when nobody says.

    So a provider that was rejected can't pass for one that failed.
    """
    try:
        committee = Sitting.of(peer.network, request).committee
    except RecordError:
        return None
    replies: list[BallotReply] = []

    async def ask(member: Verifier) -> None:
        peer_id = peer_id_of(member.key)
        try:
            if addresses := peer.addresses_of(member.key):
                peer.host.learn(peer_id, addresses)
            async with peer.host.exchange(peer_id, "committee") as channel:
                await channel.send(AskBallot(request=request))
                replies.append(await channel.receive(BallotReply, timeout=BALLOT_SECONDS))
        except RemoteError:
            return  # it said nothing on this request, or can't be reached; the others are asked as well

    with trio.move_on_after(BALLOT_SECONDS):
        async with trio.open_nursery() as nursery:
            for member in committee.places:
                nursery.start_soon(ask, member)
    # A member may show another receipt than the rest do: that must not hide what they rejected.
    shown = {encode(r.receipt): r.receipt for r in replies if r.receipt and _answers(peer.network, request, r.receipt)}
    ballots = [r.ballot for r in replies]
    await note(peer, request, list(shown.values()), ballots)
    counts = [count_ballots(peer.network, request, receipt, ballots, None) for receipt in shown.values()]
    return max(counts, key=lambda count: (count.rejected, count.accepted), default=None)


def _answers(network: Network, request: SignedRequest, receipt: SignedReceipt) -> bool:
    """Whether the provider that was asked signed this receipt for this request: it answers for nothing else."""
    asked, said = request.request, receipt.receipt
    named = (said.provider, said.request) == (asked.provider, asked.digest(network.domain))
    return named and receipt.is_signed(network.domain)
