"""Rung `tee` in a node: the provider shows its attestation; who asks sees one that holds before any input leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from verify import Policy
from wire.errors import ErrorCode, RemoteError
from wire.offer import Offer

from ..bounds import ATTEST_FRESH_MS
from ..clock import now_ms
from ..peer import Peer
from ..ready import ReadyModel
from .rung import Evidence, Giver, Job, Wanted


def offered(peer: Peer, ready: ReadyModel) -> bool:
    """Whether this provider is attested for the model now."""
    return peer.attesting is not None and peer.attesting.covers(ready.model)


class _Shown(Giver):
    def __init__(self, job: Job) -> None:
        self._job = job

    @override
    async def evidence(self) -> Evidence:
        request, attesting = self._job.request.request, self._job.peer.attesting
        shown = attesting.shown(request.payer, request.model) if attesting else None
        return Evidence(shown, reason="" if shown else "its attestation ended while the answer was made")


@asynccontextmanager
async def give(job: Job) -> AsyncIterator[Giver]:
    """The attestation that stands; the receipt's signature, by the attested key, does the rest."""
    yield _Shown(job)


async def prepare(peer: Peer, offer: Offer, policy: Policy) -> None:
    """An attestation of the provider's that holds under the policy, before it gets to see an input, for what it says
    that it executes on.

    NotProved when there is none that does, RemoteError when it gave none.
    """
    from ..attesting.exchange import attested_now

    on_card = bool(offer.backend.compute_capability)  # its own word; the receipt's is held against the same rule
    await attested_now(peer, offer.peer, offer.model, policy.tee, on_card=on_card)


async def get(wanted: Wanted) -> Evidence:
    """What came with the answer, or was seen before it and is of the same key: over the payer's own nonce, if any is.

    A provider that started anew since has forgotten who asked with which nonce, and shows its own.
    """
    asked, came = wanted.request.request, wanted.certificate.tee
    seen = wanted.peer.attested.get(asked.provider, asked.model, now_ms(), ATTEST_FRESH_MS)
    own = next((e for e in (came, seen) if e and e.challenge.challenge.asker == asked.payer), None)
    if (part := own or came or seen) is None:
        raise RemoteError(ErrorCode.REJECTED, f"it gave no attestation: {wanted.reason or 'no reason said'}")
    return Evidence(part)
