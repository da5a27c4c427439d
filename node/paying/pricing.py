"""What an answer may cost, and how large the steps are in which it is paid."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from wire.canonical import Amount
from wire.generation import MAX_STEP_IDS
from wire.manifest import Manifest
from wire.offer import Terms
from wire.tensors import Tensor

STEP_TOKENS = 1000


def most_tokens(manifest: Manifest, inputs: Sequence[Tensor]) -> int:
    """How many tokens a generator may answer with; 0 for any other model. `inputs` fit the manifest."""
    if manifest.interface != "generate":
        return 0
    (most,) = next(struct.unpack("<i", t.data) for t in inputs if t.name == "max_tokens")
    return max(0, int(most))


def tokens_of(manifest: Manifest, outputs: Sequence[Tensor]) -> int:
    """How many tokens an answer has; 0 of any other model than a generator."""
    if manifest.interface != "generate":
        return 0
    return next(len(t.data) // 8 for t in outputs if t.name == "tokens")


def step_of(tiers: Sequence[Terms], risk: int) -> Amount:
    """How far vouchers go ahead of what came: a plain answer, or a thousand tokens and no more than `risk`. Never less
    than one frame of tokens costs, which nothing can part."""
    return Amount(max(max(t.cost(MAX_STEP_IDS), min(risk, t.cost(STEP_TOKENS))) for t in tiers))
