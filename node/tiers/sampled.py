"""Rung `sampled` in a node: the provider gives nothing more; who asked holds the secret, and the checks come later."""

from __future__ import annotations

from wire.audit import SampledEvidence
from wire.errors import RecordError

from ..clock import now_ms
from ..peer import Peer
from ..ready import ReadyModel
from .rung import Evidence, Wanted


def offered(peer: Peer, _: ReadyModel) -> bool:
    """Whether anybody but this provider may check, and ever does."""
    try:
        now = peer.network.at(now_ms())
    except RecordError:  # the network file's only epoch has not begun
        return False
    return now.sample_bps > 0 and any(verifier.key != peer.local.key.public for verifier in now.verifiers)


async def get(wanted: Wanted) -> Evidence:
    """The secret; `auditing.after` has the answer checked, where the ticket says so."""
    return Evidence(SampledEvidence(secret=wanted.secret, audits=()))
