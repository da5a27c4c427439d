"""What somebody is ready to believe of a ZK proof."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZkPolicy:
    """`dev_srs`: whether a proof counts whose reference string was made on one machine, where it can be forged."""

    dev_srs: bool = False
