"""What makes peers one network: its name, what signatures are bound to, who may verify, and by which rules.

`Network` is the network file's content, as every package sees it; `node` reads and writes the file itself.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import MAX_COMMITTEE, U63, Address, Hash32, Line, PublicKey
from .canonical import Record
from .eip712 import Domain


class Verifier(Record):
    """One registered verifier and its weight in the draw and in the quorum (equal until bonds exist on chain)."""

    key: PublicKey
    weight: Annotated[int, Meta(ge=1, le=2**40)]
    addresses: Annotated[tuple[Line, ...], Meta(max_length=16)] = ()


class Profile(Record):
    """A runtime profile's tolerance: the largest max|Δ| / max|y| between two honest executions."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9\-]{0,31}\Z")]
    tolerance: Annotated[float, Meta(ge=0.0, le=1.0)]


class Network(Record):
    """The rules of one network. Two networks never share a domain, so nothing signed on one is valid on another."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9\-]{0,31}\Z")]
    chain_id: U63
    contract: Address
    epoch: U63
    beacon: Hash32  # seeds the committees' draw in this epoch
    committee_size: Annotated[int, Meta(ge=1, le=MAX_COMMITTEE)]
    quorum_numerator: Annotated[int, Meta(ge=1, le=1000)]
    quorum_denominator: Annotated[int, Meta(ge=1, le=1000)]
    bootstraps: Annotated[tuple[Line, ...], Meta(max_length=64)] = ()
    verifiers: Annotated[tuple[Verifier, ...], Meta(max_length=4096)] = ()
    profiles: Annotated[tuple[Profile, ...], Meta(max_length=32)] = ()

    @property
    def domain(self) -> Domain:
        """What every signature on this network is bound to."""
        return Domain(chain_id=self.chain_id, contract=self.contract)

    def tolerance(self, profile: str) -> float | None:
        """The profile's tolerance, or None when this network does not know the profile."""
        return next((p.tolerance for p in self.profiles if p.name == profile), None)

    def accepts(self, weight: int, total: int) -> bool:
        """Whether `weight` of `total` is more than the quorum (a fraction, more than two thirds by default)."""
        return weight * self.quorum_denominator > total * self.quorum_numerator

    def protocol(self, name: str) -> str:
        """The libp2p protocol id of a stream, `/hallmark/<network>/<name>/1`."""
        return f"/hallmark/{self.name}/{name}/1"
