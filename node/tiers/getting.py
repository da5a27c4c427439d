"""The asker's side of the ladder: the certificate completed, from what the provider sent and what it did not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from verify import Policy
from wire.certificate import Certificate
from wire.offer import Offer
from wire.tier import Rung, Tier, rungs_of
from wire.vote import Ballot

from ..peer import Peer
from . import quorum, sampled, tee, zk
from .rung import Evidence, Wanted

_GET: dict[Rung, Callable[[Wanted], Awaitable[Evidence]]] = {
    "sampled": sampled.get,
    "quorum": quorum.get,
    "tee": tee.get,
    "zk": zk.get,
}
GIVEN_BY_PROVIDER: frozenset[Rung] = frozenset({"quorum", "tee", "zk"})  # a Proof frame comes for these


async def prepare(peer: Peer, tier: Tier, offer: Offer, policy: Policy) -> None:
    """What has to hold before the provider gets to see an input. NotProved when it does not."""
    if "tee" in rungs_of(tier):
        await tee.prepare(peer, offer, policy)
    if "zk" in rungs_of(tier):
        await zk.prepare(peer, offer.model, policy)


async def get_certificate(wanted: Wanted) -> tuple[Certificate, tuple[Ballot, ...]]:
    """The certificate with its committee's ballots; `verify.check_evidence` says whether it holds.

    NotProved when a committee refused the answer, RemoteError when evidence could not be had.
    """
    certificate, ballots = wanted.certificate, tuple[Ballot, ...]()
    for rung in rungs_of(wanted.request.request.tier):
        if get := _GET.get(rung):
            found = await get(wanted)
            certificate = msgspec.structs.replace(certificate, **{rung: found.part})
            ballots += found.ballots
    return certificate, ballots
