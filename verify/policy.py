"""What somebody is ready to believe: a client's own rules, beside the network's. The default is strict.

A policy never makes a proof valid; it refuses some that are. The same rules hold before an answer is asked for, when it
comes, and when a receipt file is read years later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from wire.bounds import MAX_COMMITTEE, U63
from wire.tier import TIERS, Tier

from .checks import Check
from .teepolicy import TeePolicy
from .zk.policy import ZkPolicy

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


@dataclass(frozen=True)
class SampledPolicy:
    """`probability`: the least with which the network has to check sampled answers, 0 to 1."""

    probability: Share = 0.01


@dataclass(frozen=True)
class QuorumPolicy:
    """`committee`: the fewest members; 0 for as many as the network file says, or all that may judge where they are
    fewer. `weight`: the least that must have accepted, in the registry's unit. `tolerance`: the widest of a profile.
    """

    committee: Annotated[int, Meta(ge=0, le=MAX_COMMITTEE)] = 0
    weight: U63 = 0
    tolerance: Share = 1e-3

    def check(self, members: int, usual: int, weight: int, profile: str, tolerance: float | None) -> list[Check]:
        """A committee of `members`, where the network's `usual` one is so large, of which `weight` accepted, under a
        runtime profile that lets answers differ by `tolerance`."""
        apart = tolerance or 0.0
        return [
            _at_least("policy: committee", members, self.committee or usual, "members"),
            _at_least("policy: weight", weight, self.weight, "in accepting weight"),
            Check(
                "policy: tolerance",
                apart <= self.tolerance,
                f"the network lets profile {profile} differ by {apart:g}, you allow {self.tolerance:g}",
            ),
        ]


@dataclass(frozen=True)
class Policy:
    """`tiers`: those that are good enough; the other fields rule each rung's evidence."""

    tiers: tuple[Tier, ...] = TIERS
    sampled: SampledPolicy = SampledPolicy()
    quorum: QuorumPolicy = QuorumPolicy()
    tee: TeePolicy = field(default_factory=TeePolicy)
    zk: ZkPolicy = field(default_factory=ZkPolicy)

    def check_tier(self, tier: Tier) -> Check:
        """Is this tier good enough?"""
        wanted = " or ".join(self.tiers) or "none at all"
        good = tier in self.tiers
        return Check("policy: tier", good, "good enough" if good else f"your policy wants {wanted}, this is {tier}")


STRICT = Policy()


def _at_least(name: str, got: int, least: int, what: str) -> Check:
    return Check(name, got >= least, f"{got} {what}" + ("" if got >= least else f", your policy wants {least}"))
