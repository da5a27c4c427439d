"""How far the circuit's outputs are from the float model's: what fixed-point numbers cost."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence


def distance_ppb(proved: Sequence[bytes], floats: Sequence[bytes]) -> int:
    """Billionths of the largest output, over all FP32 tensors, rounded up; 10**9 where it is no number."""
    worst = 0.0
    for ours, theirs in zip(proved, floats, strict=True):
        pairs = [struct.unpack(f"<{len(data) // 4}f", data) for data in (ours, theirs)]
        largest = max(map(abs, pairs[1]), default=0.0)
        apart = max((abs(a - b) for a, b in zip(*pairs, strict=True)), default=0.0)
        if not math.isfinite(largest + apart):
            return 10**9
        worst = max(worst, apart / largest if largest else float(apart > 0))
    return min(10**9, math.ceil(worst * 1e9))
