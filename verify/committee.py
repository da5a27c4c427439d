"""Who judges a request: a draw by weight, without replacement, that anyone can repeat and nobody can steer.

It is seeded by the epoch's beacon and by the request's digest, and it uses keccak and integers only, so that a contract
can repeat it. The exact bytes (‖ joins, integers are 32 bytes big-endian, keys are 33 bytes, SEC 1 compressed):

    pool      the registry without the excluded addresses, sorted by key (so its order in the network file is nothing)
    seed      keccak256(beacon ‖ epoch ‖ request digest)
    draw i    keccak256(seed ‖ i) as an integer, modulo the weight left in the pool: the member is the first in the pool
              for which the running sum of weights exceeds it; it leaves the pool. i counts from 0.
    root      keccak256(epoch ‖ key₀ ‖ weight₀ ‖ key₁ ‖ weight₁ …), members sorted by key

The bias of the modulo is below 2**-200. Neither who answers nor who asked may judge: both are excluded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from wire.eip712 import keccak256
from wire.errors import RecordError
from wire.inference import Request
from wire.keys import address_of
from wire.network import Network, Verifier

_address_of = lru_cache(maxsize=8192)(address_of)  # a registry has at most 4096 keys, and every request asks for all


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@dataclass(frozen=True)
class Committee:
    """The members for one request in canonical order (by key), each with its weight."""

    epoch: int
    members: tuple[Verifier, ...]

    @cached_property
    def total(self) -> int:
        """The weight of all members."""
        return sum(m.weight for m in self.members)

    @cached_property
    def root(self) -> bytes:
        """What commits, votes and certificates name the committee by, 32 bytes."""
        return keccak256(_word(self.epoch) + b"".join(m.key + _word(m.weight) for m in self.members))

    @cached_property
    def _index(self) -> dict[bytes, int]:
        return {m.key: i for i, m in enumerate(self.members)}

    def index_of(self, public: bytes) -> int | None:
        """The place of the 33-byte key `public` in the canonical order, or None for one who is no member."""
        return self._index.get(public)

    def weight(self, members: Collection[int]) -> int:
        """The weight of the members at these places."""
        return sum(self.members[i].weight for i in members)


def draw(network: Network, request_digest: bytes, exclude: Collection[bytes]) -> Committee:
    """The committee for `request_digest`; `exclude` holds the EVM addresses of who may not judge.

    It has `network.committee_size` members, or all that may judge when they are fewer. RecordError when none may, or
    when the registry lists one key twice.
    """
    # Two keys that differ only in parity are one BIP340 signer: a vote of one would pass for the other's.
    if len({v.key[1:] for v in network.verifiers}) != len(network.verifiers):
        raise RecordError(f"network {network.name}: a verifier is listed twice; correct the network file")
    pool = sorted((v for v in network.verifiers if _address_of(v.key) not in exclude), key=lambda v: v.key)
    if not pool:
        raise RecordError(
            f"network {network.name} lists no verifier that may judge this request (who asks and who answers may not): "
            "ask in tier signed, or use a network file that lists verifiers"
        )
    members = pool if len(pool) <= network.committee_size else _drawn(network, request_digest, pool)
    return Committee(network.epoch, tuple(members))


def _drawn(network: Network, request_digest: bytes, pool: list[Verifier]) -> list[Verifier]:
    seed = keccak256(network.beacon + _word(network.epoch) + request_digest)
    pool, members = list(pool), []
    for i in range(network.committee_size):
        sums = list(accumulate(v.weight for v in pool))
        ticket = int.from_bytes(keccak256(seed + _word(i)), "big") % sums[-1]
        members.append(pool.pop(bisect_right(sums, ticket)))
    return sorted(members, key=lambda v: v.key)


def committee_for(network: Network, request: Request) -> Committee:
    """The one committee that may judge `request`: its provider and its payer are excluded."""
    return draw(network, request.digest(network.domain), (request.provider, request.payer))
