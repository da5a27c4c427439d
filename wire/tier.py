"""The names of the trust levels, and the numbers that stand for them in signed structs."""

from __future__ import annotations

from typing import Literal

Tier = Literal["signed", "sampled", "quorum", "tee", "zk"]
TIER_CODE: dict[Tier, int] = {"signed": 1, "sampled": 2, "quorum": 3, "tee": 4, "zk": 5}
