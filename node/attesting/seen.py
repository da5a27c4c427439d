"""Evidence that providers gave this peer, while it is fresh enough to be relied on again."""

from __future__ import annotations

from collections import OrderedDict

from wire.attestation import TeeEvidence

from ..bounds import MAX_ATTESTED


class Attested:
    """By provider (its address) and model. A machine without I/O; the time is an argument."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[bytes, bytes], TeeEvidence] = OrderedDict()

    def get(self, provider: bytes, model: bytes, now_ms: int, fresh_ms: int) -> TeeEvidence | None:
        """What is held, not older than that."""
        held = self._held.get((provider, model))
        return held if held and now_ms - held.challenge.challenge.issued_ms < fresh_ms else None

    def put(self, provider: bytes, model: bytes, evidence: TeeEvidence) -> None:
        """Hold it; the one held longest is forgotten first."""
        self._held[provider, model] = evidence
        self._held.move_to_end((provider, model))
        if len(self._held) > MAX_ATTESTED:
            self._held.popitem(last=False)
