"""What this provider's proofs cost lately, by model and tier: what its offers say of them. A machine without I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from statistics import median_low

from wire.tier import Tier

from ..bounds import MAX_COSTED, PROOFS_COSTED


class ProofCosts:
    """The medians of the last PROOFS_COSTED proofs of each; what was proved longest ago is forgotten first."""

    def __init__(self) -> None:
        self._proofs: OrderedDict[tuple[bytes, Tier], deque[tuple[int, int]]] = OrderedDict()

    def note(self, model: bytes, tier: Tier, us: int, size: int) -> None:
        """A proof was ready so many microseconds after its answer had been sent, and takes so many bytes."""
        proofs = self._proofs.setdefault((model, tier), deque(maxlen=PROOFS_COSTED))
        proofs.append((max(1, us), size))
        self._proofs.move_to_end((model, tier))
        if len(self._proofs) > MAX_COSTED:
            self._proofs.popitem(last=False)

    def of(self, model: bytes, tier: Tier) -> tuple[int, int]:
        """Microseconds and bytes that a proof adds to an answer; 0 and 0 while none was made."""
        proofs = self._proofs.get((model, tier))
        if not proofs:
            return 0, 0
        return median_low(us for us, _ in proofs), median_low(size for _, size in proofs)
