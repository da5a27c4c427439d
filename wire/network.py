"""What makes peers one network: its name, what signatures are bound to, who may verify, and by which rules.

`Network` is the network file's content, as every package sees it; `node` reads and writes the file itself. Verifiers
and rules hold for an epoch. The epochs before it stay in the file, so that what was signed under them can be checked
under them: `Network.at` is the network as it was, or will be, at a time.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .bounds import (
    CLOCK_SKEW_MS,
    MAX_COMMITTEE,
    MAX_EPOCHS,
    MAX_VERIFIERS,
    U63,
    Address,
    Hash32,
    Line,
    PublicKey,
    TimeMs,
)
from .canonical import Record
from .chain import ChainSpec
from .eip712 import Domain
from .errors import RecordError

VERSIONS: dict[str, tuple[int, ...]] = {}
"""Streams that this release speaks in other versions than 1, by name: those versions, the newest first. A change that
peers of the release before would not understand is a new version of its stream, beside the one that they know."""


class Verifier(Record):
    """One registered verifier and its weight in the draw and in the quorum: the whole tokens behind it, on a chain."""

    key: PublicKey
    weight: Annotated[int, Meta(ge=1, le=2**40)]
    addresses: Annotated[tuple[Line, ...], Meta(max_length=16)] = ()


class Profile(Record):
    """A runtime profile's tolerance: the largest max|Δ| / max|y| between two honest executions."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9\-]{0,31}\Z")]
    tolerance: Annotated[float, Meta(ge=0.0, le=1.0)]


Verifiers = Annotated[tuple[Verifier, ...], Meta(max_length=MAX_VERIFIERS)]
Profiles = Annotated[tuple[Profile, ...], Meta(max_length=32)]
Fraction = Annotated[int, Meta(ge=1, le=1000)]
Share = Annotated[int, Meta(ge=0, le=10_000)]


class Registry(Record):
    """An epoch that came before: who verified, by which rules, since when."""

    epoch: U63
    from_ms: TimeMs
    beacon: Hash32
    committee_size: Annotated[int, Meta(ge=1, le=MAX_COMMITTEE)]
    quorum_numerator: Fraction
    quorum_denominator: Fraction
    verifiers: Verifiers = ()
    profiles: Profiles = ()
    sample_bps: Share = 500


class Network(Record):
    """The rules of one network. Two networks never share a domain, so nothing signed on one is valid on another."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9\-]{0,31}\Z")]
    chain_id: U63
    contract: Address
    epoch: U63
    beacon: Hash32  # seeds the committees' draw in this epoch
    committee_size: Annotated[int, Meta(ge=1, le=MAX_COMMITTEE)]
    quorum_numerator: Fraction
    quorum_denominator: Fraction
    bootstraps: Annotated[tuple[Line, ...], Meta(max_length=64)] = ()  # addresses, or names: /dnsaddr/NAME
    relays: Annotated[tuple[Line, ...], Meta(max_length=64)] = ()  # over which peers behind NATs are reached
    verifiers: Verifiers = ()
    profiles: Profiles = ()
    sample_bps: Share = 500  # of sampled answers, how many of 10,000 are checked
    from_ms: TimeMs = 0  # when this epoch begins; a network's first one has always been
    past: Annotated[tuple[Registry, ...], Meta(max_length=MAX_EPOCHS)] = ()  # the oldest first
    chain: ChainSpec | None = None  # where its epochs, stakes and payments stand; without one nothing is paid
    publisher: Address | None = None  # whose signature makes a newer file the network's; without one none does
    version: U63 = 0  # of this file; the higher one holds
    updates: Annotated[tuple[Line, ...], Meta(max_length=8)] = ()  # URLs at which newer files stand

    @property
    def domain(self) -> Domain:
        """What every signature on this network is bound to."""
        return Domain(chain_id=self.chain_id, contract=self.contract)

    def at(self, ms: int) -> Network:
        """The network as of `ms`: under the rules of the epoch that holds then, and knowing those before it.

        RecordError when that is before the oldest epoch of the network file.
        """
        if ms >= self.from_ms:
            return self
        for i in reversed(range(len(self.past))):
            if ms >= (was := self.past[i]).from_ms:
                return msgspec.structs.replace(
                    self, past=self.past[:i], **{name: getattr(was, name) for name in Registry.__struct_fields__}
                )
        oldest = self.past[0].epoch if self.past else self.epoch
        raise RecordError(f"that was before epoch {oldest}, the oldest that the network file of {self.name} knows")

    def is_live(self, issued_ms: int, now_ms: int) -> bool:
        """Whether what was issued at `issued_ms` is of the epoch that holds now; clocks may differ where it changes."""
        epoch = self._epoch_at(issued_ms)
        return epoch is not None and epoch in {self._epoch_at(now_ms + d) for d in (-CLOCK_SKEW_MS, 0, CLOCK_SKEW_MS)}

    def _epoch_at(self, ms: int) -> int | None:
        try:
            return self.at(ms).epoch
        except RecordError:
            return None

    @property
    def listed(self) -> tuple[Verifier, ...]:
        """The verifiers of this epoch and of the one before it, which holds until this one begins."""
        return self.verifiers + (self.past[-1].verifiers if self.past else ())

    def tolerance(self, profile: str) -> float | None:
        """The profile's tolerance, or None when this network does not know the profile."""
        return next((p.tolerance for p in self.profiles if p.name == profile), None)

    def accepts(self, weight: int, total: int) -> bool:
        """Whether `weight` of `total` is more than the quorum (a fraction, more than two thirds by default)."""
        return weight * self.quorum_denominator > total * self.quorum_numerator

    def protocol(self, name: str, version: int = 1) -> str:
        """The libp2p protocol id of a stream, `/hallmark/<network>/<name>/<version>`."""
        return f"/hallmark/{self.name}/{name}/{version}"

    def protocols(self, name: str) -> dict[str, int]:
        """The ids of all versions of a stream that this release speaks, the newest first."""
        return {self.protocol(name, version): version for version in VERSIONS.get(name, (1,))}
