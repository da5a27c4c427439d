"""Which attestations somebody is ready to believe. Strict by default: whatever is not allowed by name is refused.

A quote proves which software holds the key, not that this software is any good. So the default accepts no measurement
at all, until its user names those that they trust.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from msgspec import Meta

from wire.attestation import TeeKind
from wire.bounds import U8

from .checks import Check

if TYPE_CHECKING:
    from .tiers.tee.attested import Attested

LEVELS = ("bootloader", "tee", "snp", "microcode")  # of AMD's firmware, in this order
TcbState = Literal[  # Intel's words, but for Revoked, which nobody can allow
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
]
Trait = Literal["dynamic-platform", "cached-keys", "smt", "migration"]
Measurement = Annotated[str, Meta(pattern=r"^([0-9a-f]{64}|[0-9a-f]{96}|any)\Z")]


@dataclass(frozen=True)
class TeePolicy:
    """`kinds`: the vendors' environments; `dev` is none and has to be named. `states`: Intel's verdicts on firmware.
    `traits`: of a platform, each a known weakness in the strictest view. `measurements`: hexadecimal, or `any`.
    `snp_levels`: the least that AMD's firmware may have: bootloader, tee, snp, microcode; none accepts no SEV-SNP.
    `fresh_seconds`: how old a challenge may be when an answer is finished. `asked_by`: who must have chosen its nonce.
    `unattested_card`: whether a card may execute that attested nothing itself.
    """

    kinds: tuple[TeeKind, ...] = ("sgx", "tdx", "nitro", "snp")
    states: tuple[TcbState, ...] = ("UpToDate",)
    traits: tuple[Trait, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    snp_levels: tuple[U8, ...] = ()
    fresh_seconds: Annotated[int, Meta(ge=1, le=30 * 24 * 3600)] = 3600
    asked_by: Literal["payer", "anyone"] = "payer"
    unattested_card: bool = False

    def check_kind(self, kind: TeeKind) -> Check:
        """Is this sort of environment acceptable?"""
        wrong = f"your policy allows {_list(self.kinds)}, this is {kind}"
        return Check("policy: TEE kind", kind in self.kinds, kind if kind in self.kinds else wrong)

    def check(self, found: Attested) -> list[Check]:
        """Is what the hardware says acceptable? Freshness and cards are asked for where they are known."""
        return [
            self.check_kind(found.kind),
            self._firmware(found),
            self._traits(found),
            self._measurement(found),
        ]

    def _firmware(self, found: Attested) -> Check:
        name = "policy: TEE firmware"
        if found.tcb:
            state = f"TCB {found.tcb}" + (f" ({', '.join(found.advisories)})" if found.advisories else "")
            good = found.tcb in self.states
            return Check(name, good, state if good else f"{state}; your policy allows {_list(self.states)}")
        if found.levels:
            has = ", ".join(f"{what} {level}" for what, level in zip(LEVELS, found.levels, strict=True))
            if len(self.snp_levels) != len(LEVELS):
                return Check(name, False, f"{has}; your policy names no least levels (snp_levels), and AMD none either")
            good = all(level >= least for level, least in zip(found.levels, self.snp_levels, strict=True))
            return Check(name, good, has if good else f"{has}; your policy wants {_list(self.snp_levels)} at least")
        return Check(name, True, "its vendor gives no verdict on it")

    def _traits(self, found: Attested) -> Check:
        more = [trait for trait in found.traits if trait not in self.traits]
        wrong = f"the platform has {_list(more)}; your policy allows {_list(self.traits)}"
        return Check("policy: TEE traits", not more, wrong if more else _list(found.traits))

    def _measurement(self, found: Attested) -> Check:
        value = found.measurement.hex()
        good = "any" in self.measurements or value in self.measurements
        wrong = f"the measured software is {value}; your policy trusts {len(self.measurements) or 'no'} other(s)"
        return Check("policy: TEE measurement", good, value if good else wrong)


ANYTHING = TeePolicy(  # of a development attester's, of any age: for who looks at its own evidence
    kinds=get_args(TeeKind),
    states=get_args(TcbState),
    traits=get_args(Trait),
    measurements=("any",),
    snp_levels=(0,) * len(LEVELS),
    asked_by="anyone",
    unattested_card=True,
)


def _list(words: Iterable[object]) -> str:
    return ", ".join(map(str, words)) or "none"
