"""How far apart two answers are, as the one small number a reveal carries.

0 is bit-identical. Otherwise 1 + the whole decimal digits by which max|Δ| / max|y| exceeds 1e-12: 1 below 1e-11, 7 from
1e-6, 8 from 1e-5. 255 is not finite, or not comparable at all. Powers of ten are compared, never taken logarithms of,
so that every machine gives the same bucket.
"""

from __future__ import annotations

from bisect import bisect_right
from math import isfinite

IDENTICAL = 0
INCOMPARABLE = 255
_POWERS = tuple(float(f"1e{n}") for n in range(-11, INCOMPARABLE - 2 - 11))  # so the last bucket is 254


def bucket(relative: float) -> int:
    """The bucket of a max|Δ| / max|y| between answers that are not bit-identical."""
    return 1 + bisect_right(_POWERS, relative) if isfinite(relative) and relative >= 0 else INCOMPARABLE
