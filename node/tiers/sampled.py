"""Rung `sampled` in a node: the provider gives nothing more; who asked holds the secret, and the checks come later."""

from __future__ import annotations

from wire.audit import SampledEvidence

from ..peer import Peer
from ..ready import ReadyModel
from .rung import Evidence, Wanted


def offered(peer: Peer, _: ReadyModel) -> bool:
    """Whether anybody but this provider may check, and ever does."""
    listed = any(verifier.key != peer.local.key.public for verifier in peer.network.verifiers)
    return listed and peer.network.sample_bps > 0


async def get(wanted: Wanted) -> Evidence:
    """The secret; `auditing.after` has the answer checked, where the ticket says so."""
    return Evidence(SampledEvidence(secret=wanted.secret, audits=()))
